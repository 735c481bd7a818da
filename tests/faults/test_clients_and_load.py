"""Real servers under real clients: many at once, slow ones, rude ones, and a disk that is full."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.store import schema
from service.store.database import Database
from tests.conftest import Server, StartServer
from tests.service.documents import NEURON, product

# How long a loop of kills goes on; `make soak` sets it.
SOAK_SECONDS = float(os.environ.get("CHAINRULE_TEST_SOAK_SECONDS", "6"))


@pytest.fixture
def ready_url(database_url: str) -> str:
    """A database with the current schema, on each of the two engines in turn."""
    database = Database(database_url)
    schema.upgrade(database)
    database.close()
    return database_url


def worker_processes(server: Server) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def in_parallel(count: int, action: Callable[[int], None]) -> None:
    """Do something in that many threads at once; raises what any of them raised."""
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(action, k) for k in range(count)]:
            done.result()


def every_run(client: httpx.Client) -> list[str]:
    """The ids of all runs, by way of the pages."""
    path: str | None = "/v1/runs?page_size=7"
    found = []
    while path:
        page = client.get(path)
        found += [row["id"] for row in page.json()["items"]]
        path = page.links["next"]["url"] if page.links else None
    return found


def test_32_clients_at_once_see_no_error(server: StartServer, ready_url: str) -> None:
    started = server("--workers", "2", CHAINRULE_DATABASE_URL=ready_url, CHAINRULE_DATABASE_TIMEOUT_SECONDS="60")
    graph = httpx.post(f"{started.url}/v1/graphs", json=NEURON).json()["id"]

    def work(k: int) -> None:
        with httpx.Client(base_url=started.url, timeout=120) as client:
            for round_ in range(3):
                new = client.post("/v1/runs", json={"graph": product(a=float(k), b=float(round_))})
                again = client.post("/v1/runs", json={"graph_id": graph, "inputs": {"b": float(k)}})
                gone = client.post("/v1/runs", json={"graph_id": graph})
                shown = client.get(new.headers["Location"])
                deleted = client.delete(gone.headers["Location"])
                listed = client.get("/v1/runs")
                statuses = [response.status_code for response in (new, again, gone, shown, deleted, listed)]
                assert statuses == [201, 201, 201, 200, 204, 200]
                assert shown.content == new.content

    in_parallel(32, work)
    with httpx.Client(base_url=started.url, timeout=60) as client:
        runs = every_run(client)
    assert len(runs) == len(set(runs)) == 32 * 3 * 2
    assert "locked" not in started.log.read_text()


def test_pages_return_each_run_once_while_others_insert(server: StartServer, ready_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=ready_url)
    enough = threading.Event()

    def insert() -> None:
        with httpx.Client(base_url=started.url, timeout=60) as client:
            while not enough.is_set():
                client.post("/v1/runs", json={"graph": NEURON})

    with httpx.Client(base_url=started.url, timeout=60) as client:
        there = [client.post("/v1/runs", json={"graph": NEURON}).json()["id"] for _ in range(30)]
        threads = [threading.Thread(target=insert) for _ in range(3)]
        for thread in threads:
            thread.start()
        seen = [every_run(client) for _ in range(3)]
        enough.set()
        for thread in threads:
            thread.join()
    for runs in seen:
        assert len(runs) == len(set(runs))
        assert runs == sorted(runs, reverse=True)
        assert runs[-len(there) :] == there[::-1]


class Load:
    """Clients that post runs until they are told to stop, and remember what was acknowledged."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.refused: list[tuple[int, str]] = []
        self._stop = threading.Event()
        self._url = ""
        self._threads = [threading.Thread(target=self._post, args=[k]) for k in range(4)]

    def start(self, url: str) -> None:
        self._url = url
        for thread in self._threads:
            thread.start()

    def move(self, url: str) -> None:
        self._url = url

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _post(self, k: int) -> None:
        count = 0
        while not self._stop.is_set():
            try:
                with httpx.Client(base_url=self._url, timeout=60) as client:
                    while not self._stop.is_set():
                        count += 1
                        response = client.post("/v1/runs", json={"graph": product(a=float(k), b=float(count))})
                        if response.status_code == 201:
                            self.acknowledged[response.headers["Location"]] = response.content
                        else:
                            self.refused.append((response.status_code, response.text))
            except httpx.HTTPError:
                time.sleep(0.05)  # nobody answers at the moment

    def check(self, server: Server) -> None:
        assert self.acknowledged
        with httpx.Client(base_url=server.url, timeout=60) as client:
            for location, content in self.acknowledged.items():
                assert client.get(location).content == content
        assert {status for status, _ in self.refused} <= {503}, self.refused


def test_acknowledged_runs_survive_a_server_that_is_killed_again_and_again(server: StartServer, ready_url: str) -> None:
    load = Load()
    started = server(CHAINRULE_DATABASE_URL=ready_url)
    load.start(started.url)
    end = time.monotonic() + SOAK_SECONDS
    while time.monotonic() < end:
        already = len(load.acknowledged)
        while len(load.acknowledged) < already + 20:
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.1))  # noqa: S311
        for pid in [*worker_processes(started), started.pid]:
            os.kill(pid, signal.SIGKILL)
        started = server(CHAINRULE_DATABASE_URL=ready_url)
        load.move(started.url)
    load.stop()
    load.check(started)


def test_sigterm_under_load_ends_well_and_loses_nothing(server: StartServer, sqlite_database_url: str) -> None:
    first = server("--workers", "2", CHAINRULE_DATABASE_URL=sqlite_database_url)
    load = Load()
    load.start(first.url)
    while len(load.acknowledged) < 40:
        time.sleep(0.01)
    first.process.terminate()
    assert first.process.wait(timeout=60) == 0
    load.stop()
    assert load.refused == []
    second = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    load.check(second)
    levels = {json.loads(line)["level"] for line in first.log.read_text().splitlines()}
    assert levels <= {"info", "debug"}


def test_a_full_disk_is_503_and_there_being_room_again_is_noticed(
    server: StartServer, sqlite_database_url: str
) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    file = Path(sqlite_database_url.removeprefix("sqlite:///"))
    with httpx.Client(base_url=started.url, timeout=60) as client:
        kept = client.post("/v1/runs", json={"graph": NEURON})
        (worker,) = worker_processes(started)
        soft, hard = resource.prlimit(worker, resource.RLIMIT_FSIZE)
        written = max(file.stat().st_size, file.with_name(f"{file.name}-wal").stat().st_size)
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (written + 20_000, hard))
        many = {str(k): {"id": str(k), "op": "input", "data": 1.0} for k in range(5_000)}
        large = {"graph": {"nodes": list(many.values()), "outputs": ["0"]}, "select": "leaves"}
        refused = client.post("/v1/runs", json=large)
        assert (refused.status_code, refused.json()["code"]) == (503, "UNAVAILABLE")
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get(kept.headers["Location"]).content == kept.content
        assert client.post("/v1/runs", json=large | {"store": False}).status_code == 200
        resource.prlimit(worker, resource.RLIMIT_FSIZE, (soft, hard))
        assert client.post("/v1/runs", json=large).status_code == 201
        assert len(every_run(client)) == 2


def request_bytes(body: bytes) -> bytes:
    head = f"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=30)


def test_clients_that_stop_in_the_middle_do_not_keep_others_waiting(
    server: StartServer, sqlite_database_url: str
) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url, CHAINRULE_THREADS="4")
    whole = request_bytes(json.dumps({"graph": NEURON}).encode())
    stalled = [connect(started) for _ in range(12)]
    for k, client in enumerate(stalled):
        client.sendall(whole[: (10, 100)[k % 2]])  # in the first line, in the headers
    before = time.monotonic()
    assert httpx.post(f"{started.url}/v1/runs", json={"graph": NEURON}, timeout=30).status_code == 201
    assert time.monotonic() - before < 15
    for client in stalled:
        client.close()


def test_clients_that_hang_up_before_the_answer_do_no_harm(server: StartServer, sqlite_database_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    for k in range(16):
        with connect(started) as client:
            client.sendall(request_bytes(json.dumps({"graph": NEURON}).encode()))
            if k % 2:
                client.shutdown(socket.SHUT_WR)
    assert httpx.get(f"{started.url}/readyz", timeout=30).status_code == 200


def test_eight_servers_start_at_once_on_one_fresh_file(server: StartServer, sqlite_database_url: str) -> None:
    started: list[Server] = []
    in_parallel(8, lambda _: started.append(server(CHAINRULE_DATABASE_URL=sqlite_database_url)))
    run = httpx.post(f"{started[0].url}/v1/runs", json={"graph": NEURON}, timeout=60)
    for each in started:
        assert httpx.get(f"{each.url}{run.headers['Location']}", timeout=60).content == run.content
        assert "error" not in each.log.read_text()
