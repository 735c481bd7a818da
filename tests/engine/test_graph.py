"""Graph: its three spellings are one graph, it knows an evaluation order, and bytes bring it back exactly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from engine.graph import Graph, GraphError
from engine.operations import NAMES

NEURON: dict[str, Any] = {
    "name": "tanh neuron",
    "nodes": [
        {"id": "x1", "op": "input", "data": 2.0},
        {"id": "w1", "op": "input", "data": -3.0},
        {"id": "b", "op": "input", "data": 6.8813735870195432},
        {"id": "x1w1", "op": "*", "inputs": ["x1", "w1"], "label": "x1*w1"},
        {"id": "n", "op": "add", "inputs": ["x1w1", "b"]},
        {"id": "o", "op": "tanh", "inputs": ["n"]},
    ],
}


def nodes(*rows: dict[str, Any], **more: Any) -> Graph:
    return Graph.from_document({"nodes": list(rows), **more})


def test_arrays_hold_the_nodes_in_document_order() -> None:
    graph = Graph.from_document(NEURON)
    assert graph.ids == ["x1", "w1", "b", "x1w1", "n", "o"]
    assert [NAMES[code] for code in graph.ops] == ["input", "input", "input", "mul", "add", "tanh"]
    assert graph.offsets.tolist() == [0, 0, 0, 0, 2, 4, 5]
    assert graph.operands.tolist() == [0, 1, 3, 2, 4]
    assert graph.data.tolist() == [2.0, -3.0, 6.8813735870195432, 0.0, 0.0, 0.0]
    assert graph.has_data.tolist() == [True] * 3 + [False] * 3
    assert graph.labels == {3: "x1*w1"}
    assert graph.outputs.tolist() == [5]
    assert graph.order is None
    assert (graph.ops.dtype, graph.offsets.dtype, graph.operands.dtype) == (np.uint8, np.uint32, np.int32)


def test_a_graph_cannot_be_changed() -> None:
    graph = Graph.from_document(NEURON)
    with pytest.raises(ValueError, match="read-only"):
        graph.data[0] = 5.0
    with pytest.raises(AttributeError):
        graph.name = "other"


def test_numbers_among_the_inputs_are_literals_one_per_occurrence() -> None:
    graph = nodes({"id": "x", "op": "input"}, {"id": "y", "op": "sum", "inputs": [2, "x", 2, -0.0]})
    assert graph.operands.tolist() == [-1, 0, -2, -3]
    assert graph.literals.tolist() == [2.0, 2.0, -0.0]
    assert graph.inputs(1) == [2.0, 0, 2.0, -0.0]
    assert math.copysign(1, graph.literals[2]) == -1


def test_the_document_comes_back_canonical() -> None:
    document = Graph.from_document(NEURON).to_document()
    expected = {"version": 1, **NEURON, "outputs": ["o"]}
    expected["nodes"] = [dict(node) for node in NEURON["nodes"]]
    expected["nodes"][3]["op"] = "mul"
    assert document == expected
    assert list(document) == ["version", "name", "nodes", "outputs"]
    assert Graph.from_document(document).to_document() == document


def test_special_numbers_survive() -> None:
    data = ["NaN", "Infinity", "-Infinity", -0.0, 5e-324, 0.1, 1.7976931348623157e308]
    rows = [{"id": f"x{k}", "op": "constant", "data": value} for k, value in enumerate(data)]
    graph = nodes(*rows, outputs=["x0"])
    back = Graph.from_bytes(graph.to_bytes())
    assert back.data.tobytes() == graph.data.tobytes()
    assert [node["data"] for node in back.to_document()["nodes"]] == data
    assert math.copysign(1, back.data[3]) == -1


def test_columns_are_the_same_graph_as_nodes() -> None:
    columns = {
        "columns": {
            "op": ["input", "input", "*", "neg"],
            "inputs": [[], [], [0, 1], [2]],
            "data": [2, -3, None, None],
        },
        "outputs": [3],
    }
    graph = Graph.from_document(columns)
    assert graph.ids == ["0", "1", "2", "3"]
    rows = Graph.from_document(graph.to_document())
    assert rows.id == graph.id
    assert rows == graph
    columns["columns"]["op"][2] = "mul"
    assert graph.to_columns() == {"version": 1, **columns}


def test_columns_spell_a_literal_as_an_object() -> None:
    graph = nodes({"id": "x", "op": "input", "data": 3}, {"id": "y", "op": "pow", "inputs": ["x", 2]})
    columns = graph.to_columns()
    assert columns["columns"]["inputs"] == [[], [0, {"constant": 2.0}]]
    assert columns["columns"]["id"] == ["x", "y"]
    assert Graph.from_document(columns) == graph


def test_columns_of_an_unsorted_document_come_in_evaluation_order() -> None:
    graph = nodes({"id": "y", "op": "neg", "inputs": ["x"]}, {"id": "x", "op": "input", "data": 1})
    assert graph.to_columns() == {
        "version": 1,
        "columns": {"op": ["input", "neg"], "inputs": [[], [0]], "data": [1.0, None], "id": ["x", "y"]},
        "outputs": [1],
    }


def test_nodes_in_any_order_are_sorted_and_stay_where_they_are() -> None:
    rows = NEURON["nodes"][::-1]
    graph = nodes(*rows)
    assert graph.ids == ["o", "n", "x1w1", "b", "w1", "x1"]
    assert graph.order is not None
    order = [graph.ids[position] for position in graph.order.tolist()]
    assert order == ["b", "w1", "x1", "x1w1", "n", "o"]
    assert not graph.order.flags.writeable


def test_the_id_tells_documents_apart() -> None:
    base = Graph.from_document(NEURON)
    changed: list[dict[str, Any]] = [
        {**NEURON, "name": "other"},
        {**NEURON, "outputs": ["n"]},
        {"nodes": NEURON["nodes"]},
        {**NEURON, "nodes": [*NEURON["nodes"][1:2], *NEURON["nodes"][:1], *NEURON["nodes"][2:]]},
    ]
    for position, field, value in [(0, "data", 2.5), (3, "label", "other"), (3, "op", "sub"), (5, "id", "p")]:
        document = {**NEURON, "nodes": [dict(node) for node in NEURON["nodes"]]}
        document["nodes"][position][field] = value
        changed.append(document)
    ids = {Graph.from_document(document).id for document in changed}
    assert len(ids) == len(changed)
    assert base.id not in ids
    assert Graph.from_document({**NEURON, "version": 1, "outputs": ["o"]}).id == base.id


def test_signed_zeros_differ_and_nan_is_one() -> None:
    def constant(value: object) -> str:
        return nodes({"id": "c", "op": "constant", "data": value}).id

    assert constant(0.0) != constant(-0.0)
    assert constant(0) == constant(0.0)
    assert constant("NaN") == constant("NaN")


def test_the_id_is_what_it_was_in_every_version() -> None:
    assert Graph.from_document(NEURON).id == "bc947b0479c81fd4692bf195384e19bd962c89015bb5a50565e707c15f495458"


def test_stored_bytes_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="not a stored graph"):
        Graph.from_bytes(b"SQLite format 3\0")


def test_bytes_keep_the_evaluation_order() -> None:
    graph = nodes(*NEURON["nodes"][::-1])
    back = Graph.from_bytes(graph.to_bytes())
    assert back.order is not None and graph.order is not None
    assert back.order.tolist() == graph.order.tolist()
    assert back.to_document() == graph.to_document()
    assert back.to_bytes() == graph.to_bytes()


def test_positions_by_id() -> None:
    graph = Graph.from_document(NEURON)
    assert graph.position("b") == 2
    with pytest.raises(KeyError):
        graph.position("nobody")


@pytest.mark.parametrize("reverse", [False, True])
def test_a_chain_of_a_million_nodes(reverse: bool) -> None:
    n = 1_000_000
    rows = [{"id": "n0", "op": "input", "data": 1.0}]
    rows += [{"id": f"n{k}", "op": "neg", "inputs": [f"n{k - 1}"]} for k in range(1, n)]
    graph = nodes(*(rows[::-1] if reverse else rows))
    if reverse:
        assert graph.order is not None
        assert np.array_equal(graph.order, np.arange(n)[::-1])
    else:
        assert graph.order is None


def test_repr_is_short() -> None:
    assert repr(Graph.from_document(NEURON)) == "<Graph 'tanh neuron': 6 nodes, outputs o = tanh>"


def test_a_graph_error_reads_like_a_sentence() -> None:
    with pytest.raises(GraphError, match=r"^/nodes: a graph needs at least one node$"):
        Graph.from_document({"nodes": []})
