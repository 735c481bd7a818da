"""micrograd's design in words of our own: an object for each node, holding the closure that passes its gradient on."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers import Answer, Prepared, evaluate, leaf_data

NAME = "micrograd's design"
LIMIT = 1_000_000


class Scalar:
    """A number that remembers what it was computed from."""

    def __init__(self, data: float, parents: tuple[Scalar, ...] = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.parents = set(parents)
        self.pass_back: Callable[[], None] = lambda: None


def unary(value: Callable[[float], float], slope: Callable[[float, float], float]) -> Callable[[Scalar], Scalar]:
    def apply(x: Scalar) -> Scalar:
        y = Scalar(value(x.data), (x,))

        def pass_back() -> None:
            x.grad += slope(x.data, y.data) * y.grad

        y.pass_back = pass_back
        return y

    return apply


def add(a: Scalar, b: Scalar) -> Scalar:
    y = Scalar(a.data + b.data, (a, b))

    def pass_back() -> None:
        a.grad += y.grad
        b.grad += y.grad

    y.pass_back = pass_back
    return y


def sub(a: Scalar, b: Scalar) -> Scalar:
    y = Scalar(a.data - b.data, (a, b))

    def pass_back() -> None:
        a.grad += y.grad
        b.grad -= y.grad

    y.pass_back = pass_back
    return y


def mul(a: Scalar, b: Scalar) -> Scalar:
    y = Scalar(a.data * b.data, (a, b))

    def pass_back() -> None:
        a.grad += b.data * y.grad
        b.grad += a.data * y.grad

    y.pass_back = pass_back
    return y


OPERATIONS: dict[str, Callable[..., Scalar]] = {
    "add": add,
    "sub": sub,
    "mul": mul,
    "neg": unary(lambda x: -x, lambda x, y: -1.0),
    "tanh": unary(math.tanh, lambda x, y: 1 - y * y),
    "sigmoid": unary(lambda x: 1 / (1 + math.exp(-x)), lambda x, y: y * (1 - y)),
    "sin": unary(math.sin, lambda x, y: math.cos(x)),
    "relu": unary(lambda x: x if x > 0 else 0.0, lambda x, y: float(y > 0)),
}


def backward(output: Scalar) -> None:
    """Pass gradients back in reverse topological order; with a stack, where recursion would end at depth 1,000."""
    order: list[Scalar] = []
    seen = {output}
    stack = [(output, iter(output.parents))]
    while stack:
        node, parents = stack[-1]
        for parent in parents:
            if parent not in seen:
                seen.add(parent)
                stack.append((parent, iter(parent.parents)))
                break
        else:
            order.append(node)
            stack.pop()
    output.grad = 1.0
    for node in reversed(order):
        node.pass_back()


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    data, is_input = leaf_data(columns)

    def run() -> tuple[Scalar, list[Scalar]]:
        # Making the objects is evaluating them: there is nothing to keep from one run to the next.
        leaves = [Scalar(number) for number in data]
        result = evaluate(columns, leaves, OPERATIONS)[output]
        backward(result)
        return result, leaves

    def read(ran: tuple[Scalar, list[Scalar]]) -> Answer:
        result, leaves = ran
        grads = [leaf.grad for leaf, kept in zip(leaves, is_input, strict=True) if kept]
        return Answer(result.data, np.array(grads))

    return Prepared(run, read)
