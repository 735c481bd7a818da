"""One graph over many rows of data, and second derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.graphs import Document, hinge_loss, random_graph
from benchmarks.peers import chainrule, chainrule_tape, evaluate, floor_run
from benchmarks.report import Goal, Section, number
from benchmarks.timing import median_ns
from engine.derivatives import batch, hessian

NODES, ROWS = 1_000, 10_000
ONE, ALL = "Chainrule, one thread", "Chainrule, a thread for each core"
TORCH, C_LOOP = "PyTorch, a vector for each node", "C loop, row after row"
WHY = {
    "random graph": "other tenants of the machine slow the two threads and PyTorch's one unequally: repeated runs gave "
    "3.0 to 4.2.",
    "network": "a third of its nodes are inputs: to read their rows and to write their gradients, 54 MB, takes longer "
    "than the loops over blocks, which are 0.5 of the 1.3 ns that one thread takes.",
}
"""What keeps the ratio to PyTorch from its goal, where something does."""


def torch_run(columns: dict[str, list[Any]], output: int, data: dict[int, Any]) -> Callable[[], Any] | None:
    """The same batch as PyTorch's users write it: every node a vector of rows; None without PyTorch."""
    try:
        import torch

        from benchmarks.peers.pytorch import OPERATIONS
    except (ImportError, OSError):
        return None
    inputs = {position: torch.tensor(column, requires_grad=True) for position, column in data.items()}
    leaves = [
        inputs[position] if op == "input" else torch.tensor(columns["data"][position], dtype=torch.float64)
        for position, op in enumerate(columns["op"])
        if op in ("input", "constant")
    ]

    def run() -> list[torch.Tensor]:
        return list(torch.autograd.grad(evaluate(columns, leaves, OPERATIONS)[output].sum(), list(inputs.values())))

    return run


def measured(document: Document) -> dict[str, float]:
    """Who -> nanoseconds per node and row, for the output's value and the gradients of all inputs in every row."""
    columns, (output,) = document["columns"], document["outputs"]
    graph = chainrule.checked(columns, output)
    inputs = graph.tape.inputs
    generator = np.random.default_rng(3)
    data = {int(position): generator.uniform(-1, 1, ROWS) for position in inputs}
    named = {graph.ids[position]: column for position, column in data.items()}

    def ours(threads: int | None) -> Any:
        return batch(graph, named, value_of=[output], gradient_of=inputs, threads=threads)

    times = {
        ONE: median_ns(lambda: ours(1), seconds=2),
        ALL: median_ns(lambda: ours(None), seconds=2),
    }
    if torch := torch_run(columns, output, data):
        gradients = np.array([gradient.numpy() for gradient in torch()])
        if not np.allclose(gradients, ours(None).gradients, rtol=1e-7, atol=1e-7):
            raise AssertionError("PyTorch disagrees on the batch")
        times[TORCH] = median_ns(torch, seconds=2)
    if c_loop := floor_run(columns, output):
        times[C_LOOP] = median_ns(c_loop) * ROWS
    return {who: time / len(graph) / ROWS for who, time in times.items()}


def batches(report: Callable[[str], None]) -> Section:
    """Values of the output and gradients of all inputs, in every row."""
    random, network = measured(random_graph(NODES)), measured(hinge_loss(1))
    for who, time in random.items():
        report(f"batch: {who} {time:.2f} ns per node and row, over the network {network[who]:.2f}")
    goals = []
    if TORCH in random:
        for name, times in (("random graph", random), ("network", network)):
            goals.append(
                Goal(
                    f"PyTorch's batch / ours, {name}",
                    3,
                    times[TORCH] / times[ALL],
                    at_least=True,
                    why=WHY[name],
                )
            )
    if C_LOOP in random:
        goals.append(Goal("batch, one thread / C loop", 1.5, random[ONE] / random[C_LOOP]))
    return Section(
        "Batches",
        f"A random graph of {NODES:,} nodes, and the perceptron 2-16-16-1 on one sample with its loss, over {ROWS:,} "
        "rows: the output's value and the gradients of all inputs in every row, in nanoseconds per node and row. "
        "PyTorch computes with vectors, on all cores too.",
        ["", "random graph", "network"],
        [[who, number(random[who]), number(network[who])] for who in random],
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
