"""The OpenAPI document tells the truth: schemathesis tries it, and its examples are real."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.api.examples import NEURON_RUN, NEURON_RUN_REQUEST, STORED_NEURON
from service.kinds import KINDS
from service.schemas.runs import RunRequestSchema
from tests.conftest import StartServer

# 422 is an honest answer to a body that a JSON schema cannot fault: a graph with a cycle, an unknown node.
SCHEMATHESIS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "404", "409", "422"]
"""


@pytest.fixture
def document(validating_client: FlaskClient) -> dict[str, Any]:
    """The OpenAPI document."""
    answer: dict[str, Any] = validating_client.get("/openapi.json").get_json()
    return answer


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete")
    }


def test_every_route_of_the_api_is_documented(document: dict[str, Any], validating_client: FlaskClient) -> None:
    app: Flask = validating_client.application
    routes = {
        (method, rule.rule.replace("<", "{").replace(">", "}"))
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("page.")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert set(operations(document)) == routes
    assert document["openapi"].startswith("3.1")


def test_every_operation_is_named_explained_and_honest_about_errors(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(document).values()]
    assert len(set(names)) == len(names)
    for (method, path), operation in operations(document).items():
        assert operation["summary"].endswith("."), path
        assert {"406", "422", "500"} <= operation["responses"].keys()
        if method == "POST" and "requestBody" in operation:
            assert {"400", "413", "415"} <= operation["responses"].keys()
        if "{" in path:
            assert "404" in operation["responses"], path
    for response in document["components"]["responses"].values():
        assert list(response["content"]) == ["application/problem+json"]


def test_the_examples_are_what_the_service_answers(validating_client: FlaskClient) -> None:
    posted = validating_client.post("/v1/runs", json=NEURON_RUN_REQUEST).get_json()
    changing = {"id", "created_at", "started_at", "finished_at"}
    assert list(posted) == list(NEURON_RUN)
    assert {name: posted[name] for name in posted if name not in changing} == {
        name: NEURON_RUN[name] for name in NEURON_RUN if name not in changing
    }
    graph = validating_client.get(f"/v1/graphs/{posted['graph_id']}").get_json()
    assert graph | {"created_at": None} == STORED_NEURON | {"created_at": None}


def test_every_kind_of_run_takes_fields_that_the_request_has() -> None:
    common = {"graph", "graph_id", "kind", "store"}
    fields = set(RunRequestSchema().load_fields) - common
    assert fields == set().union(*(kind.fields for kind in KINDS.values()))


def test_the_kinds_that_take_seeds_are_documented(document: dict[str, Any]) -> None:
    description = document["components"]["schemas"]["RunRequest"]["properties"]["seeds"]["description"]
    taking = [kind.name for kind in KINDS.values() if "seeds" in kind.fields]
    assert f"({', '.join(taking)}; other kinds refuse it)" in description


def test_schemathesis_finds_no_lie(
    document: dict[str, Any], server: StartServer, sqlite_database_url: str, tmp_path: Path
) -> None:
    started = server(CHAINRULE_DATABASE_URL=sqlite_database_url, CHAINRULE_MAX_NODES="1000")
    configuration = tmp_path / "schemathesis.toml"
    configuration.write_text(SCHEMATHESIS)
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(configuration),
        "run", f"{started.url}/openapi.json", "--mode", "all", "--phases", "examples,coverage,fuzzing,stateful",
        "--max-examples", "10", "--generation-deterministic", "--request-timeout", "20", "--no-color",
    ]  # fmt: skip
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout
    # It leaves the OpenAPI document itself out.
    assert f"Tested: {len(operations(document)) - 1}\n" in result.stdout


def test_unknown_fields_are_refused_as_documented(document: dict[str, Any], tmp_path: Path) -> None:
    for name in ("RunRequest", "NodeDocument", "Node", "ExpressionDocument", "ColumnDocument"):
        assert document["components"]["schemas"][name]["additionalProperties"] is False
