"""The elementary functions themselves: against mpmath, and the same bits one by one as many at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from mpmath import mp, mpf

from engine import elementary
from engine.derivatives import batch
from engine.graph import Graph
from tests.engine.reference import ulps

FUNCTIONS: dict[str, tuple[Callable[[mpf], mpf], tuple[float, float], float]] = {
    "exp": (mp.exp, (-700.0, 700.0), 0.7),
    "expm1": (mp.expm1, (-3.0, 3.0), 1.2),
    "log": (mp.log, (1e-3, 30.0), 0.8),
    "log1p": (mp.log1p, (-0.9, 3.0), 0.9),
    "sin": (mp.sin, (-1e6, 1e6), 0.8),
    "cos": (mp.cos, (-1e6, 1e6), 0.8),
    "tanh": (mp.tanh, (-5.0, 5.0), 2.1),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), (-30.0, 30.0), 0.8),
}
"""Function -> its reference, where it is tried, and its largest error in units in the last place."""


def many(name: str, xs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and derivatives as a batch computes them."""
    graph = Graph.from_document(
        {"nodes": [{"id": "x", "op": "input"}, {"id": "y", "op": name, "inputs": ["x"]}], "outputs": ["y"]}
    )
    found = batch(graph, {"x": xs}, value_of=[1], gradient_of=[0])
    return found.values[0], found.gradients[0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_errors_are_about_one_unit_in_the_last_place(name: str) -> None:
    exact, (low, high), bound = FUNCTIONS[name]
    xs = np.random.default_rng(1).uniform(low, high, 3000)
    values, _ = many(name, xs)
    function = getattr(elementary, name)
    with mp.workdps(40):
        errors = [ulps(y, exact(mpf(x))) for x, y in zip(xs.tolist(), values.tolist(), strict=True)]
    assert max(errors) <= bound
    assert [function(x) for x in xs[:500].tolist()] == values[:500].tolist()


@pytest.mark.parametrize("name", ["sin", "cos"])
def test_one_huge_angle_leaves_the_others_as_they_are(name: str) -> None:
    """Beyond NEAR a block goes another way."""
    xs = np.random.default_rng(2).uniform(-100, 100, 77)
    values, gradients = many(name, xs)
    with_huge = [column[:-1] for column in many(name, np.append(xs, 1e22))]
    assert with_huge[0].tobytes() == values.tobytes() and with_huge[1].tobytes() == gradients.tobytes()
    huge = many(name, np.full(9, 1e22))
    with mp.workdps(60):
        sine, cosine = mp.sin(mpf(10) ** 22), mp.cos(mpf(10) ** 22)
    expected = (sine, cosine) if name == "sin" else (cosine, -sine)
    for found, exact_value in zip(huge, expected, strict=True):
        assert ulps(float(found[0]), exact_value) <= 1.0
