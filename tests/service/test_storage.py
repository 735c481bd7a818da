"""What is stored, byte for byte, and what happens while the database does not answer."""

from __future__ import annotations

import math
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url, text

from service.config import Config
from service.identifiers import parse_run_id, run_id
from service.store import schema
from service.store.database import Database
from service.store.schema import SchemaState
from tests.service.clients import client_of
from tests.service.documents import NEURON


def test_a_run_is_stored_as_documented(client: FlaskClient, database: Database) -> None:
    nodes = [
        {"id": "y", "op": "mul", "inputs": ["c", "x"]},
        {"id": "c", "op": "constant", "data": 3.0},
        {"id": "x", "op": "input", "data": -0.0},
    ]
    run = client.post("/v1/runs", json={"graph": {"nodes": nodes}, "seeds": {"y": 0.1}, "select": ["x"]}).get_json()
    with database.engine.connect() as connection:
        rows = connection.execute(text("SELECT name, shape, data FROM run_arrays")).all()
    stored = {row.name: struct.unpack(f"<{len(row.data) // 8}d", row.data) for row in rows}
    # All three nodes in document order, though one was shown.
    assert [repr(number) for number in stored["values"]] == ["-0.0", "3.0", "-0.0"]
    y, c, x = stored["gradients"]
    assert (y, x, math.isnan(c)) == (0.1, 0.1 * 3.0, True)
    assert stored["seeds"] == (0.1,)
    assert run["gradients"] == {"x": 0.1 * 3.0}


def test_a_deleted_run_leaves_no_array_behind(client: FlaskClient, database: Database) -> None:
    location = client.post("/v1/runs", json={"graph": NEURON}).headers["Location"]
    client.delete(location)
    with database.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM run_arrays")).scalar_one() == 0


def test_sqlite_waits_for_the_disk_and_keeps_references(sqlite_database_url: str) -> None:
    database = Database(sqlite_database_url)
    database.use_write_ahead_log()
    with database.writing() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.close()
    assert pragma == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 10_000}


@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)),
    st.timedeltas(timedelta(microseconds=1), timedelta(days=9999)),
)
def test_run_ids_are_in_order_of_creation(moment: datetime, later: timedelta) -> None:
    moment = moment.replace(tzinfo=UTC)
    first, second = run_id(moment), run_id(moment + later)
    assert first < second
    assert str(first) < str(second)
    assert (first.version, first.variant) == (7, "specified in RFC 4122")
    assert parse_run_id(str(first)) == first


@contextmanager
def unreachable(database_url: str) -> Iterator[None]:
    """Cut the connections to a PostgreSQL database, and let none in."""
    url = make_url(database_url)
    server = url.set(database="postgres", drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS false".encode())
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [url.database])
        try:
            yield
        finally:
            connection.execute(f"ALTER DATABASE {url.database} ALLOW_CONNECTIONS true".encode())


def test_a_postgresql_that_goes_away_is_503_until_it_is_back(postgres_database_url: str) -> None:
    database = Database(postgres_database_url)
    schema.upgrade(database)
    database.close()
    with client_of(Config(database_url=postgres_database_url)) as client:
        _go_away_and_come_back(client, postgres_database_url)


def _go_away_and_come_back(client: FlaskClient, database_url: str) -> None:
    run = client.post("/v1/runs", json={"graph": NEURON}).get_json()
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/readyz", {}),
        ("GET", "/v1/runs", {}),
        ("GET", f"/v1/runs/{run['id']}", {}),
        ("POST", "/v1/runs", {"json": {"graph": NEURON}}),
        ("POST", "/v1/runs", {"json": {"graph_id": run["graph_id"]}}),
        ("DELETE", f"/v1/runs/{run['id']}", {}),
    ]
    with unreachable(database_url):
        for method, path, options in requests:
            response = client.open(path, method=method, **options)
            assert (response.status_code, response.get_json()["code"]) == (503, "UNAVAILABLE"), path
            assert int(response.headers["Retry-After"]) > 0
        assert client.get("/livez").status_code == 200
        assert client.get("/v1").status_code == 200
        assert client.post("/v1/runs", json={"graph": NEURON, "store": False}).status_code == 200
    for method, path, options in requests:
        assert client.open(path, method=method, **options).status_code < 300


def test_a_service_without_a_schema_is_alive_but_not_ready(database_url: str) -> None:
    with client_of(Config(database_url=database_url)) as client:
        assert client.get("/livez").status_code == 200
        response = client.get("/readyz")
        assert response.status_code == 503
        assert "chainrule db upgrade" in response.get_json()["detail"]


def test_readiness_is_answered_while_the_database_hangs(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()
    monkeypatch.setattr("service.readiness.TIMEOUT_SECONDS", 0.05)
    monkeypatch.setattr("service.store.schema.state", lambda _: let_go.wait(10) and SchemaState.CURRENT)
    for _ in range(3):
        assert client.get("/readyz").status_code == 503
    let_go.set()
    monkeypatch.undo()
    assert client.get("/readyz").status_code == 200
