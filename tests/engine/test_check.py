"""The numerical check of a gradient: right ones pass with digits to spare, wrong ones fail, kinks are recognised."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engine import check as checking
from engine.check import Check, check
from engine.graph import Graph
from engine.operations import OPERATIONS, Operation
from tests.engine.subjects import SUBJECTS, single, subject_name


def graph(text: str, **data: float | str) -> Graph:
    return Graph.from_document({"expression": text, "data": data})


SMOOTH = [
    ("tanh(a*b + c)", {"a": 2.0, "b": -3.0, "c": 6.88}),
    ("sin(x)", {"x": 1e6}),
    ("log(x)", {"x": 1e-300}),
    ("sqrt(x)", {"x": 1e-12}),
    ("exp(x)", {"x": 709.7}),
    ("exp(x)", {"x": -700.0}),
    ("x", {"x": 1.7e308}),
    ("3 * x", {"x": 1e-310}),
    ("x**3", {"x": 1e100}),
    ("1 / x", {"x": 1e-3}),
    ("atan(1e6 * x)", {"x": 0.0}),
    ("abs(x)", {"x": 1e-9}),
    ("exp(-1 / x**2)", {"x": 0.1}),
    ("gelu(x) * gelu_tanh(x) + silu(x)", {"x": -5.0}),
    ("(x + 1e10) - 1e10", {"x": 1.0}),
    ("pow(x, 3) + pow(2, y)", {"x": -2.0, "y": 0.5}),
    ("logsumexp(x, y, 2.5) + prod(x, y, x)", {"x": 1.5, "y": -0.25}),
    ("where(x > 0, log(x), 0)", {"x": 0.5}),
]


@pytest.mark.parametrize(("text", "data"), SMOOTH)
def test_a_right_gradient_passes_far_below_the_tolerance(text: str, data: dict[str, float]) -> None:
    found = check(graph(text, **data))
    assert found.passed.all()
    assert not found.kinked.any()
    assert (found.relative_error < checking.TOLERANCE / 1000).all()
    assert (found.error_estimate < checking.TOLERANCE / 1000 * np.abs(found.numeric)).all()


POINT = {1: (0.75,), 2: (1.25, 0.5), 3: (0.75, 0.25, 2.0), 5: (0.5, -1.25, 2.0, 0.75, 1.5)}


@pytest.mark.parametrize(("operation", "size"), SUBJECTS, ids=subject_name)
def test_every_operation_passes(operation: Operation, size: int) -> None:
    point = {f"x{place}": x + (1.0 if operation.name == "acosh" else 0.0) for place, x in enumerate(POINT[size])}
    found = check(single(operation.name, size), point)
    assert found.passed.all()
    assert not found.kinked.any()
    assert np.isfinite(found.numeric).all()


@pytest.mark.parametrize("factor", [1.00001, 0.99999, -1.0, 0.0, math.inf, math.nan])
@pytest.mark.parametrize(("text", "data"), SMOOTH)
def test_a_wrong_gradient_is_caught(
    text: str, data: dict[str, float], factor: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = checking.gradient

    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        with np.errstate(invalid="ignore"):  # infinity times a comparison's 0
            return replace(found, gradients=found.gradients * factor)

    monkeypatch.setattr(checking, "gradient", wrong)
    assert not check(graph(text, **data)).passed.any()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("relu(x)", {"x": 0.0}),
        ("abs(x) * 3", {"x": 0.0}),
        ("max(x, y)", {"x": 1.0, "y": 1.0}),
        ("relu(x) - relu(-x)", {"x": 0.0}),
        ("floor(x)", {"x": 2.0}),
        ("sign(x)", {"x": 0.0}),
        ("clamp(x, 0, 1)", {"x": 1.0}),
        ("relu(x - 1)", {"x": 1.000000001}),
    ],
)
def test_kinks_are_recognised_and_not_failed(text: str, data: dict[str, float]) -> None:
    found = check(graph(text, **data))
    assert found.kinked.all()
    assert found.passed.all()


def test_a_kink_elsewhere_hides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the inputs that a node on a kink is computed from are excused."""
    subject = graph("relu(x) + sin(y)", x=0.0, y=1.0)
    found = check(subject)
    assert found.kinked.tolist() == [True, False]
    right = checking.gradient

    def wrong(*arguments: Any, **options: Any) -> Any:
        found = right(*arguments, **options)
        return replace(found, gradients=found.gradients * 1.00001)

    monkeypatch.setattr(checking, "gradient", wrong)
    assert check(subject).passed.tolist() == [True, False]


@pytest.mark.parametrize(
    ("text", "x", "numeric"),
    [
        ("sqrt(x)", 0.0, math.inf),  # from the right alone, and without bound
        ("asin(x)", 1.0, math.inf),
        ("-sqrt(x)", 0.0, -math.inf),
        ("1 / x", 0.0, math.nan),  # no value, and no finite derivative
        ("log(x)", 0.0, math.nan),
        ("log(x)", -4.0, math.nan),  # a derivative by the formula, which nothing confirms or contradicts
        ("tanh(x)", math.inf, math.nan),  # no step leads away
        ("x * 2", math.nan, math.nan),
        ("x * x", 1e-200, math.nan),  # the values are lost below the least number
        ("1 / x", 1e-300, math.nan),  # the derivative is beyond the largest
        ("exp(x)", 709.782712893384, math.nan),  # each step upward leads beyond it
    ],
)
def test_infinite_and_undefined_derivatives(text: str, x: float, numeric: float) -> None:
    found = check(graph(text), {"x": x})
    np.testing.assert_array_equal(found.numeric, [numeric])
    assert found.passed.all()


def test_an_output_may_be_an_input() -> None:
    found = check(graph("x", x=2.0))
    assert (found.numeric.tolist(), found.passed.tolist()) == ([1.0], [True])


def test_the_edge_of_a_domain_is_approached_from_inside() -> None:
    found = check(graph("sqrt(x) * x**3", x=0.0))
    assert found.passed.all()
    found = check(graph("acosh(1 + x) ** 2", x=0.0))
    assert found.numeric[0] == pytest.approx(2.0, rel=1e-9)


def test_seeds_outputs_and_chosen_inputs() -> None:
    subject = graph("u = x * y\nv = x + 3 * y\nw = log(y - 5)\nu + v + w", x=2.0, y=3.0)
    found = check(subject, {"x": 5.0}, seeds={"u": 2.0, "v": -1.0, "w": 0.0}, wrt=["y"])
    assert found.positions.tolist() == [subject.position("y")]
    assert found.analytic.tolist() == [2.0 * 5.0 - 3.0]
    assert found.numeric[0] == pytest.approx(7.0, rel=1e-12)
    assert found.passed.all()
    assert found.gradient.gradients[subject.position("y")] == 7.0


def test_an_input_that_reaches_nothing_has_no_derivative() -> None:
    subject = Graph.from_document(
        {
            "nodes": [
                {"id": "x", "op": "input", "data": 2.0},
                {"id": "lonely", "op": "input", "data": 3.0},
                {"id": "y", "op": "square", "inputs": ["x"]},
            ],
            "outputs": ["y"],
        }
    )
    found = check(subject)
    assert (found.analytic[1], found.numeric[1], found.relative_error[1]) == (0.0, 0.0, 0.0)
    assert found.passed.all()


def test_a_graph_without_inputs() -> None:
    subject = graph("2 * 3")
    found = check(subject)
    assert isinstance(found, Check)
    assert found.passed.size == 0


def test_the_checkpoint_can_stop_it() -> None:
    class StoppedError(Exception):
        pass

    def stop() -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        check(graph("sin(x)", x=1.0), checkpoint=stop)


def test_every_operation_is_among_the_subjects() -> None:
    assert {operation for operation, _ in SUBJECTS} == set(OPERATIONS)
