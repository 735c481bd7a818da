"""A process that dies between claim, compute, persist and answer: the next one finishes what it began, once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing import get_context
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.config import Config
from service.store.database import Database
from service.work import Work
from tests.faults import crashes
from tests.service.clients import client_of
from tests.service.documents import NEURON

# A server process that has imported everything, so that each crash needs but a fork.
PROCESSES = get_context("forkserver")
PROCESSES.set_forkserver_preload(["tests.faults.crashes"])


@pytest.fixture
def client(ready_url: str) -> Iterator[FlaskClient]:
    with client_of(Config(database_url=ready_url)) as made:
        yield made


def crash(action: Callable[..., None], *arguments: Any) -> None:
    process = PROCESSES.Process(target=action, args=arguments)
    process.start()
    process.join(120)
    process.kill()
    assert process.exitcode == crashes.DIED  # it came to the point


def end_leases(url: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE idempotency_keys SET claimed_until = created_at")
        connection.exec_driver_sql("UPDATE runs SET lease_until = created_at WHERE state = 'running'")
    database.close()


def ids(client: FlaskClient) -> list[str]:
    return [row["id"] for row in client.get("/v1/runs").get_json()["items"]]


@pytest.mark.parametrize("point", crashes.REQUEST_POINTS)
def test_a_request_whose_server_died_is_sent_again_and_done_once(
    client: FlaskClient, ready_url: str, point: str
) -> None:
    crash(crashes.send, ready_url, point, {"graph": NEURON}, "key")
    already = ids(client)
    assert len(already) == (point in ("after persist", "before answer", "after answer"))
    headers = {"Idempotency-Key": "key"}
    if point != "after answer":
        assert client.post("/v1/runs", json={"graph": NEURON}, headers=headers).status_code == 409
    end_leases(ready_url)
    again = client.post("/v1/runs", json={"graph": NEURON}, headers=headers)
    assert again.status_code == 201
    assert ids(client) == [again.get_json()["id"]]
    assert already in ([], ids(client))
    assert client.get(again.headers["Location"]).data == again.data


@pytest.mark.parametrize("point", crashes.WORKER_POINTS)
def test_a_run_whose_worker_died_is_finished_once_by_another(client: FlaskClient, ready_url: str, point: str) -> None:
    at_once = client.post("/v1/runs", json={"graph": NEURON}).get_json()
    queued = client.post("/v1/runs", json={"graph": NEURON}, headers={"Prefer": "respond-async"})
    location = queued.headers["Location"]
    crash(crashes.work, ready_url, point)
    assert client.get(location).get_json()["state"] == ("succeeded" if point == "after finish" else "running")
    end_leases(ready_url)
    services = client.application.extensions["chainrule"]
    while (claim := services.queue.claim()) is not None:
        assert point != "after finish"
        assert services.queue.finish(claim, services.runs.execute(claim, Work(60)))
    run = client.get(location).get_json()
    assert run["state"] == "succeeded"
    assert [run[name] for name in ("outputs", "values", "gradients")] == [
        at_once[name] for name in ("outputs", "values", "gradients")
    ]
