"""What the current run spends its time on, gathered where it is spent."""

from contextvars import ContextVar
from time import perf_counter
from typing import Any

from service.telemetry import tracing

# By context instead of by argument: reading, computing and storing have nothing else to tell each other.
_spent: ContextVar[dict[str, float]] = ContextVar("spent")


def begin() -> None:
    """Forget what was measured before: another request, or another run of a background thread, begins."""
    _spent.set({})


class measured:
    """Add the block's seconds to a phase, and make it a span of the trace."""

    __slots__ = ("_phase", "_span", "_started")

    def __init__(self, phase: str) -> None:
        self._phase = phase
        self._span = tracing.span(phase)

    def __enter__(self) -> None:
        self._started = perf_counter()
        if self._span is not None:
            self._span.__enter__()

    def __exit__(self, *error: Any) -> None:
        if self._span is not None:
            self._span.__exit__(*error)
        seconds = spent()
        seconds[self._phase] = seconds.get(self._phase, 0.0) + perf_counter() - self._started


def spent() -> dict[str, float]:
    """Return the seconds by phase since the beginning."""
    try:
        return _spent.get()
    except LookupError:
        begin()
        return _spent.get()
