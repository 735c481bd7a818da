"""A corpus of bad requests: each gets its problem document, naming what is wrong where; none breaks the service."""

from __future__ import annotations

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.service.documents import NEURON, product


@pytest.fixture
def client(validating_client: FlaskClient) -> FlaskClient:
    """What is refused never reaches a database, so one will do."""
    return validating_client


X = {"id": "x", "op": "input", "data": 1.0}
Y = {"id": "y", "op": "neg", "inputs": ["x"]}


def nodes(*listed: Any, **more: Any) -> dict[str, Any]:
    return {"nodes": list(listed), **more}


# Bodies that are not JSON as the contract has it.
MALFORMED = {
    "nothing": b"",
    "blanks": b"  \n",
    "a broken object": b'{"graph": ',
    "a word": b"hello",
    "single quotes": b"{'graph': 1}",
    "a comma too many": b'{"graph": {},}',
    "two documents": b"{} {}",
    "bare NaN": b'{"inputs": {"x": NaN}}',
    "bare Infinity": b'{"inputs": {"x": Infinity}}',
    "a number beyond float64": b'{"inputs": {"x": 1e999}}',
    "a number below float64": b'{"inputs": {"x": -1e999}}',
    "a 400-digit integer": b'{"inputs": {"x": 1' + b"0" * 400 + b"}}",
    "a leading zero": b'{"inputs": {"x": 01}}',
    "a leading plus": b'{"inputs": {"x": +1}}',
    "a hexadecimal number": b'{"inputs": {"x": 0x10}}',
    "100,000 open brackets": b"[" * 100_000,
    "100,000 nested lists": b"[" * 50_000 + b"]" * 50_000,
    "100,000 nested objects": b'{"a":' * 30_000 + b"1" + b"}" * 30_000,
    "a lone high surrogate": b'{"graph": {"name": "\\ud800"}}',
    "a lone low surrogate": b'{"graph": {"name": "\\udc00"}}',
    "an encoded surrogate": b'{"graph": {"name": "\xed\xa0\x80"}}',
    "invalid UTF-8": b'{"graph": {"name": "\xff"}}',
    "an overlong encoding": b'{"graph": {"name": "\xc0\x80"}}',
    "UTF-16": '{"graph": {}}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "a control character in a string": b'{"graph": {"name": "\x01"}}',
    "a bad escape": b'{"graph": {"name": "\\x41"}}',
    "a NUL byte": b"\x00",
    "gzip": b"\x1f\x8b\x08\x00",
}

# Requests to /v1/runs, with the first of the errors they get: its pointer and its code.
INVALID_RUNS: dict[str, tuple[Any, str, str]] = {
    "null": (None, "", "INVALID_VALUE"),
    "a list": ([], "", "INVALID_VALUE"),
    "a number": (3, "", "INVALID_VALUE"),
    "a string": ("graph", "", "INVALID_VALUE"),
    "900 nested lists": (eval("[" * 90 + "]" * 90), "", "INVALID_VALUE"),  # noqa: S307
    "no graph": ({}, "/graph", "MISSING_FIELD"),
    "graph is null": ({"graph": None}, "/graph", "INVALID_VALUE"),
    "graph is a string": ({"graph": "x"}, "/graph", "INVALID_VALUE"),
    "graph is a list": ({"graph": [X]}, "/graph", "INVALID_VALUE"),
    "graph is a boolean": ({"graph": True}, "/graph", "INVALID_VALUE"),
    "graph and then graph_id": ({"graph": nodes(X), "graph_id": "0" * 64}, "/graph_id", "INVALID_VALUE"),
    "graph_id and then graph": ({"graph_id": "0" * 64, "graph": nodes(X)}, "/graph", "INVALID_VALUE"),
    "graph_id is a number": ({"graph_id": 7}, "/graph_id", "INVALID_VALUE"),
    "graph_id is null": ({"graph_id": None}, "/graph_id", "INVALID_VALUE"),
    "an unknown field": ({"graph": nodes(X), "sede": {}}, "/sede", "UNKNOWN_FIELD"),
    "a field to escape": ({"graph": nodes(X), "a/b~c": 1}, "/a~1b~0c", "UNKNOWN_FIELD"),
    "an unknown kind": ({"graph": nodes(X), "kind": "gradeint"}, "/kind", "INVALID_VALUE"),
    "kind is a number": ({"graph": nodes(X), "kind": 1}, "/kind", "INVALID_VALUE"),
    "kind is an object": ({"graph": nodes(X), "kind": {}}, "/kind", "INVALID_VALUE"),
    "kind is null": ({"graph": nodes(X), "kind": None}, "/kind", "INVALID_VALUE"),
    "store is a string": ({"graph": nodes(X), "store": "false"}, "/store", "INVALID_VALUE"),
    "store is a number": ({"graph": nodes(X), "store": 0}, "/store", "INVALID_VALUE"),
    "store is null": ({"graph": nodes(X), "store": None}, "/store", "INVALID_VALUE"),
    "inputs is a list": ({"graph": nodes(X), "inputs": [1]}, "/inputs", "INVALID_VALUE"),
    "inputs is null": ({"graph": nodes(X), "inputs": None}, "/inputs", "INVALID_VALUE"),
    "a binding is true": ({"graph": nodes(X), "inputs": {"x": True}}, "/inputs/x", "NOT_A_NUMBER"),
    "a binding is null": ({"graph": nodes(X), "inputs": {"x": None}}, "/inputs/x", "NOT_A_NUMBER"),
    "a binding is text": ({"graph": nodes(X), "inputs": {"x": "1.5"}}, "/inputs/x", "NOT_A_NUMBER"),
    "a binding is nan": ({"graph": nodes(X), "inputs": {"x": "nan"}}, "/inputs/x", "NOT_A_NUMBER"),
    "a binding is an object": ({"graph": nodes(X), "inputs": {"x": {}}}, "/inputs/x", "NOT_A_NUMBER"),
    "a binding of an unknown node": ({"graph": nodes(X), "inputs": {"z": 1}}, "/inputs/z", "UNKNOWN_NODE"),
    "a binding of the empty id": ({"graph": nodes(X), "inputs": {"": 1}}, "/inputs/", "UNKNOWN_NODE"),
    "a binding of a NUL": ({"graph": nodes(X), "inputs": {"\0": 1}}, "/inputs/\0", "UNKNOWN_NODE"),
    "a binding of an operation": ({"graph": nodes(X, Y), "inputs": {"y": 1}}, "/inputs/y", "INVALID_VALUE"),
    "an input without data": ({"graph": product(a=1.0)}, "/inputs/b", "MISSING_DATA"),
    "outputs is a string": ({"graph": nodes(X), "outputs": "x"}, "/outputs", "INVALID_VALUE"),
    "outputs is empty": ({"graph": nodes(X), "outputs": []}, "/outputs", "INVALID_VALUE"),
    "outputs is an object": ({"graph": nodes(X), "outputs": {"x": 1}}, "/outputs", "INVALID_VALUE"),
    "an output is a number": ({"graph": nodes(X), "outputs": ["x", 0]}, "/outputs/1", "INVALID_VALUE"),
    "an output is unknown": ({"graph": nodes(X), "outputs": ["x", "z"]}, "/outputs/1", "UNKNOWN_NODE"),
    "an output twice": ({"graph": nodes(X), "outputs": ["x", "x"]}, "/outputs/1", "DUPLICATE_ID"),
    "seeds is a number": ({"graph": nodes(X), "seeds": 1.0}, "/seeds", "INVALID_VALUE"),
    "a seed is text": ({"graph": nodes(X), "seeds": {"x": "1"}}, "/seeds/x", "NOT_A_NUMBER"),
    "a seed for an unknown node": ({"graph": nodes(X), "seeds": {"z": 1}}, "/seeds/z", "UNKNOWN_NODE"),
    "a seed for no output": ({"graph": nodes(X, Y), "outputs": ["y"], "seeds": {"x": 1}}, "/seeds/x", "INVALID_VALUE"),
    "select is another word": ({"graph": nodes(X), "select": "leafs"}, "/select", "INVALID_VALUE"),
    "select is null": ({"graph": nodes(X), "select": None}, "/select", "INVALID_VALUE"),
    "select is an object": ({"graph": nodes(X), "select": {}}, "/select", "INVALID_VALUE"),
    "select names an unknown node": ({"graph": nodes(X), "select": ["z"]}, "/select/0", "UNKNOWN_NODE"),
    "select holds a list": ({"graph": nodes(X), "select": [["x"]]}, "/select/0", "INVALID_VALUE"),
}

# Graph documents, with the first of the errors they get when posted to /v1/graphs.
INVALID_GRAPHS: dict[str, tuple[Any, str, str]] = {
    "an empty object": ({}, "/nodes", "MISSING_FIELD"),
    "nodes is an object": ({"nodes": {}}, "/nodes", "INVALID_VALUE"),
    "nodes is null": ({"nodes": None}, "/nodes", "INVALID_VALUE"),
    "no nodes": ({"nodes": []}, "/nodes", "INVALID_VALUE"),
    "an unknown field": (nodes(X, edges=[]), "/edges", "UNKNOWN_FIELD"),
    "another version": (nodes(X, version=2), "/version", "INVALID_VALUE"),
    "version is true": (nodes(X, version=True), "/version", "INVALID_VALUE"),
    "name is a number": (nodes(X, name=1), "/name", "INVALID_VALUE"),
    "a NUL in the name": (nodes(X, name="a\0b"), "/name", "INVALID_VALUE"),
    "a node is a string": (nodes("x"), "/nodes/0", "INVALID_VALUE"),
    "a node is null": (nodes(X, None), "/nodes/1", "INVALID_VALUE"),
    "a node without id": (nodes({"op": "input"}), "/nodes/0/id", "MISSING_FIELD"),
    "a node without op": (nodes({"id": "x"}), "/nodes/0/op", "MISSING_FIELD"),
    "an id is a number": (nodes({"id": 1, "op": "input"}), "/nodes/0/id", "INVALID_VALUE"),
    "an id is empty": (nodes({"id": "", "op": "input"}), "/nodes/0/id", "INVALID_VALUE"),
    "an id of 129 characters": (nodes({"id": "x" * 129, "op": "input"}), "/nodes/0/id", "INVALID_VALUE"),
    "a NUL in an id": (nodes({"id": "x\0", "op": "input"}), "/nodes/0/id", "INVALID_VALUE"),
    "an id twice": (nodes(X, X), "/nodes/1/id", "DUPLICATE_ID"),
    "an op is a number": (nodes({"id": "x", "op": 3}), "/nodes/0/op", "INVALID_VALUE"),
    "an op is a list": (nodes({"id": "x", "op": ["input"]}), "/nodes/0/op", "INVALID_VALUE"),
    "an unknown operation": (nodes(X, Y | {"op": "tahn"}), "/nodes/1/op", "UNKNOWN_OPERATION"),
    "an unknown field of a node": (nodes(X | {"value": 1}), "/nodes/0/value", "UNKNOWN_FIELD"),
    "inputs is a string": (nodes(X, Y | {"inputs": "x"}), "/nodes/1/inputs", "INVALID_VALUE"),
    "an input is null": (nodes(X, Y | {"inputs": [None]}), "/nodes/1/inputs/0", "INVALID_VALUE"),
    "an input is true": (nodes(X, Y | {"inputs": [True]}), "/nodes/1/inputs/0", "INVALID_VALUE"),
    "an unknown node": (nodes(X, Y | {"inputs": ["z"]}), "/nodes/1/inputs/0", "UNKNOWN_NODE"),
    "too few inputs": (nodes(X, Y | {"op": "mul"}), "/nodes/1/inputs", "WRONG_ARITY"),
    "too many inputs": (nodes(X, Y | {"inputs": ["x", "x"]}), "/nodes/1/inputs", "WRONG_ARITY"),
    "a leaf with inputs": (nodes(X, X | {"id": "z", "inputs": ["x"]}), "/nodes/1/inputs", "WRONG_ARITY"),
    "data on an operation": (nodes(X, Y | {"data": 1}), "/nodes/1/data", "UNKNOWN_FIELD"),
    "data is text": (nodes(X | {"data": "1.5"}), "/nodes/0/data", "NOT_A_NUMBER"),
    "data is true": (nodes(X | {"data": True}), "/nodes/0/data", "NOT_A_NUMBER"),
    "data is null": (nodes(X | {"data": None}), "/nodes/0/data", "NOT_A_NUMBER"),
    "a constant without data": (nodes({"id": "c", "op": "constant"}), "/nodes/0/data", "MISSING_DATA"),
    "a label is a number": (nodes(X | {"label": 1}), "/nodes/0/label", "INVALID_VALUE"),
    "a node that feeds itself": (nodes(Y | {"inputs": ["y"]}), "/nodes/0/inputs/0", "CYCLE"),
    "outputs is a string": (nodes(X, outputs="x"), "/outputs", "INVALID_VALUE"),
    "outputs is empty": (nodes(X, outputs=[]), "/outputs", "INVALID_VALUE"),
    "an unknown output": (nodes(X, outputs=["z"]), "/outputs/0", "UNKNOWN_NODE"),
    "an output twice": (nodes(X, outputs=["x", "x"]), "/outputs/1", "DUPLICATE_ID"),
    "two candidates for the output": (nodes(X, X | {"id": "z"}), "/outputs", "AMBIGUOUS_OUTPUT"),
    "more nodes than the limit": (
        nodes(*({"id": f"{k}", "op": "input"} for k in range(2001))),
        "/nodes",
        "TOO_MANY_NODES",
    ),
    "20,000 bad nodes": (nodes(*[0] * 20_000), "/nodes", "TOO_MANY_NODES"),
    "2,000 bad nodes": (nodes(*[0] * 2_000), "/nodes/0", "INVALID_VALUE"),
    "columns is a list": ({"columns": []}, "/columns", "INVALID_VALUE"),
    "a forward reference in columns": (
        {"columns": {"op": ["neg", "input"], "inputs": [[1], []]}, "outputs": [0]},
        "/columns/inputs/0/0",
        "UNKNOWN_NODE",
    ),
    "columns of unequal lengths": (
        {"columns": {"op": ["input"], "inputs": [[], []]}},
        "/columns/inputs",
        "LENGTH_MISMATCH",
    ),
}


def post(client: FlaskClient, path: str, document: Any) -> Any:
    # Flask's own client sorts keys; here their order matters.
    return client.post(path, data=json.dumps(document), content_type="application/json")


def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = response.get_json()
    assert document["status"] == status
    assert document["code"] == code
    assert document["request_id"] == response.headers["X-Request-Id"]
    for member in ("type", "title", "detail", "instance"):
        assert isinstance(document[member], str)
    return document


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/graphs"])
def test_what_is_not_json_is_malformed(client: FlaskClient, path: str, body: bytes) -> None:
    problem(client.post(path, data=body, content_type="application/json"), 400, "MALFORMED_JSON")


@pytest.mark.parametrize(("request_", "pointer", "code"), INVALID_RUNS.values(), ids=INVALID_RUNS)
def test_a_bad_run_request_is_refused_where_it_is_bad(
    client: FlaskClient, request_: Any, pointer: str, code: str
) -> None:
    errors = problem(post(client, "/v1/runs", request_), 422, "INVALID_REQUEST")["errors"]
    assert (errors[0]["pointer"], errors[0]["code"]) == (pointer, code)
    assert client.get("/v1/runs").get_json()["items"] == []


@pytest.mark.parametrize(("document", "pointer", "code"), INVALID_GRAPHS.values(), ids=INVALID_GRAPHS)
def test_a_bad_graph_is_refused_where_it_is_bad(client: FlaskClient, document: Any, pointer: str, code: str) -> None:
    errors = problem(post(client, "/v1/graphs", document), 422, "INVALID_REQUEST")["errors"]
    assert (errors[0]["pointer"], errors[0]["code"]) == (pointer, code)
    inline = problem(post(client, "/v1/runs", {"graph": document}), 422, "INVALID_REQUEST")["errors"]
    assert [error["pointer"] for error in inline] == ["/graph" + error["pointer"] for error in errors]


def test_a_cycle_is_named_in_order(client: FlaskClient) -> None:
    ring = nodes(*({"id": f"n{k}", "op": "neg", "inputs": [f"n{(k + 1) % 3}"]} for k in range(3)), outputs=["n0"])
    (error,) = problem(client.post("/v1/graphs", json=ring), 422, "INVALID_REQUEST")["errors"]
    assert error["code"] == "CYCLE"
    assert all(node in error["detail"] for node in ("n0", "n1", "n2"))


def test_everything_wrong_with_a_request_is_said_at_once(client: FlaskClient) -> None:
    request = {
        "graph": product(a=1.0),
        "inputs": {"y": 1.0, "z": 2.0},
        "outputs": ["nowhere"],
        "seeds": {"a": "one"},
        "select": ["y", "y"],
        "store": "no",
        "colour": "red",
    }
    errors = problem(client.post("/v1/runs", json=request), 422, "INVALID_REQUEST")["errors"]
    assert {(error["pointer"], error["code"]) for error in errors} == {
        ("/inputs/y", "INVALID_VALUE"),
        ("/inputs/z", "UNKNOWN_NODE"),
        ("/inputs/b", "MISSING_DATA"),
        ("/outputs/0", "UNKNOWN_NODE"),
        ("/seeds/a", "NOT_A_NUMBER"),
        ("/select/1", "DUPLICATE_ID"),
        ("/store", "INVALID_VALUE"),
        ("/colour", "UNKNOWN_FIELD"),
    }


def test_errors_of_the_graph_and_of_the_rest_come_together(client: FlaskClient) -> None:
    request = {"graph": nodes(X, Y | {"op": "tanhh"}), "inputs": {"x": True}}
    errors = problem(client.post("/v1/runs", json=request), 422, "INVALID_REQUEST")["errors"]
    assert [error["pointer"] for error in errors] == ["/inputs/x", "/graph/nodes/1/op"]
    assert "tanh" in errors[1]["detail"]


def test_every_input_without_data_is_named(client: FlaskClient) -> None:
    errors = problem(client.post("/v1/runs", json={"graph": product()}), 422, "INVALID_REQUEST")["errors"]
    assert [(error["code"], error["pointer"]) for error in errors] == [
        ("MISSING_DATA", "/inputs/a"),
        ("MISSING_DATA", "/inputs/b"),
    ]


@pytest.mark.parametrize("count", [49, 50, 51, 10_000])
def test_at_most_fifty_errors_are_listed(client: FlaskClient, count: int) -> None:
    request = {"graph": NEURON, "inputs": {f"n{k}": 1 for k in range(count)}}
    document = problem(client.post("/v1/runs", json=request), 422, "INVALID_REQUEST")
    assert len(document["errors"]) == min(count, 50)
    assert document.get("errors_truncated", False) is (count > 50)


def test_of_duplicate_keys_the_last_counts(client: FlaskClient) -> None:
    body = '{"graph": 1, "graph": {"nodes": [{"id": "x", "op": "neg", "op": "input", "data": 1, "data": 2}]}}'
    response = client.post("/v1/runs", data=body, content_type="application/json")
    assert response.status_code == 201
    assert response.get_json()["values"] == {"x": 2.0}


def test_integers_beyond_2_to_the_53_are_rounded_to_the_nearest_float(client: FlaskClient) -> None:
    for text in ("9007199254740993", "18446744073709551617", "123456789012345678901234567890"):
        body = f'{{"graph": {{"nodes": [{{"id": "x", "op": "input"}}]}}, "inputs": {{"x": {text}}}}}'
        response = client.post("/v1/runs", data=body, content_type="application/json")
        assert response.get_json()["values"] == {"x": float(int(text))}
