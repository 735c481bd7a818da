"""What is measured, logged and traced of every request."""

import logging
from contextlib import ExitStack
from time import perf_counter

from flask import Flask, Response, g, request

from service.telemetry import metrics, phases, tracing

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})

_log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """Begin before everything else that is registered later, and end after it."""
    app.before_request(_begin)
    app.after_request(_describe)
    app.teardown_request(_end)


def _begin() -> None:
    g.started = perf_counter()
    phases.begin()
    g.spans = ExitStack()
    g.spans.enter_context(tracing.request_span(_method(), request.headers))


def _method() -> str:
    # Clients may make up methods; labels must not follow them.
    return request.method if request.method in _METHODS else "other"


def _describe(response: Response) -> Response:
    seconds = perf_counter() - g.started
    method, status = _method(), response.status_code
    route = "unmatched" if request.url_rule is None else request.url_rule.rule
    metrics.REQUESTS.labels(method, route, status).observe(seconds)
    tracing.describe_request(method, route, status, g.request_id)
    # Probes come every few seconds and say nothing unless they fail; that is logged as any failure is.
    level = logging.DEBUG if route in _PROBES else logging.INFO
    if _log.isEnabledFor(level):
        fields = {
            "method": method,
            "route": route,
            "path": request.path,
            "status": status,
            "seconds": round(seconds, 6),
        }
        _log.log(level, "answered", extra={"fields": fields})
    return response


def _end(_error: BaseException | None) -> None:
    # Without it there was an exception before `_begin` had done its work.
    if "spans" in g:
        g.pop("spans").close()
