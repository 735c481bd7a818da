"""What is measured, logged and traced of every request."""

import logging
from time import perf_counter

from flask import Flask, Request, Response, g
from flask.ctx import _AppCtxGlobals as Globals

from service.telemetry import metrics, phases, tracing

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})

_log = logging.getLogger(__name__)


def register(app: Flask) -> None:
    """End what `begin` began, however the request ends."""
    app.teardown_request(_end)


def begin(request: Request, kept: Globals) -> None:
    """Come before everything else."""
    kept.started = perf_counter()
    phases.begin()
    if (span := tracing.request_span(_method(request), request.headers)) is not None:
        kept.span = span
        span.__enter__()


def _method(request: Request) -> str:
    # Clients may make up methods; labels must not follow them.
    return request.method if request.method in _METHODS else "other"


def describe(request: Request, response: Response, kept: Globals) -> None:
    """Come after everything else, with all there is to say of the request."""
    seconds = perf_counter() - kept.started
    method, status = _method(request), response.status_code
    route = "unmatched" if request.url_rule is None else request.url_rule.rule
    metrics.observe_request(method, route, status, seconds)
    tracing.describe_request(method, route, status, kept.request_id)
    # Probes come every few seconds and say nothing unless they fail; that is logged as any failure is.
    level = logging.DEBUG if route in _PROBES else logging.INFO
    if _log.isEnabledFor(level):
        fields = {
            "request_id": kept.request_id,
            "method": method,
            "route": route,
            "path": request.path,
            "status": status,
            "seconds": round(seconds, 6),
        }
        record = logging.LogRecord(_log.name, level, "", 0, "answered", None, None)
        record.fields = fields
        _log.handle(record)  # instead of _log.log, which would look for what no line shows


def _end(_error: BaseException | None) -> None:
    if "span" in g:
        g.pop("span").__exit__(None, None, None)
