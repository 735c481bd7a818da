"""Blocks of independent rows over one tape, worked through together, so that they stay in cache."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.rows import LINK
from engine.tape import Tape

Array = NDArray[np.float64]
Result = TypeVar("Result")

LANES = 128
"""Rows of a batch that are worked through together, at the most; a power of two."""
TOGETHER = LANES
"""Rows of a batch that are summed together, one after the other, before such sums are."""
_BLOCK_BYTES = 1 << 23
"""About what a block's values and adjoints may take, so that they stay near."""
_SHARE = 1 << 19
"""Cells that are worth a thread: about half a millisecond."""


def lanes_of(tape: Tape) -> int:
    """How many rows make a block over this tape."""
    fits = _BLOCK_BYTES // (16 * tape.size)
    return int(min(LANES, max(8, 1 << max(fits, 1).bit_length() - 1)))


def threads_for(tape: Tape, rows: int, threads: int | None) -> int:
    """How many threads share the rows of a batch: one for each core unless told otherwise."""
    return max(1, min(threads or os.cpu_count() or 1, rows * tape.rows // _SHARE))


def in_threads(work: Callable[[], Result], threads: int) -> list[Result]:
    """What a task answers in each of so many threads, of which the caller's is the first."""
    if threads == 1:
        return [work()]
    with ThreadPoolExecutor(threads - 1, "chainrule-batch") as pool:
        others = [pool.submit(work) for _ in range(threads - 1)]
        return [work(), *(other.result() for other in others)]


def stretches(tape: Tape, rows: int, lanes: int, threads: int | None) -> list[tuple[int, int]]:
    """The rows in stretches of whole blocks, one for each thread: as many as there are cores unless told otherwise."""
    share = -(-rows // (lanes * threads_for(tape, rows, threads))) * lanes
    return [(start, min(start + share, rows)) for start in range(0, rows, share)]


def addresses(columns: Iterable[Array]) -> NDArray[np.int64]:
    """Where contiguous arrays lie in memory, for loops that take any number of them."""
    return np.array([column.__array_interface__["data"][0] for column in columns], np.int64)


class Block:
    """The arrays of one thread, used again for each of its blocks: v, g (S, lanes) and l (R, 2, lanes).

    The leaves hold the slots' values `base` (S,) in every lane until others are written there. The gradient is put
    into `seed_slots`.
    """

    def __init__(self, tape: Tape, base: Array, lanes: int, seed_slots: NDArray[np.uint32] | None = None) -> None:
        self.tape = tape
        self.lanes = lanes
        self.seed_slots = np.empty(0, np.uint32) if seed_slots is None else seed_slots
        # Not zeroed: what is not written is not read either, and its pages cost nothing.
        self.v, self.g = np.empty((2, tape.size, lanes))
        self.l = np.empty((tape.rows, 2, lanes))
        self._leaves = np.flatnonzero(tape.ops < 2).astype(np.uint32)
        self._computed = np.flatnonzero(tape.ops >= 2).astype(np.uint32)
        self._constants = tape.slots[tape.constants]
        given = np.concatenate([np.flatnonzero((tape.ops < 2) | (tape.ops == LINK)), np.arange(tape.rows, tape.size)])
        self.v[given] = base[given, None]
        used = np.zeros(tape.size, bool)
        used[self.seed_slots] = True
        self._keep = np.empty((len(self._computed), 2), np.int64)
        kernels.first_uses(tape.a, tape.b, self._computed, used, self._keep)
        used[self.seed_slots] = False
        self._unstarted = np.flatnonzero(~used).astype(np.uint32)
        self.kinked = np.zeros(len(tape.kinked), bool)
        self._scratch = np.empty((2, tape.widest))

    def forward(self, lanes: int) -> None:
        """The values, and local derivatives, of the first lanes from their leaves."""
        tape = self.tape
        xs, ds = self._scratch
        rows = self._computed
        kernels.forward_block(tape.ops, tape.a, tape.b, rows, self.v, self.l, lanes, xs, ds)

    def _mend(self, seeds: Array, lanes: int) -> None:
        """Does the adjoints again, with all care, of lanes in which an exact zero may have met infinity."""
        tape = self.tape
        for lane in np.flatnonzero(np.isnan(self.g[: tape.rows, :lanes]).any(axis=0)):
            _, self.g[:, lane] = tape.sweep(self.v[:, lane].copy(), self.seed_slots, seeds, lambda: None)
            self.g[self._constants, lane] = 0.0

    def _first_nonfinite(self, lanes: int) -> int | None:
        """The first lane with a non-finite value or gradient, if any."""
        rows = self.tape.rows
        good = np.isfinite(self.v[:rows, :lanes]).all(axis=0) & np.isfinite(self.g[:rows, :lanes]).all(axis=0)
        return None if good.all() else int(good.argmin())

    def differentiate(
        self,
        columns: tuple[NDArray[np.int64], NDArray[np.uint32]],
        seeds: Array,
        values: tuple[NDArray[np.uint32], Array],
        gradients: tuple[NDArray[np.uint32], Array],
        together: int,
        first: int,
        stop: int,
    ) -> int | None:
        """Forward and backward over rows first to stop of a batch; answers the first in which something is not finite.

        columns: the addresses of float64 arrays (rows,) and the slots of the leaves that they fill; values, gradients:
        slots, and the arrays (slots, rows) that take theirs, or zeros (slots, rows / together) that take the sums of so
        many rows together. Marks in `kinked` which of the tape's rows with kinks sit
        on one in any row of the batch.
        """
        tape = self.tape
        xs, ds = self._scratch
        bad_row = None
        while True:
            first = kernels.gradient_blocks(
                tape.ops, tape.a, tape.b, self._computed, self._keep, self.v, self.l, self.g, xs, ds,
                tape.kinked, self.kinked, self._unstarted, self._constants, self._leaves, self.seed_slots, seeds,
                *columns, *values, *gradients, together, first, stop,
            )  # fmt: skip
            if first == stop:
                return bad_row
            lanes = min(self.lanes, stop - first)
            self._mend(seeds, lanes)
            kernels.keep_lanes(self.v, values[0], lanes, values[1], together, first)
            kernels.keep_lanes(self.g, gradients[0], lanes, gradients[1], together, first)
            if bad_row is None and (lane := self._first_nonfinite(lanes)) is not None:
                bad_row = first + lane
            first += lanes
