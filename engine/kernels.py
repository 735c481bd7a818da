"""The compiled loops over a tape that know no operation.

Slots: a tape of R rows and L literals has S = R + L + 1 of them; row i computes slot i, the last slot stands in for
an operand that is not there. Everywhere, an exact zero passes nothing on: where a local derivative or what arrives
is exactly 0, the contribution is exactly 0, also when the other factor is infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types

from engine.generate import CONSTANT_SECOND, OF_TWO
from engine.jit import compiled, inlined
from engine.operations import CONSTANT, OPCODES, OPERATIONS
from engine.primitives import chain
from engine.rows import LINK, gather, gather_lane
from engine.rules import (
    DENSE,
    backward_block,
    curvature,
    dense_tangent,
    forward,
    forward_block,
    forward_groups,
    kinks,
    kinks_block,
    narrow_value,
    wide_value,
)

__all__ = [
    "add_lanes",
    "adjoints",
    "any_nan",
    "any_nonfinite",
    "apply",
    "assemble",
    "backward",
    "backward_block",
    "backward_unguarded",
    "curvature",
    "first_uses",
    "forward",
    "forward_block",
    "forward_groups",
    "kinks",
    "kinks_block",
    "reach",
    "regroup",
    "second_adjoints",
    "sweep",
    "take_lanes",
    "tangents",
]

_POW = OPCODES["pow"]
_POW_CONSTANT = CONSTANT_SECOND["pow"]
_OF_TWO = np.arange(256, dtype=np.uint8)
"""Opcode -> opcode of its form on exactly two operands."""
for _name, _code in OF_TWO.items():
    _OF_TWO[OPCODES[_name]] = _code
_OPEN = frozenset(code for code, operation in enumerate(OPERATIONS, 2) if operation.variadic)


def apply(opcode: int, inputs: Sequence[float]) -> float:
    """The value of one operation, the same bits as on a tape."""
    if len(inputs) == 2 and opcode in _OPEN:
        opcode = int(_OF_TWO[opcode])
    elif opcode in _OPEN or len(inputs) > 2:
        return wide_value(opcode, np.array(inputs, np.float64), np.empty(len(inputs)))
    return narrow_value(opcode, inputs[0], inputs[-1])


def _frozen(dtype: Any) -> Any:
    """The type of an array that a kernel only reads, so that it accepts read-only ones."""
    return types.Array(dtype, 1, "C", readonly=True)


@compiled(
    types.int64(
        _frozen(types.uint8), _frozen(types.uint32), _frozen(types.int32), _frozen(types.int32), types.int64,
        types.uint8[::1], types.uint32[::1], types.uint32[::1], types.uint32[::1],
    )
)  # fmt: skip
def assemble(
    codes: Any, offsets: Any, operands: Any, order: Any, slots_total: int, ops: Any, a: Any, b: Any, slots: Any
) -> int:
    """Fills the rows (ops, a, b) and the slot of every node; answers the largest number of operands of one node.

    `order` is the evaluation order, or empty where that is the nodes' own order.
    """
    none = slots_total - 1
    literals = ops.size - 1  # literal k, written as operand -1 - k, has slot rows + k
    row = 0
    widest = 2
    for step in range(codes.size):
        node = order[step] if order.size else step
        start = offsets[node]
        count = np.int64(offsets[node + 1]) - np.int64(start)
        main = row + (count - 2 if count > 2 else 0)
        widest = max(widest, count)
        slots[node] = main
        op = codes[node]
        if count == 2:
            op = _OF_TWO[op]
        if op == _POW:
            exponent = operands[start + 1]
            if exponent < 0 or codes[exponent] == CONSTANT:
                op = _POW_CONSTANT
        i = main
        for k in range(max(count, 1)):
            if count == 0:
                operand = none
            else:
                operand = np.int64(operands[start + k])
                operand = np.int64(slots[operand]) if operand >= 0 else literals - operand
            if k == count - 1 and count > 1:
                b[i] = operand
            else:
                if k > 0:
                    i -= 1
                    ops[i] = LINK
                a[i] = operand
                b[i] = i - 1 if count - k > 2 else none
        ops[main] = op
        row = main + 1
    return widest


@compiled("void(uint32[::1], uint32[::1], float64[:, ::1], float64[::1], int64, int64)")
def backward(a: Any, b: Any, l: Any, g: Any, start: int, stop: int) -> None:
    """The chain rule over rows stop-1 down to start: adds to g (S,) what each row's adjoint hands on."""
    for i in range(stop - 1, start - 1, -1):
        upstream = g[i]
        if upstream != 0.0:
            p = l[i, 0] * upstream
            q = l[i, 1] * upstream
            # An exact zero times infinity is NaN. NaN is rare, so that this costs one predicted branch.
            if p + q != p + q:
                if l[i, 0] == 0.0:
                    p = 0.0
                if l[i, 1] == 0.0:
                    q = 0.0
            g[a[i]] += p
            g[b[i]] += q


@inlined
def _backward_unguarded(a: Any, b: Any, l: Any, g: Any, start: int, stop: int) -> None:
    for i in range(stop - 1, start - 1, -1):
        upstream = g[i]
        if upstream != 0.0:
            g[a[i]] += l[i, 0] * upstream
            g[b[i]] += l[i, 1] * upstream


@inlined
def _any_nan(g: Any) -> bool:
    found = False
    for k in range(g.size):
        found |= g[k] != g[k]
    return found


@compiled("void(uint32[::1], uint32[::1], float64[:, ::1], float64[::1], int64, int64)")
def backward_unguarded(a: Any, b: Any, l: Any, g: Any, start: int, stop: int) -> None:
    """As backward, without the care for zero times infinity: where that was needed, NaN is left in g."""
    _backward_unguarded(a, b, l, g, start, stop)


@compiled("boolean(float64[::1])")
def any_nan(g: Any) -> bool:
    """Whether any of the numbers is NaN."""
    return _any_nan(g)  # type: ignore[no-any-return]


@inlined
def _seed(g: Any, slots: Any, seeds: Any) -> None:
    g[:] = 0.0
    for k in range(seeds.size):
        g[slots[k]] += seeds[k]


@compiled("void(uint8[::1], int64, int64, int64, float64[::1], float64[::1], uint32[::1], float64[::1])")
def sweep(code: Any, rows: int, grouped: int, groups: int, base: Any, work: Any, seed_slots: Any, seeds: Any) -> None:
    """Forward and backward in one call, for small graphs: every array handed over costs as much as thirty nodes.

    code is, in one piece, a, b, the order of the grouped rows, the groups' starts, ops, and the groups' opcodes, as
    forward_groups takes them; without groups the rows are worked through in their own order. base (S,) has the leaves'
    values, work has room for v (S,), g (S,), l (R, 2) and twice the largest number of operands of one row, one after
    the other.
    """
    slots = base.size
    a, b = code[: 4 * rows].view(np.uint32), code[4 * rows : 8 * rows].view(np.uint32)
    at = 8 * rows + 4 * grouped
    order, starts = code[8 * rows : at].view(np.uint32), code[at : at + 4 * groups + 4].view(np.uint32)
    at += 4 * groups + 4
    ops, group_ops = code[at : at + rows], code[at + rows :]
    scratch = 2 * (slots + rows)
    widest = (work.size - scratch) // 2
    v, g, l = work[:slots], work[slots : 2 * slots], work[2 * slots : scratch].reshape((rows, 2))
    xs, ds = work[scratch : scratch + widest], work[scratch + widest :]
    v[:] = base
    if groups:
        forward_groups(ops, a, b, order, group_ops, starts, v, l, 0, groups, xs, ds)
    else:
        forward(ops, a, b, v, l, 0, rows, xs, ds)
    _seed(g, seed_slots, seeds)
    _backward_unguarded(a, b, l, g, 0, rows)
    if _any_nan(g):
        _seed(g, seed_slots, seeds)
        backward(a, b, l, g, 0, rows)


@compiled("void(uint32[::1], uint32[::1], float64[:, ::1], float64[:, ::1])")
def adjoints(a: Any, b: Any, l: Any, g: Any) -> None:
    """As backward, for several seeds at once over the same local derivatives: g is (S, seeds)."""
    none = g.shape[0] - 1
    seeds = g.shape[1]
    for i in range(a.size - 1, -1, -1):
        pi = a[i]
        qi = b[i]
        if pi != none and l[i, 0] != 0.0:
            for k in range(seeds):
                g[pi, k] += chain(l[i, 0], g[i, k])
        if qi != none and l[i, 1] != 0.0:
            for k in range(seeds):
                g[qi, k] += chain(l[i, 1], g[i, k])


@compiled("void(uint32[::1], uint32[::1], float64[:, ::1], float64[:, ::1])")
def tangents(a: Any, b: Any, l: Any, t: Any) -> None:
    """Carries tangents t (S, directions) forward; those of the leaves, and zeros elsewhere, come in."""
    none = t.shape[0] - 1
    directions = t.shape[1]
    for i in range(a.size):
        pi = a[i]
        qi = b[i]
        if pi != none and l[i, 0] != 0.0:
            for k in range(directions):
                t[i, k] += chain(l[i, 0], t[pi, k])
        if qi != none and l[i, 1] != 0.0:
            for k in range(directions):
                t[i, k] += chain(l[i, 1], t[qi, k])


@compiled(
    "void(uint8[::1], uint32[::1], uint32[::1], float64[::1], float64[:, ::1], float64[:, ::1], float64[::1],"
    "float64[:, ::1], float64[:, ::1], float64[:, ::1])"
)
def second_adjoints(ops: Any, a: Any, b: Any, v: Any, l: Any, h: Any, g: Any, t: Any, gt: Any, scratch: Any) -> None:
    """The tangents gt (S, directions) of the adjoints g (S,) along t (S, directions): forward over reverse.

    v, l and h are the rows' values, local derivatives and second derivatives; scratch (4, n) has room for the n
    operands of one row.
    """
    xs, ts, ds, work = scratch[0], scratch[1], scratch[2], scratch[3]
    none = g.size - 1
    directions = t.shape[1]
    for i in range(ops.size - 1, -1, -1):
        pi = a[i]
        qi = b[i]
        upstream = g[i]
        if pi != none:
            if l[i, 0] != 0.0:
                for k in range(directions):
                    gt[pi, k] += chain(l[i, 0], gt[i, k])
            if h[i, 0] != 0.0 and upstream != 0.0:
                for k in range(directions):
                    gt[pi, k] += chain(h[i, 0] * upstream, t[pi, k])
        if qi != none:
            if l[i, 1] != 0.0:
                for k in range(directions):
                    gt[qi, k] += chain(l[i, 1], gt[i, k])
            if h[i, 1] != 0.0 and upstream != 0.0:
                for k in range(directions):
                    gt[pi, k] += chain(h[i, 1] * upstream, t[qi, k])
                    gt[qi, k] += chain(h[i, 1] * upstream, t[pi, k])
            if h[i, 2] != 0.0 and upstream != 0.0:
                for k in range(directions):
                    gt[qi, k] += chain(h[i, 2] * upstream, t[qi, k])
        if ops[i] in DENSE and upstream != 0.0:
            n = gather(ops, a, b, v, i, xs)
            last = i - max(n - 2, 0)
            for k in range(directions):
                gather_lane(ops, a, b, t, i, k, ts)
                dense_tangent(ops[i], xs, n, v[i], ts, t[i, k], ds, work)
                for m in range(n):
                    operand = a[i - m] if m < n - 1 or n == 1 else b[last]
                    gt[operand, k] += chain(upstream, ds[m])


@compiled("void(uint32[::1], uint32[::1], uint32[::1], boolean[::1], int64[:, ::1])")
def first_uses(a: Any, b: Any, rows: Any, used: Any, keep: Any) -> None:
    """For some rows, the last first: 0 in keep[k] where rows[k] is the first to use its operand, else all bits.

    `used` has the slots in use already, and gets those of the operands.
    """
    none = used.size - 1
    for k in range(rows.size - 1, -1, -1):
        for place in range(2):
            slot = a[rows[k]] if place == 0 else b[rows[k]]
            keep[k, place] = -1 if used[slot] else 0
            if slot != none:
                used[slot] = True


@compiled("void(uint32[::1], uint32[::1], boolean[::1])")
def reach(a: Any, b: Any, marked: Any) -> None:
    """Extends the marks on slots to all that they are computed from."""
    for i in range(a.size - 1, -1, -1):
        if marked[i]:
            marked[a[i]] = True
            marked[b[i]] = True


@compiled("void(float64[:, ::1], uint32[::1], int64, float64[::1])")
def add_lanes(block: Any, slots: Any, lanes: int, totals: Any) -> None:
    """Adds up the first lanes of each of some slots of a block, in order, onto totals."""
    for k in range(slots.size):
        slot = slots[k]
        total = totals[k]
        for j in range(lanes):
            total += block[slot, j]
        totals[k] = total


@compiled("boolean(float64[:, ::1], uint32[::1], int64)")
def any_nonfinite(block: Any, slots: Any, lanes: int) -> bool:
    """Whether the first lanes of some slots of a block hold a non-finite number."""
    found = False
    for slot in slots:
        for j in range(lanes):
            found |= not abs(block[slot, j]) < np.inf
    return found


@compiled("void(float64[:, ::1], uint32[::1], int64, float64[:, ::1], int64)")
def take_lanes(block: Any, slots: Any, lanes: int, columns: Any, first: int) -> None:
    """Copies the first lanes of some slots of a block to columns (slots, rows), from row first on."""
    for k in range(slots.size):
        slot = slots[k]
        for j in range(lanes):
            columns[k, first + j] = block[slot, j]


@compiled("int64(uint8[::1], uint32[::1], uint32[::1], uint32[::1], uint8[::1], uint32[::1])")
def regroup(ops: Any, a: Any, b: Any, rows: Any, group_ops: Any, group_starts: Any) -> int:
    """Sorts the computing rows by (level, opcode) and answers the number of groups of equal ones.

    A row's level is one more than its operands' highest; rows within a group keep their order. Group k is
    rows[group_starts[k]:group_starts[k + 1]], all of opcode group_ops[k].
    """
    n = ops.size
    levels = np.zeros(n, np.uint32)
    by_op = np.zeros(257, np.int64)
    highest = 0
    for i in range(n):
        if ops[i] < 2:
            continue
        level = 0
        if a[i] < n:
            level = max(level, np.int64(levels[a[i]]))
        if b[i] < n:
            level = max(level, np.int64(levels[b[i]]))
        if ops[i] != LINK:
            level += 1
            by_op[np.int64(ops[i]) + 1] += 1
        levels[i] = level
        highest = max(highest, level)
    # Two counting sorts, by the less significant key first: both are stable.
    for op in range(256):
        by_op[op + 1] += by_op[op]
    computing = by_op[256]
    sorted_by_op = np.empty(computing, np.uint32)
    by_level = np.zeros(highest + 2, np.int64)
    for i in range(n):
        op = np.int64(ops[i])
        if op >= 2 and op != LINK:
            sorted_by_op[by_op[op]] = i
            by_op[op] += 1
            by_level[np.int64(levels[i]) + 1] += 1
    for level in range(highest + 1):
        by_level[level + 1] += by_level[level]
    for k in range(computing):
        i = sorted_by_op[k]
        rows[by_level[levels[i]]] = i
        by_level[levels[i]] += 1
    groups = 0
    for k in range(computing):
        i = rows[k]
        if k == 0 or ops[i] != ops[rows[k - 1]] or levels[i] != levels[rows[k - 1]]:
            group_ops[groups] = ops[i]
            group_starts[groups] = k
            groups += 1
    group_starts[groups] = computing
    return groups
