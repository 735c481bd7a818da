"""The engine's two sweeps over a tape and nothing else: what the C loop does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import Answer, Prepared
from benchmarks.peers.chainrule import LIMIT, checked
from engine.operations import INPUT
from engine.tape import Tape

__all__ = ["LIMIT", "NAME", "build", "sweeps"]

NAME = "Chainrule, sweeps"

ONE = np.ones(1)


def _nothing() -> None:
    pass


def sweeps(tape: Tape, seed: NDArray[np.uint32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values and gradients by slot, from the graph's own data, with 1.0 put into the slots `seed`."""
    return tape.sweep(tape.base, seed, ONE, _nothing)


def build(columns: dict[str, list[Any]], output: int) -> Prepared:
    graph = checked(columns, output)
    tape = Tape(graph)
    seed = tape.slots[[output]]

    def read(result: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Answer:
        values, gradients = (tape.to_nodes(by_slot) for by_slot in result)
        return Answer(float(values[output]), gradients[graph.ops == INPUT])

    return Prepared(lambda: sweeps(tape, seed), read)
