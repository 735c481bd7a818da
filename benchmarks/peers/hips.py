"""HIPS autograd on Python floats."""

from __future__ import annotations

from typing import Any

import autograd
import autograd.numpy as anp
import numpy as np

from benchmarks.peers import Answer, Prepared, evaluate, leaf_data

NAME = "HIPS autograd"
LIMIT = 10_000

OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda x: -x,
    "tanh": anp.tanh,
    "sigmoid": lambda x: 1 / (1 + anp.exp(-x)),
    "sin": anp.sin,
    "relu": lambda x: anp.where(x > 0, x, 0.0),
}


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    data, is_input = leaf_data(columns)
    inputs = [number for number, kept in zip(data, is_input, strict=True) if kept]

    def value(variables: list[float]) -> float:
        variable = iter(variables)
        leaves = [next(variable) if kept else number for number, kept in zip(data, is_input, strict=True)]
        return evaluate(columns, leaves, OPERATIONS)[output]

    value_and_grad = autograd.value_and_grad(value)
    return Prepared(lambda: value_and_grad(inputs), lambda ran: Answer(float(ran[0]), np.array(ran[1], float)))
