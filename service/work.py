"""What surrounds a computation: when it has to stop, whom it tells how far it is, and who helps."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from service import __version__

TASK_SECONDS = 0.1
"""How long a task is meant to take. Handing one on costs some milliseconds; the estimate may be wrong by half."""

SPREAD_CELLS = 10_000_000
"""Nodes that a computation passes through, at the least, to be worth thinking of helpers."""

_TRIAL_CELLS = 1_000_000
"""Nodes passed through to see how fast a computation is: some milliseconds."""

_TRIAL_ROWS = 16
"""The engine works through so many directions at a time: fewer would be slower, each."""

_LOOK_SECONDS = 0.05
_CHECK_SECONDS = 1.0

_log = logging.getLogger(__name__)

Part = TypeVar("Part")
PartOf = TypeVar("PartOf", contravariant=True)
Result = TypeVar("Result", covariant=True)


class Task(Protocol[PartOf, Result]):
    """Computes one part of something; it may be sent to another process, with all that it holds."""

    def __call__(self, part: PartOf, /, *, checkpoint: Callable[[], None]) -> Result: ...


def _as_it_is(argument: Any) -> Any:
    return argument


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Pool:
    """Helpers: an executor that works on `width` tasks at a time.

    `share` returns what stands for an argument that many tasks have in common, so that it is sent but once. `check`
    raises OSError when nobody is there any more to work on them.
    """

    executor: Executor
    width: int
    share: Callable[[Any], Any] = _as_it_is
    check: Callable[[], object] = _nothing


class DeadlineExceeded(Exception):
    """A computation has used up its seconds."""


class Interrupted(Exception):
    """A computation is to end without a result: its run was cancelled, or is someone else's."""


class Work:
    """One computation under way.

    `checkpoint` goes to the engine's loops, which call it every few milliseconds. `report` says how far a
    computation of several steps is; it costs next to nothing. `helpers` gives the pool that large computations
    are spread over, or raises OSError; without it they are done here, in one piece.
    """

    def __init__(self, seconds: float, helpers: Callable[[], Pool] | None = None, *, left: float | None = None) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + (seconds if left is None else left)
        self._helpers = helpers
        self._reason: Exception | None = None
        self._stopped = threading.Event()
        self.progress: dict[str, int] | None = None

    def __reduce__(self) -> tuple[Callable[[float, float], Work], tuple[float, float]]:
        # In another process only the deadline holds; clocks differ, so it is told what is left.
        return _elsewhere, (self._seconds, self._deadline - time.monotonic())

    def stop(self, reason: Exception) -> None:
        """Let the next checkpoint raise `reason`; any thread may call this."""
        self._reason = reason
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Wait that long, or until `stop`; return whether it was called."""
        return self._stopped.wait(seconds)

    def checkpoint(self) -> None:
        """Return at once, or raise what stops the computation."""
        if self._reason is not None:
            raise self._reason
        if time.monotonic() >= self._deadline:
            raise DeadlineExceeded(f"The computation took longer than this service's {self._seconds:g} seconds.")

    def report(self, done: int, total: int) -> None:
        """Say that `done` of `total` steps are done."""
        self.progress = {"done": done, "total": total}

    def spread(
        self, task: Task[Part, Result], cut: Callable[[slice], Part], count: int, cells: int, *, unit: int = 1
    ) -> list[Result]:
        """Return the results of `count` rows, of so many cells each, in order: in one piece, or in parts by helpers.

        `cut` makes the part of some rows. Parts begin at a multiple of `unit`; which they are depends on how fast
        the first rows are, so the answer must not depend on it.
        """
        whole = slice(0, count)
        if self._helpers is not None and count * cells >= SPREAD_CELLS:
            trial = slice(0, unit * -(-max(_TRIAL_ROWS, _TRIAL_CELLS // cells) // unit))
            if trial.stop < count:
                try:
                    return self._try_to_spread(self._helpers(), task, cut, whole, trial, unit)
                except (DeadlineExceeded, Interrupted):
                    raise
                except Exception as trouble:
                    # A helper's trouble is not the run's: if the task itself is at fault, it will fail here as well.
                    said = f"{type(trouble).__name__}: {trouble}"
                    _log.warning("the helpers failed (%s); computing the run here", said, exc_info=True)
        return [task(cut(whole), checkpoint=self.checkpoint)]

    def _try_to_spread(
        self,
        pool: Pool,
        task: Task[Part, Result],
        cut: Callable[[slice], Part],
        whole: slice,
        trial: slice,
        unit: int,
    ) -> list[Result]:
        # Time of this thread alone: others may keep the processor busy, here and not where the helpers are.
        begin = time.thread_time()
        first = task(cut(trial), checkpoint=self.checkpoint)
        seconds = (time.thread_time() - begin) * (whole.stop - trial.stop) / trial.stop
        parts = divide(trial.stop, whole.stop, seconds, pool.width, unit)
        if len(parts) < 2:
            return [task(cut(whole), checkpoint=self.checkpoint)]
        return [first, *self._spread(pool, task, [cut(part) for part in parts])]

    def _spread(self, pool: Pool, task: Task[Part, Result], parts: list[Part]) -> list[Result]:
        shared = pool.share(task)
        submit = pool.executor.submit
        futures = [submit(_compute, __version__, shared, part, self.checkpoint) for part in parts]
        try:
            pending = set(futures)
            checked = time.monotonic()
            while pending:
                done, pending = wait(pending, _LOOK_SECONDS, FIRST_EXCEPTION)
                self.checkpoint()
                for future in done:
                    future.result()
                self.report(len(futures) - len(pending), len(futures))
                if time.monotonic() - checked > _CHECK_SECONDS:
                    pool.check()
                    checked = time.monotonic()
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def divide(start: int, stop: int, seconds: float, width: int, unit: int = 1) -> list[slice]:
    """Divide rows that take so many seconds into tasks that are worth handing on, for `width` at a time."""
    tasks = int(seconds / TASK_SECONDS)
    if tasks > width:
        tasks -= tasks % width  # or some helpers would watch the others work on the last ones
    size = unit * -(-(stop - start) // (unit * max(1, tasks)))
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


def _compute(version: str, task: Task[Part, Result], part: Part, checkpoint: Callable[[], None]) -> Result:
    """Compute a part, wherever this is."""
    if version != __version__:
        raise RuntimeError(f"a worker with Chainrule {__version__} cannot help a server with {version}")
    return task(part, checkpoint=checkpoint)


def _elsewhere(seconds: float, left: float) -> Work:
    return Work(seconds, left=left)
