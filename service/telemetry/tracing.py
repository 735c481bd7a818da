"""Traces after OpenTelemetry, where CHAINRULE_TRACING asks for them: a span for each request and for its phases.

The packages are an extra (`pip install chainrule[tracing]`) and imported only when they are used. Where the spans
go is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from service import __version__
from service.config import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

_provider: TracerProvider | None = None
_tracer: Tracer | None = None


def start() -> None:
    """Send spans as OpenTelemetry's variables say, in batches, from a thread of their own."""
    os.environ.setdefault("OTEL_SERVICE_NAME", "chainrule")
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"CHAINRULE_TRACING=on needs packages that are not there ({error.name}): pip install chainrule[tracing]."
        ) from None
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    use(provider)


def use(provider: TracerProvider | None) -> None:
    """Make spans of this provider from now on; none at all without one."""
    global _provider, _tracer
    _provider = provider
    _tracer = None if provider is None else provider.get_tracer("chainrule", __version__)


def stop() -> None:
    """Send what is left, and make no more spans."""
    if _provider is not None:
        _provider.shutdown()
    use(None)


def span(name: str) -> AbstractContextManager[object] | None:
    """Return what makes its block a span below the current one; None where there are no traces."""
    return None if _tracer is None else _tracer.start_as_current_span(name)


def request_span(method: str, headers: Iterable[tuple[str, str]]) -> AbstractContextManager[object] | None:
    """Return the same for a request, in the trace that its `traceparent` header names, if there is one."""
    if _tracer is None:
        return None
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier = {name.lower(): value for name, value in headers}
    return _tracer.start_as_current_span(
        method,
        TraceContextTextMapPropagator().extract(carrier),
        SpanKind.SERVER,
        {"http.request.method": method},
    )


def describe_request(method: str, route: str, status: int, request_id: str) -> None:
    """Say of the current request's span what is only known at its end."""
    if _tracer is None:
        return
    from opentelemetry.trace import Status, StatusCode, get_current_span

    current = get_current_span()
    current.update_name(f"{method} {route}")
    current.set_attribute("http.route", route)
    current.set_attribute("http.response.status_code", status)
    current.set_attribute("chainrule.request_id", request_id)
    if status >= 500:
        current.set_status(Status(StatusCode.ERROR))
