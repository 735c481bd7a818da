"""What holds for every graph document, and what holds for everything that is none."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import Graph, GraphError, derivatives
from engine.errors import MAX_ERRORS
from engine.nodes import bulk_nodes
from engine.operations import CONSTANT
from tests.engine.graphs import documents

TAME = st.floats(-3, 3).map(lambda x: round(x, 3))
SMOOTH = ["add", "sub", "mul", "tanh", "sin", "sigmoid", "sum", "mean", "prod", "max", "where", "exp", "relu", "hypot"]


def wire(document: object) -> Any:
    """A document as a client sends it."""
    return orjson.loads(orjson.dumps(document))


@given(documents())
def test_document_columns_bytes_and_values_come_back_exactly(document: dict[str, Any]) -> None:
    graph = Graph.from_document(document)
    canonical = graph.to_document()
    assert Graph.from_document(wire(canonical)).to_document() == canonical
    assert Graph.from_document(wire(canonical)) == graph

    stored = graph.to_bytes()
    back = Graph.from_bytes(stored)
    assert back.to_bytes() == stored
    assert back.to_document() == canonical
    assert back == graph
    for field in ("ops", "offsets", "operands", "literals", "data", "has_data", "outputs"):
        one, other = getattr(graph, field), getattr(back, field)
        assert (one.dtype, one.tobytes()) == (other.dtype, other.tobytes())

    columns = Graph.from_document(wire(graph.to_columns()))
    assert columns.order is None
    if graph.order is None:
        assert columns == graph
    else:
        by_id = {node["id"]: node for node in canonical["nodes"]}
        rows = columns.to_document()
        assert {node["id"]: node for node in rows["nodes"]} == by_id
        assert rows["outputs"] == canonical["outputs"]


@given(documents())
def test_the_document_says_what_was_posted(document: dict[str, Any]) -> None:
    shown = Graph.from_document(document).to_document()
    assert shown["outputs"] == document["outputs"]
    assert shown.get("name") == document.get("name")
    for posted, node in zip(document["nodes"], shown["nodes"], strict=True):
        assert node.keys() == posted.keys()
        assert (node["id"], node.get("label")) == (posted["id"], posted.get("label"))
        assert repr(node.get("data")) == repr(posted.get("data"))
        for given_input, shown_input in zip(posted.get("inputs", []), node.get("inputs", []), strict=True):
            assert repr(shown_input) == repr(float(given_input) if isinstance(given_input, int) else given_input)


@given(documents())
def test_of_the_nodes_that_could_be_evaluated_next_the_first_in_the_document_is(document: dict[str, Any]) -> None:
    graph = Graph.from_document(document)
    order = list(range(len(graph))) if graph.order is None else graph.order.tolist()
    placed: list[int] = []
    for _ in order:
        ready = (
            node
            for node in range(len(graph))
            if node not in placed and all(x in placed for x in graph.inputs(node) if isinstance(x, int))
        )
        placed.append(next(ready))
    assert order == placed
    assert (graph.order is None) == (placed == list(range(len(graph))))


@given(documents(TAME, TAME, SMOOTH, shuffled=False), st.randoms(use_true_random=False))
def test_node_order_changes_no_value_and_gradients_only_by_rounding(document: dict[str, Any], random: Any) -> None:
    permuted = copy.deepcopy(document)
    random.shuffle(permuted["nodes"])
    one, other = Graph.from_document(document), Graph.from_document(permuted)
    first, second = derivatives.gradient(one), derivatives.gradient(other)
    place = [other.position(node) for node in one.ids]
    assert first.values.tobytes() == second.values[place].tobytes()
    contributions = np.bincount(one.operands[one.operands >= 0], minlength=len(one))
    contributions[one.outputs] += 1
    bits = max(contributions) <= 2
    for position in range(len(one)):
        a, b = first.gradients[position], second.gradients[place[position]]
        if one.ops[position] == CONSTANT or (math.isnan(a) and math.isnan(b)):
            continue
        assert a == b if bits else a == pytest.approx(b, rel=1e-9, abs=1e-9)


@given(documents())
def test_what_people_read_is_a_graph_with_the_same_values(document: dict[str, Any]) -> None:
    graph = Graph.from_document(document)
    written = Graph.from_document(wire(graph.to_expression()))
    one, other = derivatives.gradient(graph), derivatives.gradient(written)
    for output, same in zip(one.outputs, other.outputs, strict=True):
        assert repr(one.values[output]) == repr(other.values[same])


@given(documents())
def test_values_and_graphs_go_both_ways(document: dict[str, Any]) -> None:
    graph = Graph.from_document(document)
    values = graph.to_values()
    first, *others = (values[graph.ids[k]] for k in graph.outputs)
    back = first.to_graph(*others, name=graph.name)
    reached = set(back.ids)
    assert [node for node in graph.to_document()["nodes"] if node["id"] in reached] == back.to_document()["nodes"]
    assert [back.ids[k] for k in back.outputs] == document["outputs"]


SCRAPS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.sampled_from(["x", "y", "add", "neg", "input", "constant", "-", "", "\0", "\ud800", "n" * 129, "NaN"]),
    st.text(max_size=3),
)
KEYS = st.sampled_from(
    ["id", "op", "inputs", "data", "label", "version", "name", "nodes", "outputs", "columns", "expression", "constant"]
)
ANYTHING = st.recursive(
    SCRAPS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.text(max_size=2), inner, max_size=5)
)


def check(document: object) -> None:
    """Either there is a graph, or a GraphError that can be sent."""
    try:
        graph = Graph.from_document(document, pointer="/graph")
    except GraphError as error:
        assert 1 <= len(error.errors) <= MAX_ERRORS
        for entry in error.errors:
            assert entry["pointer"].startswith("/graph")
            assert entry["code"].isupper()
            assert entry["detail"]
        orjson.dumps(error.errors)
    else:
        orjson.dumps(graph.to_document())


@given(ANYTHING)
def test_anything_is_a_graph_or_a_graph_error(document: object) -> None:
    check(document)


@given(
    st.sampled_from(["nodes", "columns", "expression"]),
    st.dictionaries(KEYS, ANYTHING, max_size=3),
    st.lists(st.dictionaries(st.sampled_from(["id", "op", "inputs", "data", "label", "zz"]), ANYTHING, max_size=5)),
    st.dictionaries(st.sampled_from(["op", "inputs", "data", "id", "label"]), st.lists(ANYTHING, max_size=4)),
)
def test_near_documents_are_graphs_or_graph_errors(
    form: str, more: dict[str, Any], rows: list[Any], columns: dict[str, Any]
) -> None:
    check({form: rows if form == "nodes" else columns, **more})


@st.composite
def broken(draw: st.DrawFn) -> dict[str, Any]:
    """A valid document with one thing replaced, removed or added."""
    document = wire(draw(documents(st.floats(allow_nan=False, allow_infinity=False))))
    node = draw(st.sampled_from(document["nodes"]))
    key = draw(st.sampled_from(["id", "op", "inputs", "data", "label", "zz"]))
    how = draw(st.sampled_from(["drop", "set", "input"]))
    if how == "drop":
        node.pop(key, None)
    elif how == "input" and node.get("inputs"):
        node["inputs"][0] = draw(ANYTHING)
    else:
        node[key] = draw(ANYTHING)
    return document


@given(broken())
def test_the_bulk_reader_gives_up_exactly_where_the_careful_one_finds_something(document: dict[str, Any]) -> None:
    is_right = bulk_nodes(document["nodes"]) is not None
    try:
        Graph.from_document(document)
    except GraphError as error:
        about_nodes = [e for e in error.errors if e["pointer"].startswith("/nodes") and e["code"] != "CYCLE"]
        assert is_right == (not about_nodes)
    else:
        assert is_right


@settings(max_examples=300)
@given(
    st.text("xyab12.e+-*/<>=(), \n#;_é^[", max_size=40), st.none() | st.dictionaries(st.sampled_from("xyab"), SCRAPS)
)
def test_any_text_is_an_expression_or_a_graph_error(text: str, data: object) -> None:
    check({"expression": text} if data is None else {"expression": text, "data": data})


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            ["x", "y", "2", "-", "+", "*", "**", "/", "<", "==", "(", ")", "tanh(", "max(", ",", "=", "\n"]
        ),
        max_size=25,
    )
)
def test_what_the_scan_admits_python_parses(tokens: list[str]) -> None:
    text = " ".join(tokens)
    try:
        Graph.from_document({"expression": text})
    except GraphError as error:
        for entry in error.errors:
            assert "line" in entry
            assert "invalid syntax" not in entry["detail"]
