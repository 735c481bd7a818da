"""/v1/operations: the catalogue, straight from the engine's table."""

from http import HTTPStatus
from typing import Any

from flask import Response

from engine.numbers import quote
from engine.operations import OPERATIONS, Operation, suggest
from service.api.blueprint import Blueprint, respond
from service.errors import NotFound
from service.schemas.operations import OperationListSchema, OperationSchema

blueprint = Blueprint("operations", __name__, url_prefix="/v1/operations", description="What nodes can compute.")

_BY_NAME = {name: operation for operation in OPERATIONS for name in (operation.name, *operation.aliases)}


@blueprint.route("", methods=["GET"])
@blueprint.answers(HTTPStatus.OK, OperationListSchema)
def list_operations() -> Response:
    """List every operation; the catalogue comes whole."""
    return respond({"items": [_show(operation) for operation in OPERATIONS]})


@blueprint.route("/<name>", methods=["GET"])
@blueprint.answers(HTTPStatus.OK, OperationSchema)
@blueprint.fails(HTTPStatus.NOT_FOUND)
def show_operation(name: str) -> Response:
    """Show one operation, by its canonical name or an alias."""
    operation = _BY_NAME.get(name)
    if operation is None:
        near = suggest(name)
        hint = f" Did you mean {near}?" if near else ""
        raise NotFound(f"There is no operation {quote(name)}.{hint}")
    return respond(_show(operation))


def _show(operation: Operation) -> dict[str, Any]:
    return {
        "name": operation.name,
        "aliases": list(operation.aliases),
        "arity": {"min": operation.min_inputs, "max": operation.max_inputs},
        "summary": operation.summary
        if operation.kink
        else " ".join(filter(None, (operation.summary, operation.convention))),
        "formula": operation.formula,
        "derivatives": list(operation.shown),
        "domain": operation.domain,
        "kink": operation.kink and f"{operation.kink}: {operation.convention}",
    }
