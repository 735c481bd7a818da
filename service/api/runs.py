"""/v1/runs: computations, stored with their results."""

from http import HTTPStatus

from flask import Response
from flask import request as current_request

from engine.graph import Graph
from service import runs
from service.api.blueprint import Blueprint, respond, respond_page
from service.api.current import owner, reserved_run_id, services
from service.api.examples import NEURON_RUN, NEURON_RUN_REQUEST
from service.forms import Form
from service.records import UNFINISHED, Run
from service.runs import RunRequest
from service.schemas.runs import FormQuerySchema, RunListSchema, RunQuerySchema, RunRequestSchema, RunSchema

blueprint = Blueprint("runs", __name__, url_prefix="/v1/runs", description="Computations on graphs.")

_LOCATION = {"Location": {"description": "The run's path.", "schema": {"type": "string"}}}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds until it is worth asking.", "schema": {"type": "integer"}}}
_PREFER = {
    "in": "header",
    "name": "Prefer",
    "schema": {"type": "string"},
    "description": "`respond-async` queues the run instead of waiting for it: 202.",
}
_POLL_SECONDS = "1"


@blueprint.route("", methods=["POST"])
@blueprint.query(FormQuerySchema)
@blueprint.body(RunRequestSchema, example=NEURON_RUN_REQUEST)
@blueprint.answers(
    HTTPStatus.CREATED, RunSchema, example=NEURON_RUN, headers=_LOCATION, description="Computed and stored."
)
@blueprint.answers(
    HTTPStatus.ACCEPTED,
    RunSchema,
    headers=_LOCATION | _RETRY_AFTER,
    description="Queued, because `Prefer: respond-async` asked for it or because it is a long one. Poll its path.",
)
@blueprint.answers(HTTPStatus.OK, RunSchema, description="Computed, not stored (`store` is false).")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
@blueprint.header(_PREFER)
def create_run(request: RunRequest, form: Form) -> Response:
    """Compute a run on a graph, sent along or stored, and store its results."""
    asynchronous = _asks_for_async()
    run, graph = services().runs.create(owner(), request, reserved_run_id(), asynchronous=asynchronous)
    if run.id is None:
        return respond(runs.answer(run, graph, form))
    response = _respond_run(run, graph, form, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)
    response.headers["Location"] = f"/v1/runs/{run.id}"
    if asynchronous:
        response.headers["Preference-Applied"] = "respond-async"
    return response


def _asks_for_async() -> bool:
    """Return whether RFC 7240's header is there with that preference, which has no value."""
    preferences = current_request.environ.get("HTTP_PREFER", "").split(",")
    return any(preference.partition(";")[0].strip().lower() == "respond-async" for preference in preferences)


def _respond_run(
    run: Run, graph: Graph, form: Form, finished: HTTPStatus = HTTPStatus.OK, unfinished: HTTPStatus = HTTPStatus.OK
) -> Response:
    document = runs.answer(run, graph, form)
    if run.state in UNFINISHED:
        return respond(document, unfinished, {"Retry-After": _POLL_SECONDS})
    return respond(document, finished)


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
@blueprint.answers(
    HTTPStatus.OK, RunSchema, example=NEURON_RUN, headers=_RETRY_AFTER, description="Retry-After: while unfinished."
)
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def show_run(run_id: str, form: Form) -> Response:
    """Show a run; once it is finished, exactly as it is answered when it is computed at once."""
    return _respond_run(*services().runs.find(owner(), run_id), form)


@blueprint.route("/<run_id>/cancel", methods=["POST"])
@blueprint.query(FormQuerySchema)
@blueprint.answers(HTTPStatus.OK, RunSchema, description="It is cancelled, now or since before.")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def cancel_run(run_id: str, form: Form) -> Response:
    """Cancel a run that is queued or running; 409 if it has ended otherwise."""
    return _respond_run(*services().runs.cancel(owner(), run_id), form)


@blueprint.route("/<run_id>", methods=["DELETE"])
@blueprint.answers(HTTPStatus.NO_CONTENT, description="It is gone; its graph is not.")
@blueprint.fails(HTTPStatus.NOT_FOUND, HTTPStatus.SERVICE_UNAVAILABLE)
def delete_run(run_id: str) -> Response:
    """Delete a run; one that is not finished is cancelled by that."""
    services().runs.delete(owner(), run_id)
    return Response(status=HTTPStatus.NO_CONTENT)
