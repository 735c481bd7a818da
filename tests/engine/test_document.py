"""Every error of a graph document, all at once, each with its pointer, its code and a sentence that helps."""

from __future__ import annotations

from typing import Any

import pytest

from engine.graph import Graph, GraphError


def errors_of(document: object, **how: Any) -> list[tuple[str, str]]:
    with pytest.raises(GraphError) as caught:
        Graph.from_document(document, **how)
    assert all(error["detail"] for error in caught.value.errors)
    return [(error["pointer"], error["code"]) for error in caught.value.errors]


def details_of(document: object) -> list[str]:
    with pytest.raises(GraphError) as caught:
        Graph.from_document(document)
    return [error["detail"] for error in caught.value.errors]


X = {"id": "x", "op": "input", "data": 1.0}


@pytest.mark.parametrize(
    ("node", "pointer", "code"),
    [
        (None, "", "INVALID_VALUE"),
        ([], "", "INVALID_VALUE"),
        ("x", "", "INVALID_VALUE"),
        ({"op": "input"}, "/id", "MISSING_FIELD"),
        ({"id": 1, "op": "input"}, "/id", "INVALID_VALUE"),
        ({"id": ["a"], "op": "input"}, "/id", "INVALID_VALUE"),
        ({"id": "", "op": "input"}, "/id", "INVALID_VALUE"),
        ({"id": "n" * 129, "op": "input"}, "/id", "INVALID_VALUE"),
        ({"id": "a\0b", "op": "input"}, "/id", "INVALID_VALUE"),
        ({"id": "a\ud800", "op": "input"}, "/id", "INVALID_VALUE"),
        ({"id": "x", "op": "input"}, "/id", "DUPLICATE_ID"),
        ({"id": "y"}, "/op", "MISSING_FIELD"),
        ({"id": "y", "op": None}, "/op", "INVALID_VALUE"),
        ({"id": "y", "op": {"add": 1}, "inputs": ["x"]}, "/op", "INVALID_VALUE"),
        ({"id": "y", "op": "", "inputs": ["x"]}, "/op", "UNKNOWN_OPERATION"),
        ({"id": "y", "op": "tanhh", "inputs": ["x"]}, "/op", "UNKNOWN_OPERATION"),
        ({"id": "y", "op": "tanh\0", "inputs": ["x"]}, "/op", "UNKNOWN_OPERATION"),
        ({"id": "y", "op": "input", "inputs": ["x"]}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "constant", "data": 1, "inputs": [2]}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "tanh"}, "/inputs", "MISSING_FIELD"),
        ({"id": "y", "op": "tanh", "inputs": []}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "sum", "inputs": []}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "tanh", "inputs": ["x", "x"]}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "-", "inputs": ["x", "x", "x"]}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "where", "inputs": ["x", "x"]}, "/inputs", "WRONG_ARITY"),
        ({"id": "y", "op": "tanh", "inputs": "x"}, "/inputs", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": None}, "/inputs", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": {"0": "x"}}, "/inputs", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": ["z"]}, "/inputs/0", "UNKNOWN_NODE"),
        ({"id": "y", "op": "tanh", "inputs": ["NaN"]}, "/inputs/0", "UNKNOWN_NODE"),
        ({"id": "y", "op": "tanh", "inputs": [True]}, "/inputs/0", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": [None]}, "/inputs/0", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": [["x"]]}, "/inputs/0", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": [float("inf")]}, "/inputs/0", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": [10**400]}, "/inputs/0", "INVALID_VALUE"),
        ({"id": "y", "op": "tanh", "inputs": ["y"]}, "/inputs/0", "CYCLE"),
        ({"id": "y", "op": "tanh", "inputs": ["x"], "data": 1}, "/data", "UNKNOWN_FIELD"),
        ({"id": "y", "op": "input", "data": None}, "/data", "NOT_A_NUMBER"),
        ({"id": "y", "op": "input", "data": True}, "/data", "NOT_A_NUMBER"),
        ({"id": "y", "op": "input", "data": "1.5"}, "/data", "NOT_A_NUMBER"),
        ({"id": "y", "op": "input", "data": "nan"}, "/data", "NOT_A_NUMBER"),
        ({"id": "y", "op": "input", "data": [1]}, "/data", "NOT_A_NUMBER"),
        ({"id": "y", "op": "input", "data": 10**400}, "/data", "INVALID_VALUE"),
        ({"id": "y", "op": "input", "data": float("nan")}, "/data", "INVALID_VALUE"),
        ({"id": "y", "op": "constant"}, "/data", "MISSING_DATA"),
        ({"id": "y", "op": "input", "label": None}, "/label", "INVALID_VALUE"),
        ({"id": "y", "op": "input", "label": "\0"}, "/label", "INVALID_VALUE"),
        ({"id": "y", "op": "input", "label": "\udfff"}, "/label", "INVALID_VALUE"),
        ({"id": "y", "op": "input", "grad": 1}, "/grad", "UNKNOWN_FIELD"),
        ({"id": "y", "op": "input", "a/b~c": 1}, "/a~1b~0c", "UNKNOWN_FIELD"),
        ({"id": "y", "op": "input", "\ud800": 1}, "/\\ud800", "UNKNOWN_FIELD"),
    ],
)
def test_one_wrong_thing_in_a_node(node: object, pointer: str, code: str) -> None:
    assert errors_of({"nodes": [X, node], "outputs": ["x"]}) == [(f"/nodes/1{pointer}", code)]


@pytest.mark.parametrize(
    ("document", "pointer", "code"),
    [
        (None, "", "INVALID_VALUE"),
        ([], "", "INVALID_VALUE"),
        ("graph", "", "INVALID_VALUE"),
        ({}, "/nodes", "MISSING_FIELD"),
        ({"nodes": None}, "/nodes", "INVALID_VALUE"),
        ({"nodes": {}}, "/nodes", "INVALID_VALUE"),
        ({"nodes": []}, "/nodes", "INVALID_VALUE"),
        ({"nodes": [X], "version": 2}, "/version", "INVALID_VALUE"),
        ({"nodes": [X], "version": True}, "/version", "INVALID_VALUE"),
        ({"nodes": [X], "version": "1"}, "/version", "INVALID_VALUE"),
        ({"nodes": [X], "version": None}, "/version", "INVALID_VALUE"),
        ({"nodes": [X], "name": 3}, "/name", "INVALID_VALUE"),
        ({"nodes": [X], "name": None}, "/name", "INVALID_VALUE"),
        ({"nodes": [X], "name": "a\0"}, "/name", "INVALID_VALUE"),
        ({"nodes": [X], "data": {}}, "/data", "UNKNOWN_FIELD"),
        ({"nodes": [X], "edges": []}, "/edges", "UNKNOWN_FIELD"),
        ({"nodes": [X], "columns": {}}, "/columns", "INVALID_VALUE"),
        ({"nodes": [X], "outputs": None}, "/outputs", "INVALID_VALUE"),
        ({"nodes": [X], "outputs": []}, "/outputs", "INVALID_VALUE"),
        ({"nodes": [X], "outputs": "x"}, "/outputs", "INVALID_VALUE"),
        ({"nodes": [X], "outputs": [0]}, "/outputs/0", "INVALID_VALUE"),
        ({"nodes": [X], "outputs": [["x"]]}, "/outputs/0", "INVALID_VALUE"),
        ({"nodes": [X], "outputs": ["y"]}, "/outputs/0", "UNKNOWN_NODE"),
        ({"nodes": [X], "outputs": ["x", "x"]}, "/outputs/1", "DUPLICATE_ID"),
        ({"nodes": [X, {"id": "y", "op": "input"}]}, "/outputs", "AMBIGUOUS_OUTPUT"),
    ],
)
def test_one_wrong_thing_in_a_document(document: object, pointer: str, code: str) -> None:
    assert errors_of(document) == [(pointer, code)]
    assert errors_of(document, pointer="/graph") == [("/graph" + pointer, code)]


def columns(**changed: Any) -> dict[str, Any]:
    base = {"op": ["input", "input", "add"], "inputs": [[], [], [0, 1]], "data": [1, 2, None]}
    return {key: value for key, value in {**base, **changed}.items() if value is not ...}


@pytest.mark.parametrize(
    ("changed", "pointer", "code"),
    [
        ({"op": ...}, "/op", "MISSING_FIELD"),
        ({"inputs": ...}, "/inputs", "MISSING_FIELD"),
        ({"op": "input"}, "/op", "INVALID_VALUE"),
        ({"op": []}, "/op", "INVALID_VALUE"),
        ({"data": {}}, "/data", "INVALID_VALUE"),
        ({"grad": []}, "/grad", "UNKNOWN_FIELD"),
        ({"data": [1, 2]}, "/data", "LENGTH_MISMATCH"),
        ({"label": ["a"] * 4}, "/label", "LENGTH_MISMATCH"),
        ({"op": ["input", "input", None]}, "/op/2", "INVALID_VALUE"),
        ({"op": ["input", "input", ["add"]]}, "/op/2", "INVALID_VALUE"),
        ({"op": ["input", "input", "addd"]}, "/op/2", "UNKNOWN_OPERATION"),
        ({"op": ["input", "input", "tanh"]}, "/inputs/2", "WRONG_ARITY"),
        ({"inputs": [[], [0], [0, 1]]}, "/inputs/1", "WRONG_ARITY"),
        ({"inputs": [[], [], None]}, "/inputs/2", "INVALID_VALUE"),
        ({"inputs": [[], [], [0, 2]]}, "/inputs/2/1", "UNKNOWN_NODE"),
        ({"inputs": [[], [], [0, 3]]}, "/inputs/2/1", "UNKNOWN_NODE"),
        ({"inputs": [[], [], [-1, 0]]}, "/inputs/2/0", "UNKNOWN_NODE"),
        ({"inputs": [[], [], [0, 10**5000]]}, "/inputs/2/1", "UNKNOWN_NODE"),
        ({"inputs": [[], [], [0, 1.0]]}, "/inputs/2/1", "INVALID_VALUE"),
        ({"inputs": [[], [], [0, "1"]]}, "/inputs/2/1", "INVALID_VALUE"),
        ({"inputs": [[], [], [0, True]]}, "/inputs/2/1", "INVALID_VALUE"),
        ({"inputs": [[], [], [0, {"value": 1}]]}, "/inputs/2/1", "INVALID_VALUE"),
        ({"inputs": [[], [], [0, {"constant": "NaN"}]]}, "/inputs/2/1/constant", "NOT_A_NUMBER"),
        ({"inputs": [[], [], [0, {"constant": 1e999}]]}, "/inputs/2/1/constant", "INVALID_VALUE"),
        ({"inputs": [[], [], [-1, {"constant": 1}]]}, "/inputs/2/0", "UNKNOWN_NODE"),
        ({"data": [1, 2, 3]}, "/data/2", "UNKNOWN_FIELD"),
        ({"data": [1, "2", None]}, "/data/1", "NOT_A_NUMBER"),
        ({"op": ["input", "constant", "add"], "data": [1, None, None]}, "/data/1", "MISSING_DATA"),
        ({"id": ["a", "b", "a"]}, "/id/2", "DUPLICATE_ID"),
        ({"id": ["a", "b", None]}, "/id/2", "INVALID_VALUE"),
        ({"id": ["a", "b", "c\0"]}, "/id/2", "INVALID_VALUE"),
        ({"label": [None, "b", 3]}, "/label/2", "INVALID_VALUE"),
    ],
)
def test_one_wrong_thing_in_columns(changed: dict[str, Any], pointer: str, code: str) -> None:
    assert errors_of({"columns": columns(**changed), "outputs": [0]}) == [(f"/columns{pointer}", code)]


@pytest.mark.parametrize(
    ("outputs", "pointer", "code"),
    [
        (["2"], "/outputs/0", "INVALID_VALUE"),
        ([True], "/outputs/0", "INVALID_VALUE"),
        ([3], "/outputs/0", "UNKNOWN_NODE"),
        ([-1], "/outputs/0", "UNKNOWN_NODE"),
        ([2, 2], "/outputs/1", "DUPLICATE_ID"),
    ],
)
def test_outputs_of_columns_are_positions(outputs: list[Any], pointer: str, code: str) -> None:
    assert errors_of({"columns": columns(), "outputs": outputs}) == [(pointer, code)]


def test_columns_that_are_not_an_object() -> None:
    assert errors_of({"columns": [[]]}) == [("/columns", "INVALID_VALUE")]


def test_all_errors_come_at_once() -> None:
    document = {
        "version": 3,
        "nodes": [
            X,
            {"id": "x", "op": "nosuch"},
            {"id": "p", "op": "neg", "inputs": ["q"]},
            {"id": "q", "op": "neg", "inputs": ["p"]},
            {"id": "c", "op": "constant"},
        ],
        "outputs": ["nobody"],
    }
    assert sorted(errors_of(document)) == [
        ("/nodes/1/id", "DUPLICATE_ID"),
        ("/nodes/1/op", "UNKNOWN_OPERATION"),
        ("/nodes/2/inputs/0", "CYCLE"),
        ("/nodes/4/data", "MISSING_DATA"),
        ("/outputs/0", "UNKNOWN_NODE"),
        ("/version", "INVALID_VALUE"),
    ]


def test_an_unknown_operation_suggests_the_nearest() -> None:
    (detail,) = details_of({"nodes": [X, {"id": "y", "op": "sigmiod", "inputs": ["x"]}], "outputs": ["y"]})
    assert "did you mean sigmoid?" in detail


def test_too_many_inputs_point_to_the_operation_that_takes_them() -> None:
    for name, wider in [("add", "sum"), ("mul", "prod"), ("+", "sum")]:
        (detail,) = details_of({"nodes": [X, {"id": "y", "op": name, "inputs": ["x"] * 3}]})
        assert f"{wider} takes any number" in detail


def test_a_cycle_names_its_nodes_in_the_direction_of_the_data() -> None:
    rows = [
        {"id": "d", "op": "add", "inputs": ["c", "x"]},
        {"id": "b", "op": "neg", "inputs": ["a"]},
        X,
        {"id": "a", "op": "neg", "inputs": ["d"]},
        {"id": "c", "op": "add", "inputs": ["x", "b"]},
    ]
    with pytest.raises(GraphError) as caught:
        Graph.from_document({"nodes": rows})
    (error,) = caught.value.errors
    assert (error["code"], error["pointer"]) == ("CYCLE", "/nodes/0/inputs/0")
    assert error["detail"].endswith("'d' → 'a' → 'b' → 'c' → 'd'")


def test_separate_cycles_are_separate_errors_and_what_hangs_on_one_is_none() -> None:
    rows = [{"id": f"n{k}", "op": "neg", "inputs": [f"n{k ^ 1}"]} for k in range(4)]
    rows.append({"id": "tail", "op": "neg", "inputs": ["n0"]})
    assert errors_of({"nodes": rows}) == [("/nodes/0/inputs/0", "CYCLE"), ("/nodes/2/inputs/0", "CYCLE")]


def test_a_long_cycle_is_cut_short_in_words() -> None:
    n = 100_000
    rows = [{"id": f"n{k}", "op": "neg", "inputs": [f"n{(k + 1) % n}"]} for k in range(n)]
    (detail,) = details_of({"nodes": rows})
    assert "99980 more" in detail
    assert len(detail) < 1000


def test_ambiguous_outputs_list_the_candidates() -> None:
    rows = [X, *({"id": f"y{k}", "op": "neg", "inputs": ["x"]} for k in range(3))]
    (detail,) = details_of({"nodes": rows})
    assert "'y0', 'y1', 'y2'" in detail


def test_at_most_fifty_errors_are_told() -> None:
    bad = [{"id": f"n{k}", "op": "nosuch"} for k in range(50)]
    with pytest.raises(GraphError) as caught:
        Graph.from_document({"nodes": [X, *bad], "outputs": ["x"]})
    assert (len(caught.value.errors), caught.value.truncated) == (50, False)
    for many in (51, 20_000):
        bad = [{"id": f"n{k}", "op": ["nosuch"], "inputs": [{}], "zz": None} for k in range(many)]
        with pytest.raises(GraphError) as caught:
            Graph.from_document({"nodes": [X, *bad], "outputs": ["x"]})
        assert (len(caught.value.errors), caught.value.truncated) == (50, True)


def test_more_nodes_than_the_limit() -> None:
    assert errors_of({"nodes": [X, X]}, max_nodes=1) == [("/nodes", "TOO_MANY_NODES")]
    assert errors_of({"columns": columns()}, max_nodes=2) == [("/columns/op", "TOO_MANY_NODES")]
    assert len(Graph.from_document({"columns": columns()}, max_nodes=3)) == 3


def test_a_leaf_may_say_that_it_has_no_inputs() -> None:
    spelled = {"nodes": [{**X, "inputs": []}]}
    assert Graph.from_document(spelled) == Graph.from_document({"nodes": [X]})


def test_integers_round_to_the_nearest_float64() -> None:
    graph = Graph.from_document({"nodes": [{"id": "x", "op": "input", "data": 2**53 + 1}]})
    assert graph.data.tolist() == [2.0**53]


@pytest.mark.parametrize(
    ("alias", "inputs", "canonical"),
    [
        ("-", 1, "neg"),
        ("-", 2, "sub"),
        ("+", 2, "add"),
        ("ReLU", 1, "relu"),
        ("maximum", 3, "max"),
        ("**", 2, "pow"),
    ],
)
def test_aliases_become_canonical(alias: str, inputs: int, canonical: str) -> None:
    graph = Graph.from_document({"nodes": [X, {"id": "y", "op": alias, "inputs": ["x"] * inputs}]})
    assert graph.to_document()["nodes"][1]["op"] == canonical
