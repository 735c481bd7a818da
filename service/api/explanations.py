"""/v1/runs/{id}/nodes and /v1/runs/{id}/steps: a run's numbers, node by node and step by step."""

from http import HTTPStatus

from flask import Response

from service import explanations
from service.api.blueprint import Blueprint, respond_page
from service.api.current import owner, services
from service.schemas.explanations import NodeListSchema, NodeQuerySchema, StepListSchema
from service.schemas.paging import PageQuerySchema

blueprint = Blueprint(
    "explanations", __name__, url_prefix="/v1/runs/<run_id>", description="What a run computed, and how."
)


@blueprint.route("/nodes", methods=["GET"])
@blueprint.query(NodeQuerySchema)
@blueprint.answers(HTTPStatus.OK, NodeListSchema)
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def list_nodes(
    run_id: str, page_size: int, page_token: str | None = None, sort: str | None = None, op: str | None = None
) -> Response:
    """List a run's nodes with their values and gradients."""
    run, graph = services().runs.find(owner(), run_id)
    page = explanations.nodes_page(run, graph, sort=sort, op=op, page_size=page_size, page_token=page_token)
    return respond_page(page.items, page.next_page_token)


@blueprint.route("/steps", methods=["GET"])
@blueprint.query(PageQuerySchema)
@blueprint.answers(HTTPStatus.OK, StepListSchema)
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def list_steps(run_id: str, page_size: int, page_token: str | None = None) -> Response:
    """List every application of the chain rule in a run's backward pass, in backward order."""
    run, graph = services().runs.find(owner(), run_id)
    page = explanations.steps_page(run, graph, page_size=page_size, page_token=page_token)
    return respond_page(page.items, page.next_page_token)
