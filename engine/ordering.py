"""An evaluation order for nodes given in any order, in O(nodes + edges) and without recursion."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numpy.typing import NDArray

from engine.jit import compiled

_U32 = types.Array(types.uint32, 1, "C", readonly=True)
_I32 = types.Array(types.int32, 1, "C", readonly=True)

_SORTED = -1


class CycleError(ValueError):
    """Nodes that feed each other in a circle have no order of evaluation."""


@compiled(types.int64(_U32, _I32, types.int32[::1]))
def _depth_first(offsets: Any, operands: Any, order: Any) -> int:
    """Write the nodes to `order`, each after its operands, and return how many could be placed.

    Returns -1, and writes nothing, when the document's own order will do. Depth first from the nodes in
    document order: a node comes where the document has it, unless a node before it needs it earlier.
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
    fresh, open_, done = 0, 1, 2
    state = np.zeros(n, np.uint8)
    cursor = offsets[:-1].copy()
    stack = np.empty(n, np.int32)
    placed = 0
    for root in range(n):
        if state[root] != fresh:
            continue
        state[root] = open_
        stack[0] = root
        height = 1
        while height:
            node = stack[height - 1]
            edge = cursor[node]
            if edge == offsets[node + 1]:
                state[node] = done
                order[placed] = node
                placed += 1
                height -= 1
                continue
            cursor[node] = edge + 1
            operand = operands[edge]
            if operand < 0 or state[operand] == done:
                continue
            if state[operand] == open_:
                return placed
            state[operand] = open_
            stack[height] = operand
            height += 1
    return placed


def evaluation_order(offsets: NDArray[np.uint32], operands: NDArray[np.int32]) -> NDArray[np.int32] | None:
    """Positions in an order in which every node comes after its operands; None when the given order is one.

    Raises CycleError when there is none; `cycles` says why.
    """
    order = np.empty(offsets.size - 1, np.int32)
    placed = _depth_first(offsets, operands, order)
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
