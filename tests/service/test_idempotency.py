"""Idempotency keys: once done, answered as often as asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from service import idempotency
from service.config import Auth, Config
from service.idempotency import Answer, Claim, Idempotency
from service.keys import Keys
from service.records import Scope
from service.store.database import Database
from tests.conftest import StartServer
from tests.service.clients import client_of
from tests.service.documents import NEURON, product
from tests.service.test_bad_requests import problem

Post = Callable[..., TestResponse]


@pytest.fixture
def post(client: FlaskClient) -> Post:
    """Post with an idempotency key: `post("/v1/runs", document, "key")`."""
    return lambda path, document, key="k", **headers: client.post(
        path, json=document, headers={"Idempotency-Key": key, **headers}
    )


def runs_of(client: FlaskClient) -> list[Any]:
    items: list[Any] = client.get("/v1/runs").get_json()["items"]
    return items


def test_the_same_request_is_answered_as_the_first_time(client: FlaskClient, post: Post) -> None:
    graph_id = post("/v1/graphs", NEURON).get_json()["id"]
    asked: list[tuple[str, Any, int]] = [
        ("/v1/graphs", NEURON, 200),
        (f"/v1/graphs/{graph_id}/gradient", {}, 201),
        ("/v1/runs", {"graph": NEURON}, 201),
        ("/v1/runs?form=columns", {"graph_id": graph_id}, 201),
        ("/v1/runs", {"graph": NEURON, "store": False}, 200),
        ("/v1/explain", {"graph": NEURON}, 200),
    ]
    for number, (path, document, status) in enumerate(asked):
        first, second = (post(path, document, f"request {number}") for _ in range(2))
        assert first.status_code == second.status_code == status
        assert second.data == first.data
        assert second.headers.pop("Idempotency-Replayed") == "true"
        for headers in (first.headers, second.headers):
            headers.remove("X-Request-Id")
        assert sorted(second.headers) == sorted(first.headers)
    assert len(runs_of(client)) == 2


def test_the_answer_outlives_what_it_speaks_of(client: FlaskClient, post: Post) -> None:
    first = post("/v1/runs", {"graph": NEURON})
    assert client.delete(first.headers["Location"]).status_code == 204
    assert post("/v1/runs", {"graph": NEURON}).data == first.data
    assert runs_of(client) == []


def test_another_request_with_the_key_is_refused(client: FlaskClient, post: Post) -> None:
    post("/v1/runs", {"graph": NEURON})
    for path, document in [
        ("/v1/runs", {"graph": product(a=1.0, b=2.0)}),
        ("/v1/runs?form=columns", {"graph": NEURON}),
    ]:
        problem(post(path, document), 422, "IDEMPOTENCY_KEY_REUSED")
    assert len(runs_of(client)) == 1


def test_a_key_belongs_to_its_path(post: Post) -> None:
    assert post("/v1/graphs", NEURON).status_code == 201
    assert post("/v1/runs", {"graph": NEURON}).status_code == 201
    assert post("/v1/explain", {"graph": NEURON}).status_code == 200


def test_a_key_belongs_to_its_owner(config: Config, database: Database) -> None:
    with client_of(replace(config, auth=Auth.KEYS)) as client:
        ids = set()
        for name, document in (("ann", NEURON), ("bob", product(a=1.0, b=2.0))):
            key = Keys(database).create(name, Scope.WRITE)
            headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k"}
            response = client.post("/v1/runs", json={"graph": document}, headers=headers)
            assert response.status_code == 201
            ids.add(response.get_json()["id"])
        assert len(ids) == 2


def test_a_failure_is_not_kept(client: FlaskClient, post: Post) -> None:
    problem(post("/v1/runs", {"graph": product()}), 422, "INVALID_REQUEST")
    problem(post("/v1/runs", {"graph": product()}), 422, "INVALID_REQUEST")
    assert post("/v1/runs", {"graph": product(), "inputs": {"a": 1.0, "b": 2.0}}).status_code == 201


def test_a_crash_is_not_kept(client: FlaskClient, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("service.runs.compute", lambda *_: 1 / 0)
        problem(post("/v1/runs", {"graph": NEURON}), 500, "INTERNAL")
    assert "Idempotency-Replayed" not in post("/v1/runs", {"graph": NEURON}).headers
    assert len(runs_of(client)) == 1


@pytest.mark.parametrize("spelling", ['"a b"', "a b", r'"\a b"'])
def test_a_key_is_bare_or_quoted(post: Post, spelling: str) -> None:
    post("/v1/graphs", NEURON, "a b")
    assert ("Idempotency-Replayed" in post("/v1/graphs", NEURON, spelling).headers) is (spelling[1] != "\\")


@pytest.mark.parametrize("key", ["", '""', "x" * 256, '"' + "x" * 256 + '"', "é", "a\tb"])
def test_what_is_no_key_is_refused(post: Post, key: str) -> None:
    (error,) = problem(post("/v1/graphs", NEURON, key), 422, "INVALID_REQUEST")["errors"]
    assert (error["code"], error["parameter"]) == ("INVALID_VALUE", "Idempotency-Key")


def test_the_longest_key_is_taken(post: Post) -> None:
    for key in ("x" * 255, '"' + "x" * 255 + '"', '"' + r"\"" * 255 + '"'):
        assert post("/v1/graphs", NEURON, key).status_code in (200, 201)


def test_keys_end_after_a_day(database: Database, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    post("/v1/runs", {"graph": NEURON})
    monkeypatch.setattr(idempotency, "LIFETIME", timedelta(0))
    assert "Idempotency-Replayed" not in post("/v1/runs", {"graph": NEURON}).headers
    Idempotency(database, lease_seconds=1).purge()
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM idempotency_keys").scalar() == 0


class Claimant:
    """Someone who claims keys, as a server process does."""

    def __init__(self, database: Database, lease_seconds: float) -> None:
        self.keys = Idempotency(database, lease_seconds=lease_seconds)

    def claim(self, body: bytes = b"body") -> Claim | Answer:
        return self.keys.claim("", "/v1/runs", "k", [b"", body])


@pytest.fixture
def ended(database: Database) -> Iterator[Claim]:
    """A claim whose holder died, its lease over."""
    claim = Claimant(database, 0).claim()
    assert isinstance(claim, Claim)
    yield claim


def test_a_request_in_flight_is_told_apart_until_its_lease_ends(database: Database) -> None:
    first, second = Claimant(database, 60), Claimant(database, 60)
    claim = first.claim()
    assert isinstance(claim, Claim)
    with pytest.raises(idempotency.IdempotencyInFlight):
        second.claim()
    with pytest.raises(idempotency.IdempotencyKeyReused):
        second.claim(b"another")
    answer = Answer(201, [("A", "b")], b"done")
    first.keys.settle(claim, answer)
    assert second.claim() == answer


def test_a_dead_ones_claim_is_taken_over_with_its_run_id(database: Database, ended: Claim) -> None:
    claimant = Claimant(database, 60)
    taken = claimant.claim()
    assert isinstance(taken, Claim)
    assert (taken.id, taken.run_id, taken.attempt) == (ended.id, ended.run_id, ended.attempt + 1)
    # The dead one comes back: neither its answer nor its failure counts any more.
    claimant.keys.settle(ended, Answer(500, [], b"late"))
    claimant.keys.release(ended)
    with pytest.raises(idempotency.IdempotencyInFlight):
        claimant.claim()


def test_a_lease_lasts_while_its_holder_lives(database: Database) -> None:
    holder = Claimant(database, 0)
    claim = holder.claim()
    assert isinstance(claim, Claim)
    Idempotency(database, lease_seconds=60).renew()  # someone else's renewal is not about this claim
    holder.keys._lease = timedelta(seconds=60)
    holder.keys.renew()
    with pytest.raises(idempotency.IdempotencyInFlight):
        Claimant(database, 0).claim()


def test_a_run_stored_just_before_a_crash_is_found_again(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    client.application.extensions["chainrule"].idempotency._lease = timedelta(0)
    request = {"json": {"graph": NEURON}, "headers": {"Idempotency-Key": "k"}}
    with monkeypatch.context() as patched:
        # Between the run's commit and the answer's; a killed process releases nothing.
        patched.setattr(Idempotency, "settle", die)
        with pytest.raises(SystemExit):
            client.post("/v1/runs", **request)  # type: ignore[arg-type]
    (stored,) = runs_of(client)
    again = client.post("/v1/runs", **request)  # type: ignore[arg-type]
    assert (again.status_code, again.get_json()["id"]) == (201, stored["id"])
    assert again.data == client.get(again.headers["Location"]).data
    assert client.post("/v1/runs", **request).data == again.data  # type: ignore[arg-type]
    assert len(runs_of(client)) == 1


def test_of_fifty_equal_requests_at_once_one_is_done(
    server: StartServer, database: Database, database_url: str
) -> None:
    started = server("--workers", "2", CHAINRULE_DATABASE_URL=database_url)
    answers: list[httpx.Response] = []
    barrier = threading.Barrier(50)

    def post() -> None:
        with httpx.Client(base_url=started.url, timeout=60) as client:
            barrier.wait()
            while True:
                response = client.post("/v1/runs", json={"graph": NEURON}, headers={"Idempotency-Key": "fifty"})
                if response.status_code != 409:
                    break
                assert response.json()["code"] == "IDEMPOTENCY_IN_FLIGHT"
        answers.append(response)

    threads = [threading.Thread(target=post) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status_code for answer in answers] == [201] * 50
    assert len({answer.content for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert len(httpx.get(f"{started.url}/v1/runs").json()["items"]) == 1


def test_the_header_is_documented_on_every_post(validating_client: FlaskClient) -> None:
    for path, operations in validating_client.get("/openapi.json").get_json()["paths"].items():
        for method, operation in operations.items():
            if isinstance(operation, dict) and "operationId" in operation:
                named = [parameter["name"] for parameter in operation.get("parameters", [])]
                assert ("Idempotency-Key" in named) is (method == "post"), (method, path)
