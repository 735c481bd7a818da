"""From marshmallow's messages to the contract's field errors, and the documents that carry them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from marshmallow import Schema, ValidationError, fields
from marshmallow.exceptions import SCHEMA

from engine.errors import escape
from service.errors import FieldError


@dataclass(frozen=True)
class Mistake:
    """A message that brings its own code; marshmallow carries it along like any other."""

    code: str
    detail: str


# What marshmallow's own messages stand for; every other one is an INVALID_VALUE.
_CODES = {"Unknown field.": "UNKNOWN_FIELD", "Missing data for required field.": "MISSING_FIELD"}


def body_errors(error: ValidationError) -> list[FieldError]:
    """Return what is wrong with a body, each with the JSON pointer to it."""
    return [
        FieldError(mistake.code, mistake.detail, _pointer(path, mistake))
        for path, mistake in _flatten(error.messages, ())
    ]


def _pointer(path: tuple[object, ...], mistake: Mistake) -> str:
    if path and path[-1] == SCHEMA and mistake.code != "UNKNOWN_FIELD":
        path = path[:-1]  # marshmallow's name for an object as a whole, unless the client sent such a field
    return "".join(f"/{escape(str(token))}" for token in path)


def query_errors(error: ValidationError) -> list[FieldError]:
    """Return what is wrong with a query, each with the parameter's name."""
    return [
        FieldError(mistake.code, mistake.detail, parameter=str(path[0]))
        for path, mistake in _flatten(error.messages, ())
    ]


def _flatten(messages: Any, path: tuple[object, ...]) -> Iterator[tuple[tuple[object, ...], Mistake]]:
    if isinstance(messages, dict):
        for key, inner in messages.items():
            yield from _flatten(inner, (*path, key))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flatten(inner, path)
    elif isinstance(messages, Mistake):
        yield path, messages
    else:
        yield path, Mistake(_CODES.get(messages, "INVALID_VALUE"), messages)


class FieldErrorSchema(Schema):
    """One thing wrong with a request."""

    pointer = fields.String(metadata={"description": "JSON pointer into the body that was sent."})
    parameter = fields.String(metadata={"description": "The query parameter, if it is one."})
    code = fields.String(required=True, metadata={"examples": ["UNKNOWN_NODE"]})
    detail = fields.String(required=True)
    line = fields.Integer(metadata={"description": "In an expression, from 1."})
    column = fields.Integer(metadata={"description": "In an expression, from 1."})


class ProblemSchema(Schema):
    """An error, as RFC 9457 has it."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    instance = fields.String(required=True, metadata={"description": "The path that was asked for."})
    code = fields.String(required=True, metadata={"examples": ["INVALID_REQUEST"]})
    request_id = fields.String(required=True, metadata={"description": "Also the header X-Request-Id."})
    errors = fields.List(fields.Nested(FieldErrorSchema), metadata={"maxItems": 50})
    errors_truncated = fields.Boolean(metadata={"description": "Present when there are more than 50 errors."})
