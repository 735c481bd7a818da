"""Large runs on a real Dask cluster, and what happens to them when its parts, or servers, are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.store import schema
from service.store.database import Database
from tests.conftest import ROOT, Server, StartServer
from tests.dask import DaskCluster, wait_until

# Small runs are split like large ones, into eight parts: in all of the server's processes, and nothing else about it.
SMALL_TASKS = """
from service import work

divide = work.divide
work.SPREAD_CELLS = work._TRIAL_CELLS = work._TRIAL_ROWS = 1
work.divide = lambda start, stop, seconds, *rest: divide(start, stop, 8.5 * work.TASK_SECONDS, *rest)
"""
GRAPH = {"expression": "\n".join([
    *(f"h{k} = tanh(a*{k + 1} + b*c/{k + 1}) * max(a, b, {k / 10}) + exp(d - {k})" for k in range(12)),
    "y = " + " + ".join(f"h{k}" for k in range(12)),
]), "data": {"a": 0.3, "b": 0.2, "c": -1.5, "d": 1.0}}  # fmt: skip
ROWS = [k / 1000 - 1 for k in range(2000)]
REQUESTS: dict[str, dict[str, Any]] = {
    "batch": {"inputs": {"a": [*ROWS[:1500], "NaN", *ROWS[1501:]], "c": ROWS[::-1]}, "select": "all"},
    "mean": {"inputs": {"a": ROWS, "c": ROWS[::-1]}, "reduce": "mean"},
    "jacobian": {"kind": "jacobian", "outputs": [f"h{k}" for k in range(12)]},
    "hessian": {"kind": "hessian"},
}
COMPUTED = ("outputs", "values", "gradients", "jacobian", "hessian", "nonsmooth", "nonfinite", "error")
HERE = "computing the run here"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    started = DaskCluster(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def settings(sqlite_database_url: str, cluster: DaskCluster, tmp_path: Path) -> dict[str, str]:
    """Settings of servers that share a database and the cluster, and notice soon when another has died."""
    database = Database(sqlite_database_url)
    schema.upgrade(database)
    database.close()
    patches = tmp_path / "patches"
    patches.mkdir()
    (patches / "sitecustomize.py").write_text(SMALL_TASKS)
    return {
        "PYTHONPATH": f"{patches}{os.pathsep}{ROOT}",
        "CHAINRULE_DATABASE_URL": sqlite_database_url,
        "CHAINRULE_DASK_SCHEDULER": cluster.address,
        "CHAINRULE_LEASE_SECONDS": "1",
        "CHAINRULE_MAX_SECONDS": "600",
    }


def crew(server: Server) -> dict[str, Any] | None:
    """Who would help, or None if the server is not ready."""
    response = httpx.get(f"{server.url}/readyz", timeout=60)
    found: dict[str, Any] | None = response.json()["executor"] if response.status_code == 200 else None
    return found


def wait_for_workers(server: Server, count: int) -> None:
    wait_until(lambda: crew(server) == {"kind": "dask", "width": count}, server.log.read_text())


def post(server: Server, request: dict[str, Any]) -> str:
    """Queue a run and return its place."""
    response = httpx.post(
        f"{server.url}/v1/runs", json={"graph": GRAPH, **request}, headers={"Prefer": "respond-async"}, timeout=60
    )
    assert response.status_code == 202, response.text
    return response.headers["Location"]


def post_and_hold(server: Server, request: dict[str, Any], cluster: DaskCluster, workers: int) -> str:
    """Queue a run and return its place when so many workers wait in the middle of it."""
    cluster.close()
    location = post(server, request)
    cluster.wait_until_busy(workers)
    return location


def shown(server: Server, location: str) -> dict[str, Any]:
    run: dict[str, Any] = httpx.get(server.url + location, timeout=60).json()
    return run


def wait_for(server: Server, location: str) -> dict[str, Any]:
    """The run when it is finished."""
    wait_until(lambda: shown(server, location)["state"] not in ("queued", "running"), server.log.read_text())
    return shown(server, location)


def computed(run: dict[str, Any]) -> dict[str, Any]:
    assert run["state"] == "succeeded", run
    return {member: run.get(member) for member in COMPUTED}


def in_one_piece(server: Server, request: dict[str, Any]) -> dict[str, Any]:
    """What comes out when nobody helps: so are runs computed that their client waits for."""
    response = httpx.post(f"{server.url}/v1/runs", json={"graph": GRAPH, **request}, timeout=60)
    assert response.status_code == 201, response.text
    return computed(response.json())


def processes(server: Server) -> list[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
    return [*map(int, children), server.pid]


def send(server: Server, number: signal.Signals) -> None:
    for pid in processes(server):
        os.kill(pid, number)


def test_two_workers_answer_what_one_process_answers_to_the_bit(
    server: StartServer, settings: dict[str, str], cluster: DaskCluster
) -> None:
    started = server(**settings)
    wait_for_workers(started, 2)
    for name, request in REQUESTS.items():
        location = post_and_hold(started, request, cluster, 2)
        cluster.open()
        assert computed(wait_for(started, location)) == in_one_piece(started, request), name
    assert HERE not in started.log.read_text()
    started.process.terminate()
    assert started.process.wait(timeout=60) == 0


def test_a_run_survives_the_death_of_a_worker_in_the_middle_of_it(
    server: StartServer, settings: dict[str, str], cluster: DaskCluster
) -> None:
    started = server(**settings)
    wait_for_workers(started, 2)
    location = post_and_hold(started, REQUESTS["batch"], cluster, 2)
    cluster.workers[0].kill()
    wait_for_workers(started, 1)
    cluster.open()
    assert computed(wait_for(started, location)) == in_one_piece(started, REQUESTS["batch"])
    assert HERE not in started.log.read_text()


@pytest.mark.parametrize("killed", ["scheduler", "every worker"])
def test_a_run_is_computed_in_the_server_when_the_cluster_dies_and_the_cluster_is_used_again_when_it_is_back(
    killed: str, server: StartServer, settings: dict[str, str], cluster: DaskCluster
) -> None:
    started = server(**settings)
    wait_for_workers(started, 2)
    location = post_and_hold(started, REQUESTS["batch"], cluster, 2)
    for process in [cluster.scheduler] if killed == "scheduler" else cluster.workers:
        process.kill()
    # The gate is still closed: no worker can have computed it.
    assert computed(wait_for(started, location)) == in_one_piece(started, REQUESTS["batch"])
    assert HERE in started.log.read_text()
    wait_until(lambda: crew(started) is None)
    if killed == "every worker":
        assert httpx.get(f"{started.url}/readyz").json()["detail"] == "The Dask scheduler has no workers."

    for process in cluster.workers:
        process.kill()
    if killed == "scheduler":
        cluster.scheduler.wait()
        cluster.start_scheduler()
    cluster.start_worker()
    wait_for_workers(started, 1)
    cluster.open()
    again = post_and_hold(started, REQUESTS["hessian"], cluster, 1)
    cluster.open()
    assert computed(wait_for(started, again)) == in_one_piece(started, REQUESTS["hessian"])
    assert started.log.read_text().count(HERE) == 1


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_another_server_finishes_what_one_had_spread_and_one_result_is_stored(
    number: signal.Signals, server: StartServer, settings: dict[str, str], cluster: DaskCluster
) -> None:
    first = server(**settings)
    wait_for_workers(first, 2)
    location = post_and_hold(first, REQUESTS["batch"], cluster, 2)
    started_at = shown(first, location)["started_at"]
    second = server(**settings)
    send(first, number)
    wait_until(lambda: shown(second, location)["started_at"] != started_at, "the lease did not run out")
    cluster.open()
    run = wait_for(second, location)
    if number == signal.SIGSTOP:  # and now it is too late
        send(first, signal.SIGCONT)
        wait_until(lambda: crew(first))
        assert shown(first, location) == run
    assert shown(second, location) == run
    assert computed(run) == in_one_piece(second, REQUESTS["batch"])
    assert [row["state"] for row in httpx.get(f"{second.url}/v1/runs").json()["items"]] == ["succeeded"] * 2
