"""The parts of the passes over a tape that know no operation.

Slots: a tape of R rows and L literals has S = R + L + 1 of them; row i computes slot i, the last slot stands in for
an operand that is not there. Everywhere, an exact zero passes nothing on: where a local derivative or what arrives
is exactly 0, the contribution is exactly 0, also when the other factor is infinite or NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from engine.jit import at, compiled, inlined
from engine.primitives import chain


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
def hand_back(a: Any, b: Any, l: Any, g: Any, start: int, stop: int) -> None:
    """The loop of backward_unguarded."""
    for i in range(stop - 1, start - 1, -1):
        upstream = g[i]
        if upstream != 0.0:
            g[a[i]] += l[i, 0] * upstream
            g[b[i]] += l[i, 1] * upstream


@inlined
def has_nan(g: Any) -> bool:
    """The loop of any_nan."""
    found = False
    for k in range(g.size):
        found |= g[k] != g[k]
    return found


@compiled("void(uint32[::1], uint32[::1], float64[:, ::1], float64[::1], int64, int64)")
def backward_unguarded(a: Any, b: Any, l: Any, g: Any, start: int, stop: int) -> None:
    """As backward, without the care for zero times infinity: where that was needed, NaN is left in g."""
    hand_back(a, b, l, g, start, stop)


@compiled("boolean(float64[::1])")
def any_nan(g: Any) -> bool:
    """Whether any of the numbers is NaN."""
    return has_nan(g)


@inlined
def seed(g: Any, slots: Any, seeds: Any) -> None:
    """Starts the adjoints g (S,) with the gradient put into some slots."""
    g[:] = 0.0
    for k in range(seeds.size):
        g[slots[k]] += seeds[k]


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


@compiled("void(uint32[::1], uint32[::1], uint32[::1], boolean[::1])", nogil=False)
def reach(a: Any, b: Any, slots: Any, marked: Any) -> None:
    """Marks some slots and all that they are computed from."""
    for slot in slots:
        marked[slot] = True
    for i in range(a.size - 1, -1, -1):
        if marked[i]:
            marked[a[i]] = True
            marked[b[i]] = True


@compiled("boolean(int64[::1], uint32[::1], int64, int64, float64[:, ::1])")
def fill_lanes(addresses: Any, slots: Any, first: int, lanes: int, block: Any) -> bool:
    """Fills the first lanes of some slots of a block from row first on of the float64 arrays at these addresses.

    Answers whether any of the numbers is not finite.
    """
    found = False
    for k in range(slots.size):
        slot = slots[k]
        start = addresses[k] + 8 * first
        for j in range(lanes):
            x = at(start, j)
            found |= not abs(x) < np.inf
            block[slot, j] = x
    return found


@compiled("void(float64[:, ::1], uint32[::1], uint32[::1], float64[::1], int64)")
def start_adjoints(g: Any, unstarted: Any, seed_slots: Any, seeds: Any, lanes: int) -> None:
    """Zeroes the adjoints that no row adds to first, and puts the gradient into the seed slots."""
    for slot in unstarted:
        for j in range(lanes):
            g[slot, j] = 0.0
    for k in range(seeds.size):
        slot = seed_slots[k]
        seed = seeds[k]
        for j in range(lanes):
            g[slot, j] += seed


@compiled("boolean(float64[:, ::1], uint32[::1], int64)")
def any_nonfinite(block: Any, slots: Any, lanes: int) -> bool:
    """Whether the first lanes of some slots of a block hold a non-finite number."""
    found = False
    for slot in slots:
        for j in range(lanes):
            found |= not abs(block[slot, j]) < np.inf
    return found


@compiled("void(float64[:, ::1], uint32[::1], int64, float64[:, ::1], int64)")
def add_lanes(block: Any, slots: Any, lanes: int, columns: Any, column: int) -> None:
    """Adds the first lanes of some slots of a block, one after the other, to a column of columns (slots, any)."""
    whole = slots.size - slots.size % 4
    # Four slots at a time, because each addition waits for the one before it.
    for k in range(0, whole, 4):
        p, q, r, s = slots[k], slots[k + 1], slots[k + 2], slots[k + 3]
        of_p, of_q, of_r, of_s = (
            columns[k, column],
            columns[k + 1, column],
            columns[k + 2, column],
            columns[k + 3, column],
        )
        for j in range(lanes):
            of_p += block[p, j]
            of_q += block[q, j]
            of_r += block[r, j]
            of_s += block[s, j]
        columns[k, column], columns[k + 1, column], columns[k + 2, column], columns[k + 3, column] = (
            of_p,
            of_q,
            of_r,
            of_s,
        )
    for k in range(whole, slots.size):
        total = columns[k, column]
        for j in range(lanes):
            total += block[slots[k], j]
        columns[k, column] = total


@compiled("void(float64[:, ::1], uint32[::1], int64, float64[:, ::1], int64, int64)")
def keep_lanes(block: Any, slots: Any, lanes: int, columns: Any, together: int, first: int) -> None:
    """Keeps the first lanes of some slots of a block, which are rows from first on: in columns (slots, rows).

    Where several rows go together, in columns (slots, rows / together), which hold sums; blocks are not larger then.
    """
    if together > 1:
        add_lanes(block, slots, lanes, columns, first // together)
        return
    for k in range(slots.size):
        slot = slots[k]
        for j in range(lanes):
            columns[k, first + j] = block[slot, j]
