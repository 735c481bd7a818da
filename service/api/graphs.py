"""/v1/graphs: stored graph documents."""

from http import HTTPStatus
from typing import Any

from flask import Response, request

from service import wire
from service.api.blueprint import Blueprint, respond, respond_page
from service.api.current import owner, services
from service.api.examples import NEURON, STORED_NEURON
from service.forms import Form
from service.records import StoredGraph
from service.schemas.graphs import (
    GradientRequestSchema,
    GraphDocumentSchema,
    GraphListSchema,
    StoredColumnsSchema,
    StoredGraphSchema,
)
from service.schemas.paging import PageQuerySchema
from service.schemas.runs import FormQuerySchema

blueprint = Blueprint(
    "graphs", __name__, url_prefix="/v1/graphs", description="Graph documents, known by their content."
)

_EITHER_FORM = {"oneOf": [StoredGraphSchema, StoredColumnsSchema]}
_ETAG = {"ETag": {"description": "The graph's id.", "schema": {"type": "string"}}}
_LOCATION = {"Location": {"description": "The graph's path.", "schema": {"type": "string"}}}


@blueprint.route("", methods=["POST"])
@blueprint.body(GraphDocumentSchema, example=NEURON)
@blueprint.answers(
    HTTPStatus.CREATED,
    StoredGraphSchema,
    example=STORED_NEURON,
    headers=_ETAG | _LOCATION,
    description="New.",
)
@blueprint.answers(HTTPStatus.OK, StoredGraphSchema, headers=_ETAG | _LOCATION, description="Stored before, unchanged.")
@blueprint.fails(HTTPStatus.SERVICE_UNAVAILABLE)
def store_graph(document: object) -> Response:
    """Store a graph document; the same document has the same id, however often it is posted."""
    return _stored(*services().graphs.add(owner(), document))


def _stored(stored: StoredGraph, new: bool) -> Response:
    location = {"Location": f"/v1/graphs/{stored.graph.id}"}
    return respond(
        _show(stored, Form.NODES),
        HTTPStatus.CREATED if new else HTTPStatus.OK,
        location | _etag(stored.graph.id, Form.NODES),
    )


@blueprint.route("", methods=["GET"])
@blueprint.query(PageQuerySchema)
@blueprint.answers(HTTPStatus.OK, GraphListSchema)
@blueprint.fails(HTTPStatus.SERVICE_UNAVAILABLE)
def list_graphs(page_size: int, page_token: str | None = None) -> Response:
    """List stored graphs, newest first."""
    page = services().graphs.page(owner(), page_size=page_size, page_token=page_token)
    rows = [
        {
            "id": row.id,
            "created_at": wire.timestamp(row.created_at),
            "name": row.name,
            "node_count": row.node_count,
        }
        for row in page.items
    ]
    return respond_page(rows, page.next_page_token)


@blueprint.route("/<graph_id>", methods=["GET"])
@blueprint.query(FormQuerySchema)
@blueprint.answers(HTTPStatus.OK, _EITHER_FORM, example=STORED_NEURON, headers=_ETAG)
@blueprint.answers(HTTPStatus.NOT_MODIFIED, description="The client has it: If-None-Match names its ETag.")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def show_graph(graph_id: str, form: Form) -> Response:
    """Show a stored graph in its canonical form."""
    headers = _etag(graph_id, form)
    if request.if_none_match.contains_weak(_tag(graph_id, form)):
        services().graphs.created_at(owner(), graph_id)
        return Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    return respond(_show(services().graphs.find(owner(), graph_id), form), headers=headers)


@blueprint.route("/<graph_id>/gradient", methods=["POST"])
@blueprint.body(GradientRequestSchema, required=False, example={"wrt": ["x1", "w1"]})
@blueprint.answers(HTTPStatus.CREATED, StoredGraphSchema, headers=_ETAG | _LOCATION, description="New.")
@blueprint.answers(HTTPStatus.OK, StoredGraphSchema, headers=_ETAG | _LOCATION, description="Stored before, unchanged.")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def store_gradient(options: dict[str, Any], graph_id: str) -> Response:
    """Store the backward graph: it computes the original outputs, and `d_<input>` for every input."""
    return _stored(*services().graphs.add_gradient(owner(), graph_id, options))


@blueprint.route("/<graph_id>", methods=["DELETE"])
@blueprint.answers(HTTPStatus.NO_CONTENT, description="It is gone.")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.SERVICE_UNAVAILABLE)
def delete_graph(graph_id: str) -> Response:
    """Delete a stored graph that no run refers to."""
    services().graphs.delete(owner(), graph_id)
    return Response(status=HTTPStatus.NO_CONTENT)


def _show(stored: StoredGraph, form: Form) -> dict[str, Any]:
    document = stored.graph.to_columns() if form is Form.COLUMNS else stored.graph.to_document()
    return {"id": stored.graph.id, "created_at": wire.timestamp(stored.created_at), **document}


def _tag(graph_id: str, form: Form) -> str:
    # Two spellings of one graph are two representations, and a strong ETag tells them apart.
    return graph_id if form is Form.NODES else f"{graph_id}.{form}"


def _etag(graph_id: str, form: Form) -> dict[str, str]:
    return {"ETag": f'"{_tag(graph_id, form)}"'}
