"""Large runs in parts: the answer does not depend on how they were split, or on who computed them."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.graph import Graph
from service import work
from service.config import Config, ConfigError
from service.helpers import Cluster, Threads, helpers
from service.kinds import KINDS
from service.schemas.runs import RunRequestSchema
from service.work import DeadlineExceeded, Interrupted, Pool, Work, divide
from tests.conftest import free_port
from tests.dask import DaskCluster, wait_until

EXPRESSION = {"expression": "\n".join([
    *(f"h{k} = tanh(a*{k + 1} + b*c/{k + 1}) * max(a, b, {k / 10})" for k in range(12)),
    "y = " + " + ".join(f"h{k}" for k in range(12)),
]), "data": {"a": 0.3, "b": 0.2, "c": -1.5}}  # fmt: skip
ROWS = np.linspace(-2.0, 2.0, 1001).tolist()
REQUESTS: dict[str, dict[str, Any]] = {
    "batch": {"inputs": {"a": ROWS, "b": 0.5}},
    "batch of all nodes": {"inputs": {"a": [*ROWS[:700], "NaN", 1.0], "b": [0.2] * 702}, "select": "all"},
    "mean": {"inputs": {"a": ROWS}, "reduce": "mean"},
    "jacobian by rows": {"kind": "jacobian", "outputs": ["h0", "h5", "h7"]},
    "jacobian by columns": {"kind": "jacobian", "outputs": [f"h{k}" for k in range(12)]},
    "hessian": {"kind": "hessian"},
    "hessian in another order": {"kind": "hessian", "wrt": ["c", "a", "b"]},
}


def split_by(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """Split everything into parts of so many rows."""
    for name in ("SPREAD_CELLS", "_TRIAL_CELLS", "_TRIAL_ROWS"):
        monkeypatch.setattr(work, name, 1)

    def cut(start: int, stop: int, seconds: float, width: int, unit: int = 1) -> list[slice]:
        size = unit * -(-rows // unit)
        return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]

    monkeypatch.setattr(work, "divide", cut)


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split everything into parts of one row, or as few as can be."""
    split_by(monkeypatch, 1)


@pytest.fixture
def pool() -> Iterator[Pool]:
    with ThreadPoolExecutor(4) as executor:
        yield Pool(executor, 4)


def computed(request: dict[str, Any], under: Work) -> Any:
    read = RunRequestSchema().load({"graph": EXPRESSION, **request})
    assert not read.errors
    outcome = KINDS[read.kind or ""].compute(Graph.from_document(EXPRESSION), read.options, under)
    return {name: array.tobytes() for name, array in outcome.arrays.items()}, outcome.findings


@pytest.mark.parametrize("request_body", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("rows", [1, 7, 300])
def test_the_answer_does_not_depend_on_the_split(
    request_body: dict[str, Any], rows: int, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = computed(request_body, Work(60))
    split_by(monkeypatch, rows)
    under = Work(60, lambda: pool)
    assert computed(request_body, under) == whole
    assert rows > 1 or under.progress is not None


@pytest.mark.parametrize(
    ("seconds", "width", "tasks"),
    [(0.0, 2, 1), (0.19, 2, 1), (0.2, 2, 2), (0.35, 2, 2), (0.35, 4, 3), (0.59, 4, 4), (60.0, 16, 592), (1e6, 2, 900)],
)
def test_tasks_are_long_enough_and_no_helper_is_left_out(seconds: float, width: int, tasks: int) -> None:
    parts = divide(100, 1000, seconds, width)
    assert [part.start for part in parts] == [100, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == 1000
    assert len(parts) <= tasks
    assert max(part.stop - part.start for part in parts) == -(-900 // tasks)


def test_parts_are_whole_units() -> None:
    parts = divide(256, 1000, 1.0, 1, unit=128)
    assert [part.start for part in parts] == [256, 384, 512, 640, 768, 896]


def test_what_is_small_is_never_split() -> None:
    nobody = Work(60, lambda: pytest.fail("nobody is asked"))
    assert computed(REQUESTS["batch"], nobody) == computed(REQUESTS["batch"], Work(60))


def sleep(part: slice, *, checkpoint: Callable[[], None]) -> tuple[slice, int]:
    """As slow as a million of nodes in a millisecond, on a processor's clock."""
    begin = time.thread_time()
    while time.thread_time() - begin < (part.stop - part.start) * 1e-3:
        checkpoint()
    return part, threading.get_ident()


def test_a_large_computation_is_split_by_how_fast_it_is(pool: Pool) -> None:
    under = Work(60, lambda: pool)
    parts = under.spread(sleep, lambda part: part, 450, 1_000_000)
    assert [part.start for part, _ in parts] == [0, *(part.stop for part, _ in parts[:-1])]
    assert parts[-1][0].stop == 450
    assert len(parts) in (4, 5)
    assert under.progress == {"done": len(parts) - 1, "total": len(parts) - 1}
    assert threading.get_ident() not in {thread for _, thread in parts[1:]}


class Refusing(Executor):
    """Helpers that are in trouble."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise OSError("no connection")


class Silent(Executor):
    """Helpers that take every task and do nothing."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        return Future()


def gone() -> None:
    raise OSError("everyone has gone")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [(Pool(Refusing(), 2), "no connection"), (Pool(Silent(), 2, check=gone), "everyone has gone")],
    ids=["refusing", "gone"],
)
def test_a_run_is_computed_here_when_its_helpers_fail(
    trouble: Pool, said: str, small_tasks: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(work, "_CHECK_SECONDS", 0)
    request = REQUESTS["batch"]
    assert computed(request, Work(60, lambda: trouble)) == computed(request, Work(60))
    assert said in caplog.messages[0]
    assert "computing the run here" in caplog.messages[0]


def test_a_worker_of_another_version_does_not_help(
    small_tasks: None, pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Other(Executor):
        def submit(self, call: Any, version: str, *arguments: Any) -> Future[Any]:  # type: ignore[override]
            return pool.executor.submit(call, version + ".old", *arguments)

    assert computed(REQUESTS["mean"], Work(60, lambda: Pool(Other(), 4))) == computed(REQUESTS["mean"], Work(60))
    assert ".old" in caplog.messages[0]


def wait_for_checkpoint(part: int, *, checkpoint: Callable[[], None]) -> None:
    while True:
        checkpoint()
        time.sleep(0.001)


def test_a_deadline_and_a_cancellation_reach_the_parts(small_tasks: None, pool: Pool) -> None:
    def once_here(part: slice, *, checkpoint: Callable[[], None]) -> None:
        if part.start:
            wait_for_checkpoint(part, checkpoint=checkpoint)

    with pytest.raises(DeadlineExceeded):
        Work(0.05, lambda: pool).spread(once_here, lambda part: part, 8, 1)
    cancelled = Work(60, lambda: pool)
    threading.Timer(0.05, cancelled.stop, [Interrupted("enough")]).start()
    with pytest.raises(Interrupted):
        cancelled.spread(once_here, lambda part: part, 8, 1)


def test_elsewhere_the_deadline_is_what_was_left() -> None:
    sent: Work = pickle.loads(pickle.dumps(Work(60, lambda: pytest.fail("stays here"))))  # noqa: S301
    sent.checkpoint()
    with pytest.raises(DeadlineExceeded, match="60 seconds"):
        pickle.loads(pickle.dumps(Work(60, left=-1))).checkpoint()  # noqa: S301


@pytest.fixture
def dask_cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    started = DaskCluster(tmp_path)
    yield started
    started.stop()


@pytest.fixture
def connected(dask_cluster: DaskCluster) -> Iterator[Cluster]:
    """Helpers that have two workers."""
    made = helpers(dask_cluster.address)
    assert isinstance(made, Cluster)
    wait_for_crew(made, 2)
    yield made
    made.close()


def wait_for_crew(cluster: Cluster, width: int) -> None:
    def is_there() -> bool:
        try:
            return cluster.crew().width == width
        except OSError:
            return False

    wait_until(is_there)


def test_a_graph_is_sent_once_however_many_parts_there_are(
    connected: Cluster, small_tasks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []
    to_bytes = Graph.to_bytes
    monkeypatch.setattr(Graph, "to_bytes", lambda graph: sent.append(graph) or to_bytes(graph))
    under = Work(60, connected.pool)
    request = REQUESTS["batch"] | {"inputs": {"a": ROWS[:41], "b": 0.5}}
    assert computed(request, under) == computed(request, Work(60))
    assert under.progress == {"done": 40, "total": 40}
    assert len(sent) == 1


def test_a_scheduler_that_went_away_is_found_again_when_it_is_back(
    connected: Cluster, dask_cluster: DaskCluster
) -> None:
    for process in (dask_cluster.scheduler, *dask_cluster.workers):
        process.kill()
        process.wait()
    with pytest.raises(OSError, match="Dask scheduler"):
        connected.pool()
    dask_cluster.start_scheduler()
    dask_cluster.start_worker()
    wait_for_crew(connected, 1)


def test_a_scheduler_that_is_not_there_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.helpers._CONNECT_SECONDS", 0.2)
    nobody = Cluster(f"tcp://127.0.0.1:{free_port()}")
    threads = set()
    for _ in range(5):
        with pytest.raises(OSError, match="does not answer"):
            nobody.pool()
        threads.add(threading.active_count())
    assert len(threads) == 1
    nobody.close()


def test_without_a_scheduler_threads_of_this_process_help() -> None:
    threads = helpers("")
    assert isinstance(threads, Threads)
    assert threads.pool().width == threads.crew().width > 0
    threads.executor.shutdown()
    with pytest.raises(OSError, match="take no tasks"):
        threads.crew()


@pytest.mark.parametrize("address", ["", "tcp://scheduler:8786", "tls://10.0.0.1:8786", "tcp://[::1]:8786"])
def test_addresses_of_a_scheduler(address: str) -> None:
    assert Config.from_environment({"CHAINRULE_DASK_SCHEDULER": address}).dask_scheduler == address


@pytest.mark.parametrize("address", ["scheduler", "scheduler:8786", "http://scheduler:8786", "tcp://scheduler", " "])
def test_what_is_no_address_of_a_scheduler(address: str) -> None:
    with pytest.raises(ConfigError, match=r"CHAINRULE_DASK_SCHEDULER is .*such as tcp://scheduler:8786"):
        Config.from_environment({"CHAINRULE_DASK_SCHEDULER": address})


def test_a_scheduler_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install chainrule\[distributed\]"):
        helpers("tcp://scheduler:8786")
