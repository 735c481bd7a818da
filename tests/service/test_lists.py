"""Lists of graphs and runs: pages, filters, and what others insert meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.service.documents import product


def pages(client: FlaskClient, path: str) -> Iterator[list[dict[str, Any]]]:
    while True:
        response = client.get(path)
        assert response.status_code == 200, response.text
        page = response.get_json()
        yield page["items"]
        if "next_page_token" not in page:
            assert "Link" not in response.headers
            return
        link = response.headers["Link"]
        assert link.endswith('>; rel="next"')
        path = link[1 : link.index(">")]
        assert page["next_page_token"] in path


@pytest.fixture
def runs(client: FlaskClient) -> list[dict[str, Any]]:
    """Seven runs of three graphs, newest first."""
    answers = [client.post("/v1/runs", json={"graph": product(a=float(k % 3), b=1.0)}).get_json() for k in range(7)]
    return answers[::-1]


def test_pages_return_each_run_once_newest_first(client: FlaskClient, runs: list[dict[str, Any]]) -> None:
    for size in (1, 2, 3, 7, 8, 500):
        listed = list(pages(client, f"/v1/runs?page_size={size}"))
        assert [row["id"] for page in listed for row in page] == [run["id"] for run in runs]
        assert all(len(page) <= size for page in listed)


def test_a_row_is_a_run_without_its_numbers(client: FlaskClient, runs: list[dict[str, Any]]) -> None:
    row = client.get("/v1/runs?page_size=1").get_json()["items"][0]
    members = ["id", "kind", "state", "graph_id", "created_at", "started_at", "finished_at", "error"]
    assert list(row) == members
    assert row == {name: runs[0][name] for name in members}


def test_what_others_insert_or_delete_disturbs_no_page(client: FlaskClient, runs: list[dict[str, Any]]) -> None:
    seen = []
    for page in pages(client, "/v1/runs?page_size=2"):
        seen += [row["id"] for row in page]
        client.post("/v1/runs", json={"graph": product(a=1.0, b=1.0)})
        client.delete(f"/v1/runs/{seen[-1]}")
    assert seen == [run["id"] for run in runs]


def test_filters_narrow_the_list_and_pages_keep_them(client: FlaskClient, runs: list[dict[str, Any]]) -> None:
    def ids(query: str) -> list[str]:
        return [row["id"] for page in pages(client, f"/v1/runs?page_size=2&{query}") for row in page]

    graph = runs[0]["graph_id"]
    assert ids(f"graph_id={graph}") == [run["id"] for run in runs if run["graph_id"] == graph]
    assert ids("kind=gradient&state=succeeded") == [run["id"] for run in runs]
    assert ids("state=failed") == []
    assert ids(f"graph_id={'0' * 64}") == []
    moment = runs[3]["created_at"]
    assert ids(f"created_after={moment}") == [run["id"] for run in runs[:3]]
    assert ids(f"created_before={moment}") == [run["id"] for run in runs[4:]]
    elsewhere = quote(moment.replace("Z", "+00:00"))
    assert ids(f"created_before={elsewhere}&graph_id={graph}") == [
        run["id"] for run in runs[4:] if run["graph_id"] == graph
    ]


def test_a_page_token_is_good_for_its_own_list_only(client: FlaskClient, runs: list[dict[str, Any]]) -> None:
    token = client.get("/v1/runs?page_size=2").get_json()["next_page_token"]
    assert client.get(f"/v1/runs?page_size=5&page_token={token}").status_code == 200
    damaged = ("A" if token[0] != "A" else "B") + token[1:]
    for path in (
        f"/v1/graphs?page_token={token}",
        f"/v1/runs?state=failed&page_token={token}",
        f"/v1/runs?page_token={damaged}",
        f"/v1/runs?page_token={token[:-1]}",
        f"/v1/runs?page_token={token}%3D%3D%3D%3D",
        f"/v1/runs?page_token={token}x",
    ):
        response = client.get(path)
        assert response.status_code == 422, path
        (error,) = response.get_json()["errors"]
        assert (error["parameter"], error["code"]) == ("page_token", "INVALID_VALUE")


def test_graphs_are_listed_newest_first_without_their_nodes(client: FlaskClient, runs: list[dict[str, Any]]) -> None:
    named = client.post("/v1/graphs", json=product() | {"name": "unbound"}).get_json()
    rows = [row for page in pages(client, "/v1/graphs?page_size=3") for row in page]
    assert rows[0] == {"id": named["id"], "created_at": named["created_at"], "name": "unbound", "node_count": 3}
    # The three graphs of the runs, in the order in which each was first seen.
    assert [row["id"] for row in rows[1:]] == [run["graph_id"] for run in runs[4:]]
    assert [row["name"] for row in rows[1:]] == [None] * 3


def test_an_empty_list_is_one_empty_page(client: FlaskClient) -> None:
    assert client.get("/v1/runs").get_json() == {"items": []}
    assert client.get("/v1/graphs").get_json() == {"items": []}
