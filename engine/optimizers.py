"""How descent takes a step from a gradient: the optimizers and the schedules of their learning rate.

The formulas are those of torch.optim.SGD (without dampening and Nesterov) and torch.optim.Adam (without amsgrad, the
weight decay being part of the gradient).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Update = Callable[[Array, Array, float], None]
"""Moves the parameters (first) in place, against their gradient (second), at a learning rate."""

Schedule = Literal["constant", "linear", "cosine"]


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """What all optimizers take.

    `weight_decay` times the parameters is added to their gradient. The learning rate of step k of n is
    `learning_rate` times a factor: 1 if the schedule is constant, else it goes from 1 at k = 0 towards `end_factor` at
    k = n, in a straight line or along half a cosine.
    """

    learning_rate: float
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    end_factor: float = 0.0

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of one of `steps` steps, counted from 0."""
        match self.schedule:
            case "constant":
                return self.learning_rate
            case "linear":
                gone = step / steps
            case "cosine":
                gone = (1.0 - math.cos(math.pi * step / steps)) / 2.0
        return self.learning_rate * (1.0 - (1.0 - self.end_factor) * gone)

    def start(self, count: int) -> Update:
        """The update of `count` parameters, with a memory of its own."""
        raise NotImplementedError

    def _decayed(self, gradient: Array, parameters: Array) -> Array:
        return gradient + self.weight_decay * parameters if self.weight_decay else gradient


@dataclass(frozen=True, kw_only=True)
class Sgd(Optimizer):
    """Steps along the gradient, or along the velocity v = momentum v + gradient."""

    momentum: float = 0.0

    def start(self, count: int) -> Update:
        velocity = np.zeros(count)

        def update(parameters: Array, gradient: Array, rate: float) -> None:
            velocity[:] = self.momentum * velocity + self._decayed(gradient, parameters)
            parameters -= rate * velocity

        return update


@dataclass(frozen=True, kw_only=True)
class Adam(Optimizer):
    """Steps along running means of the gradient over the root of those of its square (Kingma and Ba 2015)."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, count: int) -> Update:
        mean, square = np.zeros(count), np.zeros(count)
        taken = 0

        def update(parameters: Array, gradient: Array, rate: float) -> None:
            nonlocal taken
            taken += 1
            gradient = self._decayed(gradient, parameters)
            mean[:] = self.beta1 * mean + (1.0 - self.beta1) * gradient
            square[:] = self.beta2 * square + (1.0 - self.beta2) * gradient * gradient
            root = np.sqrt(square) / math.sqrt(1.0 - self.beta2**taken) + self.epsilon
            parameters -= rate / (1.0 - self.beta1**taken) * mean / root

        return update


OPTIMIZERS: dict[str, type[Sgd | Adam]] = {"sgd": Sgd, "adam": Adam}
