"""Blocks of independent rows over one tape, worked through together, so that they stay in cache."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.tape import Tape

Array = NDArray[np.float64]

LANES = 128
"""Rows of a batch that are worked through together."""
_BLOCK_BYTES = 1 << 22
"""About what a block's values, local derivatives and adjoints may take, so that they stay near."""


def lanes_of(tape: Tape) -> int:
    """How many rows make a block over this tape."""
    fits = _BLOCK_BYTES // (32 * tape.size)
    return int(min(LANES, max(8, 1 << max(fits, 1).bit_length() - 1)))


def stretches(tape: Tape, rows: int, lanes: int, threads: int | None) -> list[tuple[int, int]]:
    """The rows in stretches of whole blocks, one for each thread: as many as there are cores unless told otherwise."""
    threads = threads or os.cpu_count() or 1
    # A thread is worth starting for about a millisecond of work.
    share = max(-(-rows // threads), -(-(1 << 19) // max(tape.rows, 1)))
    share = -(-share // lanes) * lanes
    return [(start, min(start + share, rows)) for start in range(0, rows, share)]


class Block:
    """The arrays of one thread, used again for each of its blocks: v, g (S, lanes) and l (R, 2, lanes).

    The leaves hold the slots' values `base` (S,) in every lane until others are written there.
    """

    def __init__(self, tape: Tape, base: Array, lanes: int) -> None:
        self.tape = tape
        leaves = np.concatenate([tape.slots[tape.inputs], tape.slots[tape.constants], np.arange(tape.rows, tape.size)])
        self.v = np.zeros((tape.size, lanes))
        self.v[leaves] = base[leaves, None]
        self.l = np.zeros((tape.rows, 2, lanes))
        self.g = np.empty((tape.size, lanes))
        self.kinked = np.zeros(len(tape.kinked), bool)
        self._marks = np.empty(lanes)
        self._scratch = np.empty((2, tape.widest))

    def forward(self, lanes: int) -> None:
        """The values, and local derivatives, of the first lanes from their leaves."""
        tape = self.tape
        kernels.forward_block(tape.ops, tape.a, tape.b, self.v, self.l, lanes, self._scratch[0], self._scratch[1])

    def mark_kinks(self, lanes: int) -> None:
        """Sets in `kinked` which of the tape's rows with kinks sit on one in any of the first lanes."""
        tape = self.tape
        if len(self.kinked):
            kernels.kinks_block(tape.ops, tape.a, tape.b, self.v, lanes, tape.kinked, self.kinked)

    def backward(self, seed_slots: NDArray[np.uint32], seeds: Array, lanes: int) -> None:
        """The adjoints of the first lanes, from the gradient put into some slots; constants have none."""
        tape = self.tape
        self.g[:] = 0.0
        for slot, seed in zip(seed_slots, seeds, strict=True):
            self.g[slot] += seed
        kernels.backward_block(tape.a, tape.b, self.l, self.g, lanes)
        self.g[tape.slots[tape.constants]] = 0.0

    def nonfinite(self, lanes: int) -> int | None:
        """The first lane with a non-finite value or gradient, if any."""
        bad = np.zeros(lanes, bool)
        for block in (self.v, self.g):
            kernels.nonfinite_lanes(block, self.tape.rows, lanes, self._marks)
            bad |= np.isnan(self._marks[:lanes])
        return int(bad.argmax()) if bad.any() else None
