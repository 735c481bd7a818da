"""Deadlines: computations that take too long are stored as failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import select

from service.config import Config, ConfigError
from service.store.database import Database
from service.store.tables import RunArrayRow, RunRow
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
    "descent": {
        "graph": product(a=3.0), "kind": "descent", "minimize": "y", "parameters": ["a"], "steps": 3,
        "optimizer": {"name": "sgd", "learning_rate": 0.5}, "data": {"b": [1.0, 2.0]},
    },
}  # fmt: skip


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


@pytest.mark.parametrize(("name", "array"), [("batch", "inputs"), ("descent", "data")])
def test_the_rows_of_a_run_that_failed_are_stored_like_those_of_others(
    config: Config, database: Database, name: str, array: str
) -> None:
    request = REQUESTS[name]
    for seconds, headers in ((0.0, {}), (60.0, {}), (0.0, {"Prefer": "respond-async"})):
        with client_of(replace(config, max_seconds=seconds)) as client:
            location = client.post("/v1/runs", json=request, headers=headers).headers["Location"]
            services = client.application.extensions["chainrule"]
            while (claim := services.queue.claim()) is not None:
                services.queue.finish(claim, services.runs.execute(claim, Work(seconds)))
            assert client.get(location).get_json()["state"] == ("succeeded" if seconds else "failed")
            assert client.get(f"{location}/drawing?format=dot").status_code == 200
    with database.reading() as connection:
        rows = connection.execute(select(RunArrayRow.data).where(RunArrayRow.name == array)).scalars().all()
        options = connection.execute(select(RunRow.options)).scalars().all()
    assert len(rows) == 3 and len(set(rows)) == 1
    assert options == [options[0]] * 3
    assert "a" not in options[0].get("inputs", {}) and "data" not in options[0]


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
