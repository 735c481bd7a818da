"""Every kind of run besides the plain gradient, and batches, over HTTP on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from service.app import create_app
from service.config import Config

SADDLE = {"expression": "y = x**2 * w + sin(x)\nz = x*w", "data": {"x": 2.0, "w": 3.0}}


def run(client: FlaskClient, status: int = 201, **request: Any) -> Any:
    """Post a run and return its answer; a stored one is read again and is the same."""
    response = client.post("/v1/runs", json=request)
    assert response.status_code == status, response.json
    if status == 201:
        assert client.get(response.headers["Location"]).json == response.json
    return response.json


def problems(client: FlaskClient, **request: Any) -> set[tuple[str, str]]:
    return {(error["pointer"], error["code"]) for error in run(client, 422, **request)["errors"]}


def test_a_batch_answers_a_row_for_every_row(client: FlaskClient) -> None:
    answer = run(client, graph={"expression": "y = x**2 * w", "data": {"x": 0, "w": 3}}, inputs={"x": [1, 2, 3]})
    assert answer["inputs"] == {"x": [1.0, 2.0, 3.0]}
    assert answer["outputs"] == {"y": [3.0, 12.0, 27.0]}
    assert answer["values"] == {"y": [3.0, 12.0, 27.0]}
    assert answer["gradients"] == {"x": [6.0, 12.0, 18.0], "w": [1.0, 4.0, 9.0]}


def test_a_batch_is_reduced_to_numbers(client: FlaskClient) -> None:
    graph = {"expression": "y = x**2 * w", "data": {"x": 0, "w": 3}}
    summed = run(client, graph=graph, inputs={"x": [1, 2, 3]}, reduce="sum")
    assert summed["outputs"] == {"y": 42.0}
    assert summed["gradients"] == {"x": 36.0, "w": 14.0}
    mean = run(client, graph=graph, inputs={"x": [1, 2, 3]}, reduce="mean", store=False, status=200)
    assert mean["gradients"] == {"x": 12.0, "w": pytest.approx(14 / 3)}


def test_a_batch_shows_what_was_selected_in_both_forms(client: FlaskClient) -> None:
    graph = {"expression": "s = x*x\ny = s + 1", "data": {"x": 0}}
    request = {"graph": graph, "inputs": {"x": [1, "Infinity"]}, "select": ["s"]}
    answer = run(client, **request)
    assert answer["values"] == {"s": [1.0, "Infinity"]}
    assert answer["gradients"] == {"s": [1.0, 1.0]}
    assert answer["nonfinite"] == {"value": "x", "gradient": "x", "row": 1}
    columns = client.post("/v1/runs?form=columns", json={**request, "select": "all"}).json
    assert columns["ids"] == ["x", "s", "y"]
    assert columns["values"][2] == [2.0, "Infinity"]


def test_jacobian(client: FlaskClient) -> None:
    answer = run(client, graph=SADDLE, kind="jacobian", outputs=["z", "y"], wrt=["w", "x"])
    assert answer["jacobian"]["rows"] == ["z", "y"]
    assert answer["jacobian"]["columns"] == ["w", "x"]
    assert answer["jacobian"]["matrix"] == [[2.0, 3.0], [4.0, pytest.approx(11.583853163452858, rel=1e-15)]]
    assert answer["values"]["z"] == 6.0


def test_jvp(client: FlaskClient) -> None:
    answer = run(client, graph=SADDLE, kind="jvp", outputs=["z"], tangents={"x": 1.0, "w": 10.0})
    assert answer["tangents"] == {"z": 23.0}


def test_hessian_and_its_product_with_a_vector(client: FlaskClient) -> None:
    answer = run(client, graph=SADDLE, kind="hessian", outputs=["y"])
    expected = [[pytest.approx(5.090702573174318, rel=1e-15), 4.0], [4.0, 0.0]]
    assert answer["hessian"] == {"wrt": ["x", "w"], "matrix": expected}
    product = run(client, graph=SADDLE, kind="hvp", outputs=["y"], vector={"w": 1.0})
    assert product["hvp"] == {"x": 4.0, "w": 0.0}


def test_the_answer_has_what_a_gradient_run_has(client: FlaskClient) -> None:
    plain = run(client, graph=SADDLE, outputs=["y"])
    hessian = run(client, graph=SADDLE, outputs=["y"], kind="hessian")
    differing = {"id", "kind", "created_at", "started_at", "finished_at", "hessian"}
    assert {k: v for k, v in hessian.items() if k not in differing} == {
        k: v for k, v in plain.items() if k not in differing
    }


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ({"kind": "jacobian", "wrt": ["y"]}, {("/wrt/0", "INVALID_VALUE")}),
        ({"kind": "jacobian", "wrt": ["nope"]}, {("/wrt/0", "UNKNOWN_NODE")}),
        ({"kind": "jacobian", "inputs": {"x": [1, 2]}}, {("/inputs/x", "INVALID_VALUE")}),
        ({"kind": "jacobian", "seeds": {"y": 1}}, {("/seeds", "UNKNOWN_FIELD")}),
        ({"kind": "jvp"}, {("/tangents", "MISSING_FIELD")}),
        ({"kind": "jvp", "tangents": {"y": 1}}, {("/tangents/y", "INVALID_VALUE")}),
        ({"kind": "jvp", "tangents": {"x": None}}, {("/tangents/x", "NOT_A_NUMBER")}),
        ({"kind": "hvp", "outputs": ["y"]}, {("/vector", "MISSING_FIELD")}),
        ({"kind": "hessian", "outputs": ["y", "z"]}, {("/outputs", "INVALID_VALUE")}),
        ({"kind": "gradient", "wrt": ["x"]}, {("/wrt", "UNKNOWN_FIELD")}),
        ({"reduce": "sum"}, {("/reduce", "INVALID_VALUE")}),
        ({"reduce": "max", "inputs": {"x": [1]}}, {("/reduce", "INVALID_VALUE")}),
        ({"inputs": {"w": [1, 2], "x": [1]}}, {("/inputs/x", "LENGTH_MISMATCH")}),
        ({"inputs": {"x": []}}, {("/inputs/x", "INVALID_VALUE")}),
        ({"inputs": {"x": [1, True, None]}}, {("/inputs/x/1", "NOT_A_NUMBER"), ("/inputs/x/2", "NOT_A_NUMBER")}),
        ({"inputs": {"x": [[1]]}}, {("/inputs/x/0", "NOT_A_NUMBER")}),
    ],
)
def test_what_is_wrong_is_said_where_it_is(
    client: FlaskClient, request_: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert problems(client, graph=SADDLE, **request_) == expected


def test_the_backward_graph_is_stored_and_runs_like_any_other(client: FlaskClient) -> None:
    graph = client.post("/v1/graphs", json=SADDLE).json
    made = client.post(f"/v1/graphs/{graph['id']}/gradient", json={"outputs": ["y"], "wrt": ["x"]})
    assert made.status_code == 201
    assert made.headers["Location"] == f"/v1/graphs/{made.json['id']}"
    assert made.json["outputs"] == ["y", "d_x"]
    assert client.post(f"/v1/graphs/{graph['id']}/gradient", json={"outputs": ["y"], "wrt": ["x"]}).status_code == 200
    answer = run(client, graph_id=made.json["id"], inputs={"x": 2.0})
    assert answer["outputs"]["d_x"] == pytest.approx(11.583853163452858, rel=1e-15)


def test_a_backward_graph_needs_no_body_and_takes_only_an_object(client: FlaskClient) -> None:
    graph = client.post("/v1/graphs", json={"expression": "y = x * x", "data": {"x": 3}}).json
    made = client.post(f"/v1/graphs/{graph['id']}/gradient")
    assert (made.status_code, made.json["outputs"]) == (201, ["y", "d_x"])
    refused = client.post(f"/v1/graphs/{graph['id']}/gradient", json=[])
    assert [(error["pointer"], error["code"]) for error in refused.json["errors"]] == [("", "INVALID_VALUE")]
    refused = client.post(f"/v1/graphs/{graph['id']}/gradient", json={"_schema": 1})
    assert [(error["pointer"], error["code"]) for error in refused.json["errors"]] == [("/_schema", "UNKNOWN_FIELD")]


def test_a_backward_graph_of_what_is_not_there_is_refused(client: FlaskClient) -> None:
    graph = client.post("/v1/graphs", json=SADDLE).json
    assert client.post(f"/v1/graphs/{'0' * 64}/gradient", json={}).status_code == 404
    refused = client.post(f"/v1/graphs/{graph['id']}/gradient", json={"wrt": ["y"], "outputs": ["n"], "x": 1})
    assert refused.status_code == 422
    refused = client.post(f"/v1/graphs/{graph['id']}/gradient", json={"wrt": ["y"], "outputs": ["n"]})
    assert {error["pointer"] for error in refused.json["errors"]} == {"/wrt/0", "/outputs/0"}


def test_a_computation_beyond_the_limits_is_refused(database_url: str, database: object) -> None:
    app = create_app(Config(database_url=database_url, max_batch_cells=100, max_numbers=8))
    client = app.test_client()
    many = {"x": [0.5] * 50}
    assert problems(client, graph=SADDLE, inputs=many) == {
        ("/inputs", "LIMIT_EXCEEDED"),
        ("/select", "LIMIT_EXCEEDED"),
    }
    assert problems(client, graph=SADDLE, inputs={"x": [1.0] * 10}) == {("/select", "LIMIT_EXCEEDED")}
    assert run(client, graph=SADDLE, inputs={"x": [1.0] * 10}, reduce="sum")["outputs"]
    wide = {"expression": "y = a*b*c", "data": {"a": 1, "b": 2, "c": 3}}
    assert problems(client, graph=wide, kind="hessian") == {("/wrt", "LIMIT_EXCEEDED")}
    app.extensions["chainrule"].database.close()


LECTURE = {"expression": "e = a*b\nd = e + c\nL = d*f", "data": {"a": 2, "b": -3, "c": 10, "f": -2}}
NUDGE = {
    "kind": "descent",
    "graph": LECTURE,
    "maximize": "L",
    "parameters": ["a", "b", "c", "f"],
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "steps": 1,
}


def test_one_step_along_the_gradient_makes_the_output_rise(client: FlaskClient) -> None:
    answer = run(client, **NUDGE)
    assert answer["outputs"] == {"L": pytest.approx(-7.286496, rel=1e-12)}
    assert answer["inputs"] == pytest.approx({"a": 2.06, "b": -3.04, "c": 9.98, "f": -1.96}, rel=1e-12)
    assert answer["history"] == {"step": [0], "objective": [-8.0], "stopped": "steps"}
    assert answer["gradients"]["f"] == answer["values"]["d"]


def test_descent_over_rows_of_data_is_repeatable(client: FlaskClient) -> None:
    request = {
        "kind": "descent",
        "graph": {"expression": "loss = (w*x + b - y)**2", "data": {"w": 0, "b": 0}},
        "minimize": "loss",
        "parameters": ["w", "b"],
        "optimizer": {"name": "adam", "learning_rate": 0.1, "schedule": "cosine"},
        "steps": 400,
        "data": {"x": [0, 1, 2, 3], "y": [1, 3, 5, 7]},
        "batch_size": 2,
        "seed": 7,
    }
    answer = run(client, **request)
    assert answer["inputs"] == pytest.approx({"w": 2.0, "b": 1.0}, abs=5e-3)
    assert len(answer["history"]["objective"]) == 400
    assert set(answer["gradients"]) == {"w", "b"}
    again = run(client, **request)
    assert again["history"] == answer["history"]
    assert again["outputs"] == answer["outputs"]


def test_a_descent_that_leaves_the_numbers_fails_and_keeps_its_history(client: FlaskClient) -> None:
    answer = run(
        client,
        kind="descent",
        graph={"expression": "y = x**4", "data": {"x": 10.0}},
        minimize="y",
        parameters=["x"],
        optimizer={"name": "sgd", "learning_rate": 1.0},
        steps=100,
    )
    assert answer["state"] == "failed"
    last = answer["history"]["step"][-1]
    assert answer["error"] == {
        "code": "NONFINITE_OBJECTIVE",
        "detail": f"The objective or its gradient was not finite in step {last}.",
    }
    assert answer["history"]["objective"][0] == 10000.0


def test_a_check_compares_with_numbers_that_know_no_rule(client: FlaskClient) -> None:
    answer = run(client, kind="check", graph={"expression": "y = tanh(x) * relu(z)", "data": {"x": 0.5, "z": 0.0}})
    assert answer["check"]["passed"] is True
    x, z = answer["check"]["nodes"]["x"], answer["check"]["nodes"]["z"]
    assert x["analytic"] == 0.0 and x["passed"] and not x["kinked"]
    assert z["kinked"] and z["passed"]
    assert z["analytic"] == answer["gradients"]["z"] == 0.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"minimize": "L"}, {("/minimize", "INVALID_VALUE")}),
        ({"maximize": None}, {("/maximize", "INVALID_VALUE")}),
        ({"maximize": "nope"}, {("/maximize", "UNKNOWN_NODE")}),
        ({"parameters": ["e"]}, {("/parameters/0", "INVALID_VALUE")}),
        ({"parameters": []}, {("/parameters", "INVALID_VALUE")}),
        ({"steps": 0}, {("/steps", "INVALID_VALUE")}),
        ({"steps": "5"}, {("/steps", "NOT_A_NUMBER")}),
        ({"steps": 1.5}, {("/steps", "NOT_A_NUMBER")}),
        ({"steps": True}, {("/steps", "NOT_A_NUMBER")}),
        ({"steps": 10**9}, {("/steps", "LIMIT_EXCEEDED")}),
        ({"optimizer": {}}, {("/optimizer/learning_rate", "MISSING_FIELD"), ("/optimizer/name", "MISSING_FIELD")}),
        ({"optimizer": {"name": "lbfgs", "learning_rate": 1}}, {("/optimizer/name", "INVALID_VALUE")}),
        ({"optimizer": {"name": "sgd", "learning_rate": "NaN"}}, {("/optimizer/learning_rate", "INVALID_VALUE")}),
        (
            {"optimizer": {"name": "adam", "learning_rate": 1, "momentum": 0.9}},
            {("/optimizer/momentum", "UNKNOWN_FIELD")},
        ),
        (
            {"optimizer": {"name": "adam", "learning_rate": 1, "beta1": 1}},
            {("/optimizer/beta1", "INVALID_VALUE")},
        ),
        ({"data": {"a": [1, 2]}}, {("/data/a", "INVALID_VALUE")}),
        ({"data": {"a": 1}}, {("/data/a", "INVALID_VALUE")}),
        ({"batch_size": 1}, {("/batch_size", "INVALID_VALUE")}),
        ({"seeds": {"L": 1}}, {("/seeds", "UNKNOWN_FIELD")}),
        ({"early_stop": {}}, {("/early_stop/patience", "MISSING_FIELD")}),
    ],
)
def test_what_is_wrong_with_a_descent_is_said_where_it_is(
    client: FlaskClient, change: dict[str, Any], expected: set[tuple[str, str]]
) -> None:
    assert problems(client, **{**NUDGE, **change}) == expected


def test_a_descent_needs_an_objective(client: FlaskClient) -> None:
    request = {name: value for name, value in NUDGE.items() if name != "maximize"}
    assert problems(client, **request) == {("/minimize", "MISSING_FIELD")}
    del request["steps"]
    assert problems(client, **request) == {("/minimize", "MISSING_FIELD"), ("/steps", "MISSING_FIELD")}


def test_what_is_wrong_with_a_binding_is_said_once(client: FlaskClient) -> None:
    graph = {"expression": "y = (w * x - t)**2", "data": {"w": 0}}
    assert problems(client, graph=graph, inputs={"x": True, "t": 1}) == {("/inputs/x", "NOT_A_NUMBER")}
    descent = {"kind": "descent", "minimize": "y", "parameters": ["w"], "steps": 1}
    descent["optimizer"] = {"name": "sgd", "learning_rate": 0.1}
    for data, expected in [
        ({"t": [1], "x": [1, 2]}, ("/data/x", "LENGTH_MISMATCH")),
        ({"x": [1], "t": [1], "q": [1]}, ("/data/q", "UNKNOWN_NODE")),
        ({"x": [1], "t": [1], "y": [1]}, ("/data/y", "INVALID_VALUE")),
    ]:
        assert problems(client, graph=graph, data=data, **descent) == {expected}
    assert problems(client, graph=graph, data={"x": [1]}, **descent) == {("/inputs/t", "MISSING_DATA")}


def test_a_backward_graph_stays_within_the_limits(database_url: str, database: object) -> None:
    for limits, code in (({"max_nodes": 8}, "TOO_MANY_NODES"), ({"max_seconds": 1e-9}, "LIMIT_EXCEEDED")):
        app = create_app(Config(database_url=database_url, **limits))
        client = app.test_client()
        graph = client.post("/v1/graphs", json=SADDLE).json
        refused = client.post(f"/v1/graphs/{graph['id']}/gradient", json={"outputs": ["y"]})
        assert refused.status_code == 422
        assert [(error["pointer"], error["code"]) for error in refused.json["errors"]] == [("", code)]
        app.extensions["chainrule"].database.close()


def test_a_check_says_where_nothing_can_be_told(client: FlaskClient) -> None:
    graph = {"expression": "tanh(x) + y * y", "data": {"x": "Infinity", "y": 1e-200}}
    check = run(client, graph=graph, kind="check")["check"]
    assert check["passed"]
    assert {(node["numeric"], node["relative_error"]) for node in check["nodes"].values()} == {("NaN", "NaN")}
