"""What can be asked of a graph's tape: values and gradients, tangents, Jacobians, second derivatives.

Names are node ids. What a caller may get wrong (an unknown id, an input without data) is a KeyError or ValueError
here; the service checks requests before it calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.blocks import TOGETHER, Array, Block, addresses, in_threads, lanes_of, threads_for
from engine.graph import Graph
from engine.tape import Tape

Checkpoint = Callable[[], None]
"""Called between stretches of work of some milliseconds; raises to stop it."""

_DIRECTIONS = 16
"""Directions, or seeds, carried through a tape in one sweep."""
_CELLS = 1 << 19
"""Cells of a batch that are worked through between two checkpoints: half a millisecond."""


def no_checkpoint() -> None:
    pass


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


def bind(graph: Graph, inputs: Mapping[str, float], others: Sequence[int] = ()) -> Array:
    """The slots (S,) with the leaves' values in place; ValueError names inputs that have none, KeyError unknown ids.

    The inputs at the positions `others` get theirs later.
    """
    tape = graph.tape
    v: Array = tape.base.copy()
    bound = [graph.position(node) for node in inputs]
    missing = tape.inputs[~graph.has_data[tape.inputs]]
    if len(missing) and (unbound := set(missing.tolist()).difference(bound, others)):
        raise ValueError(f"no data for {', '.join(graph.ids[position] for position in sorted(unbound))}")
    # One by one: numpy lets go of the GIL for a list of two, and getting it back takes longer.
    for position, value in zip(bound, inputs.values(), strict=True):
        v[tape.slots[position]] = value
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
    checkpoint: Checkpoint = no_checkpoint,
) -> Gradient:
    """The value of every node and the derivative of the seeded sum of the outputs by every node.

    `inputs` replaces data of input nodes; `outputs` defaults to the graph's, or to the keys of `seeds`.
    """
    tape = graph.tape
    base = bind(graph, inputs or {})
    positions, weights = seeded(graph, outputs, seeds)
    v, g = tape.sweep(base, tape.slots[positions], weights, checkpoint)
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
    kernels.kinks(tape.ops, tape.a, tape.b, v, tape.kinked, flags)
    return tape.positions_of(tape.kinked[flags])


def disconnected(tape: Tape, outputs: NDArray[np.int64]) -> list[int]:
    """Positions of the inputs that no output is computed from."""
    unmarked: list[int] = tape.inputs[~tape.reached(outputs)[tape.slots[tape.inputs]]].tolist()
    return unmarked


def nonfinite(graph: Graph, tape: Tape, values: Array, gradients: Array) -> tuple[int | None, int | None]:
    """The first position in evaluation order with a non-finite value, and in backward order with such a gradient.

    The first one is where it was born: all that it was computed from came before.
    """
    bad_value = ~np.isfinite(values)
    bad_gradient = ~np.isfinite(gradients)
    bad_gradient[tape.constants] = False
    born: list[int | None] = []
    for bad, last in ((bad_value, False), (bad_gradient, True)):
        if not bad.any():
            born.append(None)
            continue
        in_order = bad if graph.order is None else bad[graph.order]
        place = len(in_order) - 1 - int(in_order[::-1].argmax()) if last else int(in_order.argmax())
        born.append(place if graph.order is None else int(graph.order[place]))
    return born[0], born[1]


@dataclass(frozen=True)
class Batch:
    """Values and gradients of chosen nodes in every row of a batch, or their sums.

    values: float64[k, rows] of the nodes `value_of`, gradients: float64[m, rows] of the nodes `gradient_of`; where
    `summed`, each column has the sum of TOGETHER rows, the last one that of the rest;
    outputs, seeds, nonsmooth and disconnected as in Gradient, nonsmooth in any row; nonfinite as in Gradient, in
    the first row that has one, which `row` names.
    """

    values: Array
    gradients: Array
    outputs: NDArray[np.int64]
    seeds: Array
    nonsmooth: list[int]
    disconnected: list[int]
    nonfinite: tuple[int | None, int | None]
    row: int | None


def batch(
    graph: Graph,
    inputs: Mapping[str, float | Array],
    *,
    value_of: Sequence[int] | NDArray[np.int64],
    gradient_of: Sequence[int] | NDArray[np.int64],
    outputs: Sequence[str] | None = None,
    seeds: Mapping[str, float] | None = None,
    summed: bool = False,
    checkpoint: Checkpoint = no_checkpoint,
    threads: int | None = None,
) -> Batch:
    """The gradient of every row of a batch: `inputs` holds numbers and arrays float64[rows] of one length.

    `value_of` and `gradient_of` are the positions of the nodes whose values and gradients are kept; if `summed`, only
    sums over TOGETHER rows are, which takes no memory for each row. Rows are
    worked through in blocks, by as many threads as there are cores unless `threads` says otherwise; the answer
    does not depend on how. ValueError where no input is an array or lengths differ.
    """
    tape = graph.tape
    columns = {
        node: np.ascontiguousarray(column, np.float64)
        for node, column in inputs.items()
        if isinstance(column, np.ndarray)
    }
    lengths = {len(column) for column in columns.values()}
    if len(lengths) != 1:
        raise ValueError("a batch takes arrays of one common length")
    (rows,) = lengths
    batched = [graph.position(node) for node in columns]
    base = bind(graph, {node: float(value) for node, value in inputs.items() if node not in columns}, batched)
    positions, weights = seeded(graph, outputs, seeds)
    value_slots, gradient_slots = (
        tape.slots[np.asarray(value_of, np.int64)],
        tape.slots[np.asarray(gradient_of, np.int64)],
    )
    lanes = lanes_of(tape)
    seed_slots = tape.slots[positions]
    together = TOGETHER if summed else 1
    kept = -(-rows // together)
    # Sums start at zero, all else is written over.
    new = np.zeros if summed else np.empty
    values, gradients = new((len(value_slots), kept)), new((len(gradient_slots), kept))
    places = addresses(columns.values()), tape.slots[batched]
    # Whoever is free takes the next rows, so that threads on unequal cores end together.
    unit = max(lanes, together)
    width = max(_CELLS // tape.rows // unit, 1) * unit
    firsts = iter(range(0, rows, width))

    def work() -> tuple[NDArray[np.bool_], int | None]:
        block = Block(tape, base, lanes, seed_slots)
        bad_row = None
        for first in firsts:
            checkpoint()
            found = block.differentiate(
                places,
                weights,
                (value_slots, values),
                (gradient_slots, gradients),
                together,
                first,
                min(first + width, rows),
            )
            bad_row = found if bad_row is None else bad_row
        return block.kinked, bad_row

    parts = in_threads(work, threads_for(tape, rows, threads))
    flags = np.logical_or.reduce([flags for flags, _ in parts])
    row = min((bad_row for _, bad_row in parts if bad_row is not None), default=None)
    born: tuple[int | None, int | None] = (None, None)
    if row is not None:
        single = gradient(
            graph,
            {node: float(value[row]) if node in columns else float(value) for node, value in inputs.items()},  # type: ignore[index]
            outputs=outputs,
            seeds=seeds,
        )
        born = single.nonfinite
    return Batch(
        values,
        gradients,
        positions,
        weights,
        tape.positions_of(tape.kinked[flags]),
        disconnected(tape, positions),
        born,
        row,
    )


def _swept(graph: Graph, inputs: Mapping[str, float] | None, checkpoint: Checkpoint) -> tuple[Tape, Array, Array]:
    """The tape with the values v (S,) and the local derivatives l (R, 2) at the inputs."""
    tape = graph.tape
    v = bind(graph, inputs or {})
    return tape, v, tape.forward(v, checkpoint)


def jvp(
    graph: Graph,
    tangents: Mapping[str, float],
    inputs: Mapping[str, float] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    checkpoint: Checkpoint = no_checkpoint,
) -> tuple[Array, Array]:
    """The nodes' values float64[n] and the outputs' derivatives float64[o] along `tangents` of the inputs.

    Inputs that `tangents` does not name stand still.
    """
    tape, v, l = _swept(graph, inputs, checkpoint)
    t = np.zeros((tape.size, 1))
    for node, tangent in tangents.items():
        t[tape.slots[graph.position(node)]] = tangent
    kernels.tangents(tape.a, tape.b, l, t)
    positions, _ = seeded(graph, outputs, None)
    return tape.to_nodes(v), t[tape.slots[positions], 0]


def jacobian(
    graph: Graph,
    inputs: Mapping[str, float] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    wrt: Sequence[str] | None = None,
    checkpoint: Checkpoint = no_checkpoint,
) -> tuple[Array, Array]:
    """The nodes' values float64[n] and d output / d input as float64[outputs, wrt].

    `wrt` defaults to all inputs in document order. By reverse sweeps or by forward ones, whichever are fewer.
    """
    tape, v, l = _swept(graph, inputs, checkpoint)
    rows = tape.slots[seeded(graph, outputs, None)[0]]
    columns = tape.slots[wrt_positions(graph, wrt)]
    matrix = np.empty((len(rows), len(columns)))
    reverse = len(rows) <= len(columns)
    ends, others = (rows, columns) if reverse else (columns, rows)
    sweep = kernels.adjoints if reverse else kernels.tangents
    for start in range(0, len(ends), _DIRECTIONS):
        checkpoint()
        some = ends[start : start + _DIRECTIONS]
        swept = np.zeros((tape.size, len(some)))
        swept[some, np.arange(len(some))] = 1.0
        sweep(tape.a, tape.b, l, swept)
        if reverse:
            matrix[start : start + len(some)] = swept[others].T
        else:
            matrix[:, start : start + len(some)] = swept[others]
    return tape.to_nodes(v), matrix


def wrt_positions(graph: Graph, wrt: Sequence[str] | None) -> NDArray[np.int64]:
    """The positions of the inputs to differentiate by: all of them unless `wrt` names some."""
    return graph.tape.inputs if wrt is None else np.array([graph.position(node) for node in wrt], np.int64)


class _SecondOrder:
    """One output's adjoints g (S,) and all second local derivatives h (R, 3) at the inputs, for any directions."""

    def __init__(
        self,
        graph: Graph,
        inputs: Mapping[str, float] | None,
        output: str | None,
        checkpoint: Checkpoint,
    ) -> None:
        self.tape, self.v, self.l = _swept(graph, inputs, checkpoint)
        positions, _ = seeded(graph, None if output is None else [output], None)
        if len(positions) != 1:
            raise ValueError("second derivatives are those of one output")
        self.output = int(positions[0])
        tape = self.tape
        self.g = tape.backward(self.l, tape.slots[positions], np.ones(1), checkpoint)
        self.h = np.zeros((tape.rows, 3))
        kernels.curvature(tape.ops, tape.a, tape.b, self.v, self.h)

    def along(self, t: Array) -> Array:
        """The Hessian applied to the leaves' tangents t (S, directions), which is completed: (S, directions)."""
        tape = self.tape
        kernels.tangents(tape.a, tape.b, self.l, t)
        gt = np.zeros_like(t)
        scratch = np.empty((4, tape.widest))
        kernels.second_adjoints(tape.ops, tape.a, tape.b, self.v, self.l, self.h, self.g, t, gt, scratch)
        return gt


def hvp(
    graph: Graph,
    vector: Mapping[str, float],
    inputs: Mapping[str, float] | None = None,
    *,
    output: str | None = None,
    checkpoint: Checkpoint = no_checkpoint,
) -> tuple[Array, Array]:
    """The nodes' values float64[n] and the Hessian of one output times `vector`, float64[inputs in document order].

    Forward over reverse, exact; inputs that `vector` does not name count as 0. `output` defaults to the graph's
    one; ValueError where it has several.
    """
    second = _SecondOrder(graph, inputs, output, checkpoint)
    t = np.zeros((second.tape.size, 1))
    for node, component in vector.items():
        t[second.tape.slots[graph.position(node)]] = component
    return second.tape.to_nodes(second.v), second.along(t)[second.tape.slots[second.tape.inputs], 0]


def hessian(
    graph: Graph,
    inputs: Mapping[str, float] | None = None,
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    checkpoint: Checkpoint = no_checkpoint,
) -> tuple[Array, Array]:
    """The nodes' values float64[n] and the matrix of second derivatives of one output, float64[wrt, wrt].

    One triangle of its columns, mirrored, so the matrix is symmetric to the bit.
    """
    values, columns = hessian_columns(graph, inputs, output=output, wrt=wrt, checkpoint=checkpoint)
    return values, mirrored(columns)


def hessian_columns(
    graph: Graph,
    inputs: Mapping[str, float] | None = None,
    *,
    output: str | None = None,
    wrt: Sequence[str] | None = None,
    columns: slice = slice(None),
    checkpoint: Checkpoint = no_checkpoint,
) -> tuple[Array, Array]:
    """The nodes' values float64[n] and some columns of the matrix of second derivatives, float64[wrt, columns].

    From Hessian-vector products, several directions in a sweep; inputs that the output does not depend on are left
    out of the sweeps.
    """
    second = _SecondOrder(graph, inputs, output, checkpoint)
    tape = second.tape
    rows = wrt_positions(graph, wrt)
    directions = rows[columns]
    matrix = np.zeros((len(rows), len(directions)))
    unused = set(disconnected(tape, np.array([second.output])))
    live = np.array([k for k, position in enumerate(directions.tolist()) if position not in unused], np.int64)
    for start in range(0, len(live), _DIRECTIONS):
        checkpoint()
        some = live[start : start + _DIRECTIONS]
        t = np.zeros((tape.size, len(some)))
        t[tape.slots[directions[some]], np.arange(len(some))] = 1.0
        matrix[:, some] = second.along(t)[tape.slots[rows]]
    return tape.to_nodes(second.v), matrix


def mirrored(matrix: Array) -> Array:
    """The square matrix with its upper triangle in place of the lower one too."""
    upper = np.triu(matrix)
    return np.where(np.tri(len(matrix), k=-1, dtype=bool), upper.T, upper)
