"""The backward graph: it computes what the engine's backward pass computes, and no more."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.derivatives import gradient, hessian, jacobian
from engine.graph import Graph
from engine.operations import OPERATIONS

NUMBERS = st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, -3.0, 0.25, 1e-3, 30.0])


@st.composite
def documents(draw: st.DrawFn) -> dict[str, object]:
    inputs = draw(st.integers(1, 4))
    nodes: list[dict[str, object]] = [{"id": f"x{k}", "op": "input", "data": draw(NUMBERS)} for k in range(inputs)]
    nodes.append({"id": "k", "op": "constant", "data": draw(NUMBERS)})
    for k in range(draw(st.integers(1, 12))):
        operation = draw(st.sampled_from(OPERATIONS))
        count = draw(st.integers(1, 4)) if operation.variadic else len(operation.parameters)
        places = st.one_of(st.sampled_from([node["id"] for node in nodes]), NUMBERS)
        nodes.append({"id": f"n{k}", "op": operation.name, "inputs": [draw(places) for _ in range(count)]})
    return {"nodes": nodes, "outputs": [nodes[-1]["id"]]}


def agree(a: float, b: float) -> bool:
    if math.isnan(a) or math.isinf(a):
        return a == b or (math.isnan(a) and math.isnan(b))
    return abs(a - b) <= 1e-9 * max(1.0, abs(a))


@settings(max_examples=300, deadline=None)
@given(documents())
def test_its_values_are_the_gradients_of_the_engine(document):
    graph = Graph.from_document(document)
    expected = gradient(graph)
    if not np.all(np.isfinite(expected.values)):
        return  # between infinities the order of operations decides what comes out
    backward = graph.gradient()
    values = gradient(backward).values
    for position, op in enumerate(graph.ops):
        if op == 0:
            found = values[backward.position(f"d_{graph.ids[position]}")]
            assert agree(float(expected.gradients[position]), float(found)), graph.ids[position]


@settings(max_examples=200, deadline=None)
@given(documents())
def test_nothing_is_computed_twice_or_in_vain(document):
    graph = Graph.from_document(document)
    original = set(graph.ids)
    backward = graph.gradient().to_document()
    seen = set()
    used = set(backward["outputs"])
    for node in backward["nodes"]:
        used.update(name for name in node.get("inputs", []) if isinstance(name, str))
        if node["id"] in original or "inputs" not in node:
            continue
        inputs = node["inputs"]
        if node["op"] != "sum" or len(inputs) > 1:
            key = (node["op"], tuple((type(name), str(name)) for name in inputs))
            assert key not in seen, node
            seen.add(key)
        assert not (node["op"] == "mul" and any(not isinstance(x, str) and x in (0.0, 1.0, -1.0) for x in inputs)), node
        assert not (node["op"] == "add" and 0.0 in [x for x in inputs if not isinstance(x, str)]), node
        assert any(isinstance(x, str) for x in inputs), node
        assert node["label"]
    for node in backward["nodes"]:
        assert node["id"] in used or node["op"] == "input", node


def test_the_gradient_of_the_backward_graph_is_the_hessian():
    graph = Graph.from_document(
        {
            "nodes": [
                {"id": "x", "op": "input", "data": 0.3},
                {"id": "y", "op": "input", "data": -0.7},
                {"id": "p", "op": "mul", "inputs": ["x", "y"]},
                {"id": "s", "op": "sin", "inputs": ["p"]},
                {"id": "e", "op": "exp", "inputs": ["x"]},
                {"id": "f", "op": "add", "inputs": ["s", "e"]},
            ]
        }
    )
    backward = graph.gradient()
    matrix = []
    for output in ("d_x", "d_y"):
        second = backward.gradient(outputs=[output])
        values = gradient(second).values
        assert [second.ids[k] for k in second.outputs] == [output, "d2_x", "d2_y"]
        matrix.append([values[second.position("d2_x")], values[second.position("d2_y")]])
    np.testing.assert_allclose(matrix, hessian(graph)[1], rtol=1e-14)


@pytest.mark.parametrize(
    ("expression", "data"),
    [
        ("y = exp(a * b)", {"a": 1, "b": 0}),
        ("y = tanh(a * b)", {"a": 1, "b": 0}),
        ("y = log(1 + a * b)", {"a": 1, "b": 0}),
        ("y = a / (1 + exp(-a * b))", {"a": 0, "b": 1}),
        ("y = logsumexp(a, b, a * b)", {"a": 0, "b": 0}),
        ("y = exp(a) * sum(a * a, b * b)", {"a": 0, "b": 0}),
        ("y = atan(a * a)", {"a": 0}),
        ("y = gelu(a)", {"a": 0}),
        ("y = a**b", {"a": 2, "b": 0}),
    ],
)
def test_its_gradient_is_the_hessian_also_where_a_factor_is_exactly_zero(expression, data):
    graph = Graph.from_document({"expression": expression, "data": data})
    backward = graph.gradient()
    rows = jacobian(backward, outputs=[f"d_{node}" for node in data], wrt=list(data))[1]
    assert rows == pytest.approx(hessian(graph, wrt=list(data))[1], rel=1e-14)


def test_its_guards_are_no_kinks():
    graph = Graph.from_document({"expression": "y = exp(a * b)", "data": {"a": 1, "b": 0}})
    assert gradient(graph.gradient()).nonsmooth == []


@pytest.mark.parametrize(
    ("nodes", "x", "expected"),
    [
        (
            [
                {"id": "c", "op": "gt", "inputs": ["x", 0]},
                {"id": "l", "op": "log", "inputs": ["x"]},
                {"id": "y", "op": "where", "inputs": ["c", "l", 0]},
            ],
            0.0,
            0.0,
        ),
        ([{"id": "r", "op": "relu", "inputs": ["x"]}, {"id": "y", "op": "sqrt", "inputs": ["r"]}], -1.0, 0.0),
        ([{"id": "r", "op": "abs", "inputs": ["x"]}, {"id": "y", "op": "sqrt", "inputs": ["r"]}], 0.0, 0.0),
        ([{"id": "l", "op": "log", "inputs": ["x"]}, {"id": "y", "op": "mul", "inputs": ["x", "l"]}], 0.0, -math.inf),
    ],
)
def test_an_exact_zero_passes_nothing_back(nodes, x, expected):
    graph = Graph.from_document({"nodes": [{"id": "x", "op": "input", "data": x}, *nodes], "outputs": ["y"]})
    assert gradient(graph).gradients[0] == expected
    backward = graph.gradient()
    assert gradient(backward).values[backward.position("d_x")] == expected


def test_seeds_wrt_and_unused_inputs():
    graph = Graph.from_document(
        {
            "nodes": [
                {"id": "x", "op": "input", "data": 3.0},
                {"id": "y", "op": "input", "data": 4.0},
                {"id": "z", "op": "input", "data": 5.0},
                {"id": "u", "op": "mul", "inputs": ["x", "y"]},
                {"id": "v", "op": "add", "inputs": ["x", "y"]},
            ],
            "outputs": ["u", "v"],
        }
    )
    backward = graph.gradient(["y", "z"], seeds={"u": 1.0, "v": 10.0})
    assert [backward.ids[k] for k in backward.outputs] == ["u", "v", "d_y", "d_z"]
    values = gradient(backward).values
    assert values[backward.position("d_y")] == 13.0
    assert values[backward.position("d_z")] == 0.0


def test_nan_among_the_operands_of_max_stays_nan():
    graph = Graph.from_document(
        {
            "nodes": [
                {"id": "c", "op": "input", "data": -0.5},
                {"id": "l", "op": "log", "inputs": ["c"]},
                {"id": "y", "op": "min", "inputs": ["l", -1.0]},
            ]
        }
    )
    backward = graph.gradient()
    assert math.isnan(gradient(graph).gradients[0])
    assert math.isnan(gradient(backward).values[backward.position("d_c")])
