"""What surrounds a computation: when it has to stop, whom it tells how far it is, and who helps."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Executor, wait
from typing import Protocol, TypeVar

TASK_CELLS = 20_000_000
"""Nodes that a task passes through, at the least: 50 milliseconds or more, so that handing it on pays."""

_LOOK_SECONDS = 0.05

_log = logging.getLogger(__name__)

Part = TypeVar("Part", contravariant=True)
Result = TypeVar("Result", covariant=True)


class Task(Protocol[Part, Result]):
    """Computes one part of something; it may be sent to another process, with all that it holds."""

    def __call__(self, part: Part, /, *, checkpoint: Callable[[], None]) -> Result: ...


class DeadlineExceeded(Exception):
    """A computation has used up its seconds."""


class Interrupted(Exception):
    """A computation is to end without a result: its run was cancelled, or is someone else's."""


class Work:
    """One computation under way.

    `checkpoint` goes to the engine's loops, which call it every few milliseconds. `report` says how far a
    computation of several steps is; it costs next to nothing. `helpers` gives the executor that large computations
    are spread over; without it they are done here, in one piece.
    """

    def __init__(
        self, seconds: float, helpers: Callable[[], Executor] | None = None, *, left: float | None = None
    ) -> None:
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

    def parts(self, count: int, cells: int) -> list[slice]:
        """Divide `count` rows, of so many cells each, into parts that are worth a task; without helpers, into one."""
        most = count * cells // TASK_CELLS if self._helpers else 1
        size = max(1, -(-count // max(1, most)))
        return [slice(start, min(start + size, count)) for start in range(0, count, size)] or [slice(0, 0)]

    def map(self, task: Task[Part, Result], parts: Sequence[Part]) -> list[Result]:
        """Return the result of each part, in order, wherever they are computed."""
        if self._helpers is not None and len(parts) > 1:
            try:
                return self._spread(self._helpers(), task, parts)
            except (DeadlineExceeded, Interrupted):
                raise
            except Exception:
                # A helper's trouble is not the run's: if the task itself is at fault, it will fail here as well.
                _log.warning("the helpers failed; computing %d parts here", len(parts), exc_info=True)
        return [task(part, checkpoint=self.checkpoint) for part in parts]

    def _spread(self, helpers: Executor, task: Task[Part, Result], parts: Sequence[Part]) -> list[Result]:
        futures = [helpers.submit(task, part, checkpoint=self.checkpoint) for part in parts]
        try:
            pending = set(futures)
            while pending:
                done, pending = wait(pending, _LOOK_SECONDS, FIRST_EXCEPTION)
                self.checkpoint()
                for future in done:
                    future.result()
                self.report(len(futures) - len(pending), len(futures))
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()


def _elsewhere(seconds: float, left: float) -> Work:
    return Work(seconds, left=left)
