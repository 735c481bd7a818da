"""Steps, node rows, and what can be asked of them."""

from marshmallow import Schema, fields, validate

from service.drawings import DrawingFormat
from service.explanations import SORTS
from service.schemas.fields import NODE_ID, NUMBER
from service.schemas.paging import PageQuerySchema
from service.schemas.runs import RunSchema

_NUMBER_OR_NULL = {"anyOf": [*NUMBER["anyOf"], {"type": "null"}]}
_SPELLED_SORTS = (*SORTS, *(f"-{name}" for name in SORTS))


class DrawingQuerySchema(Schema):
    """How to draw."""

    format = fields.Enum(
        DrawingFormat,
        by_value=True,
        metadata={
            "description": "`svg` takes Graphviz where the service runs; the others are texts. "
            "Without it, the Accept header chooses, and `svg` is the first choice."
        },
    )


class NodeQuerySchema(PageQuerySchema):
    """Which nodes, in which order."""

    sort = fields.String(
        validate=validate.OneOf(_SPELLED_SORTS, error="Not an order: choose from {choices}."),
        metadata={"description": "`-` for descending; without it, the document's order."},
    )
    op = fields.String(metadata={"description": "Only nodes of this operation, or `input` or `constant`."})


class NodeRowSchema(Schema):
    """A node with its numbers."""

    id = fields.String(required=True)
    op = fields.String(required=True)
    label = fields.String(required=True, allow_none=True)
    inputs = fields.List(
        fields.Raw(metadata={"anyOf": [NODE_ID, {"type": "number"}]}),
        required=True,
        metadata={"description": "Ids of nodes, and numbers that are written in their place."},
    )
    value = fields.Raw(required=True, metadata=NUMBER)
    gradient = fields.Raw(
        required=True, metadata=_NUMBER_OR_NULL | {"description": "null for constants, which have none."}
    )


class NodeListSchema(Schema):
    """One page of a run's nodes."""

    items = fields.List(fields.Nested(NodeRowSchema), required=True)
    next_page_token = fields.String(metadata={"description": "Absent on the last page."})


class StepSchema(Schema):
    """One application of the chain rule."""

    index = fields.Integer(required=True, metadata={"description": "From 0, in backward order."})
    node = fields.String(required=True, allow_none=True, metadata={"description": "Who hands back; null for a seed."})
    op = fields.String(required=True, metadata={"description": "The node's operation, or `seed`."})
    to = fields.String(required=True, metadata={"description": "Who receives."})
    derivative = fields.String(required=True, metadata={"description": "d node / d to, as a formula."})
    local = fields.Raw(required=True, metadata=NUMBER | {"description": "The derivative's value."})
    upstream = fields.Raw(required=True, metadata=NUMBER | {"description": "The node's own gradient, or the seed."})
    contribution = fields.Raw(required=True, metadata=NUMBER | {"description": "upstream times local."})
    gradient = fields.Raw(required=True, metadata=NUMBER | {"description": "The receiver's so far."})
    text = fields.String(required=True, metadata={"description": "The step as a sentence."})


class StepListSchema(Schema):
    """One page of a run's backward pass."""

    items = fields.List(fields.Nested(StepSchema), required=True)
    next_page_token = fields.String(metadata={"description": "Absent on the last page."})


class _StepsSchema(Schema):
    count = fields.Integer(required=True, metadata={"description": "Of the whole backward pass."})
    items = fields.List(fields.Nested(StepSchema), required=True)


class ExplanationSchema(Schema):
    """A run with its graph and the beginning of its backward pass."""

    graph = fields.Raw(required=True, metadata={"type": "object", "description": "The node document."})
    expression = fields.Raw(required=True, metadata={"type": "object", "description": "The same, for reading."})
    run = fields.Nested(RunSchema, required=True)
    steps = fields.Nested(_StepsSchema, required=True)
