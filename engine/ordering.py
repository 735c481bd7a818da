"""The evaluation order of nodes given in any order: the document's, as far as operands come before their users.

It takes O(nodes + edges) without recursion.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from engine.jit import compiled, inlined

_U32 = types.Array(types.uint32, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C", readonly=True)

_SORTED = -1

# A set of positions that knows its least: bits in words of 32, and above them a bit for every word that is not 0,
# up to a single word. A million positions take four levels, so adding one and taking the least cost the same always.
_BITS = 5
_LEVELS = 7


class CycleError(ValueError):
    """Nodes that feed each other in a circle have no order of evaluation."""


@inlined
def _add(words: Any, bases: Any, position: int) -> None:
    for level in range(bases.size):
        words[bases[level] + (position >> _BITS)] |= 1 << (position & 31)
        position >>= _BITS


@inlined
def _take_least(words: Any, bases: Any) -> int:
    """Remove the least position and return it; there must be one."""
    least = 0
    for level in range(bases.size - 1, -1, -1):
        word = words[bases[level] + least]
        least = (least << _BITS) + math.frexp(word & -word)[1] - 1
    position = least
    for level in range(bases.size):
        words[bases[level] + (position >> _BITS)] &= ~(1 << (position & 31))
        if words[bases[level] + (position >> _BITS)]:
            break
        position >>= _BITS
    return least


@compiled(types.int64(_U32, _I32, types.int32[::1]))
def _first_ready_first(offsets: Any, operands: Any, order: Any) -> int:
    """Write the nodes to `order`, each after its operands, and return how many could be placed.

    Returns -1, and writes nothing, when the document's own order will do. Of the nodes whose operands are all
    placed, the first in the document is next.
    """
    n = offsets.size - 1
    for node in range(n):
        for edge in range(offsets[node], offsets[node + 1]):
            if operands[edge] >= node:
                break
        else:
            continue
        break
    else:
        return _SORTED
    missing = np.zeros(n, np.int32)
    starts = np.zeros(n + 1, np.uint32)
    for node in range(n):
        for edge in range(offsets[node], offsets[node + 1]):
            if operands[edge] >= 0:
                missing[node] += 1
                starts[operands[edge]] += 1
    for node in range(n):
        starts[node + 1] += starts[node]
    # Filled from the back, which leaves every start where it belongs and the users in document order.
    users = np.empty(starts[n], np.int32)
    for node in range(n - 1, -1, -1):
        for edge in range(offsets[node], offsets[node + 1]):
            operand = operands[edge]
            if operand >= 0:
                starts[operand] -= 1
                users[starts[operand]] = node
    bases = np.empty(_LEVELS, np.int64)
    depth, size, total = 0, n, 0
    while depth == 0 or size > 1:
        size = (size + 31) >> _BITS
        bases[depth] = total
        total += size
        depth += 1
    bases = bases[:depth]
    # Nodes are taken in the document's order; one that the document has before its operands comes late, as soon as
    # they are there.
    late = np.zeros(total, np.int64)
    here = placed = 0
    while True:
        if late[total - 1]:
            node = _take_least(late, bases)
        else:
            while here < n and missing[here]:
                here += 1
            if here == n:
                return placed
            node = here
            here += 1
        order[placed] = node
        placed += 1
        for place in range(starts[node], starts[node + 1]):
            user = users[place]
            missing[user] -= 1
            if missing[user] == 0 and user < here:
                _add(late, bases, user)


def evaluation_order(offsets: NDArray[np.uint32], operands: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """Positions in an order in which every node comes after its operands; None when the given order is one.

    Of the nodes that could come next, the first in the document does. Raises CycleError when there is no such order;
    `cycles` says why.
    """
    order = np.empty(offsets.size - 1, np.int32)
    placed = _first_ready_first(offsets, operands, order)
    if placed == _SORTED:
        return None
    if placed < order.size:
        raise CycleError("the graph has a cycle")
    return order


def cycles(operands_of: list[list[int]]) -> list[list[int]]:
    """Cycles without a node in common, each in the direction of the data from its first node in the document.

    Takes the operand positions of every node. Every group of nodes that cannot be evaluated because of a
    cycle among them shows at least one.
    """
    users: list[list[int]] = [[] for _ in operands_of]
    missing = [len(operands) for operands in operands_of]
    for node, operands in enumerate(operands_of):
        for operand in operands:
            users[operand].append(node)
    ready = [node for node, count in enumerate(missing) if count == 0]
    while ready:
        for user in users[ready.pop()]:
            missing[user] -= 1
            if missing[user] == 0:
                ready.append(user)
    found: list[list[int]] = []
    walk_of = [-1] * len(operands_of)
    for start, count in enumerate(missing):
        node, walk = start, []
        while count and walk_of[node] < 0:
            # Whatever is left has an operand that is left: walking back along it must come round.
            walk_of[node] = start
            walk.append(node)
            node = next(operand for operand in operands_of[node] if missing[operand])
        if walk and walk_of[node] == start:
            cycle = walk[walk.index(node) :][::-1]
            first = cycle.index(min(cycle))
            found.append(cycle[first:] + cycle[:first])
    return found
