"""Pictures over HTTP: their formats, their limits, and a service without Graphviz."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from flask.testing import FlaskClient

from engine.drawing import decimals
from engine.numbers import read_number
from service.app import create_app
from service.config import Config
from tests.conftest import ROOT
from tests.service.documents import NEURON

CASES: list[dict[str, Any]] = [
    case
    for case in json.loads((ROOT / "tests/cases/runs.json").read_text())["cases"]
    if case["request"].get("kind", "gradient") == "gradient" and case["name"] != "batch"
]


def graph_of(client: FlaskClient, run: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"/v1/graphs/{run['graph_id']}").get_json()
    return answer


@pytest.fixture
def run(client: FlaskClient) -> dict[str, Any]:
    """A stored run of the neuron."""
    answer: dict[str, Any] = client.post("/v1/runs", json={"graph": NEURON}).get_json()
    return answer


@pytest.fixture
def limited(config: Config) -> Iterator[Callable[..., FlaskClient]]:
    """Clients of applications with other limits: `limited(drawing_max_nodes=9)`."""
    with ExitStack() as stack:

        def make(**limits: int) -> FlaskClient:
            app = create_app(replace(config, **limits))  # type: ignore[arg-type]
            stack.callback(app.extensions["chainrule"].database.close)
            return app.test_client()

        yield make


@pytest.mark.parametrize(
    ("form", "media_type", "beginning"),
    [
        ("svg", "image/svg+xml", "<?xml"),
        ("dot", "text/vnd.graphviz", "digraph"),
        ("mermaid", "text/vnd.mermaid", "flowchart LR"),
    ],
)
def test_a_run_is_drawn_in_each_format(
    client: FlaskClient, run: dict[str, Any], form: str, media_type: str, beginning: str
) -> None:
    response = client.get(f"/v1/runs/{run['id']}/drawing?format={form}")
    assert response.status_code == 200, response.text
    assert response.content_type == f"{media_type}; charset=utf-8"
    assert response.text.startswith(beginning)
    # Graphviz writes - as an entity.
    assert "grad -1.5000" in response.text.replace("&#45;", "-")


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_pictures_of_the_known_cases_show_their_numbers(client: FlaskClient, case: dict[str, Any]) -> None:
    run = client.post("/v1/runs", json=case["request"]).get_json()
    assert set(case["expect"].get("gradients", {})) <= set(run["gradients"])
    labels = {node["id"]: node.get("label", node["id"]) for node in graph_of(client, run)["nodes"]}
    svg = ElementTree.fromstring(client.get(f"/v1/runs/{run['id']}/drawing").data)  # noqa: S314
    texts = [text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")]
    mermaid = client.get(f"/v1/runs/{run['id']}/drawing?format=mermaid").text
    for node, expected in case["expect"].get("gradients", {}).items():
        box = [
            labels[node],
            f"data {decimals(read_number(run['values'][node]))}",
            f"grad {decimals(read_number(expected))}",
        ]
        assert box in [texts[at : at + 3] for at in range(len(texts))]
        assert " | ".join(box[1:]) in mermaid


def test_svg_is_the_default_and_scripts_are_forbidden_in_it(client: FlaskClient, run: dict[str, Any]) -> None:
    response = client.get(f"/v1/runs/{run['id']}/drawing")
    assert ElementTree.fromstring(response.data).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_a_graph_is_drawn_without_gradients(client: FlaskClient, run: dict[str, Any]) -> None:
    picture = client.get(f"/v1/graphs/{run['graph_id']}/drawing?format=mermaid").text
    assert "x1 | data 2.0000" in picture and "grad" not in picture


def test_a_picture_that_the_client_has_is_not_sent_again(client: FlaskClient, run: dict[str, Any]) -> None:
    url = f"/v1/runs/{run['id']}/drawing?format=dot"
    etag = client.get(url).headers["ETag"]
    again = client.get(url, headers={"If-None-Match": etag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", etag)
    other = client.get(f"/v1/runs/{run['id']}/drawing?format=mermaid", headers={"If-None-Match": etag})
    assert other.status_code == 200


def test_accept_is_honoured(client: FlaskClient, run: dict[str, Any]) -> None:
    url = f"/v1/runs/{run['id']}/drawing"
    assert client.get(url, headers={"Accept": "image/svg+xml"}).status_code == 200
    assert client.get(url, headers={"Accept": "image/png"}).get_json()["code"] == "NOT_ACCEPTABLE"


def test_without_graphviz_the_answer_says_how_to_install_it(
    client: FlaskClient, run: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    response = client.get(f"/v1/runs/{run['id']}/drawing")
    problem = response.get_json()
    assert (response.status_code, problem["code"]) == (501, "GRAPHVIZ_MISSING")
    assert "apt-get install graphviz" in problem["detail"]
    assert client.get(f"/v1/runs/{run['id']}/drawing?format=dot").status_code == 200


def test_a_graph_with_too_many_nodes_is_not_drawn(limited: Callable[..., FlaskClient], run: dict[str, Any]) -> None:
    response = limited(drawing_max_nodes=9).get(f"/v1/runs/{run['id']}/drawing?format=dot")
    assert (response.status_code, response.get_json()["code"]) == (422, "DRAWING_TOO_LARGE")


def test_a_layout_that_takes_too_long_is_given_up(
    limited: Callable[..., FlaskClient], run: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    slow = tmp_path / "dot"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    response = limited(drawing_seconds=1).get(f"/v1/runs/{run['id']}/drawing")
    assert (response.status_code, response.get_json()["code"]) == (422, "DRAWING_TOO_SLOW")
