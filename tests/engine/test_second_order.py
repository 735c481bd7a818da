"""Second derivatives of every operation, against second differences in mpmath."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mpf

from engine.derivatives import gradient, hessian, hvp
from engine.graph import Graph
from engine.operations import Operation
from tests.engine import reference
from tests.engine.subjects import SUBJECTS, single, subject_name

RELATIVE = 1e-10
BESIDE_SLOPE = 1e-14
"""What a second derivative may be off beside the first one where its terms cancel."""
SUBNORMAL = 1e-319


@pytest.mark.parametrize(("operation", "size"), SUBJECTS, ids=subject_name)
def test_hessians_of_every_operation(operation: Operation, size: int) -> None:
    graph = single(operation.name, size)
    # Of numbers much smaller, an intermediate result may overflow.
    points = [p for p in reference.points(operation.name, size) if all(x == 0 or 1e-100 < abs(x) < 30 for x in p)]
    compared = 0
    for point in points[:: max(1, len(points) * size // 60)]:
        exact = {
            (i, j): reference.derivative(operation.name, point, (i, j)) for i in range(size) for j in range(i, size)
        }
        if None in exact.values() or max(map(abs, exact.values())) > 1e300:
            continue
        inputs = {f"x{place}": x for place, x in enumerate(point)}
        matrix = hessian(graph, inputs)[1]
        assert matrix.tobytes() == matrix.T.copy().tobytes()
        slope = np.abs(gradient(graph, inputs).gradients[:size]).max()
        allowed = RELATIVE * max(map(abs, exact.values())) + BESIDE_SLOPE * mpf(float(slope)) + SUBNORMAL
        for (i, j), expected in exact.items():
            assert abs(mpf(float(matrix[i, j])) - expected) <= allowed, (point, i, j, matrix[i, j], float(expected))
        # One product with the Hessian says the same.
        vector = np.arange(1.0, size + 1)
        product = hvp(graph, dict(zip(inputs, vector, strict=True)), inputs)[1]
        np.testing.assert_allclose(product, matrix @ vector, rtol=RELATIVE, atol=10 * float(allowed))
        compared += 1
    assert compared >= 8


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("where(x > 0, log(x), 0)", 0.0),
        ("where(x > 0, sqrt(x), x * x)", -1.0),
        ("max(log(x), 5) * 3", 0.0),
        ("clamp(1 / x, 0, 1)", 0.0),
        ("relu(log(x))", 0.0),
        ("0 * sqrt(x)", 0.0),
    ],
)
def test_an_exact_zero_passes_nothing_to_second_derivatives(text: str, x: float) -> None:
    graph = Graph.from_document({"expression": text, "data": {"x": x}})
    assert hessian(graph)[1].tolist() == [[2.0 if "x * x" in text else 0.0]]


def test_second_derivatives_through_a_constant_exponent_and_repeated_operands() -> None:
    graph = Graph.from_document({"expression": "x**3 + x*x + prod(x, x, x) + logsumexp(x, x)", "data": {"x": -2.0}})
    assert hessian(graph)[1].tolist() == [[6.0 * -2.0 + 2.0 + 6.0 * -2.0]]


def test_inputs_the_output_does_not_depend_on_have_empty_rows() -> None:
    graph = Graph.from_document({"expression": "a = x * y\nb = z**2\na + 0 * b", "data": {"x": 2, "y": 3, "z": 4}})
    assert hessian(graph)[1].tolist() == [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    assert hessian(graph, output="b", wrt=["z", "x"])[1].tolist() == [[2.0, 0.0], [0.0, 0.0]]


def test_more_inputs_than_directions_in_a_sweep() -> None:
    count = 50
    inputs = [f"x{k}" for k in range(count)]
    graph = Graph.from_document(
        {
            "nodes": [
                *({"id": node, "op": "input", "data": 0.01 * k} for k, node in enumerate(inputs)),
                {"id": "s", "op": "sum", "inputs": inputs},
                {"id": "y", "op": "sin", "inputs": ["s"]},
            ]
        }
    )
    values, matrix = hessian(graph)
    np.testing.assert_allclose(matrix, np.full((count, count), -np.sin(values[count])), rtol=1e-14)
    assert matrix.tobytes() == matrix.T.copy().tobytes()
