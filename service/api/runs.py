"""/v1/runs: computations, stored with their results."""

from http import HTTPStatus

from flask import Response

from service import runs
from service.api.blueprint import Blueprint, respond, respond_page
from service.api.current import owner, reserved_run_id, services
from service.api.examples import NEURON_RUN, NEURON_RUN_REQUEST
from service.forms import Form
from service.runs import RunRequest
from service.schemas.runs import FormQuerySchema, RunListSchema, RunQuerySchema, RunRequestSchema, RunSchema

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs", description="Computations on graphs.")

_LOCATION = {"Location": {"description": "The run's path.", "schema": {"type": "string"}}}


@blueprint.route("", methods=["POST"])
@blueprint.query(FormQuerySchema)
@blueprint.body(RunRequestSchema, example=NEURON_RUN_REQUEST)
@blueprint.answers(
    HTTPStatus.CREATED, RunSchema, example=NEURON_RUN, headers=_LOCATION, description="Computed and stored."
)
@blueprint.answers(HTTPStatus.OK, RunSchema, description="Computed, not stored (`store` is false).")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def create_run(request: RunRequest, form: Form) -> Response:
    """Compute a run on a graph, sent along or stored, and store its results."""
    run, graph = services().runs.create(owner(), request, reserved_run_id())
    document = runs.answer(run, graph, form)
    if run.id is None:
        return respond(document)
    return respond(document, HTTPStatus.CREATED, {"Location": f"/v1/runs/{run.id}"})


@blueprint.route("", methods=["GET"])
@blueprint.query(RunQuerySchema)
@blueprint.answers(HTTPStatus.OK, RunListSchema)
@blueprint.fails(HTTPStatus.SERVICE_UNAVAILABLE)
def list_runs(page_size: int, page_token: str | None = None, **filters: object) -> Response:
    """List runs without their numbers, newest first."""
    page = services().runs.page(owner(), filters, page_size=page_size, page_token=page_token)
    return respond_page([runs.summarise(row) for row in page.items], page.next_page_token)


@blueprint.route("/<run_id>", methods=["GET"])
@blueprint.query(FormQuerySchema)
@blueprint.answers(HTTPStatus.OK, RunSchema, example=NEURON_RUN)
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def show_run(run_id: str, form: Form) -> Response:
    """Show a run, exactly as it was answered when it was created."""
    return respond(runs.answer(*services().runs.find(owner(), run_id), form))


@blueprint.route("/<run_id>", methods=["DELETE"])
@blueprint.answers(HTTPStatus.NO_CONTENT, description="It is gone; its graph is not.")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def delete_run(run_id: str) -> Response:
    """Delete a run."""
    services().runs.delete(owner(), run_id)
    return Response(status=HTTPStatus.NO_CONTENT)
