"""What can be asked of a graph's tape: values and gradients, tangents, Jacobians, second derivatives.

Names are node ids. What a caller may get wrong (an unknown id, an input without data) is a KeyError or ValueError
here; the service checks requests before it calls.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.graph import Graph
from engine.tape import Tape

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Gradient:
    """Values and gradients of all n nodes, in document order.

    values: float64[n]; gradients: float64[n], d(sum of seed * output) / d(node), NaN at constants, which have none;
    outputs: positions int64[o] and seeds: float64[o]; nonsmooth, disconnected: positions, in document order;
    nonfinite: the positions where a non-finite value (in evaluation order) and a non-finite gradient (in backward
    order) first appeared, None where none did.
    """

    values: Array
    gradients: Array
    outputs: NDArray[np.int64]
    seeds: Array
    nonsmooth: list[int]
    disconnected: list[int]
    nonfinite: tuple[int | None, int | None]


def bind(graph: Graph, tape: Tape, inputs: Mapping[str, float]) -> Array:
    """The slots (S,) with the leaves' values in place; ValueError names inputs that have none, KeyError unknown ids."""
    v = tape.base.copy()
    bound = [graph.position(node) for node in inputs]
    missing = tape.inputs[~graph.has_data[tape.inputs]]
    if len(missing) and (unbound := set(missing.tolist()).difference(bound)):
        raise ValueError(f"no data for {', '.join(graph.ids[position] for position in sorted(unbound))}")
    if bound:
        v[tape.slots[bound]] = np.fromiter(inputs.values(), np.float64, len(bound))
    return v


def seeded(
    graph: Graph, outputs: Sequence[str] | None, seeds: Mapping[str, float] | None
) -> tuple[NDArray[np.int64], Array]:
    """The positions of the differentiated outputs and the gradient put into each: 1.0 unless `seeds` says otherwise."""
    if outputs is None and seeds is not None:
        outputs = list(seeds)
    if outputs is None:
        positions = graph.outputs.astype(np.int64)
        return positions, np.ones(len(positions))
    positions = np.array([graph.position(node) for node in outputs], np.int64)
    given = seeds or {}
    return positions, np.array([given.get(node, 1.0) for node in outputs], np.float64)


def gradient(
    graph: Graph,
    inputs: Mapping[str, float] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    seeds: Mapping[str, float] | None = None,
    tape: Tape | None = None,
) -> Gradient:
    """The value of every node and the derivative of the seeded sum of the outputs by every node.

    `inputs` replaces data of input nodes; `outputs` defaults to the graph's, or to the keys of `seeds`; `tape` is
    the graph's, when the caller has it already.
    """
    tape = tape or Tape(graph)
    v = bind(graph, tape, inputs or {})
    positions, weights = seeded(graph, outputs, seeds)
    l = tape.forward(v)  # noqa: E741
    g = np.zeros(tape.size)
    np.add.at(g, tape.slots[positions], weights)
    kernels.backward(tape.a, tape.b, l, g, 0, tape.rows)
    values = tape.to_nodes(v)
    gradients = tape.to_nodes(g)
    if len(tape.constants):
        gradients[tape.constants] = np.nan
    return Gradient(
        values,
        gradients,
        positions,
        weights,
        nonsmooth(tape, v),
        disconnected(tape, positions),
        nonfinite(graph, tape, values, gradients),
    )


def nonsmooth(tape: Tape, v: Array) -> list[int]:
    """Positions of the nodes that sit exactly on a kink of their operation, given the slots' values (S,)."""
    if not len(tape.kinked):
        return []
    flags = np.empty(len(tape.kinked), bool)
    kernels.kinks(tape.ops, tape.a, tape.b, v, tape.kinked, flags, np.empty(tape.widest))
    return tape.positions_of(tape.kinked[flags])


def disconnected(tape: Tape, outputs: NDArray[np.int64]) -> list[int]:
    """Positions of the inputs that no output is computed from."""
    marked = np.zeros(tape.size, bool)
    marked[tape.slots[outputs]] = True
    kernels.reach(tape.a, tape.b, marked)
    return tape.inputs[~marked[tape.slots[tape.inputs]]].tolist()


def nonfinite(graph: Graph, tape: Tape, values: Array, gradients: Array) -> tuple[int | None, int | None]:
    """The first position in evaluation order with a non-finite value, and in backward order with such a gradient.

    The first one is where it was born: all that it was computed from came before.
    """
    bad_value = ~np.isfinite(values)
    bad_gradient = ~np.isfinite(gradients)
    bad_gradient[tape.constants] = False
    born = []
    for bad, last in ((bad_value, False), (bad_gradient, True)):
        if not bad.any():
            born.append(None)
            continue
        in_order = bad if graph.order is None else bad[graph.order]
        place = len(in_order) - 1 - int(in_order[::-1].argmax()) if last else int(in_order.argmax())
        born.append(place if graph.order is None else int(graph.order[place]))
    return born[0], born[1]
