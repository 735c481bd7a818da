"""/v1/runs/{id}/nodes and /steps, and /v1/explain: a run's numbers, node by node and step by step."""

from dataclasses import replace
from http import HTTPStatus

from flask import Response

from service import explanations
from service.api.blueprint import Blueprint, respond, respond_page
from service.api.current import owner, services
from service.api.examples import NEURON_RUN_REQUEST
from service.errors import FieldError
from service.runs import RunRequest
from service.schemas.explanations import ExplanationSchema, NodeListSchema, NodeQuerySchema, StepListSchema
from service.schemas.paging import PageQuerySchema
from service.schemas.runs import RunRequestSchema

blueprint = Blueprint("explanations", __name__, url_prefix="/v1", description="What a run computed, and how.")


@blueprint.route("/runs/<run_id>/nodes", methods=["GET"])
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


@blueprint.route("/runs/<run_id>/steps", methods=["GET"])
@blueprint.query(PageQuerySchema)
@blueprint.answers(HTTPStatus.OK, StepListSchema)
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def list_steps(run_id: str, page_size: int, page_token: str | None = None) -> Response:
    """List every application of the chain rule in a run's backward pass, in backward order."""
    run, graph = services().runs.find(owner(), run_id)
    page = explanations.steps_page(run, graph, page_size=page_size, page_token=page_token)
    return respond_page(page.items, page.next_page_token)


@blueprint.route("/explain", methods=["POST"])
@blueprint.body(RunRequestSchema, example=NEURON_RUN_REQUEST)
@blueprint.answers(HTTPStatus.OK, ExplanationSchema)
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def explain(request: RunRequest) -> Response:
    """Compute a gradient run without storing it, and answer it with its graph and its backward pass."""
    if request.kind not in ("gradient", None):
        wrong_kind = FieldError("INVALID_VALUE", "Only runs of kind gradient can be explained.", pointer="/kind")
        request = replace(request, errors=(*request.errors, wrong_kind))
    run, graph = services().runs.create(owner(), replace(request, store=False))
    return respond(explanations.explain(run, graph))
