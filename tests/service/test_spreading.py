"""Large runs in parts: the answer does not depend on how they were split, or on who computed them."""

from __future__ import annotations

import pickle
import subprocess
import sys
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
from service.helpers import helpers
from service.kinds import KINDS
from service.schemas.runs import RunRequestSchema
from service.work import DeadlineExceeded, Interrupted, Work
from tests.conftest import ROOT, free_port

EXPRESSION = {"expression": "\n".join([
    *(f"h{k} = tanh(a*{k + 1} + b*c/{k + 1}) * max(a, b, {k / 10})" for k in range(12)),
    "y = " + " + ".join(f"h{k}" for k in range(12)),
]), "data": {"a": 0.3, "b": 0.2, "c": -1.5}}  # fmt: skip
ROWS = np.linspace(-2.0, 2.0, 1001).tolist()
REQUESTS: dict[str, dict[str, Any]] = {
    "batch": {"inputs": {"a": ROWS, "b": 0.5}},
    "batch of all nodes": {"inputs": {"a": [*ROWS[:700], "NaN", 1.0], "b": [0.2] * 702}, "select": "all"},
    "mean": {"inputs": {"a": ROWS}, "reduce": "mean"},
    "jacobian by rows": {"kind": "jacobian", "outputs": ["h0", "h5"]},
    "jacobian by columns": {"kind": "jacobian", "outputs": [f"h{k}" for k in range(12)]},
    "hessian": {"kind": "hessian"},
    "hessian of some": {"kind": "hessian", "wrt": ["c", "a"]},
}


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Split everything, as far as it goes."""
    monkeypatch.setattr(work, "TASK_CELLS", 1)


@pytest.fixture
def pool() -> Iterator[Executor]:
    with ThreadPoolExecutor(4) as executor:
        yield executor


def computed(request: dict[str, Any], under: Work) -> Any:
    read = RunRequestSchema().load({"graph": EXPRESSION, **request})
    assert not read.errors
    outcome = KINDS[read.kind or ""].compute(Graph.from_document(EXPRESSION), read.options, under)
    return {name: array.tobytes() for name, array in outcome.arrays.items()}, outcome.findings


@pytest.mark.parametrize("request_body", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("task_cells", [1, 5_000, 40_000])
def test_the_answer_does_not_depend_on_the_split(
    request_body: dict[str, Any], task_cells: int, pool: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = computed(request_body, Work(60))
    monkeypatch.setattr(work, "TASK_CELLS", task_cells)
    assert computed(request_body, Work(60, lambda: pool)) == whole


def test_parts_are_worth_a_task_and_cover_everything() -> None:
    helped = Work(60, lambda: pytest.fail("nobody is asked"))
    assert Work(60).parts(10**9, 10**3) == [slice(0, 10**9)]
    assert helped.parts(3, 5) == [slice(0, 3)]
    assert helped.parts(0, 5) == [slice(0, 0)]
    for rows, cells in ((1_000_000, 1_000), (7, work.TASK_CELLS), (10_001, 12_345)):
        parts = helped.parts(rows, cells)
        assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert parts[-1].stop == rows
        assert all((part.stop - part.start) * cells >= work.TASK_CELLS for part in parts[:-1])
        assert len(parts) > 1


def test_progress_counts_the_parts(small_tasks: None, pool: Executor) -> None:
    under = Work(60, lambda: pool)
    computed(REQUESTS["hessian"], under)
    assert under.progress == {"done": 3, "total": 3}


class Refusing(Executor):
    """Helpers that are in trouble."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise OSError("no connection")


def test_a_run_is_computed_here_when_its_helpers_fail(small_tasks: None, caplog: pytest.LogCaptureFixture) -> None:
    request = REQUESTS["batch"]
    assert computed(request, Work(60, Refusing)) == computed(request, Work(60))
    assert "no connection" in caplog.text


def wait_for_checkpoint(part: int, *, checkpoint: Callable[[], None]) -> None:
    while True:
        checkpoint()
        time.sleep(0.001)


def test_a_deadline_and_a_cancellation_reach_the_parts(pool: Executor) -> None:
    with pytest.raises(DeadlineExceeded):
        Work(0.05, lambda: pool).map(wait_for_checkpoint, range(8))
    cancelled = Work(60, lambda: pool)
    threading.Timer(0.05, cancelled.stop, [Interrupted("enough")]).start()
    with pytest.raises(Interrupted):
        cancelled.map(wait_for_checkpoint, range(8))


def test_elsewhere_the_deadline_is_what_was_left() -> None:
    sent: Work = pickle.loads(pickle.dumps(Work(60, Refusing)))  # noqa: S301
    sent.checkpoint()
    with pytest.raises(DeadlineExceeded, match="60 seconds"):
        pickle.loads(pickle.dumps(Work(60, left=-1))).checkpoint()  # noqa: S301


class Cluster:
    """A Dask scheduler and two workers, each a process of its own."""

    def __init__(self, directory: Path) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.directory = directory
        self.processes = [self._start("scheduler", "--port", self.address.rpartition(":")[2], "--no-dashboard")]
        self.workers = [
            self._start("worker", self.address, "--nthreads", "1", "--no-nanny", "--no-dashboard") for _ in range(2)
        ]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.directory / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + arguments[0], *arguments[1:]],
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        for process in [*self.workers, *self.processes]:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    started = Cluster(tmp_path)
    yield started
    started.stop()


def slow_square(part: int, *, checkpoint: Callable[[], None]) -> int:
    time.sleep(0.2)
    return part * part


@pytest.mark.filterwarnings("ignore")  # the client's own, about versions and sizes
def test_a_split_batch_survives_the_death_of_a_worker_and_of_the_scheduler(cluster: Cluster, small_tasks: None) -> None:
    request = REQUESTS["batch"] | {"inputs": {"a": ROWS[:40], "b": 0.5}}
    whole = computed(request, Work(60))
    helped = helpers(cluster.address)
    client = helped()._client  # type: ignore[attr-defined]
    client.wait_for_workers(2, timeout=30)
    assert computed(request, Work(60, helped)) == whole
    under = Work(60, helped)
    threading.Timer(0.5, cluster.workers[0].kill).start()
    assert under.map(slow_square, range(16)) == [k * k for k in range(16)]
    assert under.progress == {"done": 16, "total": 16}
    assert cluster.workers[0].wait(10) != 0
    cluster.processes[0].kill()
    assert computed(request, Work(60, helped)) == whole
    client.close(timeout=1)
