"""One graph over many rows of data, and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.graphs import random_graph
from benchmarks.peers import chainrule, chainrule_tape, evaluate, floor_run
from benchmarks.report import Goal, Section, number
from benchmarks.timing import median_ns
from engine.derivatives import batch, hessian

NODES, ROWS = 1_000, 10_000


def torch_run(columns: dict[str, list[Any]], output: int, data: dict[int, Any]) -> Callable[[], Any] | None:
    """The same batch as PyTorch's users write it: every node a vector of rows; None without PyTorch."""
    try:
        import torch

        from benchmarks.peers.pytorch import OPERATIONS
    except (ImportError, OSError):
        return None
    leaves = [torch.tensor(column, requires_grad=True) for column in data.values()]

    def run() -> list[torch.Tensor]:
        return list(torch.autograd.grad(evaluate(columns, leaves, OPERATIONS)[output].sum(), leaves))

    return run


def batches(report: Callable[[str], None]) -> Section:
    """Values of the output and gradients of all inputs, in every row."""
    document = random_graph(NODES)
    columns, (output,) = document["columns"], document["outputs"]
    graph = chainrule.checked(columns, output)
    inputs = graph.tape.inputs
    generator = np.random.default_rng(3)
    data = {int(position): generator.uniform(-1, 1, ROWS) for position in inputs}
    named = {graph.ids[position]: column for position, column in data.items()}

    def ours(threads: int | None) -> Any:
        return batch(graph, named, value_of=[output], gradient_of=inputs, threads=threads)

    times = {"Chainrule, one thread": median_ns(lambda: ours(1), seconds=2)}
    times["Chainrule, a thread for each core"] = everything = median_ns(lambda: ours(None), seconds=2)
    goals = []
    if torch := torch_run(columns, output, data):
        gradients = np.array([gradient.numpy() for gradient in torch()])
        if not np.allclose(gradients, ours(None).gradients, rtol=1e-7, atol=1e-7):
            raise AssertionError("PyTorch disagrees on the batch")
        times["PyTorch, a vector for each node"] = median_ns(torch, seconds=2)
        goals.append(
            Goal(
                "PyTorch's batch / ours",
                3,
                times["PyTorch, a vector for each node"] / everything,
                at_least=True,
                why="PyTorch computes tanh, sigmoid and sine several rows at a time, the engine calls those of libm "
                "row by row: with tanh alone 15 ns a node and row on one thread, with multiplication alone 2.2. "
                "Without them the engine is 1.3 times as fast as PyTorch, and memory is what both wait for.",
            )
        )
    if c_loop := floor_run(columns, output):
        times["C loop, row after row"] = floor = median_ns(c_loop) * ROWS
        goals.append(Goal("batch, one thread / C loop", 1.5, times["Chainrule, one thread"] / floor))
    for who, time in times.items():
        report(f"batch: {who} {time / NODES / ROWS:.2f} ns per node and row")
    return Section(
        "Batches",
        f"A random graph of {NODES:,} nodes over {ROWS:,} rows: the output's value and the gradients of all "
        f"{len(inputs)} inputs in every row. PyTorch computes with vectors, on all cores too.",
        ["", "ns per node and row"],
        [[who, number(time / NODES / ROWS)] for who, time in times.items()],
        goals,
    )


def second_order(report: Callable[[str], None]) -> Section:
    """A Hessian of 100 inputs, in units of a gradient."""
    document = random_graph(1_100)
    graph = chainrule.checked(document["columns"], document["outputs"][0])
    inputs = len(graph.tape.inputs)
    seed = graph.tape.slots[graph.outputs]
    first = median_ns(lambda: chainrule_tape.sweeps(graph.tape, seed))
    whole = median_ns(lambda: hessian(graph), seconds=1)
    column = whole / inputs / first
    report(f"Hessian: {column:.2f} gradients per column")
    return Section(
        "Second derivatives",
        f"The Hessian of a random graph of {len(graph):,} nodes by its {inputs} inputs, exact, several columns in one "
        "sweep.",
        ["", "µs"],
        [
            ["values and gradients", number(first / 1e3)],
            ["the whole Hessian", number(whole / 1e3)],
            ["one of its columns", number(whole / inputs / 1e3)],
        ],
        [Goal("a column of the Hessian / a gradient", 1, column)],
    )


def sections(report: Callable[[str], None]) -> list[Section]:
    return [batches(report), second_order(report)]
