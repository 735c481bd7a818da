"""Pictures over HTTP: their formats, their limits, and a service without Graphviz."""

from __future__ import annotations

import json
import re
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


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("image/svg+xml", "image/svg+xml"),
        ("text/vnd.graphviz", "text/vnd.graphviz"),
        ("text/vnd.mermaid, image/svg+xml;q=0.5", "text/vnd.mermaid"),
        ("text/html, image/*, */*;q=0.1", "image/svg+xml"),
        ("*/*", "image/svg+xml"),
        ("", "image/svg+xml"),
    ],
)
def test_without_a_format_accept_chooses(
    client: FlaskClient, run: dict[str, Any], accept: str, media_type: str
) -> None:
    for url in (f"/v1/runs/{run['id']}/drawing", f"/v1/graphs/{run['graph_id']}/drawing"):
        response = client.get(url, headers={"Accept": accept})
        assert (response.status_code, response.mimetype) == (200, media_type)
        assert response.headers["Vary"] == "Accept"


def test_a_format_that_is_asked_for_wins_over_accept(client: FlaskClient, run: dict[str, Any]) -> None:
    url = f"/v1/runs/{run['id']}/drawing"
    assert client.get(f"{url}?format=dot", headers={"Accept": "image/svg+xml"}).mimetype == "text/vnd.graphviz"
    assert client.get(url, headers={"Accept": "image/png"}).get_json()["code"] == "NOT_ACCEPTABLE"


LINE: dict[str, Any] = {"expression": "e = (w*x + b - y)**2", "data": {"w": 1.0, "b": 0.5, "x": 77.0, "y": 88.0}}
DESCENT: dict[str, Any] = {
    "kind": "descent", "minimize": "e", "parameters": ["w"], "steps": 1, "inputs": {"b": 0.25},
    "optimizer": {"name": "sgd", "learning_rate": 0.125}, "data": {"x": [1, 1], "y": [2, 2]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "shown"),
    [
        # Rows have no one value; what is the same for all of them has.
        (
            {"inputs": {"x": [1, 2], "b": 3}},
            {"w": "data 1.0000", "x": "", "b": "data 3.0000", "y": "data 88.0000", "e": ""},
        ),
        (
            {"inputs": {"x": [1, 2], "b": 3, "y": 0}, "reduce": "sum"},
            {"w": "data 1.0000 | grad 28.0000", "x": "grad 18.0000", "e": "data 41.0000"},
        ),
        (DESCENT, {"w": "data 1.1875 | grad -1.1250", "x": "", "y": "", "b": "data 0.2500", "e": "data 0.3164"}),
    ],
)
def test_a_picture_shows_what_was_run(client: FlaskClient, request_: dict[str, Any], shown: dict[str, str]) -> None:
    run = client.post("/v1/runs", json={"graph": LINE, **request_}).get_json()
    assert boxes(client, run).items() >= shown.items()


@pytest.mark.parametrize("request_", [{"inputs": {"x": [1, 2], "b": 3}}, DESCENT | {"inputs": {"b": 3}}])
def test_the_picture_of_a_run_that_waits_shows_what_it_will_take(client: FlaskClient, request_: dict[str, Any]) -> None:
    run = client.post("/v1/runs", json={"graph": LINE, **request_}, headers={"Prefer": "respond-async"}).get_json()
    assert boxes(client, run).items() >= {"w": "data 1.0000", "x": "", "b": "data 3.0000", "e": ""}.items()


def boxes(client: FlaskClient, run: dict[str, Any]) -> dict[str, str]:
    """What the picture says of each node that has a name."""
    picture = client.get(f"/v1/runs/{run['id']}/drawing?format=mermaid").text
    return dict(re.findall(r'n\d+[\[(]+"(\w)(?: \| ([^"]*))?"', picture))


def test_a_gradient_has_its_colour_wherever_it_stands(client: FlaskClient) -> None:
    request_ = {"graph": LINE, "inputs": {"x": [1, 2]}, "reduce": "mean", "select": ["x", "w"]}
    run = client.post("/v1/runs", json=request_).get_json()
    dot = client.get(f"/v1/runs/{run['id']}/drawing?format=dot").text
    assert re.search(r'<TD BGCOLOR="[^"]*">b</TD><VR/><TD>data 0.5000</TD>', dot)
    assert re.search(r'<TD BGCOLOR="[^"]*">x</TD><VR/><TD>data 1.5000</TD><VR/><TD BGCOLOR="[^"]*">grad ', dot)
    assert client.get(f"/v1/runs/{run['id']}/drawing").status_code == 200


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
