"""The service itself: name and limits, health, and the OpenAPI document."""

from dataclasses import asdict
from http import HTTPStatus

from flask import Response, current_app

from service import __version__
from service.api.blueprint import Blueprint, respond
from service.api.current import services
from service.paging import MAX_PAGE_SIZE
from service.schemas.service import HealthSchema, ReadinessSchema, ServiceSchema
from service.telemetry import metrics

blueprint = Blueprint("service", __name__, description="The service itself.")


@blueprint.route("/v1", methods=["GET"])
@blueprint.answers(HTTPStatus.OK, ServiceSchema)
def show_service() -> Response:
    """Say name, version and limits."""
    config = services().config
    limits = {
        "max_body_bytes": config.max_body_bytes,
        "max_page_size": MAX_PAGE_SIZE,
        "max_requests_per_minute": config.max_requests_per_minute,
        "drawing_max_nodes": config.drawing_max_nodes,
        "drawing_seconds": config.drawing_seconds,
        **asdict(config.limits),
    }
    return respond({"name": "chainrule", "version": __version__, "limits": limits})


@blueprint.route("/livez", methods=["GET"])
@blueprint.answers(HTTPStatus.OK, HealthSchema)
def show_liveness() -> Response:
    """Say that the process answers; it asks nobody else."""
    return respond({"status": "alive"})


@blueprint.route("/readyz", methods=["GET"])
@blueprint.answers(HTTPStatus.OK, ReadinessSchema)
@blueprint.fails(HTTPStatus.SERVICE_UNAVAILABLE)
def show_readiness() -> Response:
    """Say within two seconds whether the database, its schema and the executor of large runs are there."""
    crew = services().readiness.check()
    return respond({"status": "ready", "executor": {"kind": crew.kind, "width": crew.width}})


@blueprint.route("/metrics", methods=["GET"])
@blueprint.answers_as("text/plain", description="Metrics in Prometheus' text format, of all server processes.")
def show_metrics() -> Response:
    """Show what Prometheus collects."""
    return Response(metrics.exposition(services().queue.depth), content_type=metrics.MEDIA_TYPE)


@blueprint.route("/openapi.json", methods=["GET"])
@blueprint.answers(HTTPStatus.OK, description="An OpenAPI 3.1 document.")
def show_openapi() -> Response:
    """Describe this API."""
    return respond(current_app.extensions["flask-smorest"]["apis"][""]["ext_obj"].spec.to_dict())
