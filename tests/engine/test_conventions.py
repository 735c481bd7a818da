"""The agreed answers where mathematics has none: kinks, ties, zeros of either sign, infinities, NaN."""

from __future__ import annotations

import math

import numpy as np
import pytest

from engine.derivatives import gradient
from engine.graph import Graph
from engine.operations import OPERATIONS, Operation
from tests.engine.subjects import SUBJECTS, single, subject_name

INF, NAN = math.inf, math.nan


def run(name: str, *point: float) -> tuple[float, list[float], bool]:
    """Value, local derivatives, and whether the node was reported as nonsmooth."""
    found = gradient(single(name, len(point)), {f"x{k}": x for k, x in enumerate(point)})
    return float(found.values[-1]), found.gradients[:-1].tolist(), found.nonsmooth == [len(point)]


def expression(text: str, **data: float) -> dict[str, float]:
    """The gradients of the inputs of a graph."""
    graph = Graph.from_document({"expression": text, "data": data})
    found = gradient(graph)
    return {node: float(found.gradients[graph.position(node)]) for node in data}


SMOOTH, KINK = False, True

ROWS: list[tuple[str, tuple[float, ...], float, list[float], bool]] = [
    ("relu", (0.0,), 0.0, [0.0], KINK),
    ("relu", (5e-324,), 5e-324, [1.0], SMOOTH),
    ("relu", (-5e-324,), 0.0, [0.0], SMOOTH),
    ("leaky_relu", (0.0,), 0.0, [0.01], KINK),
    ("leaky_relu", (-2.0,), -0.02, [0.01], SMOOTH),
    ("elu", (0.0,), 0.0, [1.0], SMOOTH),
    ("elu", (-1.0,), math.expm1(-1.0), [math.exp(-1.0)], SMOOTH),
    ("abs", (0.0,), 0.0, [0.0], KINK),
    ("abs", (-3.0,), 3.0, [-1.0], SMOOTH),
    ("sign", (0.0,), 0.0, [0.0], KINK),
    ("sign", (-0.0,), 0.0, [0.0], KINK),
    ("sign", (-2.5,), -1.0, [0.0], SMOOTH),
    ("max", (2.0, 2.0), 2.0, [0.5, 0.5], KINK),
    ("max", (2.0, 1.0, 2.0, 2.0), 2.0, [1 / 3, 0.0, 1 / 3, 1 / 3], KINK),
    ("max", (0.0, -0.0), 0.0, [0.5, 0.5], KINK),
    ("max", (7.0,), 7.0, [1.0], SMOOTH),
    ("min", (2.0, 2.0, 3.0), 2.0, [0.5, 0.5, 0.0], KINK),
    ("min", (-1.0, 2.0), -1.0, [1.0, 0.0], SMOOTH),
    ("clamp", (1.0, 1.0, 2.0), 1.0, [1.0, 0.0, 0.0], KINK),
    ("clamp", (2.0, 1.0, 2.0), 2.0, [1.0, 0.0, 0.0], KINK),
    ("clamp", (1.5, 1.0, 2.0), 1.5, [1.0, 0.0, 0.0], SMOOTH),
    ("clamp", (0.5, 1.0, 2.0), 1.0, [0.0, 1.0, 0.0], SMOOTH),
    ("clamp", (2.5, 1.0, 2.0), 2.0, [0.0, 0.0, 1.0], SMOOTH),
    ("clamp", (1.5, 2.0, 1.0), 1.0, [0.0, 0.0, 1.0], SMOOTH),
    ("sqrt", (0.0,), 0.0, [INF], SMOOTH),
    ("sqrt", (-0.0,), -0.0, [INF], SMOOTH),
    ("sqrt", (-1.0,), NAN, [NAN], SMOOTH),
    ("log", (0.0,), -INF, [INF], SMOOTH),
    ("log", (-0.0,), -INF, [INF], SMOOTH),
    ("log", (-4.0,), NAN, [-0.25], SMOOTH),
    ("log2", (0.0,), -INF, [INF], SMOOTH),
    ("log10", (-0.0,), -INF, [INF], SMOOTH),
    ("log1p", (-1.0,), -INF, [INF], SMOOTH),
    ("log1p", (-3.0,), NAN, [-0.5], SMOOTH),
    ("reciprocal", (0.0,), INF, [-INF], SMOOTH),
    ("reciprocal", (-0.0,), -INF, [-INF], SMOOTH),
    ("atanh", (1.0,), INF, [INF], SMOOTH),
    ("atanh", (-1.0,), -INF, [INF], SMOOTH),
    ("asin", (1.0,), math.pi / 2, [INF], SMOOTH),
    ("acos", (-1.0,), math.pi, [-INF], SMOOTH),
    ("acosh", (1.0,), 0.0, [INF], SMOOTH),
    ("div", (1.0, 0.0), INF, [INF, -INF], SMOOTH),
    ("div", (-1.0, 0.0), -INF, [INF, INF], SMOOTH),
    ("pow", (0.0, 0.0), 1.0, [0.0, 0.0], SMOOTH),
    ("pow", (0.0, 1.0), 0.0, [1.0, 0.0], SMOOTH),
    ("pow", (0.0, 2.0), 0.0, [0.0, 0.0], SMOOTH),
    ("pow", (0.0, 0.5), 0.0, [INF, 0.0], SMOOTH),
    ("pow", (0.0, -1.0), INF, [-INF, -INF], SMOOTH),
    ("pow", (-2.0, 3.0), -8.0, [12.0, NAN], SMOOTH),
    ("pow", (-2.0, 0.5), NAN, [NAN, NAN], SMOOTH),
    ("pow", (-2.0, 0.0), 1.0, [0.0, NAN], SMOOTH),
    ("atan2", (0.0, 0.0), 0.0, [0.0, 0.0], KINK),
    ("atan2", (-0.0, -0.0), -math.pi, [0.0, 0.0], KINK),
    ("atan2", (0.0, -1.0), math.pi, [-1.0, 0.0], SMOOTH),
    ("hypot", (0.0, 0.0), 0.0, [0.0, 0.0], KINK),
    ("hypot", (0.0, -2.0), 2.0, [0.0, -1.0], SMOOTH),
    ("round", (0.5,), 0.0, [0.0], KINK),
    ("round", (1.5,), 2.0, [0.0], KINK),
    ("round", (2.5,), 2.0, [0.0], KINK),
    ("round", (-0.5,), -0.0, [0.0], KINK),
    ("round", (3.0,), 3.0, [0.0], SMOOTH),
    ("floor", (3.0,), 3.0, [0.0], KINK),
    ("floor", (-0.5,), -1.0, [0.0], SMOOTH),
    ("ceil", (-0.5,), -0.0, [0.0], SMOOTH),
    ("ceil", (-2.0,), -2.0, [0.0], KINK),
    ("lt", (1.0, 1.0), 0.0, [0.0, 0.0], KINK),
    ("le", (1.0, 1.0), 1.0, [0.0, 0.0], KINK),
    ("gt", (2.0, 1.0), 1.0, [0.0, 0.0], SMOOTH),
    ("ge", (0.0, -0.0), 1.0, [0.0, 0.0], KINK),
    ("eq", (0.0, -0.0), 1.0, [0.0, 0.0], KINK),
    ("ne", (1.0, 1.0), 0.0, [0.0, 0.0], KINK),
    ("lt", (NAN, 1.0), 0.0, [0.0, 0.0], SMOOTH),
    ("ge", (1.0, NAN), 0.0, [0.0, 0.0], SMOOTH),
    ("eq", (NAN, NAN), 0.0, [0.0, 0.0], SMOOTH),
    ("ne", (NAN, NAN), 1.0, [0.0, 0.0], SMOOTH),
    ("where", (0.0, 2.0, 3.0), 3.0, [0.0, 0.0, 1.0], SMOOTH),
    ("where", (-0.0, 2.0, 3.0), 3.0, [0.0, 0.0, 1.0], SMOOTH),
    ("where", (5e-324, 2.0, 3.0), 2.0, [0.0, 1.0, 0.0], SMOOTH),
    ("where", (NAN, 2.0, 3.0), 2.0, [0.0, 1.0, 0.0], SMOOTH),
    ("where", (1.0, 2.0, NAN), 2.0, [0.0, 1.0, 0.0], SMOOTH),
    ("where", (0.0, NAN, 3.0), 3.0, [0.0, 0.0, 1.0], SMOOTH),
    ("tanh", (1000.0,), 1.0, [0.0], SMOOTH),
    ("sigmoid", (-1000.0,), 0.0, [0.0], SMOOTH),
    ("sigmoid", (1000.0,), 1.0, [0.0], SMOOTH),
    ("softplus", (1000.0,), 1000.0, [1.0], SMOOTH),
    ("softplus", (-1000.0,), 0.0, [0.0], SMOOTH),
    ("silu", (-1000.0,), -0.0, [0.0], SMOOTH),
    ("gelu", (-1e300,), -0.0, [0.0], SMOOTH),
    ("gelu_tanh", (1e300,), 1e300, [1.0], SMOOTH),
    ("logsumexp", (1000.0, 1000.0), 1000.0 + math.log(2), [0.5, 0.5], SMOOTH),
    ("logsumexp", (-1000.0, -1000.0, -2000.0), -1000.0 + math.log(2), [0.5, 0.5, 0.0], SMOOTH),
    ("logsumexp", (1.0, -INF), 1.0, [1.0, 0.0], SMOOTH),
    ("hypot", (3e300, 4e300), 5e300, [0.6, 0.8], SMOOTH),
    ("hypot", (3e-320, 4e-320), 5e-320, [0.6, 0.8], SMOOTH),
    ("mean", (1.7e308, 1.7e308), 1.7e308, [0.5, 0.5], SMOOTH),
    ("mean", (1.7e308, 1.7e308, 1.7e308), 1.7e308, [1 / 3] * 3, SMOOTH),
    ("sum", (1.7e308, 1.7e308, -1.7e308), 1.7e308, [1.0] * 3, SMOOTH),
    ("sum", (1e16, 1.0, -1e16), 1.0, [1.0] * 3, SMOOTH),
    ("prod", (1e300, 1e300, 1e-300), 1e300, [1.0, 1.0, INF], SMOOTH),
    ("prod", (0.0, 2.0, 3.0), 0.0, [6.0, 0.0, 0.0], SMOOTH),
    ("prod", (0.0, 2.0, 0.0), 0.0, [0.0, 0.0, 0.0], SMOOTH),
]


@pytest.mark.parametrize(("name", "point", "value", "gradients", "kinked"), ROWS)
def test_the_table_of_conventions(
    name: str, point: tuple[float, ...], value: float, gradients: list[float], kinked: bool
) -> None:
    found = run(name, *point)
    np.testing.assert_array_max_ulp(found[0], value, 2)
    np.testing.assert_array_max_ulp(np.array(found[1]), np.array(gradients), 4)
    assert math.copysign(1, found[0]) == math.copysign(1, value) or math.isnan(value)
    assert found[2] == kinked


# Value and derivative where x has grown beyond all bounds, for +infinity and -infinity; None: there is no such value.
AT_INFINITY: dict[str, tuple[tuple[float, float] | None, tuple[float, float] | None]] = {
    "neg": ((-INF, -1.0), (INF, -1.0)),
    "abs": ((INF, 1.0), (INF, -1.0)),
    "sign": ((1.0, 0.0), (-1.0, 0.0)),
    "square": ((INF, INF), (INF, -INF)),
    "sqrt": ((INF, 0.0), None),
    "reciprocal": ((0.0, 0.0), (-0.0, 0.0)),
    "exp": ((INF, INF), (0.0, 0.0)),
    "exp2": ((INF, INF), (0.0, 0.0)),
    "expm1": ((INF, INF), (-1.0, 0.0)),
    "log": ((INF, 0.0), None),
    "log2": ((INF, 0.0), None),
    "log10": ((INF, 0.0), None),
    "log1p": ((INF, 0.0), None),
    "sin": (None, None),
    "cos": (None, None),
    "tan": (None, None),
    "asin": (None, None),
    "acos": (None, None),
    "atan": ((math.pi / 2, 0.0), (-math.pi / 2, 0.0)),
    "sinh": ((INF, INF), (-INF, INF)),
    "cosh": ((INF, INF), (INF, -INF)),
    "tanh": ((1.0, 0.0), (-1.0, 0.0)),
    "asinh": ((INF, 0.0), (-INF, 0.0)),
    "acosh": ((INF, 0.0), None),
    "atanh": (None, None),
    "erf": ((1.0, 0.0), (-1.0, 0.0)),
    "erfc": ((0.0, 0.0), (2.0, 0.0)),
    "sigmoid": ((1.0, 0.0), (0.0, 0.0)),
    "softplus": ((INF, 1.0), (0.0, 0.0)),
    "relu": ((INF, 1.0), (0.0, 0.0)),
    "leaky_relu": ((INF, 1.0), (-INF, 0.01)),
    "elu": ((INF, 1.0), (-1.0, 0.0)),
    "gelu": ((INF, 1.0), (-0.0, 0.0)),
    "gelu_tanh": ((INF, 1.0), (-0.0, 0.0)),
    "silu": ((INF, 1.0), (-0.0, 0.0)),
    "floor": ((INF, 0.0), (-INF, 0.0)),
    "ceil": ((INF, 0.0), (-INF, 0.0)),
    "round": ((INF, 0.0), (-INF, 0.0)),
}


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.parameters == ("x",)], ids=subject_name)
def test_limits_at_infinity(operation: Operation) -> None:
    for x, expected in zip((INF, -INF), AT_INFINITY[operation.name], strict=True):
        value, (derivative,), kinked = run(operation.name, x)
        assert not kinked
        if expected is None:
            assert math.isnan(value)
        else:
            assert (value, derivative) == expected
            assert math.copysign(1, value) == math.copysign(1, expected[0])


@pytest.mark.parametrize(
    ("name", "point", "value", "gradients"),
    [
        ("add", (INF, 1.0), INF, [1.0, 1.0]),
        ("add", (INF, -INF), NAN, [1.0, 1.0]),
        ("mul", (INF, 2.0), INF, [2.0, INF]),
        ("mul", (INF, 0.0), NAN, [0.0, INF]),
        ("div", (1.0, INF), 0.0, [0.0, 0.0]),
        ("div", (-INF, 2.0), -INF, [0.5, INF]),
        ("pow", (0.5, INF), 0.0, [0.0, 0.0]),
        ("pow", (INF, -2.0), 0.0, [0.0, 0.0]),
        ("pow", (2.0, -INF), 0.0, [0.0, 0.0]),
        ("pow", (INF, 2.0), INF, [INF, INF]),
        ("max", (INF, 1.0), INF, [1.0, 0.0]),
        ("min", (INF, 1.0), 1.0, [0.0, 1.0]),
        ("clamp", (INF, 1.0, 2.0), 2.0, [0.0, 0.0, 1.0]),
        ("sum", (INF, 1.0, 2.0), INF, [1.0] * 3),
        ("sum", (INF, 1.0, -INF), NAN, [1.0] * 3),
        ("prod", (INF, 2.0, 3.0), INF, [6.0, INF, INF]),
        ("prod", (INF, 0.0, 3.0), NAN, [0.0, INF, NAN]),
        ("mean", (INF, 1.0, 2.0), INF, [1 / 3] * 3),
        ("logsumexp", (INF, 1.0), INF, [1.0, 0.0]),
        ("logsumexp", (1.0, 2.0, INF), INF, [0.0, 0.0, 1.0]),
        ("logsumexp", (-INF, -INF), -INF, [0.5, 0.5]),
    ],
)
def test_infinite_operands(name: str, point: tuple[float, ...], value: float, gradients: list[float]) -> None:
    found = run(name, *point)
    assert found[0] == value or (math.isnan(found[0]) and math.isnan(value))
    np.testing.assert_array_equal(found[1], gradients)


LINEAR = {
    "neg": [-1.0],
    "add": [1.0, 1.0],
    "sub": [1.0, -1.0],
    "sum": [1.0] * 5,
    "mean": None,
}


@pytest.mark.parametrize(("operation", "size"), SUBJECTS, ids=subject_name)
def test_nan_comes_out_of_every_operand(operation: Operation, size: int) -> None:
    for place in range(size):
        point = [0.75, 0.25, 2.0, 0.5, 1.25][:size]
        point[place] = NAN
        value, derivatives, kinked = run(operation.name, *point)
        assert not kinked
        if operation.name in ("lt", "le", "gt", "ge", "eq", "ne"):
            assert value == (operation.name == "ne")
            assert derivatives == [0.0, 0.0]
        elif operation.name == "where":
            assert math.isnan(value) == (place == 1)
            assert derivatives == [0.0, 1.0, 0.0]
        else:
            assert math.isnan(value)
            if operation.name in LINEAR:
                assert derivatives == (LINEAR[operation.name] or [1 / size] * size)[:size]
            elif size == 1 and operation.variadic and operation.name == "prod":
                assert derivatives == [1.0]
            elif operation.name in ("mul", "prod"):
                # Linear in each operand: the coefficient is the others' product.
                assert not math.isnan(derivatives[place])
            elif operation.name == "div":
                assert math.isnan(derivatives[1])
            elif operation.name == "clamp":
                # Its rule consists of comparisons.
                assert derivatives == [0.0, 0.0, 0.0]
            else:
                assert math.isnan(derivatives[place])


SIGNED = {
    "neg": 0.0, "abs": 0.0, "sign": 0.0, "square": 0.0, "sqrt": -0.0, "reciprocal": -INF, "expm1": -0.0, "log": -INF,
    "log2": -INF, "log10": -INF, "log1p": -0.0, "sin": -0.0, "tan": -0.0, "asin": -0.0, "atan": -0.0, "sinh": -0.0,
    "tanh": -0.0, "asinh": -0.0, "atanh": -0.0, "erf": -0.0, "relu": 0.0, "leaky_relu": -0.0, "elu": -0.0, "gelu": -0.0,
    "gelu_tanh": -0.0, "silu": -0.0, "floor": -0.0, "ceil": -0.0, "round": -0.0, "sum": -0.0, "mean": -0.0,
    "prod": -0.0, "max": -0.0, "min": -0.0,
}  # fmt: skip
"""What becomes of -0.0; the operations of one operand that are not here do not tell it from 0.0."""


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if o.min_inputs == 1], ids=subject_name)
def test_negative_zero(operation: Operation) -> None:
    value = run(operation.name, -0.0)[0]
    if operation.name in SIGNED:
        assert repr(value) == repr(SIGNED[operation.name])
    else:
        assert (
            (value == run(operation.name, 0.0)[0] and value != 0) or math.isnan(value) or operation.name == "logsumexp"
        )


@pytest.mark.parametrize(
    ("name", "point", "expected"),
    [
        ("add", (-0.0, -0.0), -0.0), ("add", (-0.0, 0.0), 0.0), ("sub", (-0.0, 0.0), -0.0), ("mul", (-0.0, 2.0), -0.0),
        ("div", (-0.0, 2.0), -0.0), ("div", (1.0, -0.0), -INF), ("pow", (-0.0, 3.0), -0.0), ("pow", (-0.0, -1.0), -INF),
        ("atan2", (-0.0, 1.0), -0.0), ("atan2", (-0.0, -1.0), -math.pi), ("hypot", (-0.0, -0.0), 0.0),
        ("sum", (-0.0, -0.0, -0.0), -0.0), ("sum", (-0.0, 0.0, -0.0), 0.0), ("mean", (-0.0, -0.0, -0.0), -0.0),
        ("prod", (-0.0, -0.0, -1.0), -0.0), ("clamp", (-0.0, -1.0, 1.0), -0.0), ("where", (-0.0, 1.0, -0.0), -0.0),
    ],
)  # fmt: skip
def test_signs_of_zero(name: str, point: tuple[float, ...], expected: float) -> None:
    assert repr(run(name, *point)[0]) == repr(expected)


def test_the_same_node_twice_is_no_tie() -> None:
    for name in ("max", "min"):
        graph = Graph.from_document({"expression": f"{name}(x, x)", "data": {"x": 3.0}})
        found = gradient(graph)
        assert found.gradients[0] == 1.0
        assert found.nonsmooth == []


def test_a_constant_exponent_has_no_gradient_to_spoil() -> None:
    literal = Graph.from_document({"expression": "x**3", "data": {"x": -2.0}})
    node = Graph.from_document(
        {
            "nodes": [
                {"id": "x", "op": "input", "data": -2.0},
                {"id": "three", "op": "constant", "data": 3.0},
                {"id": "y", "op": "pow", "inputs": ["x", "three"]},
            ]
        }
    )
    for graph in (literal, node):
        found = gradient(graph)
        assert (found.values[graph.position("x")], found.gradients[graph.position("x")]) == (-2.0, 12.0)
        assert found.nonfinite == (None, None)
    assert math.isnan(expression("x**n", x=-2.0, n=3.0)["n"])


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("where(x > 0, log(x), 0)", 0.0),
        ("where(x > 0, log(x), 0)", -1.0),
        ("where(x > 0, sqrt(x), 0)", 0.0),
        ("max(log(x), 5)", 0.0),
        ("min(1 / x, 3)", 0.0),
        ("clamp(log(x), 0, 1)", 0.0),
        ("relu(log(x))", 0.0),
        ("0 * sqrt(x)", 0.0),
        ("square(sqrt(x) * 0)", 0.0),
        ("(x > 1) * log(x)", 0.0),
        ("exp(-1 / x)", 0.0),
    ],
)
def test_an_exact_zero_passes_nothing_back(text: str, x: float) -> None:
    """The branch not taken contributes 0, also where its own derivative is infinite or NaN."""
    assert expression(text, x=x) == {"x": 0.0}


def test_upstream_zeros_stop_at_infinite_derivatives_in_all_directions() -> None:
    assert expression("sqrt(x) * y", x=0.0, y=0.0) == {"x": 0.0, "y": 0.0}
    assert expression("sqrt(x) * y", x=0.0, y=2.0) == {"x": INF, "y": 0.0}


def test_computed_constants_have_gradients() -> None:
    graph = Graph.from_document({"expression": "c = 2 * 3\nc * x", "data": {"x": 5.0}})
    assert gradient(graph).gradients[graph.position("c")] == 5.0
