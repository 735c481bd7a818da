"""Documents that several tests post."""

from __future__ import annotations

from typing import Any

NEURON: dict[str, Any] = {
    "name": "tanh neuron",
    "nodes": [
        {"id": "x1", "op": "input", "data": 2.0},
        {"id": "x2", "op": "input", "data": 0.0},
        {"id": "w1", "op": "input", "data": -3.0},
        {"id": "w2", "op": "input", "data": 1.0},
        {"id": "b", "op": "input", "data": 6.881373587019543},
        {"id": "x1w1", "op": "mul", "inputs": ["x1", "w1"], "label": "x1*w1"},
        {"id": "x2w2", "op": "mul", "inputs": ["x2", "w2"]},
        {"id": "sum", "op": "add", "inputs": ["x1w1", "x2w2"]},
        {"id": "n", "op": "add", "inputs": ["sum", "b"]},
        {"id": "o", "op": "tanh", "inputs": ["n"]},
    ],
    "outputs": ["o"],
}


def product(**data: float) -> dict[str, Any]:
    """The graph y = a * b; inputs without a keyword have no data."""
    leaves = [{"id": node, "op": "input"} | ({"data": data[node]} if node in data else {}) for node in "ab"]
    return {"nodes": [*leaves, {"id": "y", "op": "mul", "inputs": ["a", "b"]}]}
