"""Graph -> Tape: opcodes and operands as flat arrays, in evaluation order, ready for the compiled loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.generate import forms
from engine.graph import Graph
from engine.operations import CONSTANT, INPUT

_KINKED = np.zeros(256, bool)
for _form in forms():
    _KINKED[_form.code] = _form.operation.kink is not None

STRETCH = 1 << 18
"""Rows worked through between two checkpoints: a few milliseconds."""

_SMALL = 1 << 11
"""Fewer rows are worked through forward and backward in one call: what a call costs is felt."""

_GROUPED_TO = 1 << 18
"""With more rows, those of a group lie so far apart that the cache misses cost more than the branches did."""

_EMPTY = np.empty(0, np.int32)


class Tape:
    """A compiled graph, shared freely between threads: nothing in it changes with the values that run through it.

    rows: ops uint8[R], a uint32[R], b uint32[R]; `base` float64[S] holds the graph's data and literals in their
    slots; `slots` uint32[n] is the slot of each of the graph's n nodes.
    """

    def __init__(self, graph: Graph) -> None:
        nodes = len(graph.ops)
        counts = np.diff(graph.offsets)
        wide = counts[counts > 2]
        rows = nodes + int(wide.sum()) - 2 * len(wide)
        self.rows = rows
        self.size = rows + len(graph.literals) + 1
        self._code = np.zeros(9 * rows + 4, np.uint8)
        self.a = self._code[: 4 * rows].view(np.uint32)
        self.b = self._code[4 * rows : 8 * rows].view(np.uint32)
        self.ops = self._code[8 * rows + 4 :]
        self.slots = np.empty(nodes, np.uint32)
        order = _EMPTY if graph.order is None else graph.order
        self.widest = kernels.assemble(
            graph.ops, graph.offsets, graph.operands, order, self.size, self.ops, self.a, self.b, self.slots
        )
        self._work_size = 2 * (self.size + rows + self.widest)
        self.in_place = rows == nodes and graph.order is None
        """Whether node k has slot k."""
        self.base = np.zeros(self.size)
        self.base[rows:-1] = graph.literals
        self.base[:nodes] = graph.data if self.in_place else 0.0
        if not self.in_place:
            self.base[self.slots] = graph.data
        self.constants = np.flatnonzero(graph.ops == CONSTANT)
        """Positions of the constant nodes."""
        self.inputs = np.flatnonzero(graph.ops == INPUT)
        """Positions of the input nodes."""
        self._packed = self._code, 0, 0
        """What kernels.sweep takes: the rows, and their groups once they are found."""
        self._groups: tuple[NDArray[np.uint32], NDArray[np.uint8], NDArray[np.uint32]] | None = None
        self._runs = 0

    @property
    def nbytes(self) -> int:
        """Bytes held by the arrays."""
        arrays = [self._code, self.slots, self.base, self.constants, self.inputs, *(self._groups or ())]
        return sum(array.nbytes for array in arrays)

    @cached_property
    def kinked(self) -> NDArray[np.uint32]:
        """The rows whose operation has a kink somewhere."""
        return np.flatnonzero(_KINKED[self.ops]).astype(np.uint32)

    def to_nodes(self, by_slot: NDArray[np.float64]) -> NDArray[np.float64]:
        """The entries of the graph's nodes, in document order, from an array over slots (its first axis)."""
        return by_slot[: self.rows] if self.in_place else by_slot[self.slots]

    def positions_of(self, slots: NDArray[np.uint32]) -> list[int]:
        """The nodes' positions, in document order, from their slots."""
        if self.in_place:
            return [int(slot) for slot in slots]
        nodes = np.zeros(self.rows, bool)
        nodes[slots] = True
        return [int(position) for position in np.flatnonzero(nodes[self.slots])]

    def reached(self, positions: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which slots (S,) the nodes at these positions are computed from, their own included."""
        marked = np.zeros(self.size, bool)
        kernels.reach(self.a, self.b, self.slots[np.asarray(positions, np.int64)], marked)
        return marked

    def forward(self, v: NDArray[np.float64], checkpoint: Callable[[], None]) -> NDArray[np.float64]:
        """Completes the values v (S,) from the leaves' and answers the local derivatives (R, 2).

        From the second run on, rows are worked through in groups of one operation where the graph is broad enough
        for that to pay; the results are the same bits.
        """
        xs, ds = np.empty((2, self.widest))
        if self._runs < 2:
            self._count_run()
        l = np.empty((self.rows, 2))
        if self._groups is not None:
            checkpoint()
            rows, ops, starts = self._groups
            kernels.forward_groups(self.ops, self.a, self.b, rows, ops, starts, v, l, 0, len(ops), xs, ds)
            return l
        for start in range(0, self.rows, STRETCH):
            checkpoint()
            kernels.forward(self.ops, self.a, self.b, v, l, start, min(start + STRETCH, self.rows), xs, ds)
        return l

    def backward(
        self,
        l: NDArray[np.float64],
        seed_slots: NDArray[np.uint32],
        seeds: NDArray[np.float64],
        checkpoint: Callable[[], None],
    ) -> NDArray[np.float64]:
        """The adjoints (S,) of all slots, from the local derivatives (R, 2) and the gradient put into some slots."""
        for loop in (kernels.backward_unguarded, kernels.backward):
            g = np.zeros(self.size)
            for slot, seed in zip(seed_slots.tolist(), seeds.tolist(), strict=True):
                g[slot] += seed
            for stop in range(self.rows, 0, -STRETCH):
                checkpoint()
                loop(self.a, self.b, l, g, max(stop - STRETCH, 0), stop)
            if not kernels.any_nan(g):
                break
        return g

    def sweep(
        self,
        base: NDArray[np.float64],
        seed_slots: NDArray[np.uint32],
        seeds: NDArray[np.float64],
        checkpoint: Callable[[], None],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Forward and backward: the values (S,) and the adjoints (S,), from the leaves' values in base (S,)."""
        size = self.size
        if self.rows >= _SMALL:
            v = base.copy()
            return v, self.backward(self.forward(v, checkpoint), seed_slots, seeds, checkpoint)
        checkpoint()
        if self._runs < 2:
            self._count_run()
        work = np.empty(self._work_size)
        code, grouped, groups = self._packed
        kernels.sweep(code, self.rows, grouped, groups, base, work, seed_slots, seeds)
        return work[:size], work[size : 2 * size]

    def _count_run(self) -> None:
        self._runs += 1
        if self._runs == 2 and self.rows < _GROUPED_TO:
            self._regroup()

    def _regroup(self) -> None:
        rows = np.empty(self.rows, np.uint32)
        ops = np.empty(self.rows, np.uint8)
        starts = np.empty(self.rows + 1, np.uint32)
        groups = kernels.regroup(self.ops, self.a, self.b, rows, ops, starts)
        # A group costs about as much to enter as a few rows save.
        if groups * 4 > starts[groups]:
            return
        grouped = int(starts[groups])
        self._groups = rows[:grouped].copy(), ops[:groups].copy(), starts[: groups + 1].copy()
        if self.rows < _SMALL:
            parts = [self.a, self.b, *(self._groups[k] for k in (0, 2)), self.ops, self._groups[1]]
            self._packed = np.concatenate([part.view(np.uint8) for part in parts]), grouped, groups
