"""What is measured beside the engine: each module builds a column document into something that runs.

A module offers NAME, LIMIT (the largest graph worth waiting for) and `build(columns, output)`, which answers a
`Prepared`.  A peer whose library is not installed fails to import and is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Answer(NamedTuple):
    """The output's value and its derivative by every `input`, in document order."""

    value: float
    gradients: NDArray[np.float64]


@dataclass(frozen=True)
class Prepared:
    """A graph built once: `run` computes value and gradients again and `read` makes its result comparable."""

    run: Callable[[], Any]
    read: Callable[[Any], Answer]


def evaluate(columns: dict[str, list[Any]], leaves: list[Any], apply: dict[str, Callable[..., Any]]) -> list[Any]:
    """Every node of the columns from given leaves (inputs and constants, in document order)."""
    nodes: list[Any] = []
    append = nodes.append
    leaf = iter(leaves)
    for op, inputs in zip(columns["op"], columns["inputs"], strict=True):
        if not inputs:
            append(next(leaf))
        elif len(inputs) == 1:
            append(apply[op](nodes[inputs[0]]))
        else:
            append(apply[op](nodes[inputs[0]], nodes[inputs[1]]))
    return nodes


def leaf_data(columns: dict[str, list[Any]]) -> tuple[list[float], list[bool]]:
    """The data of all leaves, and which of them are inputs."""
    leaves = [
        (data, op == "input") for op, data in zip(columns["op"], columns["data"], strict=True) if data is not None
    ]
    return [data for data, _ in leaves], [is_input for _, is_input in leaves]


def floor_run(columns: dict[str, list[Any]], output: int) -> Callable[[], Any] | None:
    """The C loop over a graph; None without a compiler."""
    try:
        from benchmarks.peers.c_loop import build
    except ImportError:
        return None
    return build(columns, output).run
