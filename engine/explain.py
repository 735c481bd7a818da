"""The backward pass, one application of the chain rule after the other, as a lecturer fills it in by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import kernels
from engine.derivatives import nonsmooth
from engine.graph import Graph
from engine.notation import local_derivative, plain, quoted, typeset
from engine.numbers import number_to_wire
from engine.operations import operation_of
from engine.rows import LINK
from engine.symbolic import ONE

Array = NDArray[np.float64]

SEED = "seed"


@dataclass(frozen=True)
class Step:
    """One application of the chain rule: `node`, computed by `op`, hands `contribution` back to its operand `to`.

    `derivative` is d node / d to as a formula and `local` its value, `upstream` the node's own gradient,
    `gradient` what the receiver has gathered so far, this contribution included. A seed comes from no node:
    its `op` is "seed", and it hands `upstream`, the seed, to an output.
    """

    index: int
    node: str | None
    op: str
    to: str
    derivative: str
    local: float
    upstream: float
    contribution: float
    gradient: float
    text: str


class Steps:
    """All steps of one backward pass, in the order in which the compiled sweep makes them.

    First the seeds; then the nodes that the outputs are computed from, in reverse evaluation order, each with its
    operands in their order. Constants and number literals receive nothing, so they have no step. A contribution
    that is exactly zero is a step like any other.

    Steps are made when they are asked for: what is held is a few numbers for each node. The gradients that the
    steps end with are those of `derivatives.gradient`, bit for bit.
    """

    def __init__(
        self,
        graph: Graph,
        values: Array,
        outputs: Sequence[int],
        seeds: Sequence[float],
        *,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        """The backward pass at `values` float64[n], of which only the leaves' are read.

        `outputs` are positions, `seeds` the gradient put into each.
        """
        self.graph = graph
        self._tape = tape = graph.tape
        self._outputs = [int(position) for position in outputs]
        self._seeds = [float(seed) for seed in seeds]
        self._nodes = np.arange(len(graph)) if graph.order is None else graph.order
        self._mains = tape.slots[self._nodes]
        v = tape.base.copy()
        v[tape.slots[tape.inputs]] = values[tape.inputs]
        self._locals = tape.forward(v, checkpoint)
        self._kinks = frozenset(nonsmooth(tape, v))
        self._receives = np.zeros(tape.size, bool)
        self._receives[: tape.rows] = tape.ops != LINK
        self._receives[tape.slots[tape.constants]] = False
        reached = tape.reached(self._outputs)
        made = self._receives[tape.a].astype(np.int8) + self._receives[tape.b]
        made[~reached[: tape.rows]] = 0
        # Entry k counts the steps of the last k rows: the sweep goes from the last row to the first.
        self._before = np.concatenate([[0], np.cumsum(made[::-1], dtype=np.int64)])

    def __len__(self) -> int:
        return len(self._outputs) + int(self._before[-1])

    def page(self, start: int, stop: int) -> list[Step]:
        """Steps `start` to `stop`, at the cost of the steps themselves and one compiled sweep."""
        return [step for step in self._from(start, min(stop, len(self))) if step.index >= start]

    def _from(self, start: int, stop: int) -> Iterator[Step]:
        """The steps up to `stop`, from `start` or a little before it."""
        tape = self._tape
        g = np.zeros(tape.size)
        for index, (position, seed) in enumerate(zip(self._outputs, self._seeds, strict=True)):
            slot = tape.slots[position]
            g[slot] += seed
            if start <= index < stop:
                yield self._seed(index, self.graph.ids[position], seed, float(g[slot]))
        first = len(self._outputs)
        skipped = int(np.searchsorted(self._before, max(start - first, 0), side="right")) - 1
        row = tape.rows - skipped
        kernels.backward(tape.a, tape.b, self._locals, g, row, tape.rows)
        index = first + int(self._before[skipped])
        while index < stop:
            # Rows without a step are swept too: a link hands the gradient on to further operands of its node.
            done = tape.rows - row
            stepless = int(np.searchsorted(self._before, self._before[done], side="right")) - 1
            kernels.backward(tape.a, tape.b, self._locals, g, tape.rows - stepless, row)
            row = tape.rows - stepless - 1
            upstream = float(g[row])
            for side, operand in enumerate((int(tape.a[row]), int(tape.b[row]))):
                local = float(self._locals[row, side])
                contribution = _handed_back(local, upstream)
                before = float(g[operand])
                g[operand] = before + contribution  # of Python, which adds infinities without a warning
                if self._receives[operand]:
                    yield self._step(
                        index, row, side, operand, local, upstream, contribution, before, float(g[operand])
                    )
                    index += 1
                    if index == stop:
                        return

    def _seed(self, index: int, output: str, seed: float, gradient: float) -> Step:
        text = f"{output} is an output: its gradient starts at {brief(seed)}, the seed"
        return Step(index, None, SEED, output, plain(ONE), 1.0, seed, seed, gradient, text)

    def _step(
        self,
        index: int,
        row: int,
        side: int,
        operand: int,
        local: float,
        upstream: float,
        contribution: float,
        before: float,
        gradient: float,
    ) -> Step:
        graph = self.graph
        # A row that is a link belongs to the node whose main row is the next one above.
        place = int(np.searchsorted(self._mains, row))
        position = int(self._nodes[place])
        receiver = graph.ids[self._nodes[int(np.searchsorted(self._mains, operand))]]
        node = graph.ids[position]
        operation = operation_of(int(graph.ops[position]))
        operands = [graph.ids[each] if isinstance(each, int) else each for each in graph.inputs(position)]
        formula = local_derivative(operation, operands, int(self._mains[place]) - row + side, node)
        sentences = [
            f"{receiver} feeds {node} through {operation.name}",
            f"d {operation.name}/d{quoted(receiver)} = "
            + (brief(local) if formula[0] == "number" else f"{typeset(formula)} = {brief(local)}"),
            f"{brief(upstream)} × {brief(local)} = {brief(contribution)} goes to {receiver}",
        ]
        if contribution == 0.0 and (upstream * local) != 0.0:
            sentences[2] += ", for an exact zero passes nothing back"
        if before != 0.0:
            sentences.append(f"with the {brief(before)} it already has, that makes {brief(gradient)}")
        if position in self._kinks:
            sentences.append(f"{node} sits on a kink, where this derivative is a convention")
        return Step(
            index,
            node,
            operation.name,
            receiver,
            plain(formula),
            local,
            upstream,
            contribution,
            gradient,
            "; ".join(sentences),
        )


def _handed_back(local: float, upstream: float) -> float:
    """The chain rule's product; an exact zero passes exactly 0 back, whatever the other factor."""
    return 0.0 if local == 0.0 or upstream == 0.0 else local * upstream


def brief(value: float) -> str:
    """A number inside a sentence: six significant digits, and a point where it is whole."""
    rounded = float(f"{value:.6g}")
    return str(number_to_wire(rounded))
