"""Asynchronous runs: queued, taken up, polled, cancelled, and stored once whoever dies."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from service.api.current import Services
from service.config import Config
from service.errors import NotFound, QueueFull
from service.queue import Claim, Queue
from service.store.database import Database
from service.work import Interrupted, Work
from tests.service.clients import client_of
from tests.service.documents import NEURON, product
from tests.service.test_bad_requests import problem

ASYNC = {"Prefer": "respond-async"}

DESCENT: dict[str, Any] = {
    "graph": product(a=3.0), "kind": "descent", "minimize": "y", "parameters": ["a"], "steps": 5,
    "optimizer": {"name": "adam", "learning_rate": 0.1},
}  # fmt: skip


def services_of(client: FlaskClient) -> Services:
    found: Services = client.application.extensions["chainrule"]
    return found


@pytest.fixture
def queue(client: FlaskClient) -> Queue:
    return services_of(client).queue


@pytest.fixture
def working_client(config: Config) -> Iterator[FlaskClient]:
    """A client of an application whose worker takes runs up."""
    with client_of(config) as made:
        services_of(made).worker.start()
        yield made
        services_of(made).worker.stop()


def post(client: FlaskClient, document: Any = None, **headers: str) -> TestResponse:
    return client.post("/v1/runs", json=document or {"graph": NEURON}, headers=ASYNC | headers)


def claimed(queue: Queue) -> Claim:
    claim = queue.claim()
    assert claim is not None
    return claim


def work_off(client: FlaskClient) -> None:
    """Do in this thread what a worker does."""
    services = services_of(client)
    while (claim := services.queue.claim()) is not None:
        assert services.queue.finish(claim, services.runs.execute(claim, Work(60)))


def settled(client: FlaskClient, location: str) -> TestResponse:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        response = client.get(location)
        if response.get_json()["state"] not in ("queued", "running"):
            return response
        time.sleep(0.01)
    raise AssertionError(f"still unfinished: {response.text}")


def comparable(run: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in run.items() if name != "id" and not name.endswith("_at")}


def test_a_run_can_be_queued_and_polled(client: FlaskClient) -> None:
    response = post(client)
    assert response.status_code == 202
    assert response.headers["Preference-Applied"] == "respond-async"
    assert int(response.headers["Retry-After"]) > 0
    run = response.get_json()
    assert response.headers["Location"] == f"/v1/runs/{run['id']}"
    assert (run["state"], run["started_at"], run["finished_at"], run["error"]) == ("queued", None, None, None)
    polled = client.get(response.headers["Location"])
    assert (polled.data, polled.headers["Retry-After"]) == (response.data, response.headers["Retry-After"])
    (row,) = client.get("/v1/runs?state=queued").get_json()["items"]
    assert row["id"] == run["id"]
    work_off(client)
    finished = client.get(response.headers["Location"])
    assert "Retry-After" not in finished.headers
    assert finished.get_json()["created_at"] == run["created_at"] <= finished.get_json()["started_at"]


@pytest.mark.parametrize(
    "document",
    [
        {"graph": NEURON, "inputs": {"b": "Infinity"}, "select": "leaves"},
        {"graph": product(), "inputs": {"a": [1.0, "NaN", -0.0], "b": 2.0}, "reduce": "sum"},
        {"graph": product(), "inputs": {"a": [1.0, "NaN", -0.0], "b": [1.0, 2.0, "-Infinity"]}},
        {"graph": NEURON, "kind": "jacobian", "wrt": ["x1", "b"]},
        {"graph": NEURON, "kind": "jvp", "tangents": {"b": "NaN"}},
        {"graph": NEURON, "kind": "hessian"},
        {"graph": NEURON, "kind": "hvp", "vector": {"b": 1}, "seeds": {}},
        {"graph": NEURON, "seeds": {"o": "NaN", "n": 2}},
        {"graph": NEURON, "kind": "check", "seeds": {"o": -2.5}, "wrt": ["b", "x2"]},
        {"graph": NEURON, "kind": "check", "inputs": {"b": "Infinity"}},
        DESCENT | {"optimizer": {"name": "sgd", "learning_rate": 0.1, "momentum": 0.5}, "inputs": {"b": -0.0}},
        DESCENT | {"data": {"b": [1.0, -0.0, 3.0]}, "batch_size": 2, "seed": 7},
        DESCENT | {"early_stop": {"patience": 1, "min_improvement": 100.0}, "inputs": {"b": 2}},
        DESCENT | {"optimizer": {"name": "sgd", "learning_rate": 1e300}, "inputs": {"b": 1e300}},
    ],
)
def test_what_was_queued_is_answered_like_what_was_not(client: FlaskClient, document: dict[str, Any]) -> None:
    at_once = client.post("/v1/runs", json=document)
    if at_once.status_code == 422:
        assert comparable(post(client, document).get_json()) | {"request_id": 0} == comparable(at_once.get_json()) | {
            "request_id": 0
        }
        return
    queued = post(client, document)
    assert queued.get_json()["inputs"] == document.get("inputs", {})
    work_off(client)
    for form in ("nodes", "columns"):
        answers = [client.get(f"/v1/runs/{each.get_json()['id']}?form={form}").get_json() for each in (at_once, queued)]
        assert comparable(answers[0]) == comparable(answers[1])


@pytest.mark.parametrize(
    ("header", "status"),
    [("respond-async", 202), ("Respond-Async, wait=10", 202), ("wait=10,respond-async;x=1", 202), ("wait=10", 201),
     ("respond-asynchronously", 201), ("", 201)],
)  # fmt: skip
def test_only_the_preference_queues(client: FlaskClient, header: str, status: int) -> None:
    response = client.post("/v1/runs", json={"graph": NEURON}, headers={"Prefer": header})
    assert response.status_code == status
    assert ("Preference-Applied" in response.headers) is (status == 202)


def test_a_wrong_request_is_refused_at_once(client: FlaskClient) -> None:
    for document, code in [
        ({"graph": product()}, "MISSING_DATA"),
        ({"graph": NEURON, "store": False}, "INVALID_VALUE"),
    ]:
        errors = problem(post(client, document), 422, "INVALID_REQUEST")["errors"]
        assert {error["code"] for error in errors} == {code}
    assert errors[0]["pointer"] == "/store"
    problem(post(client, {"graph_id": "0" * 64}), 404, "NOT_FOUND")
    assert client.get("/v1/runs").get_json() == {"items": []}


def test_a_costly_run_is_queued_unasked(config: Config) -> None:
    batch = {"graph": product(b=2.0), "inputs": {"a": [1.0] * 10}}
    with client_of(replace(config, async_cells=29)) as client:
        assert client.post("/v1/runs", json={"graph": product(a=1.0, b=2.0)}).status_code == 201
        response = client.post("/v1/runs", json=batch)
        assert (response.status_code, response.get_json()["state"]) == (202, "queued")
        assert "Preference-Applied" not in response.headers
        # Without storing there is nothing to poll: it is computed, within the deadline as ever.
        assert client.post("/v1/runs", json=batch | {"store": False}).status_code == 200
    with client_of(replace(config, async_cells=30)) as client:
        assert client.post("/v1/runs", json=batch).status_code == 201


def test_a_full_queue_says_so(config: Config) -> None:
    with client_of(replace(config, max_queued=2)) as client:
        assert [post(client).status_code for _ in range(2)] == [202, 202]
        refused = post(client)
        assert "2 runs are waiting" in problem(refused, 503, "UNAVAILABLE")["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert client.post("/v1/runs", json={"graph": NEURON}).status_code == 201
        work_off(client)
        assert post(client).status_code == 202
    assert issubclass(QueueFull, Exception)


def test_a_worker_takes_runs_up_by_itself(working_client: FlaskClient) -> None:
    locations = [post(working_client).headers["Location"] for _ in range(5)]
    for location in locations:
        assert settled(working_client, location).get_json()["state"] == "succeeded"


def test_a_queued_run_is_cancelled(client: FlaskClient, queue: Queue) -> None:
    location = post(client).headers["Location"]
    cancelled = client.post(f"{location}/cancel")
    assert (cancelled.status_code, cancelled.get_json()["state"]) == (200, "cancelled")
    assert cancelled.get_json()["finished_at"] is not None
    assert client.post(f"{location}/cancel").data == cancelled.data == client.get(location).data
    assert queue.claim() is None


def test_a_finished_run_is_not_cancelled(client: FlaskClient) -> None:
    location = client.post("/v1/runs", json={"graph": NEURON}).headers["Location"]
    problem(client.post(f"{location}/cancel"), 409, "RUN_FINISHED")
    problem(client.post("/v1/runs/x/cancel"), 404, "NOT_FOUND")
    assert client.get(location).get_json()["state"] == "succeeded"


def test_a_result_that_comes_after_the_cancellation_is_dropped(client: FlaskClient, queue: Queue) -> None:
    location = post(client).headers["Location"]
    claim = claimed(queue)
    run = services_of(client).runs.execute(claim, Work(60))
    client.post(f"{location}/cancel")
    assert queue.renew({claim: None}) == [claim]
    assert not queue.finish(claim, run)
    queue.hand_back(claim)
    assert client.get(location).get_json()["state"] == "cancelled"


def test_a_deleted_run_is_not_brought_back(client: FlaskClient, queue: Queue) -> None:
    locations = [post(client).headers["Location"] for _ in range(2)]
    claims = [claimed(queue) for _ in range(2)]
    run = services_of(client).runs.execute(claims[0], Work(60))
    for location in locations:
        assert client.delete(location).status_code == 204
    assert not queue.finish(claims[0], run)
    with pytest.raises(NotFound):
        services_of(client).runs.execute(claims[1], Work(60))
    assert client.get("/v1/runs").get_json() == {"items": []}


def test_the_graph_of_a_waiting_run_stays(client: FlaskClient) -> None:
    graph_id = post(client).get_json()["graph_id"]
    problem(client.delete(f"/v1/graphs/{graph_id}"), 409, "GRAPH_IN_USE")


def test_progress_is_shown_while_a_run_runs(client: FlaskClient, queue: Queue) -> None:
    location = post(client).headers["Location"]
    assert client.get(location).get_json()["progress"] is None
    claim = claimed(queue)
    assert client.get(location).get_json()["state"] == "running"
    assert queue.renew({claim: {"done": 3, "total": 10}}) == []
    assert client.get(location).get_json()["progress"] == {"done": 3, "total": 10}
    queue.finish(claim, services_of(client).runs.execute(claim, Work(60)))
    assert "progress" not in client.get(location).get_json()


def expire_leases(database: Database) -> None:
    with database.writing() as connection:
        connection.execute(text("UPDATE runs SET lease_until = :past"), {"past": "2000-01-01 00:00:00+00:00"})


def test_a_run_whose_lease_ended_is_taken_up_again_and_the_late_result_refused(
    client: FlaskClient, queue: Queue, database: Database
) -> None:
    location = post(client).headers["Location"]
    first = claimed(queue)
    assert queue.claim() is None
    expire_leases(database)
    second = claimed(queue)
    assert (second.run_id, second.attempt) == (first.run_id, first.attempt + 1)
    late = services_of(client).runs.execute(first, Work(60))
    assert not queue.finish(first, late)
    assert queue.renew({first: None, second: None}) == [first]
    assert queue.finish(second, services_of(client).runs.execute(second, Work(60)))
    assert not queue.finish(second, late)
    assert client.get(location).get_json()["state"] == "succeeded"
    with database.reading() as connection:
        arrays = connection.execute(text("SELECT count(*) FROM run_arrays")).scalar_one()
    assert arrays == 3


def test_a_run_that_outlives_every_process_has_failed(client: FlaskClient, queue: Queue, database: Database) -> None:
    location = post(client).headers["Location"]
    for _ in range(Config().max_attempts):
        claimed(queue)
        expire_leases(database)
    work_off(client)
    run = client.get(location).get_json()
    assert (run["state"], run["error"]["code"], run["inputs"]) == ("failed", "ABANDONED", {})


def test_a_queued_run_has_a_deadline_too(config: Config) -> None:
    with client_of(replace(config, max_seconds=0.0)) as client:
        services_of(client).worker.start()
        document = {"graph": product(), "inputs": {"a": [1.0, 2.0], "b": 1.0}}
        run = settled(client, post(client, document).headers["Location"]).get_json()
        services_of(client).worker.stop()
    assert (run["state"], run["error"]["code"]) == ("failed", "DEADLINE_EXCEEDED")
    assert run["inputs"] == document["inputs"]


def test_a_stopped_worker_hands_its_run_back(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    services = services_of(client)
    monkeypatch.setattr("service.runs.compute", compute_forever)
    location = post(client).headers["Location"]
    services.worker.start()
    wait_for_state(client, location, "running")
    services.worker.stop()
    assert client.get(location).get_json()["state"] == "queued"
    monkeypatch.undo()
    work_off(client)
    assert client.get(location).get_json()["state"] == "succeeded"


def test_cancelling_stops_the_computation(working_client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.runs.compute", compute_forever)
    locations = [post(working_client).headers["Location"] for _ in range(2)]
    for location in locations:
        wait_for_state(working_client, location, "running")
    working_client.post(f"{locations[0]}/cancel")
    working_client.delete(locations[1])
    monkeypatch.undo()
    # The two threads are free again only if both computations have ended.
    assert settled(working_client, post(working_client).headers["Location"]).get_json()["state"] == "succeeded"


def compute_forever(run: object, options: object, graph: object, work: Work) -> None:
    while True:
        work.checkpoint()
        work.wait(0.01)


def wait_for_state(client: FlaskClient, location: str, state: str) -> None:
    deadline = time.monotonic() + 10
    while client.get(location).get_json()["state"] != state:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_database_that_is_down_delays_a_result(working_client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.errors import Unavailable

    failures = iter([Unavailable("down")] * 2)
    finish = Queue.finish

    def fail_twice(queue: Queue, *arguments: Any) -> bool:
        for failure in failures:
            raise failure
        return finish(queue, *arguments)

    monkeypatch.setattr(Queue, "finish", fail_twice)
    assert settled(working_client, post(working_client).headers["Location"]).get_json()["state"] == "succeeded"


def test_an_idempotent_request_is_queued_once(client: FlaskClient, queue: Queue) -> None:
    first, second = (post(client, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert second.data == first.data
    assert (second.status_code, second.headers["Location"]) == (202, first.headers["Location"])
    assert queue.depth() == 1


def test_leases_outlast_the_longest_silence_of_a_living_worker(client: FlaskClient, queue: Queue) -> None:
    worker = services_of(client).worker
    assert timedelta(seconds=3 * worker._interval) < queue._lease


def test_interrupted_work_says_so() -> None:
    work = Work(60)
    assert not work.wait(0)
    work.stop(Interrupted("because"))
    assert work.wait(60)
