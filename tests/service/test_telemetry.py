"""Metrics, logs and traces: what an operator sees of the service."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from flask.testing import FlaskClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from service import __version__
from service.config import Config
from service.errors import Unavailable
from service.telemetry import logs, metrics, tracing
from tests.conftest import StartServer
from tests.service.clients import client_of
from tests.service.documents import NEURON

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def read(text: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples.get((name, frozenset(labels.items())), 0.0)


def shown(client: FlaskClient) -> Samples:
    return read(client.get("/metrics").text)


def test_a_run_is_counted_with_its_phases_and_nodes(client: FlaskClient) -> None:
    before = shown(client)
    assert client.post("/v1/runs", json={"graph": NEURON}).status_code == 201
    assert client.post("/v1/runs", json={"graph": NEURON, "store": False}).status_code == 200
    assert client.post("/v1/runs", json={"graph": NEURON, "outputs": ["?"]}).status_code == 422
    after = shown(client)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("chainrule_runs_total", kind="gradient", state="succeeded") == 2
    for phase, count in (("parse", 2), ("compute", 2), ("persist", 1)):
        assert grown("chainrule_run_phase_seconds_count", phase=phase) == count, phase
        assert grown("chainrule_run_phase_seconds_sum", phase=phase) > 0, phase
    assert grown("chainrule_graph_nodes_count") == 2
    assert grown("chainrule_graph_nodes_sum") == 2 * len(NEURON["nodes"])
    for status, count in (("201", 1), ("200", 1), ("422", 1)):
        labels = {"method": "POST", "route": "/v1/runs", "status": status}
        assert grown("chainrule_http_request_duration_seconds_count", **labels) == count, status


def test_hits_of_the_graph_cache_are_counted(client: FlaskClient) -> None:
    graph = client.post("/v1/graphs", json=NEURON).get_json()["id"]
    before = shown(client)
    for _ in range(3):
        client.post("/v1/runs", json={"graph_id": graph, "store": False})
    after = shown(client)
    name = "chainrule_graph_cache_lookups_total"
    assert [value(after, name, result=result) - value(before, name, result=result) for result in ("miss", "hit")] == [
        1,
        2,
    ]


def test_labels_do_not_follow_what_clients_make_up(client: FlaskClient) -> None:
    for k in range(3):
        client.get(f"/v1/runs/made-up-{k}")
        client.get(f"/nothing-{k}")
        client.open("/v1/runs", method=f"MADEUP{k}")
    text = client.get("/metrics").text
    assert "made-up" not in text and "nothing" not in text and "MADEUP" not in text
    samples = read(text)
    name = "chainrule_http_request_duration_seconds_count"
    assert value(samples, name, method="GET", route="/v1/runs/<run_id>", status="404") >= 3
    assert value(samples, name, method="GET", route="unmatched", status="404") >= 3
    assert value(samples, name, method="other", route="unmatched", status="405") >= 3


def test_build_and_queue_are_shown(client: FlaskClient) -> None:
    response = client.get("/metrics")
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    samples = read(response.text)
    (labels,) = (dict(labels) for name, labels in samples if name == "chainrule_build_info")
    assert labels["version"] == __version__
    assert value(samples, "chainrule_queue_depth") == 0


def test_a_database_that_is_away_does_not_take_the_metrics_with_it() -> None:
    def depth() -> int:
        raise Unavailable("away")

    text = metrics.exposition(depth).decode()
    assert "chainrule_queue_depth NaN" in text and "chainrule_build_info" in text


def test_the_processes_of_a_server_add_up_their_metrics(server: StartServer, sqlite_database_url: str) -> None:
    started = server("--workers", "2", CHAINRULE_DATABASE_URL=sqlite_database_url)

    def post() -> None:
        with httpx.Client(base_url=started.url) as client:
            for _ in range(5):
                assert client.post("/v1/runs", json={"graph": NEURON, "store": False}).status_code == 200

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Whichever process answers, it answers for all.
    for _ in range(5):
        samples = read(httpx.get(f"{started.url}/metrics").text)
        assert value(samples, "chainrule_runs_total", kind="gradient", state="succeeded") == 40


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, Any]]]:
    """What was logged meanwhile, as the lines of the log, parsed."""
    lines: list[dict[str, Any]] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(json.loads(logs.JsonFormatter().format(record)))

    caplog.set_level(logging.INFO)
    handler = Collector()
    logging.getLogger().addHandler(handler)
    yield lines
    logging.getLogger().removeHandler(handler)


def test_one_id_is_in_the_answer_its_header_and_the_log(client: FlaskClient, logged: list[dict[str, Any]]) -> None:
    response = client.get("/v1/runs/none", headers={"X-Request-Id": "mine-1"})
    (line,) = (line for line in logged if line["message"] == "answered")
    assert response.get_json()["request_id"] == response.headers["X-Request-Id"] == line["request_id"] == "mine-1"
    assert {
        "method": "GET",
        "route": "/v1/runs/<run_id>",
        "path": "/v1/runs/none",
        "status": 404,
    }.items() <= line.items()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", line["time"])
    assert line["seconds"] > 0


def test_a_crash_is_logged_with_the_id_that_its_answer_shows(
    client: FlaskClient, logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("the reason")

    monkeypatch.setattr("service.runs.Runs.find", crash)
    response = client.get("/v1/runs/none")
    assert response.status_code == 500 and "the reason" not in response.text
    (line,) = (line for line in logged if "exception" in line)
    assert line["request_id"] == response.get_json()["request_id"]
    assert "RuntimeError: the reason" in line["exception"]
    assert line["level"] == "error"


def test_text_that_is_not_even_unicode_does_not_stop_the_log() -> None:
    record = logging.makeLogRecord({"msg": "%s", "args": ("\ud800",), "levelname": "INFO"})
    assert json.loads(logs.JsonFormatter().format(record))["message"] == "\ud800"


def test_what_users_compute_and_their_keys_are_not_logged(client: FlaskClient, logged: list[dict[str, Any]]) -> None:
    body = {"graph": {"nodes": [{"id": "confidential", "op": "input", "data": 1.5}]}, "store": False}
    headers = {"Authorization": "Bearer confidential"}
    assert client.post("/v1/runs", json=body, headers=headers).status_code == 200
    assert client.get("/v1/runs?confidential=1", headers=headers).status_code == 422
    assert logged and "confidential" not in json.dumps(logged)


def test_a_server_logs_lines_of_json_from_the_level_on(server: StartServer, sqlite_database_url: str) -> None:
    talkative = server(CHAINRULE_DATABASE_URL=sqlite_database_url)
    quiet = server(CHAINRULE_DATABASE_URL=sqlite_database_url, CHAINRULE_LOG_LEVEL="error")
    for started in (talkative, quiet):
        assert httpx.get(f"{started.url}/v1").status_code == 200
        started.process.terminate()
        started.process.wait(30)
    lines = [json.loads(line) for line in talkative.log.read_text().splitlines()]
    answered = [line for line in lines if line["message"] == "answered"]
    assert [line["route"] for line in answered] == ["/v1"]  # nothing of the probes that waited for the start
    assert any(line["logger"] == "_granian" for line in lines)
    assert quiet.log.read_text() == ""


@pytest.fixture
def spans(config: Config) -> Iterator[InMemorySpanExporter]:
    """Where spans go while the test runs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.stop()


def test_a_request_is_a_span_with_its_phases_below(client: FlaskClient, spans: InMemorySpanExporter) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    headers = {"traceparent": f"00-{trace}-{parent}-01", "X-Request-Id": "mine-2"}
    assert client.post("/v1/runs", json={"graph": NEURON}, headers=headers).status_code == 201
    finished = {span.name: span for span in spans.get_finished_spans()}
    assert finished.keys() == {"POST /v1/runs", "parse", "compute", "persist"}
    whole = finished["POST /v1/runs"]
    assert all(f"{identity(span)[0]:032x}" == trace for span in finished.values())
    assert whole.parent and f"{whole.parent.span_id:016x}" == parent
    assert all(
        span.parent and span.parent.span_id == identity(whole)[1] for span in finished.values() if span is not whole
    )
    assert whole.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/runs",
        "http.response.status_code": 201,
        "chainrule.request_id": "mine-2",
    }


def identity(span: ReadableSpan) -> tuple[int, int]:
    context = span.get_span_context()
    assert context
    return context.trace_id, context.span_id


def test_a_request_that_fails_here_is_a_failed_span(spans: InMemorySpanExporter, config: Config) -> None:
    with client_of(replace(config, database_url="sqlite:////nowhere/at/all")) as client:
        assert client.get("/v1/runs").status_code == 503
        assert client.get("/v1/runs?wrong=1").status_code == 422
    failed = {
        span.attributes["http.response.status_code"]: not span.status.is_ok
        for span in spans.get_finished_spans()
        if span.attributes and "http.route" in span.attributes
    }
    assert failed == {503: True, 422: False}


def test_spans_are_sent_where_opentelemetrys_variable_says(
    server: StartServer, sqlite_database_url: str, collector: tuple[str, list[bytes]]
) -> None:
    endpoint, received = collector
    started = server(
        CHAINRULE_DATABASE_URL=sqlite_database_url, CHAINRULE_TRACING="on", OTEL_EXPORTER_OTLP_ENDPOINT=endpoint
    )
    httpx.get(f"{started.url}/v1/operations/tanh")
    started.process.terminate()  # sends what is left
    assert started.process.wait(30) == 0
    assert any(b"GET /v1/operations/<name>" in body for body in received)


@pytest.fixture
def collector() -> Iterator[tuple[str, list[bytes]]]:
    """An endpoint that takes spans, and what it took."""
    from http.server import BaseHTTPRequestHandler, HTTPServer

    received: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            import gzip

            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as endpoint:
        thread = threading.Thread(target=endpoint.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{endpoint.server_port}", received
        endpoint.shutdown()
        thread.join()
