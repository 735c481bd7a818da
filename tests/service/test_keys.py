"""API keys: who may do what, whose is what, and what nobody learns."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from service.cli import main
from service.config import Auth, Config, Switch
from service.keys import Keys
from service.records import Scope
from service.store.database import Database
from tests.conftest import StartServer
from tests.service.clients import client_of
from tests.service.documents import NEURON, product
from tests.service.test_bad_requests import problem

OPEN = ("/livez", "/readyz", "/openapi.json")
GUARDED = ("/v1", "/v1/graphs", "/v1/runs", "/v1/operations", "/v1/runs/x", "/v1/nothing")


@pytest.fixture
def guarded(config: Config) -> Iterator[FlaskClient]:
    """A client of an application that asks for keys."""
    with client_of(replace(config, auth=Auth.KEYS)) as made:
        yield made


Bearer = Callable[..., dict[str, str]]


@pytest.fixture
def bearer(database: Database) -> Bearer:
    """The header with a new key: `bearer("ann", Scope.READ)`."""
    keys = Keys(database)
    return lambda name, scope=Scope.WRITE: {"Authorization": f"Bearer {keys.create(name, scope)}"}


def test_without_a_key_only_health_and_documentation_answer(guarded: FlaskClient) -> None:
    for path in OPEN:
        assert guarded.get(path).status_code == 200
    for path in GUARDED:
        response = guarded.get(path)
        problem(response, 401, "UNAUTHENTICATED")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="chainrule"'


def test_what_is_no_key_is_refused_before_the_request_is_read(guarded: FlaskClient, bearer: Bearer) -> None:
    key = bearer("ann")["Authorization"].split()[1]
    for header in (f"Bearer {key}x", f"Bearer {key[:-1]}", "Bearer", "Bearer ", "Bearer \u00e9", f"Bearer {key} {key}"):
        response = guarded.post("/v1/runs?nonsense=1", data=b"{", headers={"Authorization": header})
        problem(response, 401, "UNAUTHENTICATED")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="chainrule", error="invalid_token"'
    for header in (key, f"Basic {key}", ""):
        problem(guarded.get("/v1", headers={"Authorization": header}), 401, "UNAUTHENTICATED")
    for header in (f"Bearer {key}", f"bearer {key}", f"BEARER  {key}"):
        assert guarded.get("/v1", headers={"Authorization": header}).status_code == 200


def test_a_reading_key_only_reads(guarded: FlaskClient, bearer: Bearer) -> None:
    writing, reading = bearer("ann"), bearer("ann", Scope.READ)
    location = guarded.post("/v1/runs", json={"graph": NEURON}, headers=writing).headers["Location"]
    assert guarded.get(location, headers=reading).status_code == 200
    for method, path in [("POST", "/v1/runs"), ("POST", "/v1/graphs"), ("DELETE", location)]:
        response = guarded.open(path, method=method, json={"graph": NEURON}, headers=reading)
        problem(response, 403, "FORBIDDEN")
        assert 'scope="write"' in response.headers["WWW-Authenticate"]
    assert guarded.delete(location, headers=writing).status_code == 204


def test_a_reading_key_may_have_something_explained_that_is_not_stored(guarded: FlaskClient, bearer: Bearer) -> None:
    reading = bearer("ann", Scope.READ)
    assert guarded.post("/v1/explain", json={"graph": NEURON}, headers=reading).status_code == 200
    kept = guarded.post("/v1/explain", json={"graph": NEURON}, headers=reading | {"Idempotency-Key": "k"})
    assert "Idempotency-Key" in problem(kept, 403, "FORBIDDEN")["detail"]


def test_a_name_sees_its_own_alone(guarded: FlaskClient, bearer: Bearer) -> None:
    ann, bob = bearer("ann"), bearer("bob")
    stored = guarded.post("/v1/graphs", json=NEURON, headers=ann)
    graph = stored.headers["Location"]
    run = guarded.post("/v1/runs", json={"graph": NEURON}, headers=ann).headers["Location"]
    graph_id = stored.get_json()["id"]
    asked = [
        ("GET", graph), ("GET", f"{graph}/drawing?format=dot"), ("DELETE", graph), ("POST", f"{graph}/gradient"),
        ("GET", run), ("GET", f"{run}/nodes"), ("GET", f"{run}/steps"), ("GET", f"{run}/drawing?format=dot"),
        ("DELETE", run),
    ]  # fmt: skip
    for method, path in asked:
        response = guarded.open(path, method=method, json={}, headers=bob)
        nothing = path.replace(graph_id, "0" * 64).replace(
            run.rpartition("/")[2], "01a1f8d1-5400-7000-8b0d-6bce0bdd070b"
        )
        absent = guarded.open(nothing, method=method, json={}, headers=bob)
        hidden = problem(response, 404, "NOT_FOUND")
        assert set(hidden) == set(problem(absent, 404, "NOT_FOUND"))
    # An ETag proves nothing either: whoever knows the content can work out the id.
    problem(guarded.get(graph, headers={**bob, "If-None-Match": f'"{graph_id}"'}), 404, "NOT_FOUND")
    problem(guarded.post("/v1/runs", json={"graph_id": graph_id}, headers=bob), 404, "NOT_FOUND")
    for path in ("/v1/graphs", "/v1/runs", f"/v1/runs?graph_id={graph_id}"):
        assert guarded.get(path, headers=bob).get_json() == {"items": []}
        assert len(guarded.get(path, headers=ann).get_json()["items"]) == 1
    assert guarded.post("/v1/graphs", json=NEURON, headers=bob).status_code == 201
    assert guarded.post("/v1/graphs", json=NEURON, headers=ann).status_code == 200
    assert guarded.delete(graph, headers=bob).status_code == 204
    assert guarded.get(run, headers=ann).status_code == 200


def test_a_page_token_of_another_name_leads_into_ones_own_list(guarded: FlaskClient, bearer: Bearer) -> None:
    ann, bob = bearer("ann"), bearer("bob")
    for b in (1.0, 2.0):
        guarded.post("/v1/runs", json={"graph": product(a=1.0, b=b)}, headers=ann)
    token = guarded.get("/v1/runs?page_size=1", headers=ann).get_json()["next_page_token"]
    assert guarded.get(f"/v1/runs?page_size=1&page_token={token}", headers=bob).get_json() == {"items": []}


def test_all_keys_of_a_name_reach_the_same(guarded: FlaskClient, bearer: Bearer) -> None:
    run = guarded.post("/v1/runs", json={"graph": NEURON}, headers=bearer("ann")).headers["Location"]
    assert guarded.get(run, headers=bearer("ann")).status_code == 200


def test_answers_to_keys_stay_out_of_shared_caches(guarded: FlaskClient, bearer: Bearer) -> None:
    headers = guarded.get("/v1/runs", headers=bearer("ann")).headers
    assert "private" in headers["Cache-Control"]
    assert "Authorization" in headers["Vary"]


def test_a_key_that_is_used_too_often_has_to_wait(config: Config, bearer: Bearer) -> None:
    with client_of(replace(config, auth=Auth.KEYS, max_requests_per_minute=3)) as client:
        ann, bob = bearer("ann"), bearer("bob")
        assert client.get("/v1", headers=ann).get_json()["limits"]["max_requests_per_minute"] == 3
        assert [client.get("/v1", headers=ann).status_code for _ in range(2)] == [200, 200]
        refused = client.get("/v1", headers=ann)
        assert "3 requests" in problem(refused, 429, "RATE_LIMITED")["detail"]
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert client.get("/v1", headers=bob).status_code == 200
        assert client.get("/livez").status_code == 200


def test_metrics_can_be_guarded(config: Config) -> None:
    for open_metrics, statuses in ((Switch.ON, {200, 404}), (Switch.OFF, {401})):
        with client_of(replace(config, auth=Auth.KEYS, open_metrics=open_metrics)) as client:
            assert client.get("/metrics").status_code in statuses


def test_the_openapi_document_asks_for_keys_where_the_service_does(guarded: FlaskClient, client: FlaskClient) -> None:
    paths = guarded.get("/openapi.json").get_json()["paths"]
    assert paths["/v1/runs"]["post"]["security"] == [{"key": []}]
    assert {"401", "403"} <= paths["/v1/runs"]["post"]["responses"].keys()
    assert "403" not in paths["/v1/runs"]["get"]["responses"]
    assert "security" not in paths["/livez"]["get"]
    document = client.get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    assert "security" not in document["paths"]["/v1/runs"]["post"]


def test_keys_come_and_go_while_the_server_runs(server: StartServer, database: Database, database_url: str) -> None:
    environment = {"CHAINRULE_DATABASE_URL": database_url}
    started = server(**environment, CHAINRULE_AUTH="keys")

    def chainrule(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["keys", *arguments], env=environment)
        assert result.exit_code == 0, result.output
        return result.output

    first, second = (chainrule("create", "ann", *scope).split()[-1] for scope in ([], ["--scope", "read"]))

    def status(key: str) -> int:
        return httpx.get(f"{started.url}/v1", headers={"Authorization": f"Bearer {key}"}).status_code

    assert (status(first), status(second)) == (200, 200)
    listed = [line.split() for line in chainrule("list").splitlines()]
    assert [line[1:3] for line in listed] == [["ann", "write"], ["ann", "read"]]
    chainrule("revoke", "ann", "--id", listed[0][0])
    assert (status(first), status(second)) == (401, 200)
    chainrule("revoke", "ann")
    assert (status(first), status(second)) == (401, 401)
    assert chainrule("list").count("revoked") == 2
    assert CliRunner().invoke(main, ["keys", "revoke", "ann"], env=environment).exit_code == 1
    with database.engine.connect() as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM keys").all())
    assert first not in stored and first.removeprefix("chainrule_") not in stored


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 129, "a/b", "ä"])
def test_what_is_no_name_gets_no_key(name: str, sqlite_database_url: str) -> None:
    result = CliRunner().invoke(
        main, ["keys", "create", "--", name], env={"CHAINRULE_DATABASE_URL": sqlite_database_url}
    )
    assert result.exit_code == 1
    assert "is not a name" in result.stderr


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])  # noqa: S104
def test_serving_the_network_without_keys_is_refused(host: str, sqlite_database_url: str) -> None:
    result = CliRunner().invoke(main, ["serve", "--host", host], env={"CHAINRULE_DATABASE_URL": sqlite_database_url})
    assert result.exit_code == 1
    assert f"{host} can be reached from other machines" in result.stderr
    assert "CHAINRULE_AUTH=keys" in result.stderr and "CHAINRULE_OPEN_NETWORK=on" in result.stderr


def test_serving_the_network_can_be_asked_for(server: StartServer, sqlite_database_url: str) -> None:
    for setting in ({"CHAINRULE_OPEN_NETWORK": "on"}, {"CHAINRULE_AUTH": "keys"}):
        started = server("--host", "0.0.0.0", CHAINRULE_DATABASE_URL=sqlite_database_url, **setting)  # noqa: S104
        assert httpx.get(f"{started.url}/livez").status_code == 200
