"""Run requests, runs, and the list of runs."""

from typing import Any

from marshmallow import Schema, ValidationError, fields, validate

from service.errors import FieldError
from service.forms import Form
from service.kinds import KINDS
from service.kinds.batch import REDUCTIONS
from service.runs import RunRequest
from service.schemas.errors import body_errors
from service.schemas.fields import (
    NODE_ID,
    NUMBER,
    Bindings,
    Ids,
    Numbers,
    Selection,
    StrictBoolean,
    Timestamp,
)
from service.schemas.graphs import GraphDocumentSchema
from service.schemas.paging import PageQuerySchema

STATES = ("queued", "running", "succeeded", "failed", "cancelled")

_NUMBERS_BY_ID = {"type": "object", "additionalProperties": NUMBER}
_ROWS = {"type": "array", "items": NUMBER}
_NUMBERS_OR_ROWS_BY_ID = {"type": "object", "additionalProperties": {"anyOf": [*NUMBER["anyOf"], _ROWS]}}
_COLUMN = {"type": "array", "items": {"anyOf": [*NUMBER["anyOf"], {"type": "null"}, _ROWS]}}
_NODE_ID_OR_NULL = {"anyOf": [NODE_ID, {"type": "null"}]}


class RunRequestSchema(Schema):
    """What to compute, on which graph. Exactly one of `graph` and `graph_id` is given."""

    graph = fields.Nested(GraphDocumentSchema)
    graph_id = fields.String(metadata={"description": "A stored graph."})
    kind = fields.String(
        load_default="gradient",
        validate=validate.OneOf(list(KINDS), error="Not a kind of run: choose from {choices}."),
    )
    store = StrictBoolean(
        load_default=True,
        metadata={"description": "`false` computes without storing: 200, and the run has no id."},
    )
    inputs = Bindings(
        metadata={
            "description": "Values for inputs, instead of the graph's. Arrays of one length make a batch.",
            "examples": [{"x1": 3.0}],
        }
    )
    outputs = Ids(
        validate=validate.Length(min=1, error="At least one output is needed."),
        metadata={"description": "Which nodes to differentiate, instead of the graph's.", "minItems": 1},
    )
    seeds = Numbers(
        metadata={
            "description": "The gradient put into each output; 1.0 where not given. "
            "Without `outputs`, its keys are the outputs.",
            "examples": [{"o": 1.0}],
        }
    )
    select = Selection(
        metadata={"description": "Which nodes the answer shows; the stored run keeps all.", "default": "all"}
    )

    reduce = fields.String(
        validate=validate.OneOf(list(REDUCTIONS), error="Not a reduction: choose from {choices}."),
        metadata={
            "description": "Of a batch: the rows themselves (`none`), their sum or their mean.",
            "default": "none",
        },
    )
    wrt = Ids(
        validate=validate.Length(min=1, error="At least one input is needed."),
        metadata={"description": "Inputs to differentiate by; all of them unless given (jacobian, hessian)."},
    )
    tangents = Numbers(metadata={"description": "How the inputs move; 0 where not given (jvp)."})
    vector = Numbers(metadata={"description": "What the Hessian is applied to; 0 where not given (hvp)."})

    def load(self, data: Any, **_: Any) -> RunRequest:
        """Return the request with all that is wrong with it so far; it raises nothing.

        What else is wrong only the graph can tell, and both are reported together.
        """
        if not isinstance(data, dict):
            return RunRequest(kind=None, errors=(FieldError("INVALID_VALUE", "Not an object.", pointer=""),))
        try:
            options: dict[str, Any] = super().load(data)
            errors = []
        except ValidationError as error:
            options = dict(error.valid_data or {})
            errors = body_errors(error)
        errors += _graph_errors(data)
        kind = options.pop("kind", None)
        graph, graph_id = options.pop("graph", None), options.pop("graph_id", None)
        store = options.pop("store", True)
        if kind is not None:
            errors += [
                FieldError("UNKNOWN_FIELD", f"Runs of kind {kind} have no {name}.", pointer=f"/{name}")
                for name in options
                if name not in KINDS[kind].fields
            ]
            errors += [
                FieldError("MISSING_FIELD", f"Runs of kind {kind} need {name}.", pointer=f"/{name}")
                for name in sorted(KINDS[kind].needs)
                if name not in data
            ]
        return RunRequest(kind, graph, graph_id, store, options, tuple(errors))


def _graph_errors(data: dict[str, Any]) -> list[FieldError]:
    given = [name for name in data if name in ("graph", "graph_id")]
    if not given:
        return [FieldError("MISSING_FIELD", "A graph is needed, or the graph_id of a stored one.", "/graph")]
    if len(given) == 2:
        first, second = given
        return [FieldError("INVALID_VALUE", f"Not both: {first} is there already.", f"/{second}")]
    return []


class FormQuerySchema(Schema):
    """How to spell a graph or a run."""

    form = fields.Enum(
        Form,
        by_value=True,
        load_default=Form.NODES,
        metadata={"description": "`columns` spells nodes as arrays in the document's order."},
    )


class RunQuerySchema(PageQuerySchema):
    """Which runs to list."""

    graph_id = fields.String(
        validate=validate.Regexp(r"^[0-9a-f]{64}$", error="Not a graph's id: 64 hexadecimal digits.")
    )
    kind = fields.String(validate=validate.OneOf(list(KINDS), error="Not a kind of run: choose from {choices}."))
    state = fields.String(validate=validate.OneOf(STATES, error="Not a state: choose from {choices}."))
    created_after = Timestamp()
    created_before = Timestamp()


class NonfiniteSchema(Schema):
    """Where non-finite numbers were born."""

    value = fields.Raw(required=True, metadata=_NODE_ID_OR_NULL)
    gradient = fields.Raw(required=True, metadata=_NODE_ID_OR_NULL)
    row = fields.Integer(metadata={"description": "Of a batch: the first row that has any."})


_MATRIX = {"type": "array", "items": {"type": "array", "items": NUMBER}}
_IDS = {"type": "array", "items": NODE_ID}


class JacobianSchema(Schema):
    """A matrix of derivatives: a row an output, a column an input."""

    rows = fields.Raw(required=True, metadata=_IDS | {"description": "Outputs."})
    columns = fields.Raw(required=True, metadata=_IDS | {"description": "Inputs."})
    matrix = fields.Raw(required=True, metadata=_MATRIX)


class HessianSchema(Schema):
    """A symmetric matrix of second derivatives."""

    wrt = fields.Raw(required=True, metadata=_IDS | {"description": "Inputs, of the rows and of the columns."})
    matrix = fields.Raw(required=True, metadata=_MATRIX)


class RunErrorSchema(Schema):
    """Why a run failed."""

    code = fields.String(required=True)
    detail = fields.String(required=True)


class RunSummarySchema(Schema):
    """A run in a list."""

    id = fields.UUID(metadata={"description": "UUID version 7: in order of creation."})
    kind = fields.String(required=True, validate=validate.OneOf(list(KINDS)))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    graph_id = fields.String(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    finished_at = fields.DateTime(required=True, allow_none=True)
    error = fields.Nested(RunErrorSchema, required=True, allow_none=True)


class RunSchema(RunSummarySchema):
    """A run with its results; a run that was not stored has no id."""

    inputs = fields.Raw(required=True, metadata=_NUMBERS_OR_ROWS_BY_ID | {"description": "What the request bound."})
    seeds = fields.Raw(metadata=_NUMBERS_BY_ID)
    outputs = fields.Raw(metadata=_NUMBERS_OR_ROWS_BY_ID)
    ids = fields.Raw(
        metadata={"type": "array", "items": NODE_ID, "description": "With `form=columns`: the nodes shown."}
    )
    values = fields.Raw(metadata={"anyOf": [_NUMBERS_OR_ROWS_BY_ID, _COLUMN]})
    gradients = fields.Raw(
        metadata={
            "anyOf": [_NUMBERS_OR_ROWS_BY_ID, _COLUMN],
            "description": "d(seeded outputs)/d(node) for every node but constants (`null` in a column).",
        }
    )
    nonsmooth = fields.List(
        fields.String(), metadata={"description": "Nodes exactly on a kink: a convention is shown."}
    )
    disconnected = fields.List(
        fields.String(), metadata={"description": "Inputs that reach no output; their gradient is 0.0."}
    )
    nonfinite = fields.Nested(
        NonfiniteSchema,
        allow_none=True,
        metadata={"description": "The first node where a non-finite value, or gradient, was born."},
    )
    jacobian = fields.Nested(JacobianSchema)
    tangents = fields.Raw(metadata=_NUMBERS_BY_ID | {"description": "Each output's derivative along the tangents."})
    hessian = fields.Nested(HessianSchema)
    hvp = fields.Raw(metadata=_NUMBERS_BY_ID | {"description": "The Hessian times the vector, by input."})


class RunListSchema(Schema):
    """One page of runs, newest first."""

    items = fields.List(fields.Nested(RunSummarySchema), required=True)
    next_page_token = fields.String(metadata={"description": "Absent on the last page."})
