"""Manners of HTTP: methods, media types, sizes, ids, and no page of HTML anywhere."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.config import Config, settings
from tests.service.clients import client_of
from tests.service.documents import NEURON, product
from tests.service.test_bad_requests import problem


@pytest.fixture
def client(validating_client: FlaskClient) -> FlaskClient:
    """None of this is any database's concern, so one will do."""
    return validating_client


def test_an_unknown_path_is_a_problem(client: FlaskClient) -> None:
    for path in ("/nowhere", "/v1/", "/v1/runs/", "/v1//runs", "/v1/graphs/a/b", "/%00", "/v1/runs/%ff"):
        problem(client.get(path), 404, "NOT_FOUND")


def test_a_wrong_method_is_told_the_right_ones(client: FlaskClient) -> None:
    for method, path, allowed in [
        ("PUT", "/v1/runs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("POST", "/v1/runs/x", {"DELETE", "GET", "HEAD", "OPTIONS"}),
        ("DELETE", "/v1/graphs", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("PATCH", "/v1", {"GET", "HEAD", "OPTIONS"}),
        ("BREW", "/livez", {"GET", "HEAD", "OPTIONS"}),
    ]:
        response = client.open(path, method=method)
        problem(response, 405, "METHOD_NOT_ALLOWED")
        assert set(response.headers["Allow"].split(", ")) == allowed


def test_options_lists_methods_without_a_body(client: FlaskClient) -> None:
    response = client.options("/v1/runs")
    assert (response.status_code, response.data) == (204, b"")
    assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert "Content-Type" not in response.headers


def test_head_answers_the_headers_of_get(client: FlaskClient) -> None:
    location = client.post("/v1/runs", json={"graph": NEURON}).headers["Location"]
    for path in (location, "/v1/runs", "/v1", "/livez", "/openapi.json"):
        head, get = client.head(path), client.get(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.data))


@pytest.mark.parametrize(
    "content_type",
    [None, "text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x",
     "application/json; charset=latin-1", "nonsense"],
)  # fmt: skip
def test_a_body_that_is_not_declared_as_json_is_refused(client: FlaskClient, content_type: str | None) -> None:
    for path in ("/v1/runs", "/v1/graphs"):
        problem(client.post(path, data=b"{}", content_type=content_type), 415, "UNSUPPORTED_MEDIA_TYPE")


def test_json_may_say_its_charset(client: FlaskClient) -> None:
    for content_type in ("application/json; charset=utf-8", "Application/JSON;charset=UTF-8"):
        response = client.post("/v1/graphs", data=b'{"nodes": []}', content_type=content_type)
        problem(response, 422, "INVALID_REQUEST")


def test_a_body_may_be_compressed_by_gzip(client: FlaskClient) -> None:
    body = gzip.compress(json.dumps({"graph": NEURON, "store": False}).encode())
    response = client.post("/v1/runs", data=body, content_type="application/json", headers={"Content-Encoding": "gzip"})
    assert (response.status_code, response.get_json()["outputs"]) == (200, {"o": pytest.approx(0.5**0.5)})


def test_a_compressed_body_is_limited_by_what_comes_out(client: FlaskClient) -> None:
    limit = client.get("/v1").get_json()["limits"]["max_body_bytes"]
    for size, status, code in [
        (limit, 400, "MALFORMED_JSON"),
        (limit + 1, 413, "BODY_TOO_LARGE"),
        (100 * limit, 413, "BODY_TOO_LARGE"),
    ]:
        response = client.post(
            "/v1/runs",
            data=gzip.compress(b" " * size),
            content_type="application/json",
            headers={"Content-Encoding": "gzip"},
        )
        problem(response, status, code)


def test_a_body_that_gzip_did_not_write_is_refused(client: FlaskClient) -> None:
    whole = gzip.compress(b"{}")
    for body in (b"{}", whole[:-1], whole + b"x", whole + whole, b""):
        response = client.post(
            "/v1/graphs", data=body, content_type="application/json", headers={"Content-Encoding": "gzip"}
        )
        problem(response, 400, "MALFORMED_JSON")


def test_another_compression_is_refused_with_the_one_that_is_not(client: FlaskClient) -> None:
    for encoding in ("br", "deflate", "gzip, gzip"):
        response = client.post("/v1/runs", json={"graph": NEURON}, headers={"Content-Encoding": encoding})
        problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")
        assert response.headers["Accept-Encoding"] == "gzip"


@pytest.mark.parametrize(
    ("accept", "status"),
    [("application/json", 200), ("*/*", 200), ("", 200), ("application/*;q=0.1", 200), ("text/html, */*;q=0.1", 200),
     ("text/html", 406), ("application/xml, text/*", 406), ("application/json;q=0", 406)],
)  # fmt: skip
def test_what_the_client_cannot_read_is_not_sent(client: FlaskClient, accept: str, status: int) -> None:
    response = client.get("/v1/runs", headers={"Accept": accept})
    assert response.status_code == status
    if status == 406:
        problem(response, 406, "NOT_ACCEPTABLE")


def test_a_body_over_the_limit_is_refused_with_and_without_its_length(client: FlaskClient) -> None:
    limit = client.get("/v1").get_json()["limits"]["max_body_bytes"]
    for size, status in [(limit, 400), (limit + 1, 413), (2 * limit, 413)]:
        declared = client.post("/v1/runs", data=b"x" * size, content_type="application/json")
        chunked = client.post(
            "/v1/runs",
            input_stream=io.BytesIO(b"x" * size),
            content_type="application/json",
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
        for response in (declared, chunked):
            problem(response, status, {400: "MALFORMED_JSON", 413: "BODY_TOO_LARGE"}[status])


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1"), ("GET", "/v1/runs"), ("GET", "/v1/graphs"), ("GET", "/v1/operations"), ("GET", "/livez"),
     ("GET", "/openapi.json"), ("POST", "/v1/runs"), ("POST", "/v1/graphs"), ("DELETE", "/v1/runs/x")],
)  # fmt: skip
def test_an_unknown_query_parameter_is_an_error_everywhere(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(f"{path}?pagesize=3", method=method, json={})
    assert problem(response, 422, "INVALID_REQUEST")["errors"] == [
        {"parameter": "pagesize", "code": "UNKNOWN_FIELD", "detail": "There is no parameter 'pagesize'."}
    ]


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("page_size=0", "page_size"), ("page_size=501", "page_size"), ("page_size=-1", "page_size"),
     ("page_size=ten", "page_size"), ("page_size=", "page_size"), ("page_size=1e1", "page_size"),
     ("page_size=1_0", "page_size"), ("page_size=%D9%A3", "page_size"), ("page_size=1&page_size=2", "page_size"),
     ("page_size=" + "9" * 5000, "page_size"), ("page_token=", "page_token"), ("page_token=abc", "page_token"),
     ("page_token=%00", "page_token"), ("page_token=%F0%9F%A6%86", "page_token"), ("kind=nothing", "kind"),
     ("state=done", "state"), ("graph_id=xyz", "graph_id"), ("graph_id=%00", "graph_id"),
     ("created_after=yesterday", "created_after"), ("created_after=2026-11-20T12:00:00", "created_after"),
     ("created_after=2026-11-20T12:00:00%2B99:00", "created_after"), ("created_before=", "created_before"),
     ("created_before=0001-01-01T00:00:00%2B23:00", "created_before")],
)  # fmt: skip
def test_a_bad_query_parameter_is_named(client: FlaskClient, query: str, parameter: str) -> None:
    (error,) = problem(client.get(f"/v1/runs?{query}"), 422, "INVALID_REQUEST")["errors"]
    assert (error["parameter"], error["code"]) == (parameter, "INVALID_VALUE")
    assert "pointer" not in error


def test_a_request_id_is_taken_over_or_made(client: FlaskClient) -> None:
    assert client.get("/livez", headers={"X-Request-Id": "abc-1.2_3"}).headers["X-Request-Id"] == "abc-1.2_3"
    made = {client.get("/livez").headers["X-Request-Id"] for _ in range(3)}
    assert len(made) == 3
    for bad in ("a b", "x" * 129, "<script>", ""):
        assert client.get("/livez", headers={"X-Request-Id": bad}).headers["X-Request-Id"] != bad


def test_a_crash_is_a_problem_that_keeps_its_reasons_to_the_log(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def crash(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr("service.runs.answer", crash)
    response = client.post("/v1/runs", json={"graph": product(a=1.0, b=2.0)})
    assert "secret" not in response.text
    problem(response, 500, "INTERNAL")
    assert "a secret" in caplog.text


def test_every_answer_of_the_api_is_json_or_a_problem(client: FlaskClient) -> None:
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v1/nowhere", {}),
        ("GET", "/v1", {}),
        ("GET", "/readyz", {}),
        ("TRACE", "/v1/runs", {}),
        ("POST", "/v1/runs", {"data": b"\0", "content_type": "text/html"}),
        ("GET", "/v1/runs?x=%ff", {}),
        ("GET", "/v1/graphs/<b>", {}),
    ]
    for method, path, options in requests:
        response = client.open(path, method=method, **options)
        assert response.content_type in ("application/json", "application/problem+json")
        assert response.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("name", ["relu", "ReLU", "maximum", "+", "**"])
def test_an_operation_is_shown_under_each_of_its_names(validating_client: FlaskClient, name: str) -> None:
    shown = validating_client.get(f"/v1/operations/{name}").get_json()
    assert name in (shown["name"], *shown["aliases"])
    assert shown in validating_client.get("/v1/operations").get_json()["items"]


def test_an_operation_that_there_is_not_is_404_with_the_nearest(validating_client: FlaskClient) -> None:
    assert "Did you mean tanh?" in problem(validating_client.get("/v1/operations/tahn"), 404, "NOT_FOUND")["detail"]


def test_every_limit_of_a_request_is_published(sqlite_database_url: str) -> None:
    config = Config(database_url=sqlite_database_url)
    with client_of(config) as client:
        published = client.get("/v1").get_json()["limits"]
    named = ("max_", "drawing_", "async_")
    assert published == {"max_page_size": 500} | {
        setting.name: getattr(config, setting.name) for setting in settings() if setting.name.startswith(named)
    }
