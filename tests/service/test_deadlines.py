"""Deadlines: computations that take too long are stored as failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from service.config import Config, ConfigError
from service.work import DeadlineExceeded, Work
from tests.service.clients import client_of
from tests.service.documents import NEURON, product

REQUESTS: dict[str, dict[str, Any]] = {
    "gradient": {"graph": NEURON, "inputs": {"b": "Infinity"}},
    "batch": {"graph": product(), "inputs": {"a": [1.0, "NaN"], "b": 2.0}},
    "jacobian": {"graph": NEURON, "kind": "jacobian"},
    "jvp": {"graph": NEURON, "kind": "jvp", "tangents": {"b": 1.0}},
    "hessian": {"graph": NEURON, "kind": "hessian"},
    "hvp": {"graph": NEURON, "kind": "hvp", "vector": {"b": 1.0}},
}


@pytest.mark.parametrize("request_body", REQUESTS.values(), ids=REQUESTS)
def test_a_run_past_its_deadline_is_stored_as_failed(config: Config, request_body: dict[str, Any]) -> None:
    with client_of(replace(config, max_seconds=0.0)) as client:
        response = client.post("/v1/runs", json=request_body)
        assert response.status_code == 201, response.text
        run = response.get_json()
        assert (run["state"], run["error"]["code"]) == ("failed", "DEADLINE_EXCEEDED")
        assert "0 seconds" in run["error"]["detail"]
        assert run["inputs"] == request_body.get("inputs", {})
        assert run["finished_at"] >= run["started_at"]
        assert "values" not in run
        assert client.get(response.headers["Location"]).data == response.data
        (row,) = client.get("/v1/runs?state=failed").get_json()["items"]
        assert row["error"] == run["error"]


def test_the_deadline_is_a_published_setting(config: Config) -> None:
    with client_of(replace(config, max_seconds=1.5)) as client:
        assert client.get("/v1").get_json()["limits"]["max_seconds"] == 1.5
    assert Config.from_environment({"CHAINRULE_MAX_SECONDS": "0.25"}).max_seconds == 0.25
    for bad in ("soon", "nan", "inf", "-1"):
        with pytest.raises(ConfigError, match="CHAINRULE_MAX_SECONDS"):
            Config.from_environment({"CHAINRULE_MAX_SECONDS": bad})


def test_a_stopped_computation_ends_at_its_next_checkpoint() -> None:
    work = Work(60)
    work.checkpoint()
    work.stop(KeyError("because"))
    with pytest.raises(KeyError, match="because"):
        work.checkpoint()
    with pytest.raises(DeadlineExceeded):
        Work(0).checkpoint()
