"""Rows of a tape that stand for one operation together: its operands beyond two sit in the rows before it.

Row i of a wide operation has its first operand in a[i] and links to the row before in b[i], which has opcode LINK and
holds the second operand, and so on; the last such row holds the last two. A link hands the gradient on unchanged.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import bits_of, float_of, inlined

LINK = 255
"""Opcode of a row that carries further operands of the operation in the row after it."""


@inlined
def gather(ops: Any, a: Any, b: Any, v: Any, i: int, xs: Any) -> int:
    """Copies the operands of the wide operation in row i to xs and answers how many there are."""
    n = 0
    while True:
        xs[n] = v[a[i]]
        n += 1
        if b[i] + 1 == i and ops[b[i]] == LINK:
            i -= 1
        else:
            break
    if b[i] != v.size - 1:
        xs[n] = v[b[i]]
        n += 1
    return n


@inlined
def scatter(l: Any, i: int, n: int, ds: Any) -> None:
    """Spreads the local derivatives of a wide operation over its rows; links hand the gradient on unchanged."""
    for k in range(n - 2):
        l[i, 0] = ds[k]
        l[i, 1] = 1.0
        i -= 1
    if n == 1:
        l[i, 0] = ds[0]
        l[i, 1] = 0.0
    else:
        l[i, 0] = ds[n - 2]
        l[i, 1] = ds[n - 1]


@inlined
def gather_lane(ops: Any, a: Any, b: Any, v: Any, i: int, j: int, xs: Any) -> int:
    """As gather, for row j of a block."""
    n = 0
    while True:
        xs[n] = v[a[i], j]
        n += 1
        if b[i] + 1 == i and ops[b[i]] == LINK:
            i -= 1
        else:
            break
    if b[i] != v.shape[0] - 1:
        xs[n] = v[b[i], j]
        n += 1
    return n


@inlined
def scatter_lane(l: Any, i: int, j: int, n: int, ds: Any) -> None:
    """As scatter, for row j of a block."""
    for k in range(n - 2):
        l[i, 0, j] = ds[k]
        l[i, 1, j] = 1.0
        i -= 1
    if n == 1:
        l[i, 0, j] = ds[0]
    else:
        l[i, 0, j] = ds[n - 2]
        l[i, 1, j] = ds[n - 1]


@inlined
def so_far(g: float, keep: int) -> float:
    """g where keep has all bits, 0 where it has none: nothing has been added up yet."""
    return float_of(bits_of(g) & keep)


@inlined
def ties(ops: Any, a: Any, b: Any, v: Any, i: int) -> bool:
    """Whether two different operands of the wide operation in row i share its value."""
    first = -1
    y = v[i]
    while True:
        slot = np.int64(a[i])
        if v[slot] == y:
            if first >= 0 and slot != first:
                return True
            first = slot
        slot = np.int64(b[i])
        if slot + 1 == i and ops[slot] == LINK:
            i -= 1
        else:
            return slot != v.size - 1 and v[slot] == y and first >= 0 and slot != first


@inlined
def ties_lane(ops: Any, a: Any, b: Any, v: Any, i: int, j: int) -> bool:
    """As ties, for row j of a block."""
    first = -1
    y = v[i, j]
    while True:
        slot = np.int64(a[i])
        if v[slot, j] == y:
            if first >= 0 and slot != first:
                return True
            first = slot
        slot = np.int64(b[i])
        if slot + 1 == i and ops[slot] == LINK:
            i -= 1
        else:
            return slot != v.shape[0] - 1 and v[slot, j] == y and first >= 0 and slot != first
