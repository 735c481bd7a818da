"""Real servers under real clients: many at once, slow ones, rude ones."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from service.store import schema
from service.store.database import Database
from tests.conftest import Server, StartServer
from tests.faults.load import Load
from tests.faults.servers import every_run, prepare
from tests.service.documents import NEURON, product


def in_parallel(count: int, action: Callable[[int], None]) -> None:
    """Do something in that many threads at once; raises what any of them raised."""
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(action, k) for k in range(count)]:
            done.result()


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


def test_sigterm_under_load_ends_well_and_loses_nothing(server: StartServer, sqlite_database_url: str) -> None:
    first = server("--workers", "2", CHAINRULE_DATABASE_URL=sqlite_database_url)
    with Load(first.url) as load:
        load.wait_for_more(40)
        first.process.terminate()
        assert first.process.wait(timeout=60) == 0
    assert load.refused == []
    second = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    load.check(second)
    levels = {json.loads(line)["level"] for line in first.log.read_text().splitlines()}
    assert levels <= {"info", "debug"}


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
        # In the first line or in the headers: as many as may be. In the body: each has a thread (see SECURITY.md).
        client.sendall(whole[: -10 if k < 3 else (10, 100)[k % 2]])
    assert httpx.post(f"{started.url}/v1/runs", json={"graph": NEURON}, timeout=15).status_code == 201
    for client in stalled[:3]:
        client.sendall(whole[-10:])
        assert client.recv(100).startswith(b"HTTP/1.1 201 ")
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


def test_eight_servers_start_at_once(server: StartServer, database_url: str) -> None:
    prepare(database_url)
    if database_url.startswith("sqlite"):  # which each of them would upgrade by itself
        database = Database(database_url)
        schema.downgrade(database, "0001")
        database.close()
    started: list[Server] = []
    in_parallel(8, lambda _: started.append(server(CHAINRULE_DATABASE_URL=database_url)))
    run = httpx.post(f"{started[0].url}/v1/runs", json={"graph": NEURON}, timeout=60)
    for each in started:
        assert httpx.get(f"{each.url}{run.headers['Location']}", timeout=60).content == run.content
        assert "error" not in each.log.read_text()
