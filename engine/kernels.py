"""All compiled loops by one name, and those that make a tape of a graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import types

from engine.generate import CONSTANT_SECOND, OF_TWO
from engine.jit import compiled
from engine.operations import CONSTANT, OPCODES, OPERATIONS
from engine.passes import (
    add_lanes,
    adjoints,
    any_nan,
    any_nonfinite,
    backward,
    backward_unguarded,
    first_uses,
    keep_lanes,
    reach,
    start_adjoints,
    tangents,
)
from engine.rows import LINK
from engine.rules import (
    backward_block,
    curvature,
    forward,
    forward_block,
    forward_groups,
    gradient_blocks,
    kinks,
    narrow_value,
    second_adjoints,
    sweep,
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
    "gradient_blocks",
    "keep_lanes",
    "kinks",
    "reach",
    "regroup",
    "second_adjoints",
    "start_adjoints",
    "sweep",
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
