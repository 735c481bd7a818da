"""How long something takes: the median of repeated runs."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any


def median_ns(
    run: Callable[[], Any], *, seconds: float = 0.5, least: int = 5, most: int = 2000, collector: bool = False
) -> float:
    """The median time of a run in nanoseconds; short runs are timed many at a time.

    Runs at least `least` times (after one that warms up), then for about `seconds`. The garbage
    collector is out of the way unless `collector` says that it belongs to what is measured.
    """
    gc.collect()
    if not collector:
        gc.disable()
    try:
        start = perf_counter_ns()
        run()
        first = max(perf_counter_ns() - start, 1)
        # Below 50 microseconds the clock and the loop around it would be measured along.
        together = max(1, 50_000 // first)
        rounds = min(most, max(least, int(seconds * 1e9 / (first * together))))
        times = []
        for _ in range(rounds):
            start = perf_counter_ns()
            for _ in range(together):
                run()
            times.append((perf_counter_ns() - start) / together)
    finally:
        gc.enable()
    return statistics.median(times)


def once_ns(run: Callable[[], Any]) -> tuple[float, Any]:
    """The time of a single run in nanoseconds, and what it answered."""
    gc.collect()
    start = perf_counter_ns()
    answer = run()
    return float(perf_counter_ns() - start), answer
