"""/v1/graphs/{id}/drawing and /v1/runs/{id}/drawing: pictures."""

from http import HTTPStatus

from flask import Response, request

from engine.graph import Graph
from service import __version__
from service.api.blueprint import Blueprint
from service.api.current import owner, services
from service.drawings import DrawingFormat
from service.records import Run
from service.schemas.explanations import DrawingQuerySchema

blueprint = Blueprint("drawings", __name__, url_prefix="/v1", description="Pictures of graphs and runs.")

_MEDIA_TYPES = {
    DrawingFormat.SVG: "image/svg+xml",
    DrawingFormat.DOT: "text/vnd.graphviz",
    DrawingFormat.MERMAID: "text/vnd.mermaid",
}
_ETAG = {"ETag": {"description": "Names the picture's content.", "schema": {"type": "string"}}}
_FAILURES = (HTTPStatus.NOT_FOUND, HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.SERVICE_UNAVAILABLE)


@blueprint.route("/graphs/<graph_id>/drawing", methods=["GET"])
@blueprint.query(DrawingQuerySchema)
@blueprint.answers_as(*_MEDIA_TYPES.values(), description="The picture.", headers=_ETAG)
@blueprint.answers(HTTPStatus.NOT_MODIFIED, description="The client has it: If-None-Match names its ETag.")
@blueprint.fails(*_FAILURES)
def draw_graph(graph_id: str, format: DrawingFormat | None = None) -> Response:
    """Draw a graph: a box for each node, its operation before it, from left to right."""
    return _picture(services().graphs.find(owner(), graph_id).graph, None, format)


@blueprint.route("/runs/<run_id>/drawing", methods=["GET"])
@blueprint.query(DrawingQuerySchema)
@blueprint.answers_as(*_MEDIA_TYPES.values(), description="The picture.", headers=_ETAG)
@blueprint.answers(HTTPStatus.NOT_MODIFIED, description="The client has it: If-None-Match names its ETag.")
@blueprint.fails(*_FAILURES)
def draw_run(run_id: str, format: DrawingFormat | None = None) -> Response:
    """Draw a run's graph with the data and the gradient of each node."""
    run, graph = services().runs.find(owner(), run_id)
    return _picture(graph, run, format)


def _picture(graph: Graph, run: Run | None, asked: DrawingFormat | None) -> Response:
    form = asked or _accepted()
    response = Response(content_type=f"{_MEDIA_TYPES[form]}; charset=utf-8")
    # Weak: another version of Graphviz may place the same boxes elsewhere.
    drawn = graph.id if run is None else f"{run.id}.{run.state}"
    response.set_etag(f"{drawn}.{form}.{__version__}", weak=True)
    # Opened by itself, an SVG is a document that could run scripts; this one has none and gets none.
    response.vary.add("Accept")
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    if request.if_none_match.contains_weak(response.get_etag()[0] or ""):
        response.status_code = HTTPStatus.NOT_MODIFIED
    else:
        response.set_data(services().drawings.draw(graph, run, form))
    return response


def _accepted() -> DrawingFormat:
    chosen = request.accept_mimetypes.best_match(_MEDIA_TYPES.values())
    return next((form for form, media_type in _MEDIA_TYPES.items() if media_type == chosen), DrawingFormat.SVG)
