"""The gradient of a graph's inputs against an independent numerical one.

The numerical derivative knows no local derivative: it nudges one input at a time by many steps, evaluates the graph,
and extrapolates the difference quotients to a step of zero (Richardson 1911; the choice by error estimate is that of
Ridders 1982). All nudges of an input run as the lanes of one block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.blocks import Array, Block
from engine.derivatives import Checkpoint, Gradient, bind, gradient, no_checkpoint, wrt_positions
from engine.graph import Graph

TOLERANCE = 1e-6
"""The relative error at which a derivative is called wrong: a factor of 1.00001 is seen."""

_STEPS = 14
"""Steps of each size, every one half of the one before."""
POINTS = 4 * _STEPS + 1
"""How often the graph is evaluated for each input."""
_ORDERS = 7
"""How many powers of the step extrapolation removes at most."""
_EPSILON = float(np.finfo(np.float64).eps)
_SMALLEST = float(np.finfo(np.float64).smallest_subnormal)
_LARGE = 2.0**1000
"""Quotients beyond it would overflow where they are extrapolated."""
_NEAR = 0.1
"""The relative error from which on a limit of quotients is told from noise."""
_GROWTH = 1.2
"""Quotients that grow by so much each time the step is halved grow without bound: like step**-0.5, they do by 1.41."""


@dataclass(frozen=True)
class Check:
    """Analytic and numerical derivatives of the seeded sum of the outputs by k inputs.

    positions: int64[k], the inputs. analytic, numeric: float64[k]. relative_error: their difference over the larger
    one's size. error_estimate: how far `numeric` may be off, in the derivative's own unit; far below the tolerance
    times the derivative where the graph is smooth, and what the comparison is worth where it is not so small.
    kinked: bool[k], whether the derivatives to the two sides differ: then there is nothing to compare with, and no
    fault is found. passed: bool[k], whether no fault was found. gradient: the analytic gradient of all nodes.

    `numeric` is an infinity where difference quotients grow without bound, and NaN where nothing can be told: none can
    be formed, or what they differ by is lost at the edges of float64. No fault is found then either.
    """

    positions: NDArray[np.int64]
    analytic: Array
    numeric: Array
    relative_error: Array
    error_estimate: Array
    kinked: NDArray[np.bool_]
    passed: NDArray[np.bool_]
    gradient: Gradient


def check(
    graph: Graph,
    inputs: Mapping[str, float] | None = None,
    *,
    outputs: Sequence[str] | None = None,
    seeds: Mapping[str, float] | None = None,
    wrt: Sequence[str] | None = None,
    tolerance: float = TOLERANCE,
    checkpoint: Checkpoint = no_checkpoint,
) -> Check:
    """Compares the gradient by `wrt`, ids of inputs (all of them by default), with a numerical one.

    Arguments and errors are those of `gradient`. A derivative passes if it differs from the numerical one by no more
    than `tolerance` relative to the larger one, and four times the latter's error estimate. Costs about sixty
    evaluations of the graph for each input; `checkpoint` is called between them.
    """
    tape = graph.tape
    analytic = gradient(graph, inputs, outputs=outputs, seeds=seeds, checkpoint=checkpoint)
    positions = wrt_positions(graph, wrt)
    base = bind(graph, inputs or {})
    live = analytic.seeds != 0.0
    ends, weights = tape.slots[analytic.outputs[live]], analytic.seeds[live]
    block = Block(tape, base, POINTS)
    on_kink = tape.reached(analytic.nonsmooth)
    found = []
    with np.errstate(all="ignore"):
        for position in positions.tolist():
            checkpoint()
            slot = int(tape.slots[position])
            points = _points(float(base[slot]))
            block.v[slot] = points
            block.forward(len(points))
            found.append(_Quotients(points, block.v[ends], weights).derivative(on_kink[slot]))
            block.v[slot] = base[slot]
        numeric, estimate = np.array([row[:2] for row in found]).reshape(-1, 2).T
        kinked = np.array([row[2] for row in found], bool)
        chosen = analytic.gradients[positions]
        difference = np.where(chosen == numeric, 0.0, np.abs(chosen - numeric))
        size = np.maximum(np.abs(chosen), np.abs(numeric))
        equal = (difference <= tolerance * size) & np.isfinite(difference)
        possible = (difference <= 4.0 * estimate) | np.isinf(chosen)
        lost = ~kinked & ~equal & possible & (estimate > _NEAR * np.abs(numeric))
        numeric = np.where(lost, np.nan, numeric)
        relative = np.where(difference == 0.0, 0.0, np.where(lost, np.nan, difference / size))
        near = np.isfinite(difference) & (difference <= tolerance * size + 4.0 * estimate)
        passed = kinked | np.isnan(numeric) | near
    return Check(positions, chosen, numeric, relative, estimate, kinked, passed, analytic)


def _points(x: float) -> Array:
    """x, then x + h and x - h for steps h on the scale of x and on that of 1, as one array.

    Powers of two, so that x + h is rounded as little as can be.
    """
    scale = 2.0 ** np.floor(np.log2(np.abs(x))) if x != 0.0 and np.isfinite(x) else 1.0
    halves = 0.25 * 0.5 ** np.arange(_STEPS)
    # For numbers around 1 both scales are about the same: one starts smaller then.
    other = 1.0 if not 0.1 < scale < 10.0 else 2.0**-_STEPS
    steps = np.concatenate([scale * halves, other * halves])
    return np.concatenate([[x], x + steps, x - steps])


class _Quotients:
    """Difference quotients over the two scales of steps, shape (2, steps), from the outputs at `_points`."""

    def __init__(self, points: Array, values: Array, weights: Array) -> None:
        shape = (2, _STEPS)
        half = 2 * _STEPS
        self.x, self.above, self.below = (
            points[0],
            points[1 : 1 + half].reshape(shape),
            points[1 + half :].reshape(shape),
        )
        here, over, under = values[:, :1], values[:, 1 : 1 + half], values[:, 1 + half :]

        # The difference of each output before their sum: what a nudge leaves alone cancels exactly.
        def sums(differences: Array) -> Array:
            return (weights @ differences).reshape(shape)

        self.right = sums(over - here) / (self.above - self.x)
        self.left = sums(here - under) / (self.x - self.below)
        self.central = sums(over - under) / (self.above - self.below)
        size = (np.abs(weights) @ np.fmax(np.abs(over), np.abs(under))).reshape(shape)
        self.noise = (_EPSILON * size + _SMALLEST) / (self.above - self.below)
        self.finer = int(np.argmin(self.above[:, -1]))
        self.defined = bool(np.isfinite(here).all())

    def derivative(self, on_kink: bool) -> tuple[float, float, bool]:
        """The derivative, its error estimate, and whether it is different to the two sides."""
        central, error = _extrapolated(self.central, self.noise, 2)
        right, right_error = _extrapolated(self.right, 2.0 * self.noise, 1)
        left, left_error = _extrapolated(self.left, 2.0 * self.noise, 1)
        if not self.defined:
            return np.nan, np.inf, on_kink
        if on_kink:
            return central, error, True
        if np.isnan(central):
            # On the edge of a domain there is only one side.
            side, quotients = (right, self.right) if np.isnan(left) else (left, self.left)
            side_error = right_error if np.isnan(left) else left_error
            grown = _unbounded(quotients[self.finer])
            return (grown, 0.0, False) if grown else (side, side_error, False)
        if grown := _unbounded(self.central[self.finer]):
            return grown, 0.0, False
        apart = abs(right - left) > 1e-3 * max(abs(right), abs(left)) + 10.0 * (right_error + left_error)
        return central, error, bool(apart)


def _unbounded(quotients: Array) -> float:
    """The infinity that the quotients go to as the step shrinks, or 0."""
    grows = np.abs(quotients[1:]) > _GROWTH * np.abs(quotients[:-1])
    return float(np.copysign(np.inf, quotients[-1])) if grows.all() else 0.0


def _extrapolated(quotients: Array, noise: Array, power: int) -> tuple[float, float]:
    """The limit of quotients (2, steps) for a step of zero, with its error estimate; NaN where there is none.

    The error of quotient k has the powers `power`, 2 * power, ... of the step. Of the limits that Neville's scheme
    gives, that counts which is nearest, relative to its size, to those it was made from, the rounding errors in them
    included; where none comes near, as at a derivative of 0, that whose distance is least.
    """
    limits, errors = [], []
    unit = _LARGE if np.nanmax(np.abs(quotients), initial=0.0, where=np.isfinite(quotients)) > _LARGE else 1.0
    column, floor = quotients / unit, noise / unit
    for order in range(1, _ORDERS + 1):
        factor = 2.0 ** (power * order)
        further = (factor * column[:, 1:] - column[:, :-1]) / (factor - 1.0)
        floor = (factor * floor[:, 1:] + floor[:, :-1]) / (factor - 1.0)
        limits.append(further.ravel())
        errors.append((np.maximum(np.abs(further - column[:, 1:]), np.abs(further - column[:, :-1])) + floor).ravel())
        column = further
    limit, error = np.concatenate(limits), np.concatenate(errors)
    error[~np.isfinite(limit) | np.isnan(error)] = np.inf
    relative = np.where((error < np.inf) & (limit != 0.0), error / np.abs(limit), np.inf)
    place = relative.argmin() if relative.min() < _NEAR else error.argmin()
    return (float(unit * limit[place]), float(unit * error[place])) if error[place] < np.inf else (np.nan, np.inf)
