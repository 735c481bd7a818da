"""kill -9 of servers, their workers and the database, again and again under load."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from itertools import cycle

from tests.conftest import StartServer
from tests.faults.load import Load
from tests.faults.servers import kill, prepare, worker_processes
from tests.postgres import Cluster

# How long a loop of kills goes on: there are five, on the databases that they are for, and `make soak` sets what they
# take together.
LOOP_SECONDS = float(os.environ.get("CHAINRULE_TEST_SOAK_SECONDS", "30")) / 5

# What is claimed by a server that dies is free soon after.
LEASE = {"CHAINRULE_LEASE_SECONDS": "1"}

# When a worker dies sooner after the one before it, its server takes that for a loop and ends.
CRASH_LOOP_SECONDS = 6


def test_acknowledged_runs_survive_a_server_that_is_killed_again_and_again(server: StartServer, ready_url: str) -> None:
    settings = {"CHAINRULE_DATABASE_URL": ready_url, **LEASE}
    started = server(**settings)
    end = time.monotonic() + LOOP_SECONDS
    with Load(started.url) as load:
        while time.monotonic() < end:
            load.wait_for_more(20)
            time.sleep(random.uniform(0, 0.1))  # noqa: S311
            kill(started)
            started = server(**settings)
            load.move(started.url)
    load.check(started)


def test_acknowledged_runs_survive_a_worker_that_is_killed_again_and_again(server: StartServer, ready_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=ready_url, **LEASE)
    end = time.monotonic() + LOOP_SECONDS
    with Load(started.url) as load:
        load.wait_for_more(20)
        while time.monotonic() < end:
            (worker,) = worker_processes(started)
            os.kill(worker, signal.SIGKILL)
            load.wait_for_more(20)  # its server has started another
            time.sleep(CRASH_LOOP_SECONDS + random.uniform(0, 0.1))  # noqa: S311
    load.check(started)
    assert started.process.poll() is None


def test_a_server_whose_worker_dies_at_once_again_ends(server: StartServer, sqlite_database_url: str) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    (first,) = worker_processes(started)
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while (second := worker_processes(started)) in ([], [first]):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(second[-1], signal.SIGKILL)
    assert started.process.wait(timeout=60) == 1


def kill_everything(cluster: Cluster, load: Load) -> None:
    """What a power cut leaves, but for the disk's own cache; it stays down until somebody has noticed."""
    cluster.kill()
    load.wait_for_refusals(4)
    cluster.start()


def kill_a_process(cluster: Cluster, load: Load) -> None:
    """The server then ends all connections and recovers by itself, perhaps before anybody notices."""
    os.kill(random.choice(cluster.backends()), signal.SIGKILL)  # noqa: S311


WAYS: list[Callable[[Cluster, Load], None]] = [kill_everything, kill_a_process]


def test_acknowledged_runs_survive_a_database_that_is_killed_again_and_again(
    server: StartServer, cluster: Cluster
) -> None:
    started = server(CHAINRULE_DATABASE_URL=prepare(cluster.start()), **LEASE)
    workers = worker_processes(started)
    end = time.monotonic() + LOOP_SECONDS
    with Load(started.url) as load:
        for number, strike in enumerate(cycle(WAYS)):
            if time.monotonic() > end and number >= len(WAYS):
                break
            load.wait_for_more(20)
            time.sleep(random.uniform(0, 0.1))  # noqa: S311
            strike(cluster, load)
            load.wait_for_more(20)
    assert load.broken == []  # everyone got an answer
    load.check(started)
    assert worker_processes(started) == workers
