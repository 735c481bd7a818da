"""`python -m benchmarks.distributed`: large runs on one Dask worker and on two, for a part of docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.graphs import Columns, Document, perceptron, perceptron_parameters, random_graph
from benchmarks.report import Goal, Section, machine, number, part, write_part
from engine.graph import Graph
from engine.operations import INPUT
from service.helpers import Cluster
from service.kinds import KINDS
from service.work import Work
from tests.dask import DaskCluster, wait_until

WORKERS = (1, 2)


@dataclass(frozen=True)
class Run:
    """A large run: what is computed, of which graph, with which options of the request."""

    name: str
    kind: str
    graph: Graph
    options: Mapping[str, Any]

    def compute(self, under: Work) -> dict[str, bytes]:
        """Its results, to the bit."""
        arrays = KINDS[self.kind].compute(self.graph, self.options, under).arrays
        return {name: array.tobytes() for name, array in arrays.items()}

    def cells(self) -> int:
        return KINDS[self.kind].cost(self.graph, self.options)


def loss_of_a_point() -> Document:
    """The hinge loss of one point under a perceptron 2-16-16-1; the first three inputs are the point and its label."""
    graph = Columns()
    point, label = [graph.input(0.0), graph.input(0.0)], graph.input(1.0)
    margin = graph.node("mul", label, perceptron(graph, perceptron_parameters(graph), point))
    return graph.document(graph.node("relu", graph.node("sub", graph.constant(1.0), margin)))


def batch(name: str, document: Document, rows: int, batched: int, **options: Any) -> Run:
    """A batch of random rows for the first inputs of a graph."""
    graph = Graph.from_document(document)
    generator = np.random.default_rng(7)
    inputs = {graph.ids[k]: generator.uniform(-1, 1, rows) for k in np.flatnonzero(graph.ops == INPUT)[:batched]}
    return Run(name, "gradient", graph, {"inputs": inputs, **options})


def runs() -> list[Run]:
    """What is measured; the goal is about the first."""
    loss, mixed = loss_of_a_point(), random_graph(1_000)
    wide = Graph.from_document(random_graph(100_000))
    inputs = [wide.ids[k] for k in wide.tape.inputs]
    return [
        batch("batch of 2,000,000 rows, mean of the gradients", loss, 2_000_000, 3, reduce="mean"),
        batch("batch of 200,000 rows, 16 numbers from each", mixed, 200_000, 8, select=[str(k) for k in range(8)]),
        Run("Jacobian, 1,000 by 1,000", "jacobian", wide, {"outputs": wide.ids[-1_000:], "wrt": inputs[:1_000]}),
        Run("Hessian, 500 by 500", "hessian", wide, {"wrt": inputs[:500]}),
    ]


def crew(cluster: Cluster) -> int:
    try:
        return cluster.crew().width
    except OSError:
        return 0


def measure(rounds: int, report: Callable[[str], None]) -> list[tuple[Run, dict[int, float], int]]:
    """Each run with its best time in seconds by the number of workers, and into how many tasks it was split.

    Every run has its turn on every cluster in every round: what else the machine does falls on all of them.
    """
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        clusters = {}
        for workers in WORKERS:
            directory = Path(folder, str(workers))
            directory.mkdir()
            started = DaskCluster(directory, workers, preload="service.kinds")
            stack.callback(started.stop)
            clusters[workers] = cluster = Cluster(started.address)
            stack.callback(cluster.close)
            wait_until(lambda cluster=cluster, workers=workers: crew(cluster) == workers)
        found = []
        for run in runs():
            alone = run.compute(Work(3600))
            best, tasks = dict.fromkeys(WORKERS, float("inf")), 0
            for _ in range(rounds):
                for workers, cluster in clusters.items():
                    under = Work(3600, cluster.pool)
                    begin = time.perf_counter()
                    answer = run.compute(under)
                    best[workers] = min(best[workers], time.perf_counter() - begin)
                    if answer != alone:
                        raise AssertionError(f"{run.name}: {workers} workers answer something else")
                    tasks = under.progress["total"] if under.progress else 1
            report(f"{run.name}: {best[1]:.3f} s, {best[2]:.3f} s, {best[1] / best[2]:.2f} times, {tasks} tasks")
            found.append((run, best, tasks))
        return found


def section(rounds: int, report: Callable[[str], None]) -> Section:
    """How throughput grows with Dask workers."""
    measured = measure(rounds, report)
    rows = [
        [
            run.name,
            f"{run.cells() / 1e6:,.0f}",
            str(tasks),
            *(number(best[workers]) for workers in WORKERS),
            number(best[1] / best[2]),
        ]
        for run, best, tasks in measured
    ]
    _, best, _ = measured[0]
    return Section(
        "Dask workers",
        "Large runs, split over worker processes of one thread each, by the code that computes queued runs: from the "
        "request that was read until all results are together. They are compared with those of the same run in one "
        f"piece, bit by bit. Times are the best of {rounds} rounds, in each of which one worker and two have their "
        "turn. The scheduler and the process that splits share the processors with the workers; that, and sending, "
        "is what a ratio lacks to 2. All of these are beyond the default `CHAINRULE_MAX_BATCH_CELLS`: what that "
        "allows takes a fraction of a second, which is hardly worth splitting.",
        ["", "cells, millions", "tasks", "one worker, s", "two workers, s", "times faster"],
        rows,
        [Goal("a split batch: one Dask worker / two", 1.6, best[1] / best[2], at_least=True)],
    )


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.distributed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each run has its turn")
    parser.add_argument("--dry", action="store_true", help="print only, and write nothing")
    options = parser.parse_args()
    found = section(options.rounds, say)
    text = part("Spread over workers", f"Measured by `make spread` on {machine()}.", [found])
    print(text)
    if not options.dry:
        write_part("spread", text)


if __name__ == "__main__":
    main()
