"""Stored graphs over HTTP: known by their content, per document once."""

from __future__ import annotations

import re
import threading

import pytest
from flask.testing import FlaskClient

from service.config import Config
from tests.service.clients import client_of
from tests.service.documents import NEURON, product


def test_a_graph_is_stored_once_however_often_it_is_posted(client: FlaskClient) -> None:
    first = client.post("/v1/graphs", json=NEURON)
    second = client.post("/v1/graphs", json=NEURON)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.data == second.data
    assert first.headers["Location"] == second.headers["Location"] == f"/v1/graphs/{first.get_json()['id']}"
    assert len(client.get("/v1/graphs").get_json()["items"]) == 1


def test_the_answer_is_the_canonical_document_with_id_and_time(client: FlaskClient) -> None:
    posted = client.post(
        "/v1/graphs", json={"nodes": [{"id": "y", "op": "*", "inputs": ["x", 2]}, {"id": "x", "op": "input"}]}
    )
    graph = posted.get_json()
    assert list(graph)[:2] == ["id", "created_at"]
    assert re.fullmatch(r"[0-9a-f]{64}", graph["id"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", graph["created_at"])
    assert graph["nodes"] == [{"id": "y", "op": "mul", "inputs": ["x", 2.0]}, {"id": "x", "op": "input"}]
    assert graph["outputs"] == ["y"]
    assert client.get(posted.headers["Location"]).data == posted.data


def test_documents_that_say_the_same_are_the_same_graph(client: FlaskClient) -> None:
    nodes = [{"id": "a", "op": "input", "data": 3}, {"id": "b", "op": "input", "data": 4}]
    spellings = [
        {"nodes": [*nodes, {"id": "y", "op": "mul", "inputs": ["a", "b"]}]},
        {"version": 1, "outputs": ["y"], "nodes": [*nodes, {"op": "*", "inputs": ["a", "b"], "id": "y"}]},
        {
            "columns": {
                "id": ["a", "b", "y"],
                "op": ["input", "input", "multiply"],
                "inputs": [[], [], [0, 1]],
                "data": [3, 4.0, None],
            }
        },
    ]
    answers = [client.post("/v1/graphs", json=spelling) for spelling in spellings]
    assert [answer.status_code for answer in answers] == [201, 200, 200]
    assert len({answer.data for answer in answers}) == 1
    renamed = client.post("/v1/graphs", json=spellings[0] | {"name": "product"})
    assert renamed.status_code == 201


def test_columns_show_the_same_graph(client: FlaskClient) -> None:
    stored = client.post("/v1/graphs", json=NEURON).get_json()
    columns = client.get(f"/v1/graphs/{stored['id']}?form=columns").get_json()
    assert (columns.pop("id"), columns.pop("created_at")) == (stored["id"], stored["created_at"])
    assert columns["columns"]["op"] == [node["op"] for node in stored["nodes"]]
    again = client.post("/v1/graphs", json=columns)
    assert (again.status_code, again.get_json()) == (200, stored)


def test_the_etag_saves_a_client_that_has_the_graph(client: FlaskClient) -> None:
    posted = client.post("/v1/graphs", json=NEURON)
    path, tag = posted.headers["Location"], posted.headers["ETag"]
    assert tag == f'"{posted.get_json()["id"]}"'
    for header in (tag, f'"other", {tag}', f"W/{tag}", "*"):
        response = client.get(path, headers={"If-None-Match": header})
        assert (response.status_code, response.data, response.headers["ETag"]) == (304, b"", tag)
    for header in ('"other"', tag[:-2] + '"', ""):
        assert client.get(path, headers={"If-None-Match": header}).status_code == 200
    columns = client.get(f"{path}?form=columns", headers={"If-None-Match": tag})
    assert columns.status_code == 200
    assert columns.headers["ETag"] != tag
    missing = f"/v1/graphs/{'0' * 64}"
    assert client.get(missing, headers={"If-None-Match": "*"}).status_code == 404


def test_a_graph_with_runs_cannot_be_deleted(client: FlaskClient) -> None:
    run = client.post("/v1/runs", json={"graph": NEURON}).get_json()
    path = f"/v1/graphs/{run['graph_id']}"
    response = client.delete(path)
    assert (response.status_code, response.get_json()["code"]) == (409, "GRAPH_IN_USE")
    assert client.get(path).status_code == 200
    client.delete(f"/v1/runs/{run['id']}")
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.delete(path).status_code == 404
    assert client.post("/v1/runs", json={"graph_id": run["graph_id"]}).status_code == 404
    assert client.post("/v1/graphs", json=NEURON).status_code == 201


def test_a_graph_deleted_by_another_process_is_gone_here_too(client: FlaskClient, config: Config) -> None:
    posted = client.post("/v1/graphs", json=NEURON)
    path = posted.headers["Location"]
    assert client.post("/v1/runs", json={"graph_id": posted.get_json()["id"], "store": False}).status_code == 200
    with client_of(config) as other:
        assert other.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.post("/v1/runs", json={"graph_id": posted.get_json()["id"], "store": False}).status_code == 404


def test_two_dozen_simultaneous_posts_of_one_graph_are_one_graph(client: FlaskClient) -> None:
    statuses: list[int] = []

    def post() -> None:
        statuses.append(client.application.test_client().post("/v1/graphs", json=NEURON).status_code)

    threads = [threading.Thread(target=post) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200] * 23 + [201]


def test_runs_and_deletions_of_one_graph_at_once_never_break(client: FlaskClient) -> None:
    answers: list[tuple[str, int]] = []

    def run_and_delete() -> None:
        mine = client.application.test_client()
        for _ in range(5):
            posted = mine.post("/v1/runs", json={"graph": NEURON})
            answers.append(("run", posted.status_code))
            answers.append(("forget", mine.delete(posted.headers["Location"]).status_code))
            answers.append(("delete", mine.delete(f"/v1/graphs/{posted.get_json()['graph_id']}").status_code))

    threads = [threading.Thread(target=run_and_delete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(answers) <= {("run", 201), ("forget", 204), ("delete", 204), ("delete", 404), ("delete", 409)}


@pytest.mark.parametrize("cached_bytes", [0, 1000, 100_000])
def test_a_small_cache_changes_no_answer(config: Config, cached_bytes: int) -> None:
    small = Config(database_url=config.database_url, graph_cache_bytes=cached_bytes)
    with client_of(small) as other:
        for data in (1.0, 2.0, 3.0, 1.0, 2.0, 3.0):
            posted = other.post("/v1/graphs", json=product(a=data, b=10.0)).get_json()
            for _ in range(2):
                run = other.post("/v1/runs", json={"graph_id": posted["id"]}).get_json()
                assert run["outputs"] == {"y": 10.0 * data}
                assert other.get(f"/v1/runs/{run['id']}").get_json() == run
