"""PyTorch on zero-dimensional float64 tensors, which is what a graph of scalars is to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.peers import Answer, Prepared, evaluate, leaf_data

NAME = "PyTorch"
LIMIT = 100_000

OPERATIONS = {
    "add": torch.add,
    "sub": torch.sub,
    "mul": torch.mul,
    "neg": torch.neg,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "sin": torch.sin,
    "relu": torch.relu,
}


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    data, is_input = leaf_data(columns)
    leaves = [
        torch.tensor(number, dtype=torch.float64, requires_grad=kept)
        for number, kept in zip(data, is_input, strict=True)
    ]

    def run() -> torch.Tensor:
        for leaf in leaves:
            leaf.grad = None
        result = evaluate(columns, leaves, OPERATIONS)[output]
        result.backward()
        return result

    def read(result: torch.Tensor) -> Answer:
        grads = [leaf.grad.item() for leaf, kept in zip(leaves, is_input, strict=True) if kept]
        return Answer(result.item(), np.array(grads))

    return Prepared(run, read)
