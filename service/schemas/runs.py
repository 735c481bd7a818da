"""Run requests, runs, and the list of runs."""

import dataclasses
from typing import Any

from marshmallow import Schema, ValidationError, fields, missing, validate, validates_schema

from engine.optimizers import Optimizer
from service.errors import FieldError
from service.forms import Form
from service.kinds import KINDS
from service.kinds.batch import REDUCTIONS
from service.kinds.descent import OPTIMIZERS
from service.records import STATES
from service.runs import RunRequest
from service.schemas.errors import Mistake, body_errors
from service.schemas.fields import (
    NODE_ID,
    NUMBER,
    Bindings,
    FiniteNumber,
    Ids,
    Numbers,
    Selection,
    StrictBoolean,
    Timestamp,
    WholeNumber,
)
from service.schemas.graphs import GraphDocumentSchema
from service.schemas.paging import PageQuerySchema

_NUMBERS_BY_ID = {"type": "object", "additionalProperties": NUMBER}
_ROWS = {"type": "array", "items": NUMBER}
_NUMBERS_OR_ROWS_BY_ID = {"type": "object", "additionalProperties": {"anyOf": [*NUMBER["anyOf"], _ROWS]}}
_COLUMN = {"type": "array", "items": {"anyOf": [*NUMBER["anyOf"], {"type": "null"}, _ROWS]}}
_NODE_ID_OR_NULL = {"anyOf": [NODE_ID, {"type": "null"}]}


class OptimizerSchema(Schema):
    """How a descent takes a step: sgd takes momentum, adam takes beta1, beta2 and epsilon."""

    name = fields.String(required=True, validate=validate.OneOf(list(OPTIMIZERS), error="Choose from {choices}."))
    learning_rate = FiniteNumber(required=True)
    weight_decay = FiniteNumber(metadata={"default": 0.0})
    momentum = FiniteNumber(metadata={"default": 0.0})
    beta1 = FiniteNumber(below=1.0, metadata={"default": 0.9})
    beta2 = FiniteNumber(below=1.0, metadata={"default": 0.999})
    epsilon = FiniteNumber(metadata={"default": 1e-8})
    schedule = fields.String(
        validate=validate.OneOf(["constant", "linear", "cosine"], error="Choose from {choices}."),
        metadata={"description": "How the learning rate goes from its value to end_factor times it."},
    )
    end_factor = FiniteNumber(metadata={"default": 0.0})

    @validates_schema
    def _only_what_it_has(self, data: dict[str, Any], **_: Any) -> None:
        # A name that is none is reported itself.
        known = {each.name for each in dataclasses.fields(OPTIMIZERS.get(data.get("name", ""), Optimizer))}
        if "name" in data and (unknown := data.keys() - known - {"name"}):
            mistake = Mistake("UNKNOWN_FIELD", f"The optimizer {data['name']} has no such setting.")
            raise ValidationError({name: [mistake] for name in sorted(unknown)})


class EarlyStopSchema(Schema):
    """When a descent ends before its last step."""

    patience = WholeNumber(least=1, required=True, metadata={"description": "Steps in a row that bettered nothing."})
    min_improvement = FiniteNumber(metadata={"description": "What counts as better.", "default": 0.0})


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
            "Without `outputs`, its keys are the outputs (gradient, check; other kinds refuse it).",
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
        metadata={"description": "Inputs to differentiate by; all of them unless given (jacobian, hessian, check)."},
    )
    tangents = Numbers(metadata={"description": "How the inputs move; 0 where not given (jvp)."})
    minimize = fields.String(metadata={"description": "The node that is to fall (descent; or maximize)."})
    maximize = fields.String(metadata={"description": "The node that is to rise (descent; or minimize)."})
    parameters = Ids(
        validate=validate.Length(min=1, error="At least one input is needed."),
        metadata={"description": "The inputs to move (descent).", "minItems": 1},
    )
    optimizer = fields.Nested(OptimizerSchema)
    steps = WholeNumber(least=1, metadata={"description": "How often to move them (descent)."})
    data = Bindings(
        rows_only=True,
        metadata={"description": "Rows for inputs: the objective is the mean over them (descent)."},
    )
    batch_size = WholeNumber(
        least=1, metadata={"description": "Rows that a step looks at; all of them unless given (descent)."}
    )
    seed = WholeNumber(
        least=0, metadata={"description": "Where the order of the rows comes from (descent).", "default": 0}
    )
    early_stop = fields.Nested(EarlyStopSchema)
    vector = Numbers(metadata={"description": "What the Hessian is applied to; 0 where not given (hvp)."})

    def __init__(self) -> None:
        super().__init__()
        self._places = {name: place for place, name in enumerate(self.load_fields)}
        self._defaults = {
            name: field.load_default for name, field in self.load_fields.items() if field.load_default is not missing
        }

    def load(self, data: Any, **_: Any) -> RunRequest:
        """Return the request with all that is wrong with it so far; it raises nothing.

        What else is wrong only the graph can tell, and both are reported together.
        """
        if not isinstance(data, dict):
            return RunRequest(kind=None, errors=(FieldError("INVALID_VALUE", "Not an object.", pointer=""),))
        errors: list[FieldError] = []
        try:
            options = self._read(data)
        except ValidationError:
            try:
                options = super().load(data)
            except ValidationError as error:
                options = dict(error.valid_data or {})
                errors = body_errors(error)
        errors += _one_of(data, ("graph", "graph_id"), "A graph is needed, or the graph_id of a stored one.")
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
            if names := KINDS[kind].needs_one_of:
                errors += _one_of(data, names, f"Runs of kind {kind} need {' or '.join(names)}.")
        return RunRequest(kind, graph, graph_id, store, options, tuple(errors))

    def _read(self, data: dict[str, Any]) -> dict[str, Any]:
        """Return what marshmallow does where nothing is wrong; ValidationError where anything is.

        Requests are small and the fields are many: looking for each of them takes marshmallow five times as long.
        """
        if not data.keys() <= self.load_fields.keys():
            raise ValidationError("")
        read = dict(self._defaults)
        for name in sorted(data, key=self._places.__getitem__):
            read[name] = self.load_fields[name].deserialize(data[name], name, data)
        return read


def _one_of(data: dict[str, Any], names: tuple[str, ...], missing: str) -> list[FieldError]:
    """Exactly one of the names is given; the second of two is one too many."""
    given = [name for name in data if name in names]
    if not given:
        return [FieldError("MISSING_FIELD", missing, f"/{names[0]}")]
    first, *others = given
    return [FieldError("INVALID_VALUE", f"Not both: {first} is there already.", f"/{name}") for name in others]


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


class CheckedSchema(Schema):
    """An input's derivative and its numerical counterpart."""

    analytic = fields.Raw(required=True, metadata=NUMBER)
    numeric = fields.Raw(
        required=True,
        metadata=NUMBER | {"description": "`NaN` where nothing can be told, as at the edges of float64."},
    )
    relative_error = fields.Raw(required=True, metadata=NUMBER)
    error_estimate = fields.Raw(
        required=True, metadata=NUMBER | {"description": "How far `numeric` may be off, in its own unit."}
    )
    kinked = fields.Boolean(
        required=True, metadata={"description": "The derivatives to the two sides differ: nothing to compare with."}
    )
    passed = fields.Boolean(
        required=True,
        metadata={"description": "No fault was found; on a kink and where `numeric` is `NaN`, none can be."},
    )


class CheckSchema(Schema):
    """The gradient compared with an independent numerical one."""

    passed = fields.Boolean(required=True)
    nodes = fields.Dict(keys=fields.String(), values=fields.Nested(CheckedSchema), required=True)


class HistorySchema(Schema):
    """What each step of a descent saw before its update."""

    step = fields.List(fields.Integer(), required=True)
    objective = fields.Raw(required=True, metadata=_ROWS)
    stopped = fields.String(
        required=True,
        validate=validate.OneOf(["steps", "patience", "nonfinite"]),
        metadata={"description": "Why it ended: all steps taken, no more improvement, or a number that is none."},
    )


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


class ProgressSchema(Schema):
    """How far a running run is."""

    done = fields.Integer(required=True)
    total = fields.Integer(required=True)


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
    check = fields.Nested(CheckSchema)
    history = fields.Nested(HistorySchema)
    hvp = fields.Raw(metadata=_NUMBERS_BY_ID | {"description": "The Hessian times the vector, by input."})

    progress = fields.Nested(
        ProgressSchema,
        allow_none=True,
        metadata={"description": "Only of runs that are queued or running: steps or parts that are done."},
    )


class RunListSchema(Schema):
    """One page of runs, newest first."""

    items = fields.List(fields.Nested(RunSummarySchema), required=True)
    next_page_token = fields.String(metadata={"description": "Absent on the last page."})
