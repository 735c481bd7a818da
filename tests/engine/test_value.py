"""Value: the lecture's class, for graphs of any depth, with the service's own numbers."""

from __future__ import annotations

import doctest
import gc
import math
import operator
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import engine
from engine import Graph, GraphError, Value, derivatives, value
from engine.operations import OPERATIONS


def neuron() -> dict[str, Value]:
    x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
    w1, w2 = Value(-3.0, label="w1"), Value(1.0, label="w2")
    b = Value(6.8813735870195432, label="b")
    x1w1, x2w2 = x1 * w1, x2 * w2
    n = x1w1 + x2w2 + b
    o = n.tanh()
    o.label = "o"
    return {"x1": x1, "x2": x2, "w1": w1, "w2": w2, "b": b, "x1w1": x1w1, "n": n, "o": o}


def test_the_example_in_the_documentation() -> None:
    assert doctest.testmod(value).attempted > 5
    assert doctest.testmod(value).failed == 0


def test_the_lectures_neuron() -> None:
    v = neuron()
    v["o"].backward()
    expected = {"o": 1.0, "n": 0.5, "b": 0.5, "x1w1": 0.5, "x1": -1.5, "w1": 1.0, "x2": 0.5, "w2": 0.0}
    assert {name: v[name].grad for name in expected} == pytest.approx(expected, rel=1e-12)
    assert v["o"].data == pytest.approx(math.sqrt(0.5), rel=1e-12)


def test_a_second_backward_adds_the_same_gradients_once_more() -> None:
    v = neuron()
    v["o"].backward()
    first = {name: node.grad for name, node in v.items()}
    v["o"].backward()
    assert {name: node.grad for name, node in v.items()} == {name: 2 * grad for name, grad in first.items()}
    v["o"].zero_grad()
    assert {node.grad for node in v.values()} == {0.0}
    v["o"].backward()
    assert {name: node.grad for name, node in v.items()} == first


def test_two_outputs_accumulate_into_what_they_share() -> None:
    x = Value(3.0)
    y, z = x * x, x * 5
    y.backward()
    z.backward(seed=2.0)
    assert (x.grad, y.grad, z.grad) == (6.0 + 10.0, 1.0, 2.0)


def test_one_input_in_both_places_keeps_both_edges() -> None:
    x = Value(3.0)
    y = x * x
    assert y.inputs == (x, x)
    y.backward()
    assert x.grad == 6.0


@pytest.mark.parametrize(
    ("infix", "of"),
    [
        (operator.add, lambda a, b: a + b),
        (operator.sub, lambda a, b: a - b),
        (operator.mul, lambda a, b: a * b),
        (operator.truediv, lambda a, b: a / b),
        (operator.pow, lambda a, b: a**b),
        (operator.lt, lambda a, b: float(a < b)),
        (operator.le, lambda a, b: float(a <= b)),
        (operator.gt, lambda a, b: float(a > b)),
        (operator.ge, lambda a, b: float(a >= b)),
        (operator.eq, lambda a, b: float(a == b)),
        (operator.ne, lambda a, b: float(a != b)),
    ],
)
def test_operators_take_numbers_on_either_side(infix: Callable[[Any, Any], Value], of: Callable[..., float]) -> None:
    for a, b in [(3.0, 2.0), (2.0, 2.0), (0.5, 4.0)]:
        assert infix(Value(a), Value(b)).data == of(a, b)
        assert infix(Value(a), b).data == of(a, b)
        assert infix(a, Value(b)).data == of(a, b)
        assert infix(int(a), Value(b)).data == of(int(a), b)


def test_signs_and_absolute_value() -> None:
    x = Value(-3.0)
    assert ((-x).data, (+x) is x, abs(x).data) == (3.0, True, 3.0)
    assert ((-x).op, abs(x).op) == ("neg", "abs")


@pytest.mark.parametrize("stranger", ["2", None, 1j, [1]])
def test_operators_refuse_what_is_no_number(stranger: object) -> None:
    with pytest.raises(TypeError):
        Value(2.0) + stranger  # type: ignore[operator]
    with pytest.raises(TypeError, match="Values and real numbers"):
        Value(2.0).hypot(stranger)
    assert (Value(2.0) == stranger) is False


def test_values_are_told_apart_by_identity_though_equality_makes_a_node() -> None:
    a, b = Value(1.0), Value(1.0)
    assert (a == b).op == "eq"
    assert len({a, b, a}) == 2
    assert bool(a == b) and not bool(a != b)
    assert max(Value(1.0), Value(3.0), Value(2.0)).data == 3.0


def test_division_by_zero_and_powers_of_negatives_are_ieee() -> None:
    assert (Value(1.0) / 0).data == math.inf
    assert math.isnan((Value(-2.0) ** 0.5).data)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_every_operation_is_a_method_and_a_function_of_the_package(operation: Any) -> None:
    names = [name for name in (operation.name, *operation.aliases) if name.isidentifier()]
    operands = [Value(0.5 + k) for k in range(max(operation.min_inputs, 1))]
    for name in names:
        by_method = getattr(operands[0], name)(*operands[1:])
        by_function = getattr(engine, name)(*operands)
        assert by_method.op == by_function.op == operation.name
        assert by_method.data == by_function.data or math.isnan(by_method.data)
        assert operation.summary in getattr(engine, name).__doc__
    by_graph = derivatives.gradient(by_method.to_graph()).values[-1]
    assert by_graph.tobytes() == type(by_graph)(by_method.data).tobytes()


def test_functions_take_numbers_and_variadic_ones_a_list() -> None:
    assert engine.max(1, Value(3.0), 2.5).data == 3.0
    assert engine.sum([Value(1.0), 2, 3]).data == 6.0
    assert engine.tanh(0).data == 0.0
    with pytest.raises(TypeError, match="where takes 3 inputs, not 2"):
        engine.where(Value(1.0), 2)
    with pytest.raises(TypeError, match="at least 1"):
        engine.sum([])
    with pytest.raises(AttributeError):
        engine.tahn  # noqa: B018


def test_backward_takes_up_changed_data() -> None:
    x = Value(3.0)
    y = x * x
    x.data = 4
    y.backward()
    assert (y.data, x.grad) == (16.0, 8.0)


def test_constants_have_no_gradient_and_keep_exponents_clean() -> None:
    x, p = Value(-2.0), Value(3.0, constant=True)
    y = x**p
    y.backward()
    assert (x.grad, p.grad) == (12.0, 0.0)


def test_repr_shows_what_a_debugger_wants() -> None:
    v = Value(2.0, label="x")
    assert repr(v) == "Value(2.0, grad=0.0, label='x')"
    assert repr(v * v) == "Value(4.0, grad=0.0, op='mul')"


def test_to_graph_names_nodes_by_id_then_label_then_number() -> None:
    x = Value(2.0, label="x")
    twin = Value(3.0, label="x")
    scale = Value(4.0, id="s", label="scale", constant=True)
    y = x * twin + scale * 0.5
    assert y.to_graph(name="g").to_document() == {
        "version": 1,
        "name": "g",
        "nodes": [
            {"id": "x", "op": "input", "data": 2.0},
            {"id": "_1", "op": "input", "data": 3.0, "label": "x"},
            {"id": "s", "op": "constant", "data": 4.0, "label": "scale"},
            {"id": "_2", "op": "mul", "inputs": ["x", "_1"]},
            {"id": "_3", "op": "mul", "inputs": ["s", 0.5]},
            {"id": "_4", "op": "add", "inputs": ["_2", "_3"]},
        ],
        "outputs": ["_4"],
    }


def test_several_outputs() -> None:
    x = Value(2.0, label="x")
    y, z = x * 2, x * 3
    graph = z.to_graph(y, z)
    assert [graph.ids[k] for k in graph.outputs] == ["_2", "_1"]


def test_a_number_without_a_literal_becomes_a_constant() -> None:
    x = Value(2.0, label="x")
    y = x * math.inf
    assert y.data == math.inf
    assert y.to_graph().to_document()["nodes"][1] == {"id": "_1", "op": "constant", "data": "Infinity"}


def test_to_graph_refuses_what_no_document_holds() -> None:
    with pytest.raises(GraphError) as caught:
        (Value(1.0, id="a") + Value(2.0, id="a") + Value(3.0, id="") + Value(1.0, label="\0")).to_graph()
    assert [error["code"] for error in caught.value.errors] == ["DUPLICATE_ID", "INVALID_VALUE", "INVALID_VALUE"]


@pytest.mark.parametrize("reverse", [False, True])
def test_values_of_a_graph_go_back_to_the_same_graph(reverse: bool) -> None:
    rows = [
        {"id": "x", "op": "input", "data": 2.0, "label": "x"},
        {"id": "c", "op": "constant", "data": "NaN"},
        {"id": "y", "op": "sum", "inputs": ["x", 2, "x", -0.5], "label": "a sum"},
        {"id": "z", "op": "max", "inputs": ["y", "c", "x"]},
    ]
    graph = Graph.from_document({"name": "g", "nodes": rows[::-1] if reverse else rows, "outputs": ["z", "y"]})
    values = graph.to_values()
    assert list(values) == graph.ids
    assert values["z"].to_graph(values["y"], name="g") == graph
    assert values["y"].data == 5.5


def test_values_of_a_graph_need_data_for_every_input() -> None:
    graph = Graph.from_document({"expression": "x*y", "data": {"x": 2}})
    with pytest.raises(ValueError, match="no data for y"):
        graph.to_values()
    assert graph.to_values({"y": 3.0})["_1"].data == 6.0


def test_gradients_are_the_services_to_the_bit() -> None:
    x, y = Value(0.3, label="x"), Value(-1.7, label="y")
    out = (x * y + x.exp()).sigmoid() * (y - x) ** 3 + engine.logsumexp(x, y, x * y)
    out.backward()
    graph = Graph.from_document(out.to_graph().to_document())
    result = derivatives.gradient(graph)
    assert [x.grad, y.grad] == [result.gradients[graph.position(node)] for node in ("x", "y")]
    assert out.data == result.values[graph.outputs[0]]


def test_a_million_deep_chain_can_be_built_differentiated_and_dropped() -> None:
    first = Value(1.0)
    node = first
    for _ in range(1_000_000):
        node = node + 1e-6
    node.backward(seed=3.0)
    assert first.grad == 3.0
    assert node.data == pytest.approx(2.0, rel=1e-9)
    last = weakref.ref(node)
    del node
    gc.collect()
    assert last() is None
