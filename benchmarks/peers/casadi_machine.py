"""CasADi's SX virtual machine, asked for what we give: the value and the gradient of every node."""

from __future__ import annotations

from typing import Any

import casadi
import numpy as np

from benchmarks.peers import Answer, Prepared, evaluate, leaf_data

NAME = "CasADi, every node"
LIMIT = 100_000

OPERATIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "neg": lambda x: -x,
    "tanh": casadi.tanh,
    "sigmoid": lambda x: 1 / (1 + casadi.exp(-x)),
    "sin": casadi.sin,
    "relu": lambda x: casadi.if_else(x > 0, x, 0),
}


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    return prepare(columns, output, every_node=True)


def prepare(columns: dict[str, list[Any]], output: int, *, every_node: bool) -> Prepared:
    """A function of the inputs; for the gradient of every node, of a perturbation (zero) of every node besides."""
    data, is_input = leaf_data(columns)
    inputs = np.array([number for number, kept in zip(data, is_input, strict=True) if kept])
    x = casadi.SX.sym("x", len(inputs))
    variable = iter(casadi.vertsplit(x))
    leaves = [next(variable) if kept else casadi.SX(number) for number, kept in zip(data, is_input, strict=True)]
    if every_node:
        inner = sum(1 for entry in columns["data"] if entry is None)
        perturbation = casadi.SX.sym("e", inner)
        shift = iter(casadi.vertsplit(perturbation))
        apply = {op: lambda *a, f=f: f(*a) + next(shift) for op, f in OPERATIONS.items()}
        nodes = evaluate(columns, leaves, apply)
        arguments = [x, perturbation]
        gradient = casadi.gradient(nodes[output], casadi.vertcat(x, perturbation))
        results = [nodes[output], gradient, casadi.vertcat(*nodes)]
    else:
        nodes = evaluate(columns, leaves, OPERATIONS)
        arguments = [x]
        results = [nodes[output], casadi.gradient(nodes[output], x)]
    function = casadi.Function("f", arguments, results)
    # Buffers spare the conversions of a call from Python.
    buffer, run = function.buffer()
    given = [inputs, np.zeros(0 if not every_node else inner)][: len(arguments)]
    answers = [np.zeros(function.nnz_out(k)) for k in range(len(results))]
    for k, array in enumerate(given):
        buffer.set_arg(k, memoryview(array))
    for k, array in enumerate(answers):
        buffer.set_res(k, memoryview(array))
    # The buffer and both lists must outlive every run.
    keep = (buffer, given, answers)
    return Prepared(run, lambda _: Answer(float(keep[2][0][0]), keep[2][1][: len(inputs)].copy()))
