"""Graph documents in their three forms, stored graphs, and the list of graphs.

The document schemas are for the OpenAPI document: the engine checks what is sent.
"""

from typing import Any

from marshmallow import Schema, fields, validate

from engine.forms import MAX_ID_LENGTH
from engine.operations import NAMES, OPCODES
from service.schemas.fields import NODE_ID, NUMBER, Ids, Number, Numbers, Operand

_POSITION = {"type": "integer", "minimum": 0}
_CONSTANT = {
    "type": "object",
    "properties": {"constant": {"type": "number"}},
    "required": ["constant"],
    "additionalProperties": False,
}


class NodeSchema(Schema):
    """One node: a leaf (`input`, `constant`) or an operation on other nodes."""

    id = fields.String(required=True, validate=validate.Length(1, MAX_ID_LENGTH))
    op = fields.String(
        required=True,
        validate=validate.OneOf(sorted({*NAMES, *OPCODES})),
        metadata={"description": "A leaf, or an operation of /v1/operations by its name or an alias."},
    )
    inputs = fields.List(
        Operand(),
        metadata={"description": "Ids in order, possibly repeated; a number is an anonymous constant."},
    )
    data = Number(metadata={"description": "An input's default, a constant's value."})
    label = fields.String(metadata={"description": "For people only."})


class NodeDocumentSchema(Schema):
    """A graph as a list of nodes, in any order."""

    version = fields.Integer(strict=True, validate=validate.OneOf([1]))
    name = fields.String()
    nodes = fields.List(fields.Nested(NodeSchema), required=True, validate=validate.Length(min=1))
    outputs = fields.List(
        fields.Raw(metadata=NODE_ID),
        validate=validate.Length(min=1),
        metadata={"description": "May be left out when exactly one node feeds nothing."},
    )


class ExpressionDocumentSchema(Schema):
    """A graph as text: assignments, one a line."""

    version = fields.Integer(strict=True, validate=validate.OneOf([1]))
    name = fields.String()
    expression = fields.String(required=True, metadata={"examples": ["e = a*b\nd = e + c\nL = d*f"]})
    data = fields.Raw(metadata={"type": "object", "additionalProperties": NUMBER})
    outputs = fields.List(fields.Raw(metadata=NODE_ID), validate=validate.Length(min=1))


class ColumnsSchema(Schema):
    """The nodes of a graph, each column with one entry a node."""

    op = fields.List(fields.String(), required=True)
    inputs = fields.List(
        fields.List(fields.Raw(metadata={"anyOf": [_POSITION, _CONSTANT]})),
        required=True,
        metadata={"description": "Positions of earlier nodes; an object is an anonymous constant."},
    )
    data = fields.List(fields.Raw(metadata={"anyOf": [*NUMBER["anyOf"], {"type": "null"}]}))
    id = fields.List(fields.Raw(metadata=NODE_ID))
    label = fields.List(fields.String(allow_none=True))


class ColumnDocumentSchema(Schema):
    """A graph as columns, for large machine-made ones."""

    version = fields.Integer(strict=True, validate=validate.OneOf([1]))
    name = fields.String()
    columns = fields.Nested(ColumnsSchema, required=True)
    outputs = fields.List(fields.Raw(metadata=_POSITION), validate=validate.Length(min=1))


FORMS = (NodeDocumentSchema, ExpressionDocumentSchema, ColumnDocumentSchema)


class GraphDocumentSchema(Schema):
    """A document in any of its forms, handed on as it was sent: the engine knows graphs, and checks it."""

    def load(self, data: Any, **_: Any) -> Any:
        """Return the document unchecked."""
        return data


class StoredGraphSchema(NodeDocumentSchema):
    """A stored graph: its id is the hash of its content."""

    id = fields.String(required=True)
    created_at = fields.DateTime(required=True)


class StoredColumnsSchema(ColumnDocumentSchema):
    """A stored graph, as columns."""

    id = fields.String(required=True)
    created_at = fields.DateTime(required=True)


class GraphSummarySchema(Schema):
    """A graph in a list."""

    id = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    name = fields.String(required=True, allow_none=True)
    node_count = fields.Integer(required=True)


class GraphListSchema(Schema):
    """One page of graphs, newest first."""

    items = fields.List(fields.Nested(GraphSummarySchema), required=True)
    next_page_token = fields.String(metadata={"description": "Absent on the last page."})


class GradientRequestSchema(Schema):
    """What to differentiate, and by what: the graph's outputs by all inputs, unless it says otherwise."""

    body_is_optional = True

    wrt = Ids(
        validate=validate.Length(min=1, error="At least one input is needed."),
        metadata={"description": "Inputs to differentiate by."},
    )
    outputs = Ids(
        validate=validate.Length(min=1, error="At least one output is needed."),
        metadata={"description": "Which nodes to differentiate, instead of the graph's outputs."},
    )
    seeds = Numbers(metadata={"description": "The gradient put into each output; 1.0 where not given."})
