"""Gradients, Jacobians, Hessians and their products of functions people know, against mpmath to ten digits.

Each function is written once, over a namespace of operations: the engine's record a graph of Values, mpmath's compute
with exact numbers, whose differences know nothing of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from mpmath import mp, mpf

import engine
from engine.derivatives import gradient, hessian, hvp, jacobian, jvp
from engine.graph import Graph
from engine.operations import OPERATIONS
from engine.value import Value
from tests.engine import reference

Function = Callable[..., Any]
"""Of a namespace and its arguments; answers one number, or a list of them."""

RELATIVE = 1e-10

ENGINE = SimpleNamespace(**{o.name: getattr(engine, o.name) for o in OPERATIONS}, number=float)
EXACT = SimpleNamespace(**reference.VALUES, number=lambda x: mpf(float(x)))


def rosenbrock(m: Any, *x: Any) -> Any:
    return m.sum(*(100 * (b - a**2) ** 2 + (1 - a) ** 2 for a, b in pairwise(x)))


def black_scholes(m: Any, spot: Any, strike: Any, rate: Any, volatility: Any, years: Any) -> Any:
    """The price of a European call."""
    spread = volatility * m.sqrt(years)
    d1 = (m.log(spot / strike) + (rate + volatility**2 / 2) * years) / spread
    root = m.sqrt(m.number(2.0))

    def normal(x: Any) -> Any:
        return m.erfc(-x / root) / 2

    return spot * normal(d1) - strike * m.exp(-rate * years) * normal(d1 - spread)


def logistic_loss(m: Any, *w: Any) -> Any:
    rows = [(0.5, 1.2, 1), (-1.5, 0.3, 0), (2.2, -0.7, 1), (0.1, -1.1, 0), (-0.4, 0.9, 1)]
    losses = []
    for u, v, label in rows:
        score = w[0] * u + w[1] * v + w[2]
        losses.append(m.softplus(-score if label else score))
    return m.mean(*losses) + 0.01 * m.sum(*(m.square(each) for each in w))


def small_network(m: Any, *w: Any) -> Any:
    """2-3-1 with tanh and gelu, squared error over three samples."""
    total = []
    for u, v, target in ((0.5, -1.0, 0.2), (1.5, 0.7, -0.4), (-0.8, 0.3, 0.9)):
        hidden = [m.tanh(w[3 * k] * u + w[3 * k + 1] * v + w[3 * k + 2]) for k in range(3)]
        out = m.gelu(m.sum(*(h * w[9 + k] for k, h in enumerate(hidden)), w[12]))
        total.append((out - target) ** 2)
    return m.mean(*total)


def pendulum(m: Any, angle: Any, speed: Any, length: Any) -> Any:
    """The angle after 200 steps of symplectic Euler."""
    for _ in range(200):
        speed = speed - 0.01 * 9.81 / length * m.sin(angle)
        angle = angle + 0.01 * speed
    return angle


def log_sum_exp(m: Any, *x: Any) -> Any:
    return m.logsumexp(*x)


def cross_entropy(m: Any, *x: Any) -> Any:
    """Softmax cross entropy of class 2, by the primitive operations."""
    largest = m.max(*x)
    return m.log(m.sum(*(m.exp(each - largest) for each in x))) + largest - x[2]


def branin(m: Any, x: Any, y: Any) -> Any:
    pi = 3.141592653589793
    return (y - 5.1 / (4 * pi**2) * x**2 + 5 / pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * pi)) * m.cos(x) + 10


def ackley(m: Any, *x: Any) -> Any:
    n = len(x)
    squares = m.sum(*(each**2 for each in x)) / n
    waves = m.sum(*(m.cos(6.283185307179586 * each) for each in x)) / n
    return -20 * m.exp(-0.2 * m.sqrt(squares)) - m.exp(waves) + 20


def lennard_jones(m: Any, *x: Any) -> Any:
    """The energy of three atoms in the plane."""
    energy = []
    for i in range(3):
        for j in range(i):
            r = m.hypot(x[2 * i] - x[2 * j], x[2 * i + 1] - x[2 * j + 1])
            energy.append(4 * (r**-12 - r**-6))
    return m.sum(*energy)


def kepler(m: Any, mean_anomaly: Any, eccentricity: Any) -> Any:
    """The true anomaly, the eccentric one by eight steps of Newton's method."""
    e = mean_anomaly
    for _ in range(8):
        e = e - (e - eccentricity * m.sin(e) - mean_anomaly) / (1 - eccentricity * m.cos(e))
    return m.atan2(m.sqrt(1 - eccentricity**2) * m.sin(e), m.cos(e) - eccentricity)


def haversine(m: Any, lat1: Any, lon1: Any, lat2: Any, lon2: Any) -> Any:
    h = m.square(m.sin((lat2 - lat1) / 2)) + m.cos(lat1) * m.cos(lat2) * m.square(m.sin((lon2 - lon1) / 2))
    return 2 * m.asin(m.sqrt(h))


def planck(m: Any, wavelength: Any, temperature: Any) -> Any:
    return 1 / (wavelength**5 * m.expm1(1 / (wavelength * temperature)))


def arithmetic_geometric_mean(m: Any, a: Any, b: Any) -> Any:
    for _ in range(6):
        a, b = (a + b) / 2, m.sqrt(a * b)
    return a


def mixture(m: Any, mean1: Any, mean2: Any, log_sigma: Any, logit: Any) -> Any:
    """The log likelihood of a mixture of two normal distributions."""
    terms = []
    for x in (-1.3, 0.2, 0.9, 2.5):
        z1, z2 = (x - mean1) * m.exp(-log_sigma), (x - mean2) * m.exp(-log_sigma)
        terms.append(m.logsumexp(-m.softplus(-logit) - z1**2 / 2, -m.softplus(logit) - z2**2 / 2) - log_sigma)
    return m.sum(*terms)


@dataclass(frozen=True)
class Case:
    function: Function
    point: tuple[float, ...]


SCALAR = [
    Case(rosenbrock, (-1.2, 1.0, 0.7, 1.1)),
    Case(black_scholes, (100.0, 105.0, 0.03, 0.2, 0.75)),
    Case(logistic_loss, (0.3, -0.8, 0.1)),
    Case(small_network, (0.4, -0.3, 0.1, 0.9, 0.2, -0.5, -0.7, 0.6, 0.3, 1.1, -0.9, 0.5, 0.2)),
    Case(pendulum, (1.0, 0.5, 1.3)),
    Case(log_sum_exp, (1.0, -2.0, 0.5, 3.0, 2.5)),
    Case(cross_entropy, (0.2, 1.7, -0.6, 0.9)),
    Case(branin, (2.5, 7.1)),
    Case(ackley, (0.4, -0.8, 1.3)),
    Case(lennard_jones, (0.0, 0.1, 1.2, 0.0, 0.5, 1.1)),
    Case(kepler, (0.8, 0.6)),
    Case(haversine, (0.9, 0.04, 0.71, -1.29)),
    Case(planck, (0.5, 0.6)),
    Case(arithmetic_geometric_mean, (1.0, 0.3)),
    Case(mixture, (-0.5, 1.0, -0.2, 0.3)),
]
scalar_cases = pytest.mark.parametrize("case", SCALAR, ids=lambda case: case.function.__name__)


def graph_of(function: Function, point: Sequence[float]) -> Graph:
    result = function(ENGINE, *(Value(x, id=f"x{k}") for k, x in enumerate(point)))
    graph: Graph = result[0].to_graph(*result[1:]) if isinstance(result, list) else result.to_graph()
    return graph


def close(found: Any, exact: Any) -> None:
    """Equal to ten digits of each entry, or of the largest beside entries that are as good as zero."""
    exact = np.array(exact, float)
    np.testing.assert_allclose(found, exact, rtol=RELATIVE, atol=1e-15 * float(np.abs(exact).max()))


@scalar_cases
def test_values_gradients_and_jacobians(case: Case) -> None:
    graph = graph_of(case.function, case.point)
    inputs = [f"x{k}" for k in range(len(case.point))]
    found = gradient(graph)
    exact = [exact_partial(case.function, case.point, (k,)) for k in range(len(inputs))]
    with mp.workdps(50):
        close(found.values[graph.outputs], [case.function(EXACT, *map(mpf, case.point))])
    close(found.gradients[[graph.position(node) for node in inputs]], exact)
    close(jacobian(graph, wrt=inputs)[1], [exact])
    direction = np.cos(np.arange(len(inputs)) + 1.0)
    along = sum(mpf(float(t)) * d for t, d in zip(direction, exact, strict=True))
    close(jvp(graph, dict(zip(inputs, direction, strict=True)))[1], [along])


@scalar_cases
def test_hessians_and_products_with_them(case: Case) -> None:
    graph = graph_of(case.function, case.point)
    count = len(case.point)
    inputs = [f"x{k}" for k in range(count)]
    exact = np.zeros((count, count))
    for i in range(count):
        for j in range(i, count):
            exact[i, j] = exact[j, i] = exact_partial(case.function, case.point, (i, j))
    matrix = hessian(graph, wrt=inputs)[1]
    close(matrix, exact)
    assert matrix.tobytes() == matrix.T.copy().tobytes()
    direction = np.sin(np.arange(count) + 1.0)
    product = dict(zip(
        [graph.ids[k] for k in graph.tape.inputs], hvp(graph, dict(zip(inputs, direction, strict=True)))[1], strict=True
    ))  # fmt: skip
    np.testing.assert_allclose(
        [product[node] for node in inputs], exact @ direction, rtol=RELATIVE, atol=1e-14 * np.abs(exact).max()
    )


def exact_partial(function: Function, point: tuple[float, ...], places: tuple[int, ...]) -> mpf:
    result, _ = reference.differentiate(lambda *x: function(EXACT, *x), point, places)
    assert result is not None
    return result


def softmax(m: Any, *x: Any) -> list[Any]:
    total = m.logsumexp(*x)
    return [m.exp(each - total) for each in x]


def polar(m: Any, x: Any, y: Any, z: Any) -> list[Any]:
    r = m.sqrt(x**2 + y**2 + z**2)
    return [r, m.acos(z / r), m.atan2(y, x)]


def lorenz(m: Any, x: Any, y: Any, z: Any) -> list[Any]:
    """Ten steps of Euler's method."""
    for _ in range(10):
        x, y, z = x + 0.01 * 10 * (y - x), y + 0.01 * (x * (28 - z) - y), z + 0.01 * (x * y - 8 / 3 * z)
    return [x, y, z]


def more_outputs_than_inputs(m: Any, t: Any) -> list[Any]:
    return [m.sin(t), m.cos(t), m.tanh(t), m.erf(t), m.log1p(t)]


@pytest.mark.parametrize(
    "case",
    [
        Case(softmax, (0.3, -1.2, 2.0, 0.7)),
        Case(polar, (0.5, -0.7, 1.1)),
        Case(lorenz, (1.0, 1.0, 20.0)),
        Case(more_outputs_than_inputs, (0.6,)),
    ],
    ids=lambda case: case.function.__name__,
)
def test_jacobians_of_several_outputs(case: Case) -> None:
    graph = graph_of(case.function, case.point)
    inputs = [f"x{k}" for k in range(len(case.point))]
    outputs = len(graph.outputs)
    exact = [
        [exact_partial(lambda m, *x, row=row: case.function(m, *x)[row], case.point, (k,)) for k in range(len(inputs))]
        for row in range(outputs)
    ]
    close(jacobian(graph, wrt=inputs)[1], exact)
    direction = np.cos(np.arange(len(inputs)) + 1.0)
    along = np.array(exact, float) @ direction
    np.testing.assert_allclose(jvp(graph, dict(zip(inputs, direction, strict=True)))[1], along, rtol=1e-10, atol=1e-14)
    seeds = {graph.ids[node]: float(k + 1) for k, node in enumerate(graph.outputs)}
    back = gradient(graph, seeds=seeds).gradients[[graph.position(node) for node in inputs]]
    np.testing.assert_allclose(back, np.arange(1, outputs + 1) @ np.array(exact, float), rtol=1e-10, atol=1e-14)


def test_the_greeks_of_black_and_scholes() -> None:
    """Delta, gamma, vega, theta and rho in closed form."""
    point = (100.0, 105.0, 0.03, 0.2, 0.75)
    graph = graph_of(black_scholes, point)
    with mp.workdps(50):
        s, k, r, v, t = map(mpf, point)
        d1 = (mp.log(s / k) + (r + v * v / 2) * t) / (v * mp.sqrt(t))
        d2 = d1 - v * mp.sqrt(t)
        delta = mp.ncdf(d1)
        gamma = mp.npdf(d1) / (s * v * mp.sqrt(t))
        vega = s * mp.npdf(d1) * mp.sqrt(t)
        theta = -s * mp.npdf(d1) * v / (2 * mp.sqrt(t)) - r * k * mp.exp(-r * t) * mp.ncdf(d2)
        rho = k * t * mp.exp(-r * t) * mp.ncdf(d2)
        vanna = -mp.npdf(d1) * d2 / v
        volga = vega * d1 * d2 / v
    places = [graph.position(f"x{k}") for k in range(5)]
    found = gradient(graph).gradients[places]
    close([found[0], found[3], -found[4], found[2]], [delta, vega, theta, rho])
    second = hessian(graph, wrt=[f"x{k}" for k in range(5)])[1]
    close([second[0, 0], second[0, 3], second[3, 3]], [gamma, vanna, volga])
