"""What surrounds a computation: when it has to stop, and whom it tells how far it is."""

import threading
import time


class DeadlineExceeded(Exception):
    """A computation has used up its seconds."""


class Interrupted(Exception):
    """A computation is to end without a result: its run was cancelled, or is someone else's."""


class Work:
    """One computation under way.

    `checkpoint` goes to the engine's loops, which call it every few milliseconds. `report` says how far a
    computation of several steps is; it costs next to nothing.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._reason: Exception | None = None
        self._stopped = threading.Event()
        self.progress: dict[str, int] | None = None

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
