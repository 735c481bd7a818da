"""Database errors at every statement of a request: the answer is true, and nothing is stored by halves."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from service.config import Config
from service.store.database import Database
from tests.faults.servers import prepare
from tests.service.clients import client_of
from tests.service.documents import NEURON, product

Inject = Callable[[Database, int], Any]

ASYNC = {"Prefer": "respond-async"}


@pytest.fixture
def client(ready_url: str) -> Iterator[FlaskClient]:
    with client_of(Config(database_url=ready_url)) as made:
        yield made


def database_of(client: FlaskClient) -> Database:
    database: Database = client.application.extensions["chainrule"].database
    return database


class Countdown:
    """Raises at the nth call; `struck` says whether it came to that."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.struck = False

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            self.struck = True
            raise OperationalError("injected", {}, sqlite3.OperationalError("injected"))


@contextmanager
def around_statement(database: Database, nth: int, moment: str) -> Iterator[Countdown]:
    countdown = Countdown(nth)

    def strike(*_: object) -> None:
        countdown()

    event.listen(database.engine, moment, strike)
    try:
        yield countdown
    finally:
        event.remove(database.engine, moment, strike)


def before_statement(database: Database, nth: int) -> Any:
    """The nth statement never reaches the database."""
    return around_statement(database, nth, "before_cursor_execute")


def after_statement(database: Database, nth: int) -> Any:
    """The nth statement is executed, and its answer is lost."""
    return around_statement(database, nth, "after_cursor_execute")


@contextmanager
def around_commit(database: Database, nth: int, *, first: bool) -> Iterator[Countdown]:
    countdown = Countdown(nth)
    dialect = database.engine.dialect
    commit = dialect.do_commit

    def strike(connection: Any) -> None:
        if first:
            commit(connection)
        countdown()
        if not first:
            commit(connection)

    dialect.do_commit = strike  # type: ignore[method-assign]
    try:
        yield countdown
    finally:
        dialect.do_commit = commit  # type: ignore[method-assign]


def before_commit(database: Database, nth: int) -> Any:
    """The nth transaction is never committed."""
    return around_commit(database, nth, first=False)


def after_commit(database: Database, nth: int) -> Any:
    """The nth transaction is committed, and nobody is told."""
    return around_commit(database, nth, first=True)


FAULTS: dict[str, Inject] = {
    fault.__name__: fault for fault in (before_statement, after_statement, before_commit, after_commit)
}


def stored(client: FlaskClient) -> set[str]:
    """The paths of all that is stored."""
    collections = ("/v1/graphs", "/v1/runs")
    return {
        f"{collection}/{row['id']}"
        for collection in collections
        for row in client.get(f"{collection}?page_size=500").get_json()["items"]
    }


def check_whole(client: FlaskClient, paths: set[str]) -> None:
    for path in paths:
        shown = client.get(path)
        assert shown.status_code == 200, (path, shown.text)
        if path.startswith("/v1/runs") and shown.get_json()["state"] == "succeeded":
            assert shown.get_json()["outputs"], path


def requests(client: FlaskClient) -> dict[str, Callable[[int], TestResponse]]:
    """What is tried under faults; the number makes each try a new one."""
    graph = client.post("/v1/graphs", json=NEURON).get_json()["id"]
    run = client.post("/v1/runs", json={"graph": NEURON}).headers["Location"]
    leftover = [client.post("/v1/runs", json={"graph": NEURON}).headers["Location"] for _ in range(12)]
    queued = [client.post("/v1/runs", json={"graph_id": graph}, headers=ASYNC).headers["Location"] for _ in range(12)]
    unused = [client.post("/v1/graphs", json=product(a=float(k), b=7.0)).headers["Location"] for k in range(12)]

    def keyed(k: int) -> dict[str, str]:
        return {"Idempotency-Key": f"key-{k}"}

    return {
        "store a graph": lambda k: client.post("/v1/graphs", json=product(a=float(k), b=2.0)),
        "run a new graph": lambda k: client.post("/v1/runs", json={"graph": product(a=1.5, b=float(k))}),
        "run a stored graph": lambda k: client.post("/v1/runs", json={"graph_id": graph}),
        "queue a run": lambda k: client.post("/v1/runs", json={"graph_id": graph}, headers=ASYNC),
        "run with a key": lambda k: client.post("/v1/runs", json={"graph_id": graph}, headers=keyed(k)),
        "show a run": lambda k: client.get(run),
        "show a run's steps": lambda k: client.get(f"{run}/steps"),
        "list runs": lambda k: client.get("/v1/runs?page_size=2"),
        "store a backward graph": lambda k: client.post(f"/v1/graphs/{graph}/gradient", json={"seeds": {"o": k}}),
        "cancel a run": lambda k: client.post(f"{queued[k % len(queued)]}/cancel"),
        "delete a run": lambda k: client.delete(leftover[k % len(leftover)]),
        "delete a graph": lambda k: client.delete(unused[k % len(unused)]),
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_an_error_at_any_statement_is_told_truly_and_leaves_nothing_by_halves(client: FlaskClient, fault: str) -> None:
    number = 0
    for name, request in requests(client).items():
        nth = 0
        while True:
            nth, number = nth + 1, number + 1
            before = stored(client)
            with FAULTS[fault](database_of(client), nth) as countdown:
                response = request(number)
            after = stored(client)
            check_whole(client, after - before)
            where = (name, fault, nth, response.text)
            if not countdown.struck:
                assert response.status_code < 300 or name.startswith("delete"), where
                assert nth > 1 or "commit" in fault, where  # the fault can strike
                break
            if response.status_code < 300:  # what had to be done was done all the same
                continue
            assert (response.status_code, response.get_json()["code"]) == (503, "UNAVAILABLE"), where
            assert int(response.headers["Retry-After"]) > 0
            # With a key, what was stored is found by asking again, as the answer says; the next test does.
            if fault != "after_commit" and name != "run with a key":
                assert before ^ after <= {path for path in after if "graphs" in path}, where
            assert len(before ^ after) <= 2, where  # one run and its graph


@pytest.mark.parametrize("fault", FAULTS)
def test_a_run_that_is_sent_again_with_its_key_is_stored_once(client: FlaskClient, fault: str) -> None:
    for nth in range(1, 12):
        before = stored(client)
        headers = {"Idempotency-Key": f"{fault}-{nth}"}
        with FAULTS[fault](database_of(client), nth):
            client.post("/v1/runs", json={"graph": NEURON}, headers=headers)
        # The lease of the one that failed may have to end first.
        with database_of(client).writing() as connection:
            _end_leases(connection)
        again = client.post("/v1/runs", json={"graph": NEURON}, headers=headers)
        assert again.status_code == 201, again.text
        runs = {path for path in stored(client) - before if path.startswith("/v1/runs")}
        assert runs == {again.headers["Location"]}, (fault, nth)


def _end_leases(connection: Connection) -> None:
    connection.exec_driver_sql("UPDATE idempotency_keys SET claimed_until = created_at")


@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_gets_over_an_error_at_any_statement(ready_url: str, fault: str) -> None:
    config = Config(database_url=ready_url, lease_seconds=0.2)
    with client_of(config) as client, client_of(config) as working:
        worker = working.application.extensions["chainrule"].worker
        expected = client.post("/v1/runs", json={"graph": NEURON}).get_json()["gradients"]
        nth, struck = 0, True
        worker.start()
        try:
            while struck:
                nth += 1
                with FAULTS[fault](database_of(working), nth) as countdown:
                    location = client.post("/v1/runs", json={"graph": NEURON}, headers=ASYNC).headers["Location"]
                    run = _finished(client, location)
                    # What is committed can be read before the worker has heard of it, and of the error there.
                    while worker._held():
                        time.sleep(0.005)
                assert (run["state"], run["gradients"]) == ("succeeded", expected), (fault, nth)
                struck = countdown.struck
        finally:
            worker.stop()
    assert nth > 2  # to take one up and to finish it are two transactions


def _finished(client: FlaskClient, location: str) -> Any:
    deadline = time.monotonic() + 60
    while (run := client.get(location).get_json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, run
        time.sleep(0.01)
    return run


def test_a_connection_cut_at_any_statement_is_503_and_the_next_request_is_served(
    postgres_database_url: str,
) -> None:
    prepare(postgres_database_url)
    with client_of(Config(database_url=postgres_database_url)) as client:
        for nth in range(1, 5):
            with _cut(database_of(client), postgres_database_url, nth) as countdown:
                response = client.post("/v1/runs", json={"graph": NEURON})
            assert response.status_code == (503 if countdown.left <= 0 else 201), (nth, response.text)
            assert client.post("/v1/runs", json={"graph": NEURON}).status_code == 201
            check_whole(client, stored(client))


@contextmanager
def _cut(database: Database, url: str, nth: int) -> Iterator[Countdown]:
    countdown = Countdown(nth)
    conninfo = url.replace("postgresql+psycopg://", "postgresql://")

    def cut(connection: Connection, *_: object) -> None:
        countdown.left -= 1
        if countdown.left == 0:
            pid = connection.connection.driver_connection.info.backend_pid  # type: ignore[union-attr]
            with psycopg.connect(conninfo, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])

    event.listen(database.engine, "before_cursor_execute", cut)
    try:
        yield countdown
    finally:
        event.remove(database.engine, "before_cursor_execute", cut)
