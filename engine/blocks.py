"""Blocks of independent rows over one tape, worked through together, so that they stay in cache."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.tape import Tape

Array = NDArray[np.float64]

LANES = 256
"""Rows of a batch that are worked through together."""
_BLOCK_BYTES = 1 << 22
"""About what a block's values and adjoints may take, so that they stay near."""


def lanes_of(tape: Tape) -> int:
    """How many rows make a block over this tape."""
    fits = _BLOCK_BYTES // (16 * tape.size)
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

    The leaves hold the slots' values `base` (S,) in every lane until others are written there. The gradient is put
    into `seed_slots`.
    """

    def __init__(self, tape: Tape, base: Array, lanes: int, seed_slots: NDArray[np.uint32] | None = None) -> None:
        self.tape = tape
        self.seed_slots = np.empty(0, np.uint32) if seed_slots is None else seed_slots
        # In one piece, for which the system may take huge pages.
        self.v, self.g = np.zeros((2, tape.size, lanes))
        self.l = np.zeros((tape.rows, 2, lanes))
        self._leaves = np.flatnonzero(tape.ops < 2).astype(np.uint32)
        self._computed = np.flatnonzero(tape.ops >= 2).astype(np.uint32)
        literals = np.arange(tape.rows, tape.size)
        for leaves in (self._leaves, literals):
            self.v[leaves] = base[leaves, None]
        used = np.zeros(tape.size, bool)
        used[self.seed_slots] = True
        self._keep = np.empty((len(self._computed), 2), np.int64)
        kernels.first_uses(tape.a, tape.b, self._computed, used, self._keep)
        used[self.seed_slots] = False
        self._unstarted = np.flatnonzero(~used)
        self.kinked = np.zeros(len(tape.kinked), bool)
        self._suspect = False
        self._scratch = np.empty((2, tape.widest))

    def forward(self, lanes: int) -> None:
        """The values, and local derivatives, of the first lanes from their leaves."""
        tape = self.tape
        xs, ds = self._scratch
        rows = self._computed
        self._suspect = kernels.forward_block(tape.ops, tape.a, tape.b, rows, self.v, self.l, lanes, xs, ds)

    def mark_kinks(self, lanes: int) -> None:
        """Sets in `kinked` which of the tape's rows with kinks sit on one in any of the first lanes."""
        tape = self.tape
        if len(self.kinked):
            kernels.kinks_block(tape.ops, tape.a, tape.b, self.v, lanes, tape.kinked, self.kinked)

    def backward(self, seeds: Array, lanes: int) -> None:
        """The adjoints of the first lanes, from the gradient put into each seed slot; constants have none."""
        tape = self.tape
        self.g[self._unstarted] = 0.0
        for slot, seed in zip(self.seed_slots, seeds, strict=True):
            self.g[slot] += seed
        suspect = kernels.backward_block(
            tape.ops, tape.a, tape.b, self._computed, self._keep, self.v, self.l, self.g, lanes
        )
        self.g[tape.slots[tape.constants]] = 0.0
        if suspect or kernels.any_nonfinite(self.g, self._leaves, lanes):
            self._suspect = True
            for lane in np.flatnonzero(np.isnan(self.g[: tape.rows, :lanes]).any(axis=0)):
                # There an exact zero may have met infinity, which takes more care.
                _, self.g[:, lane] = tape.sweep(self.v[:, lane].copy(), self.seed_slots, seeds, lambda: None)
                self.g[tape.slots[tape.constants], lane] = 0.0

    def nonfinite(self, lanes: int) -> int | None:
        """The first lane with a non-finite value or gradient, if any, after backward."""
        rows = self.tape.rows
        if not self._suspect and not kernels.any_nonfinite(self.v, self._leaves, lanes):
            return None
        good = np.isfinite(self.v[:rows, :lanes]).all(axis=0) & np.isfinite(self.g[:rows, :lanes]).all(axis=0)
        return None if good.all() else int(good.argmin())
