"""Real server processes on both databases: known answers, restarts, kills, and graceful ends."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import ROOT, Server, StartServer
from tests.service.documents import NEURON

CASES: list[dict[str, Any]] = json.loads((ROOT / "tests/cases/runs.json").read_text())["cases"]


@pytest.fixture
def ready_url(database_url: str, request: pytest.FixtureRequest) -> str:
    """A database with the current schema, on each of the two engines in turn."""
    request.getfixturevalue("database")
    return database_url


def agrees(answer: Any, expected: Any) -> bool:
    if isinstance(expected, dict):
        return isinstance(answer, dict) and all(
            name in answer and agrees(answer[name], expected[name]) for name in expected
        )
    if isinstance(expected, list):
        return isinstance(answer, list) and len(answer) == len(expected) and all(map(agrees, answer, expected))
    if isinstance(expected, float):
        return bool(answer == pytest.approx(expected, rel=1e-12, abs=1e-300))
    return bool(answer == expected)


def test_the_known_cases_are_answered_and_found_again(server: StartServer, ready_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=ready_url)
    with httpx.Client(base_url=started.url) as client:
        for case in CASES:
            response = client.post("/v1/runs", json=case["request"])
            assert response.status_code == 201, (case["name"], response.text)
            assert agrees(response.json(), case["expect"]), (case["name"], case["expect"], response.json())
            assert client.get(response.headers["Location"]).content == response.content, case["name"]


def test_known_cases_can_fail() -> None:
    assert agrees({"x": {"a": 1.0, "b": 2.0}}, {"x": {"a": 1.0}})
    assert not agrees({"x": {"a": 1.0 + 1e-11}}, {"x": {"a": 1.0}})
    assert not agrees({"x": {}}, {"x": {"a": 1.0}})
    assert not agrees({"x": ["a"]}, {"x": []})


def test_every_acknowledged_run_survives_kill_9(server: StartServer, ready_url: str) -> None:
    first = server(CHAINRULE_DATABASE_URL=ready_url, CHAINRULE_THREADS="16")
    acknowledged: list[httpx.Response] = []

    def post_until_it_dies() -> None:
        with httpx.Client(base_url=first.url) as client:
            try:
                while True:
                    response = client.post("/v1/runs", json={"graph": NEURON, "inputs": {"b": len(acknowledged)}})
                    assert response.status_code == 201
                    acknowledged.append(response)
            except httpx.HTTPError:
                return

    threads = [threading.Thread(target=post_until_it_dies) for _ in range(16)]  # many in each transaction
    for thread in threads:
        thread.start()
    while len(acknowledged) < 160:
        time.sleep(0.001)
    kill(first)
    for thread in threads:
        thread.join()
    second = server(CHAINRULE_DATABASE_URL=ready_url)
    with httpx.Client(base_url=second.url) as client:
        for response in acknowledged:
            assert client.get(response.headers["Location"]).content == response.content


def test_a_killed_server_leaves_no_worker_behind(server: StartServer, sqlite_database_url: str) -> None:
    started = server("--workers", "2", CHAINRULE_DATABASE_URL=sqlite_database_url)
    os.kill(started.pid, signal.SIGKILL)
    assert refuses_connections(started.url)


def test_sigterm_finishes_the_request_in_progress(server: StartServer, sqlite_database_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    chain = [{"id": "0", "op": "input", "data": 1.0}]
    chain += [{"id": str(k), "op": "tanh", "inputs": [str(k - 1)]} for k in range(1, 200_000)]
    body = json.dumps({"graph": {"nodes": chain}, "select": "leaves"}).encode()
    connection = http.client.HTTPConnection(urlsplit(started.url).netloc, timeout=60)
    # Returns when all is sent, more than fits into any buffer: by then the server has begun to read it.
    connection.request("POST", "/v1/runs", body, {"Content-Type": "application/json"})
    started.process.terminate()
    with closing(connection):
        assert connection.getresponse().status == 201
    assert started.process.wait(timeout=30) == 0
    assert refuses_connections(started.url)


def test_several_workers_share_one_database(server: StartServer, ready_url: str) -> None:
    started = server("--workers", "2", CHAINRULE_DATABASE_URL=ready_url)
    statuses: list[int] = []

    def post() -> None:
        with httpx.Client(base_url=started.url) as client:
            statuses.extend(client.post("/v1/runs", json={"graph": NEURON}).status_code for _ in range(10))

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [201] * 80
    assert len(httpx.get(f"{started.url}/v1/runs?page_size=500").json()["items"]) == 80
    assert len(httpx.get(f"{started.url}/v1/graphs").json()["items"]) == 1


def test_a_body_in_chunks_is_read_and_limited(server: StartServer, sqlite_database_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url, CHAINRULE_MAX_BODY_BYTES="100000")
    headers = {"Content-Type": "application/json"}
    small = json.dumps({"graph": NEURON, "store": False}).encode()
    response = httpx.post(f"{started.url}/v1/runs", content=iter([small[:100], small[100:]]), headers=headers)
    assert response.status_code == 200
    large = httpx.post(f"{started.url}/v1/runs", content=(b"[" * 1000 for _ in range(101)), headers=headers)
    assert (large.status_code, large.json()["code"]) == (413, "BODY_TOO_LARGE")


def test_a_database_that_goes_away_is_503_until_it_is_back(server: StartServer, tmp_path: Path) -> None:
    file = tmp_path / "data" / "chainrule.sqlite3"
    file.parent.mkdir()
    started = server(CHAINRULE_DATABASE_URL=f"sqlite:///{file}", CHAINRULE_DATABASE_TIMEOUT_SECONDS="1")
    with httpx.Client(base_url=started.url) as client:
        assert client.get("/readyz").status_code == 200
        blocker = sqlite3.connect(file, isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        locked = client.post("/v1/runs", json={"graph": NEURON})
        assert (locked.status_code, locked.json()["code"]) == (503, "UNAVAILABLE")
        assert int(locked.headers["Retry-After"]) > 0
        assert client.post("/v1/runs", json={"graph": NEURON, "store": False}).status_code == 200
        assert client.get("/livez").status_code == 200
        blocker.execute("ROLLBACK")
        blocker.close()
        assert client.post("/v1/runs", json={"graph": NEURON}).status_code == 201


def test_a_descent_can_be_watched_until_it_is_cancelled(server: StartServer, ready_url: str) -> None:
    # A short lease, because progress is stored when the lease is renewed.
    started = server(CHAINRULE_DATABASE_URL=ready_url, CHAINRULE_LEASE_SECONDS="1")
    steps = 100_000  # minutes of work
    request = {
        "graph": {"expression": "e = (tanh(tanh(w * x)) - y)**2", "data": {"w": 0.1}},
        "kind": "descent", "minimize": "e", "parameters": ["w"], "steps": steps,
        "optimizer": {"name": "sgd", "learning_rate": 1e-6},
        "data": {"x": [k / 20_000 for k in range(20_000)], "y": [0.5] * 20_000},
    }  # fmt: skip
    with httpx.Client(base_url=started.url, timeout=60) as client:
        location = client.post("/v1/runs", json=request, headers={"Prefer": "respond-async"}).headers["Location"]
        seen: list[int] = []
        deadline = time.monotonic() + 60
        while len(seen) < 4:
            assert time.monotonic() < deadline, seen
            run = client.get(location).json()
            assert run["state"] in ("queued", "running"), run
            if (progress := run["progress"]) is not None:
                assert progress["total"] == steps
                if progress["done"] not in seen:
                    seen.append(progress["done"])
            time.sleep(0.02)
        assert seen == sorted(seen)
        assert 0 <= seen[0] < seen[-1] < steps
        assert client.post(f"{location}/cancel").json()["state"] == "cancelled"
        # What it had is free again: two that run at a time, and one after the other of these.
        short = [
            client.post("/v1/runs", json=request | {"steps": 3}, headers={"Prefer": "respond-async"}) for _ in range(3)
        ]
        for queued in short:
            while (run := client.get(queued.headers["Location"]).json())["state"] in ("queued", "running"):
                assert time.monotonic() < deadline + 60, run
                time.sleep(0.02)
            assert (run["state"], run["history"]["step"]) == ("succeeded", [0, 1, 2])
        cancelled = client.get(location).json()
        assert (cancelled["state"], "progress" in cancelled, "history" in cancelled) == ("cancelled", False, False)


def kill(server: Server) -> None:
    """End the server and its workers with SIGKILL, all at once."""
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    for pid in [*map(int, children), server.pid]:
        os.kill(pid, signal.SIGKILL)


def refuses_connections(url: str) -> bool:
    port = int(url.rpartition(":")[2])
    deadline = time.monotonic() + 60  # a worker may have to finish importing first
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return True
        time.sleep(0.05)
    return False
