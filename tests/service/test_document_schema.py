"""The schemas that document a graph and the engine that reads it agree on what a node looks like."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from engine.graph import Graph, GraphError
from engine.operations import OPCODES
from service.schemas.graphs import NodeDocumentSchema

# What only the other nodes, or the operation, can tell to be wrong.
BEYOND_A_SCHEMA = {"UNKNOWN_NODE", "WRONG_ARITY", "DUPLICATE_ID", "CYCLE", "MISSING_DATA", "AMBIGUOUS_OUTPUT"}

odd: st.SearchStrategy[Any] = st.sampled_from([None, True, False, 0, -1, 1.5, "", "x", "x" * 129, "NaN", [], ["x"], {}])
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=130)
nodes = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["y", "x"]) | odd | texts,
        "op": st.sampled_from(["input", "constant", *OPCODES]) | odd | texts,
        "inputs": st.lists(st.sampled_from(["x", 2, 0.5, 10**400]) | odd | texts, max_size=3) | odd,
        "data": st.floats(allow_nan=False, allow_infinity=False) | odd,
        "label": texts | odd,
        "colour": odd,
    },
)


@given(nodes | odd)
@example({"id": "y", "op": "-", "inputs": ["x"]})
@example({"id": "y", "op": "mul", "inputs": ["x", "NaN"]})
def test_schema_and_engine_agree_on_nodes(node: Any) -> None:
    document = {"nodes": [{"id": "x", "op": "input", "data": 1.0}, node], "outputs": ["x"]}
    faults = NodeDocumentSchema().validate(document)
    try:
        Graph.from_document(document)
    except GraphError as error:
        # Whether a node may have data, and must have inputs, depends on its operation; a schema cannot say that.
        depends = {("/nodes/1/data", "UNKNOWN_FIELD"), ("/nodes/1/inputs", "MISSING_FIELD")}
        codes = {each["code"] for each in error.errors if (each["pointer"], each["code"]) not in depends}
        assert faults or codes <= BEYOND_A_SCHEMA, (error.errors, faults)
    else:
        assert not faults
