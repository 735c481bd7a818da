"""Gradient descent over chosen inputs of a graph, on one point or on the mean over rows of data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import repeat
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.blocks import Array, Block, addresses, lanes_of, stretches, threads_for
from engine.derivatives import Checkpoint, bind, no_checkpoint
from engine.graph import Graph
from engine.optimizers import Optimizer

Report = Callable[[int, int], None]
"""Told, after each step, how many steps are done and how many there are to be."""


def _no_report(done: int, total: int) -> None:
    pass


@dataclass(frozen=True)
class Descent:
    """What a descent came to, over p parameters.

    objective: float64[steps taken], what each step saw before its update; parameters: float64[p], the final ones.
    The rest is as of the final parameters, means over all rows where there is data: value, the objective;
    outputs: float64[o], the graph's; gradients: float64[p], d objective / d parameter.
    stopped: why it ended: all `steps` were taken, `patience` ran out, or the objective or its gradient was `nonfinite`
    in the last step of the history, which moved nothing.
    """

    objective: Array
    parameters: Array
    value: float
    outputs: Array
    gradients: Array
    stopped: Literal["steps", "patience", "nonfinite"]


def descend(
    graph: Graph,
    objective: str,
    parameters: Sequence[str],
    optimizer: Optimizer,
    steps: int,
    *,
    maximize: bool = False,
    inputs: Mapping[str, float] | None = None,
    data: Mapping[str, Array] | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    patience: int | None = None,
    min_improvement: float = 0.0,
    checkpoint: Checkpoint = no_checkpoint,
    report: Report = _no_report,
    threads: int | None = None,
) -> Descent:
    """Moves the `parameters`, ids of inputs, `steps` times so that the node `objective` falls (or rises).

    `inputs` replaces data of inputs, that of the parameters being where they start. `data` holds arrays float64[rows]
    of one length for further inputs; the objective is then its mean over all rows, or over `batch_size` of them in
    each step: the rows in a new order every epoch, drawn by numpy's PCG64 from `seed`, an epoch's last batch being
    what is left. With `patience`, descent ends after that many steps in a row none of which bettered the best
    objective by more than `min_improvement`. `checkpoint` is called every few milliseconds and may raise to stop it.
    The same arguments give the same bits, whatever the number of threads.

    KeyError for unknown ids; ValueError for parameters in `data`, lengths that differ, or an input without data.
    """
    if data and (both := set(data).intersection(parameters)):
        raise ValueError(f"both parameters and data: {', '.join(sorted(both))}")
    # Inputs that each row of data sets need no value of their own.
    base = bind(graph, dict.fromkeys(data or {}, 0.0) | dict(inputs or {}))
    slope: _Slope
    batches: Iterator[NDArray[np.intp] | None]
    with ExitStack() as stack, np.errstate(all="ignore"):
        if data:
            mean = _MeanSlope(graph, objective, parameters, base, data, checkpoint, threads, stack)
            slope, batches = mean, _batches(mean.rows, batch_size, seed)
        else:
            slope = _PointSlope(graph, objective, parameters, base, checkpoint)
            batches = repeat(None)
        x = base[graph.tape.slots[[graph.position(node) for node in parameters]]]
        sign = -1.0 if maximize else 1.0
        update = optimizer.start(len(x))
        history: list[float] = []
        best, since = np.inf, 0
        stopped: Literal["steps", "patience", "nonfinite"] = "steps"
        for step in range(steps):
            checkpoint()
            value, gradient = slope.at(x, next(batches))
            history.append(value)
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                stopped = "nonfinite"
                break
            since = 0 if sign * value < best - min_improvement else since + 1
            best = min(best, sign * value)
            if patience is not None and since >= patience:
                stopped = "patience"
                break
            update(x, sign * gradient, optimizer.rate(step, steps))
            report(step + 1, steps)
        value, gradient = slope.at(x, None)
        return Descent(np.array(history), x, value, slope.outputs(), gradient, stopped)


def _batches(rows: int, size: int | None, seed: int) -> Iterator[NDArray[np.intp] | None]:
    """The rows of each step's batch; None stands for all of them."""
    generator = np.random.Generator(np.random.PCG64(seed))
    while True:
        if size is None or size >= rows:
            yield None
            continue
        order = generator.permutation(rows)
        for first in range(0, rows, size):
            yield order[first : first + size]


class _Slope:
    """The objective and its gradient by the parameters."""

    def __init__(self, graph: Graph, objective: str, parameters: Sequence[str]) -> None:
        self.tape = graph.tape
        slots = self.tape.slots
        self.parameters = slots[[graph.position(node) for node in parameters]]
        self.objective = slots[[graph.position(objective)]]
        self.ends = slots[graph.outputs]

    def at(self, x: Array, rows: NDArray[np.intp] | None) -> tuple[float, Array]:
        """The objective and its gradient float64[p] at the parameters x, over some rows or (None) over all."""
        raise NotImplementedError

    def outputs(self) -> Array:
        """The graph's outputs float64[o] where `at` was last."""
        raise NotImplementedError


class _PointSlope(_Slope):
    """Of one point."""

    def __init__(
        self, graph: Graph, objective: str, parameters: Sequence[str], base: Array, checkpoint: Checkpoint
    ) -> None:
        super().__init__(graph, objective, parameters)
        self.base, self.checkpoint = base, checkpoint
        self.v = base

    def at(self, x: Array, rows: NDArray[np.intp] | None) -> tuple[float, Array]:
        self.base[self.parameters] = x
        self.v, g = self.tape.sweep(self.base, self.objective, np.ones(1), self.checkpoint)
        return float(self.v[self.objective[0]]), g[self.parameters]

    def outputs(self) -> Array:
        return self.v[self.ends]


class _MeanSlope(_Slope):
    """Of the mean over rows of data. Each thread keeps its block from step to step."""

    def __init__(
        self,
        graph: Graph,
        objective: str,
        parameters: Sequence[str],
        base: Array,
        data: Mapping[str, Array],
        checkpoint: Checkpoint,
        threads: int | None,
        stack: ExitStack,
    ) -> None:
        super().__init__(graph, objective, parameters)
        lengths = {len(column) for column in data.values()}
        if len(lengths) != 1 or lengths == {0}:
            raise ValueError("data takes arrays of one common length, at least 1")
        (self.rows,) = lengths
        self.checkpoint, self.threads = checkpoint, threads
        self.slots = self.tape.slots[[graph.position(node) for node in data]]
        self.columns = [np.ascontiguousarray(column, np.float64) for column in data.values()]
        self.lanes = min(lanes_of(self.tape), self.rows)
        # As many as any number of rows is shared by.
        shares = threads_for(self.tape, self.rows, threads)
        self.blocks = [Block(self.tape, base, self.lanes, self.objective) for _ in range(shares)]
        self.pool = stack.enter_context(ThreadPoolExecutor(shares, "chainrule-descent")) if shares > 1 else None
        self.summed = np.concatenate([self.objective, self.ends])
        self.values = np.empty(0)

    def at(self, x: Array, rows: NDArray[np.intp] | None) -> tuple[float, Array]:
        columns = self.columns if rows is None else [column[rows] for column in self.columns]
        places = addresses(columns), self.slots
        count = self.rows if rows is None else len(rows)
        # One sum for each block of rows, added up in order: the threads have no say in the rounding.
        parts = -(-count // self.lanes)
        values, gradients = np.zeros((len(self.summed), parts)), np.zeros((len(self.parameters), parts))

        def stretch(block: Block, bounds: tuple[int, int]) -> None:
            block.v[self.parameters] = x[:, None]
            for first in range(*bounds, self.lanes):
                self.checkpoint()
                last = min(first + self.lanes, bounds[1])
                block.differentiate(
                    places, np.ones(1), (self.summed, values), (self.parameters, gradients), self.lanes, first, last
                )

        bounds = stretches(self.tape, count, self.lanes, self.threads)
        if self.pool is None or len(bounds) == 1:
            for each in bounds:
                stretch(self.blocks[0], each)
        else:
            list(self.pool.map(stretch, self.blocks, bounds))
        self.values = values.sum(axis=1) / count
        return float(self.values[0]), gradients.sum(axis=1) / count

    def outputs(self) -> Array:
        return self.values[1:]
