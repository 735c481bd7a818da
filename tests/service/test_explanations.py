"""Steps and node tables over HTTP: complete, in order, paged, and clear about what cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.service.documents import NEURON


@pytest.fixture
def run(client: FlaskClient) -> dict[str, Any]:
    """A stored run of the neuron."""
    answer: dict[str, Any] = client.post("/v1/runs", json={"graph": NEURON}).get_json()
    return answer


def pages(client: FlaskClient, url: str) -> Iterator[list[dict[str, Any]]]:
    """The pages of a list, each reached by the Link of the one before."""
    next_url: str | None = url
    while next_url is not None:
        response = client.get(next_url)
        assert response.status_code == 200, response.text
        yield response.get_json()["items"]
        link = response.headers.get("Link")
        assert ("next_page_token" in response.get_json()) == (link is not None)
        next_url = None if link is None else link[1 : link.index(">")]


def errors(client: FlaskClient, url: str) -> list[tuple[str | None, str]]:
    response = client.get(url)
    assert response.status_code == 422, response.text
    return [(error.get("parameter"), error["code"]) for error in response.get_json()["errors"]]


def test_steps_lead_from_the_seed_to_the_last_gradient(client: FlaskClient, run: dict[str, Any]) -> None:
    (steps,) = pages(client, f"/v1/runs/{run['id']}/steps")
    assert [(step["node"], step["to"]) for step in steps] == [
        (None, "o"), ("o", "n"), ("n", "sum"), ("n", "b"), ("sum", "x1w1"), ("sum", "x2w2"),
        ("x2w2", "x2"), ("x2w2", "w2"), ("x1w1", "x1"), ("x1w1", "w1"),
    ]  # fmt: skip
    assert steps[1]["text"] == "n feeds o through tanh; d tanh/dn = 1 − o² = 0.5; 1.0 × 0.5 = 0.5 goes to n"
    for step in steps:
        assert step["gradient"] == run["gradients"][step["to"]]
    assert list(steps[0]) == [
        "index", "node", "op", "to", "derivative", "local", "upstream", "contribution", "gradient", "text",
    ]  # fmt: skip


@pytest.mark.parametrize("resource", ["steps", "nodes"])
def test_lists_come_in_pages(client: FlaskClient, run: dict[str, Any], resource: str) -> None:
    url = f"/v1/runs/{run['id']}/{resource}"
    (whole,) = pages(client, url)
    cut = list(pages(client, f"{url}?page_size=3"))
    assert [len(page) for page in cut] == [3, 3, 3, 1]
    assert [row for page in cut for row in page] == whole


def test_a_batch_of_seeds_is_seeded_output_by_output(client: FlaskClient) -> None:
    request = {"graph": NEURON, "seeds": {"n": 2.0, "o": "Infinity"}}
    run = client.post("/v1/runs", json=request).get_json()
    (steps,) = pages(client, f"/v1/runs/{run['id']}/steps")
    assert [(step["op"], step["to"], step["upstream"]) for step in steps[:2]] == [
        ("seed", "n", 2.0), ("seed", "o", "Infinity"),
    ]  # fmt: skip


def test_nodes_are_listed_with_their_numbers(client: FlaskClient, run: dict[str, Any]) -> None:
    (nodes,) = pages(client, f"/v1/runs/{run['id']}/nodes")
    assert [node["id"] for node in nodes] == [node["id"] for node in NEURON["nodes"]]
    assert nodes[5] == {
        "id": "x1w1",
        "op": "mul",
        "label": "x1*w1",
        "inputs": ["x1", "w1"],
        "value": -6.0,
        "gradient": run["gradients"]["x1w1"],
    }


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("sort=id", ["a", "b", "k", "p", "q"]),
        ("sort=-id", ["q", "p", "k", "b", "a"]),
        ("sort=op", ["k", "a", "b", "p", "q"]),
        ("sort=-op", ["q", "p", "a", "b", "k"]),
        ("sort=value", ["b", "p", "a", "k", "q"]),
        ("sort=-value", ["k", "a", "p", "b", "q"]),
        ("sort=gradient", ["a", "b", "q", "p", "k"]),
        ("sort=-abs_gradient", ["a", "p", "b", "q", "k"]),
        ("op=input", ["a", "b"]),
        ("op=multiply", ["p"]),
        ("op=sin", []),
    ],
)
def test_nodes_are_sorted_and_filtered(client: FlaskClient, query: str, ids: list[str]) -> None:
    document = {
        "nodes": [
            {"id": "a", "op": "input", "data": 2.0},
            {"id": "k", "op": "constant", "data": 5.0},
            {"id": "b", "op": "input", "data": -3.0},
            {"id": "p", "op": "mul", "inputs": ["a", 0.25]},
            {"id": "q", "op": "sqrt", "inputs": ["b"]},
        ],
        "outputs": ["p", "q"],
    }
    run = client.post("/v1/runs", json={"graph": document, "seeds": {"p": 1.0, "q": 0.0, "a": -9.0}}).get_json()
    (nodes,) = pages(client, f"/v1/runs/{run['id']}/nodes?{query}")
    assert [node["id"] for node in nodes] == ids


def test_constants_have_no_gradient_and_literals_stand_among_the_inputs(client: FlaskClient) -> None:
    document = {"nodes": [{"id": "k", "op": "constant", "data": 2}, {"id": "y", "op": "mul", "inputs": ["k", 0.5]}]}
    run = client.post("/v1/runs", json={"graph": document}).get_json()
    ((constant, product),) = pages(client, f"/v1/runs/{run['id']}/nodes")
    assert constant["gradient"] is None
    assert product["inputs"] == ["k", 0.5]


def test_a_token_is_bound_to_its_list_and_its_filters(client: FlaskClient, run: dict[str, Any]) -> None:
    url = f"/v1/runs/{run['id']}"
    token = client.get(f"{url}/nodes?page_size=2&sort=id").get_json()["next_page_token"]
    assert errors(client, f"{url}/nodes?page_token={token}") == [("page_token", "INVALID_VALUE")]
    assert errors(client, f"{url}/steps?page_token={token}") == [("page_token", "INVALID_VALUE")]


@pytest.mark.parametrize(
    ("query", "parameter", "code"),
    [
        ("nodes?sort=size", "sort", "INVALID_VALUE"),
        ("nodes?op=tahn", "op", "INVALID_VALUE"),
        ("nodes?page_size=501", "page_size", "INVALID_VALUE"),
        ("nodes?order=id", "order", "UNKNOWN_FIELD"),
        ("steps?page_size=0", "page_size", "INVALID_VALUE"),
        ("steps?sort=id", "sort", "UNKNOWN_FIELD"),
        ("drawing?format=png", "format", "INVALID_VALUE"),
    ],
)
def test_a_wrong_parameter_is_named(
    client: FlaskClient, run: dict[str, Any], query: str, parameter: str, code: str
) -> None:
    assert errors(client, f"/v1/runs/{run['id']}/{query}") == [(parameter, code)]


@pytest.mark.parametrize("resource", ["steps", "nodes", "drawing"])
def test_what_does_not_exist_is_not_found(client: FlaskClient, resource: str) -> None:
    for run_id in ("nothing", "01939e00-0000-7000-8000-000000000000"):
        assert client.get(f"/v1/runs/{run_id}/{resource}").get_json()["code"] == "NOT_FOUND"


def test_a_graph_is_explained_without_storing_anything(client: FlaskClient) -> None:
    request = {"graph": NEURON, "inputs": {"b": 8.0}}
    explained = client.post("/v1/explain", json=request).get_json()
    stored = client.post("/v1/runs", json=request).get_json()
    (steps,) = pages(client, f"/v1/runs/{stored['id']}/steps")
    assert explained["steps"] == {"count": len(steps), "items": steps}
    assert explained["run"]["gradients"] == stored["gradients"]
    assert "id" not in explained["run"]
    assert explained["graph"]["nodes"] == client.get(f"/v1/graphs/{stored['graph_id']}").get_json()["nodes"]
    again = client.post("/v1/explain", json={"graph": explained["expression"], "inputs": {"b": 8.0}}).get_json()
    assert again["run"]["outputs"] == stored["outputs"]
    (only,) = client.get("/v1/runs").get_json()["items"]
    assert only["id"] == stored["id"]


def test_only_gradients_are_explained(client: FlaskClient) -> None:
    response = client.post("/v1/explain", json={"graph": NEURON, "kind": "hessian"})
    assert response.status_code == 422
    assert "/kind" in [error["pointer"] for error in response.get_json()["errors"]]


def test_a_reduced_batch_has_no_numbers_of_single_nodes(client: FlaskClient) -> None:
    graph = {
        "nodes": [{"id": "x", "op": "input", "data": 1.0}, {"id": "y", "op": "input", "data": 2.0}],
        "outputs": ["y", "x"],
    }
    # As many outputs as nodes, in another order than the nodes'.
    batch = client.post("/v1/runs", json={"graph": graph, "inputs": {"x": [5.0, 6.0]}, "reduce": "sum"}).get_json()
    response = client.get(f"/v1/runs/{batch['id']}/nodes")
    assert (response.status_code, response.get_json()["code"]) == (404, "NOT_FOUND")
