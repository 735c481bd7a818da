"""Every error as application/problem+json: those the views raise, those of the framework, and crashes."""

import logging
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from service import wire
from service.errors import Problem

MEDIA_TYPE = "application/problem+json"

# The statuses that the framework answers by itself, with the codes and words we have for them.
_FRAMEWORK = {
    HTTPStatus.NOT_FOUND: ("NOT_FOUND", "There is nothing at this path."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "METHOD_NOT_ALLOWED",
        "This resource does not have that method; the Allow header lists those it has.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ("BODY_TOO_LARGE", "The body is larger than GET /v1 allows."),
}

_log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Answer every error of the app with a problem document."""
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(HTTPException, _http_exception)
    app.register_error_handler(Exception, _crash)


def _problem(problem: Problem) -> Response:
    if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        _log.error("%s %s: %s (%s)", request.method, request.path, problem.detail, problem.__cause__)
    return _response(problem.members(), problem.headers)


def _http_exception(error: HTTPException) -> Response:
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    code, detail = _FRAMEWORK.get(status, (status.name, error.description or status.phrase))
    # Flask-smorest's own handler loses what the exception says in headers: Allow on 405.
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return _response(_members(status, code, detail), headers)


def _crash(error: Exception) -> Response:
    _log.error("%s %s crashed", request.method, request.path, exc_info=error)
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _response(_members(status, "INTERNAL", "The service broke; its log has this request's id."), {})


def _members(status: HTTPStatus, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
        "code": code,
    }


def _response(members: dict[str, Any], headers: Any) -> Response:
    document = members | {"instance": request.path, "request_id": g.request_id}
    return Response(wire.write(document), int(members["status"]), dict(headers), content_type=MEDIA_TYPE)
