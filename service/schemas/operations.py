"""The catalogue's rows."""

from marshmallow import Schema, fields


class AritySchema(Schema):
    """How many inputs an operation takes."""

    min = fields.Integer(required=True)
    max = fields.Integer(required=True, allow_none=True, metadata={"description": "null: any number."})


class OperationSchema(Schema):
    """One operation."""

    name = fields.String(required=True)
    aliases = fields.List(fields.String(), required=True)
    arity = fields.Nested(AritySchema, required=True)
    summary = fields.String(required=True)
    formula = fields.String(required=True)
    derivatives = fields.List(
        fields.String(), required=True, metadata={"description": "One for each input; y is the result."}
    )
    domain = fields.String(required=True)
    kink = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where it has no derivative, and what is shown there."},
    )


class OperationListSchema(Schema):
    """The whole catalogue."""

    items = fields.List(fields.Nested(OperationSchema), required=True)
