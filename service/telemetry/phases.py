"""What the current run spends its time on, gathered where it is spent."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter

from service.telemetry import tracing

# By context instead of by argument: reading, computing and storing have nothing else to tell each other.
_spent: ContextVar[dict[str, float]] = ContextVar("spent")


def begin() -> None:
    """Forget what was measured before: another request, or another run of a background thread, begins."""
    _spent.set({})


@contextmanager
def measured(phase: str) -> Iterator[None]:
    """Add the block's seconds to a phase, and make it a span of the trace."""
    started = perf_counter()
    with tracing.span(phase):
        try:
            yield
        finally:
            seconds = spent()
            seconds[phase] = seconds.get(phase, 0.0) + perf_counter() - started


def spent() -> dict[str, float]:
    """Return the seconds by phase since the beginning."""
    try:
        return _spent.get()
    except LookupError:
        begin()
        return _spent.get()
