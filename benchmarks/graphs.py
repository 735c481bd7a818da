"""The graphs that are measured, as column documents; the same every time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

Document = dict[str, Any]


class Columns:
    """A column document under construction; each method answers the new node's position."""

    def __init__(self) -> None:
        self.op: list[str] = []
        self.inputs: list[list[int]] = []
        self.data: list[float | None] = []

    def __len__(self) -> int:
        return len(self.op)

    def input(self, data: float) -> int:
        return self._append("input", [], float(data))

    def constant(self, data: float) -> int:
        return self._append("constant", [], float(data))

    def node(self, op: str, *inputs: int) -> int:
        return self._append(op, list(inputs), None)

    def chain(self, op: str, terms: list[int]) -> int:
        """Fold the terms from the left by a two-input operation."""
        result = terms[0]
        for term in terms[1:]:
            result = self.node(op, result, term)
        return result

    def document(self, *outputs: int) -> Document:
        return {
            "columns": {"op": self.op, "inputs": self.inputs, "data": self.data},
            "outputs": list(outputs),
        }

    def _append(self, op: str, inputs: list[int], data: float | None) -> int:
        self.op.append(op)
        self.inputs.append(inputs)
        self.data.append(data)
        return len(self.op) - 1


def neuron() -> Document:
    """The lecture's neuron: tanh(x1*w1 + x2*w2 + b)."""
    graph = Columns()
    x1, x2, w1, w2, b = map(graph.input, (2.0, 0.0, -3.0, 1.0, 6.8813735870195432))
    weighted = graph.node("add", graph.node("mul", x1, w1), graph.node("mul", x2, w2))
    return graph.document(graph.node("tanh", graph.node("add", weighted, b)))


def moons(samples: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two interleaved half circles with noise: points (samples, 2) and labels -1 or 1."""
    generator = np.random.default_rng(1337)
    angle = np.linspace(0, np.pi, samples // 2 + samples % 2)
    outer = np.column_stack([np.cos(angle), np.sin(angle)])
    inner = np.column_stack([1 - np.cos(angle), 0.5 - np.sin(angle)])
    points = np.concatenate([outer, inner])[:samples] + generator.normal(0, 0.1, (samples, 2))
    labels = np.where(np.arange(samples) < len(outer), -1.0, 1.0)
    return points, labels


LAYERS = (2, 16, 16, 1)


def perceptron_parameters(graph: Columns) -> list[list[tuple[list[int], int]]]:
    """Input nodes for the weights and the bias of every neuron of every layer."""
    generator = np.random.default_rng(7)
    return [
        [([graph.input(w) for w in generator.uniform(-1, 1, width)], graph.input(0.0)) for _ in range(height)]
        for width, height in pairwise(LAYERS)
    ]


def perceptron(graph: Columns, layers: list[list[tuple[list[int], int]]], point: list[int]) -> int:
    """The score of a point by a multilayer perceptron of relu neurons and a linear last layer."""
    signal = point
    for depth, layer in enumerate(layers, 1):
        weighted = [
            graph.chain("add", [graph.node("mul", w, x) for w, x in zip(weights, signal, strict=True)] + [bias])
            for weights, bias in layer
        ]
        signal = [graph.node("relu", z) for z in weighted] if depth < len(layers) else weighted
    return signal[0]


def hinge_loss(samples: int) -> Document:
    """The mean of max(0, 1 - label*score) over moons, of a perceptron 2-16-16-1."""
    graph = Columns()
    layers = perceptron_parameters(graph)
    losses = []
    for (x, y), label in zip(*moons(samples), strict=True):
        score = perceptron(graph, layers, [graph.constant(x), graph.constant(y)])
        margin = graph.node("mul", graph.constant(-label), score)
        losses.append(graph.node("relu", graph.node("add", graph.constant(1.0), margin)))
    return graph.document(graph.node("mul", graph.chain("add", losses), graph.constant(1 / samples)))


MIXTURE = {
    "add": 0.25,
    "sub": 0.1,
    "mul": 0.25,
    "tanh": 0.1,
    "sigmoid": 0.05,
    "sin": 0.05,
    "relu": 0.1,
    "neg": 0.1,
}
UNARY = {"tanh", "sigmoid", "sin", "relu", "neg"}


def random_graph(nodes: int, seed: int = 0) -> Document:
    """A random graph of mixed operations in which every node reaches the one output.

    Each new node takes one input that nothing has used yet and, if it has two, another from anywhere.
    """
    generator = np.random.default_rng(seed)
    graph = Columns()
    width = max(2, nodes // 11)
    unused = [graph.input(x) for x in generator.uniform(-1, 1, width)]
    middle = nodes - 2 * width + 1
    for op in generator.choice(list(MIXTURE), size=middle, p=list(MIXTURE.values())).tolist():
        place = int(generator.integers(width))
        inputs = [unused[place]] if op in UNARY else [unused[place], int(generator.integers(len(graph)))]
        unused[place] = graph.node(op, *inputs)
    return graph.document(graph.chain("add", unused))


def chain(nodes: int) -> Document:
    """A chain as deep as it is long: x -> sin(x) * w, over and over."""
    graph = Columns()
    weight = graph.input(1.25)
    x = graph.input(0.5)
    while len(graph) < nodes:
        x = graph.node("mul", graph.node("sin", x), weight)
    return graph.document(x)


GRAPHS: dict[str, Callable[[], Document]] = {
    "neuron": neuron,
    "MLP, 1 sample": lambda: hinge_loss(1),
    "MLP, 100 samples": lambda: hinge_loss(100),
    "random, 1,000": lambda: random_graph(1_000),
    "random, 10,000": lambda: random_graph(10_000),
    "random, 100,000": lambda: random_graph(100_000),
    "random, 1,000,000": lambda: random_graph(1_000_000),
    "chain, 100,000": lambda: chain(100_000),
}
