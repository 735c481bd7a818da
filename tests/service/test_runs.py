"""Gradient runs over HTTP: what is answered, what is stored, what is shown again."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.service.documents import NEURON, product

MEMBERS = [
    "id", "kind", "state", "graph_id", "created_at", "started_at", "finished_at", "inputs", "seeds", "outputs",
    "values", "gradients", "nonsmooth", "disconnected", "nonfinite", "error",
]  # fmt: skip


def post(client: FlaskClient, request: dict[str, Any], query: str = "", status: int = 201) -> dict[str, Any]:
    response = client.post(f"/v1/runs{query}", json=request)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.get_json()
    return answer


def get(client: FlaskClient, run: dict[str, Any], query: str = "") -> dict[str, Any]:
    response = client.get(f"/v1/runs/{run['id']}{query}")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.get_json()
    return answer


def test_a_run_has_the_members_of_the_contract_in_order(client: FlaskClient) -> None:
    run = post(client, {"graph": NEURON})
    assert list(run) == MEMBERS
    assert (run["kind"], run["state"], run["error"], run["nonfinite"]) == ("gradient", "succeeded", None, None)
    for moment in ("created_at", "started_at", "finished_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", run[moment])
    assert run["created_at"] <= run["started_at"] <= run["finished_at"]


def test_the_neuron_has_the_gradients_of_the_lecture(client: FlaskClient) -> None:
    run = post(client, {"graph": NEURON})
    leaves = {node: run["gradients"][node] for node in ("x1", "w1", "x2", "w2")}
    assert leaves == pytest.approx({"x1": -1.5, "w1": 1.0, "x2": 0.5, "w2": 0.0}, rel=1e-12)
    assert list(run["values"]) == list(run["gradients"]) == [node["id"] for node in NEURON["nodes"]]
    assert run["inputs"] == {}
    assert run["seeds"] == {"o": 1.0}


def test_get_answers_exactly_what_post_answered(client: FlaskClient) -> None:
    requests: list[dict[str, Any]] = [
        {"graph": NEURON},
        {"graph": NEURON, "select": "leaves", "inputs": {"x1": 3}},
        {"graph": NEURON, "select": ["n", "x1"], "seeds": {"n": 2.0, "o": "Infinity"}},
        {"graph": product(a=-0.0), "inputs": {"b": "NaN"}, "outputs": ["y", "a"]},
    ]
    for request in requests:
        for query in ("", "?form=columns"):
            response = client.post(f"/v1/runs{query}", json=request)
            shown = client.get(response.headers["Location"] + query)
            assert shown.data == response.data
            assert shown.content_type == "application/json"


def test_inputs_shows_only_what_was_bound(client: FlaskClient) -> None:
    run = post(client, {"graph": NEURON, "inputs": {"b": 8.0}})
    assert run["inputs"] == {"b": 8.0}
    assert run["outputs"]["o"] == pytest.approx(0.9640275800758169, rel=1e-12)


def test_a_stored_graph_can_be_run_by_its_id(client: FlaskClient) -> None:
    graph = client.post("/v1/graphs", json=NEURON).get_json()
    run = post(client, {"graph_id": graph["id"], "inputs": {"x1": 3.0}})
    inline = post(client, {"graph": NEURON, "inputs": {"x1": 3.0}})
    assert run["graph_id"] == inline["graph_id"] == graph["id"]
    assert run["values"] == inline["values"]
    assert run["gradients"] == inline["gradients"]


def test_seeds_name_the_outputs_and_add_up(client: FlaskClient) -> None:
    run = post(client, {"graph": product(a=3.0, b=5.0), "seeds": {"y": 2.0, "a": 10.0}})
    assert run["seeds"] == {"y": 2.0, "a": 10.0}
    assert run["outputs"] == {"y": 15.0, "a": 3.0}
    assert run["gradients"] == {"a": 2.0 * 5.0 + 10.0, "b": 2.0 * 3.0, "y": 2.0}


def test_an_output_without_a_seed_has_seed_one(client: FlaskClient) -> None:
    run = post(client, {"graph": product(a=3.0, b=5.0), "outputs": ["y", "a"], "seeds": {"a": 10.0}})
    assert run["seeds"] == {"y": 1.0, "a": 10.0}
    assert run["gradients"]["a"] == 15.0


def test_select_shows_part_and_the_stored_run_keeps_all(client: FlaskClient) -> None:
    run = post(client, {"graph": NEURON, "select": ["o", "x1"]})
    assert list(run["values"]) == list(run["gradients"]) == ["x1", "o"]
    leaves = post(client, {"graph": NEURON, "select": "leaves"})
    assert list(leaves["values"]) == ["x1", "x2", "w1", "w2", "b"]
    nothing = post(client, {"graph": NEURON, "select": []})
    assert nothing["values"] == nothing["gradients"] == {}
    assert list(nothing["outputs"]) == ["o"]


def test_constants_have_values_but_no_gradient(client: FlaskClient) -> None:
    graph = {
        "nodes": [
            {"id": "c", "op": "constant", "data": 3},
            {"id": "x", "op": "input", "data": 2},
            {"id": "y", "op": "mul", "inputs": ["c", "x"]},
        ]
    }
    run = post(client, {"graph": graph})
    assert run["values"] == {"c": 3.0, "x": 2.0, "y": 6.0}
    assert run["gradients"] == {"x": 3.0, "y": 1.0}
    columns = post(client, {"graph": graph}, "?form=columns")
    assert (columns["ids"], columns["values"]) == (["c", "x", "y"], [3.0, 2.0, 6.0])
    assert columns["gradients"] == [None, 3.0, 1.0]


def test_an_unstored_run_has_no_id_and_leaves_nothing_behind(client: FlaskClient) -> None:
    response = client.post("/v1/runs", json={"graph": NEURON, "store": False})
    assert response.status_code == 200
    assert "Location" not in response.headers
    assert list(response.get_json()) == MEMBERS[1:]
    assert client.get("/v1/runs").get_json()["items"] == []
    assert client.get("/v1/graphs").get_json()["items"] == []


def test_nonfinite_numbers_travel_as_strings_and_are_traced(client: FlaskClient) -> None:
    graph = {
        "nodes": [
            {"id": "x", "op": "input", "data": 0.0},
            {"id": "l", "op": "log", "inputs": ["x"]},
            {"id": "y", "op": "neg", "inputs": ["l"]},
        ]
    }
    run = post(client, {"graph": graph})
    assert run["values"] == {"x": 0.0, "l": "-Infinity", "y": "Infinity"}
    assert run["gradients"]["x"] == "-Infinity"
    assert run["nonfinite"] == {"value": "l", "gradient": "x"}


def test_of_nonfinite_numbers_born_side_by_side_the_first_in_the_document_is_named(client: FlaskClient) -> None:
    nodes = [
        {"id": "y", "op": "add", "inputs": ["p", "q"]},
        {"id": "q", "op": "log", "inputs": ["x"]},
        {"id": "p", "op": "log", "inputs": ["x"]},
        {"id": "x", "op": "input", "data": 0},
    ]
    run = client.post("/v1/runs", json={"graph": {"nodes": nodes}}).json
    assert run["nonfinite"]["value"] == "q"
    assert get(client, run) == run


def test_kinks_and_inputs_without_effect_are_reported(client: FlaskClient) -> None:
    graph = {
        "nodes": [
            {"id": "x", "op": "input", "data": 0.0},
            {"id": "unused", "op": "input", "data": 1.0},
            {"id": "y", "op": "relu", "inputs": ["x"]},
        ],
        "outputs": ["y"],
    }
    run = post(client, {"graph": graph})
    assert (run["nonsmooth"], run["disconnected"]) == (["y"], ["unused"])
    assert run["gradients"]["unused"] == 0.0


def test_numbers_survive_bit_for_bit(client: FlaskClient) -> None:
    for text in ("-0.0", "5e-324", "1.7976931348623157e308", "0.1", "9007199254740993", "3.0000000000000004"):
        body = f'{{"graph": {{"nodes": [{{"id": "x", "op": "input", "data": {text}}}]}}}}'
        run = client.post("/v1/runs", data=body, content_type="application/json").get_json()
        assert repr(run["values"]["x"]) == repr(float(text))
        assert repr(get(client, run)["values"]["x"]) == repr(float(text))


def test_a_deleted_run_is_gone_and_its_graph_is_not(client: FlaskClient) -> None:
    run = post(client, {"graph": NEURON})
    assert client.delete(f"/v1/runs/{run['id']}").status_code == 204
    assert client.get(f"/v1/runs/{run['id']}").status_code == 404
    assert client.delete(f"/v1/runs/{run['id']}").status_code == 404
    assert client.get(f"/v1/graphs/{run['graph_id']}").status_code == 200


def test_ids_are_found_only_as_they_were_spelled(client: FlaskClient) -> None:
    run = post(client, {"graph": NEURON})
    for spelling in (run["id"].upper(), run["id"].replace("-", ""), "{" + run["id"] + "}", "%00", "nonsense"):
        assert client.get(f"/v1/runs/{spelling}").status_code == 404


def test_what_does_not_exist_is_not_found(client: FlaskClient) -> None:
    for name in ("0" * 64, "nonsense", "\0", "é", "a" * 10_000):
        assert client.post("/v1/runs", json={"graph_id": name}).status_code == 404
        path = quote(name)
        for method in ("GET", "DELETE"):
            assert client.open(f"/v1/graphs/{path}", method=method).status_code == 404
            assert client.open(f"/v1/runs/{path}", method=method).status_code == 404


def test_a_computation_that_breaks_is_a_failed_run(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(*_: object, **__: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr("service.kinds.gradient.gradient", break_down)
    run = post(client, {"graph": NEURON, "inputs": {"b": 8}})
    assert run["state"] == "failed"
    assert run["error"]["code"] == "INTERNAL"
    assert get(client, run) == run
