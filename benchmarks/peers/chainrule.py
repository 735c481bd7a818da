"""The engine itself, through its public call: values, gradients, kinks and whatever else an answer needs."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import Answer, Prepared
from engine.derivatives import Gradient, gradient
from engine.graph import Graph
from engine.operations import INPUT

NAME = "Chainrule, gradient()"
LIMIT = 1_000_000


def checked(columns: dict[str, list[Any]], output: int) -> Graph:
    return Graph.from_document({"columns": columns, "outputs": [output]})


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    graph = checked(columns, output)
    _ = graph.tape  # compiled here, not in the first run

    def read(result: Gradient) -> Answer:
        return Answer(float(result.values[output]), result.gradients[graph.ops == INPUT])

    return Prepared(lambda: gradient(graph), read)
