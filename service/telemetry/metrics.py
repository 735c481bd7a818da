"""Prometheus metrics; every label has few values, whatever clients send.

They are module-level, as prometheus-client has it: one process has one set. Where METRICS_DIRECTORY is in the
environment before this module is imported, several processes add theirs up in files there.
"""

import math
import os
import platform
from collections.abc import Callable, Iterator
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from service import __version__
from service.errors import Unavailable
from service.telemetry import METRICS_DIRECTORY

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_REGISTRY = CollectorRegistry()

REQUESTS = Histogram(
    "chainrule_http_request_duration_seconds",
    "From a request's headers to its answer, by method, route template and status.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=_REGISTRY,
)
RUNS = Counter(
    "chainrule_runs",
    "Runs that came to an end, stored or not, by kind and state.",
    ["kind", "state"],
    registry=_REGISTRY,
)
PHASES = Histogram(
    "chainrule_run_phase_seconds",
    "What a run spent its time on: parse (request and graph), compute, persist.",
    ["phase"],
    buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    registry=_REGISTRY,
)
NODES = Histogram(
    "chainrule_graph_nodes",
    "Nodes of the graphs that runs were computed on.",
    buckets=(10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
    registry=_REGISTRY,
)
GRAPH_CACHE = Counter(
    "chainrule_graph_cache_lookups",
    "Stored graphs that were asked for, by whether this process had them ready (hit, miss).",
    ["result"],
    registry=_REGISTRY,
)
GRAPH_CACHE_HIT, GRAPH_CACHE_MISS = (GRAPH_CACHE.labels(result) for result in ("hit", "miss"))


@cache
def _of_requests(method: str, route: str, status: int) -> Histogram:
    return REQUESTS.labels(method, route, status)


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Add a request that was answered."""
    _of_requests(method, route, status).observe(seconds)


@cache
def _of_runs(kind: str, state: str) -> Counter:
    return RUNS.labels(kind, state)


@cache
def _of_phases(phase: str) -> Histogram:
    return PHASES.labels(phase)


def observe_run(kind: str, state: str, phases: dict[str, float]) -> None:
    """Count a run that came to an end; `phases` holds seconds by phase."""
    _of_runs(kind, state).inc()
    for phase, seconds in phases.items():
        _of_phases(phase).observe(seconds)


def exposition(queue_depth: Callable[[], int]) -> bytes:
    """Return all metrics in Prometheus' text format, those of all server processes added up."""
    registry = CollectorRegistry()
    if METRICS_DIRECTORY in os.environ:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # it registers itself
    else:
        registry.register(_REGISTRY)
    registry.register(_Current(queue_depth))
    return generate_latest(registry)


class _Current(Collector):
    """What is asked for at the moment it is shown, and what every process would say alike."""

    def __init__(self, queue_depth: Callable[[], int]) -> None:
        self._queue_depth = queue_depth

    def collect(self) -> Iterator[Metric]:
        """Yield the queue's depth and the build."""
        try:
            depth: float = self._queue_depth()
        except Unavailable:  # the other metrics are wanted all the more then
            depth = math.nan
        yield GaugeMetricFamily("chainrule_queue_depth", "Runs that wait for their turn.", value=depth)
        build = GaugeMetricFamily(
            "chainrule_build_info", "Always 1; the labels say what runs.", labels=["version", "python"]
        )
        build.add_metric([__version__, platform.python_version()], 1)
        yield build
