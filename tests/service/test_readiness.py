"""/readyz: everything that the service needs is there, or what is missing is said in bounded time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient

from service.api.current import Services
from service.config import Config
from service.helpers import Threads
from tests.conftest import free_port
from tests.service.clients import client_of


def services_of(client: FlaskClient) -> Services:
    found: Services = client.application.extensions["chainrule"]
    return found


def missing(client: FlaskClient) -> str:
    """What a service that is not ready says of it."""
    response = client.get("/readyz")
    problem: dict[str, Any] = response.get_json()
    assert (response.status_code, problem["code"]) == (503, "UNAVAILABLE")
    assert int(response.headers["Retry-After"]) > 0
    detail: str = problem["detail"]
    return detail


@pytest.fixture
def silent_scheduler(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of something that takes connections and says nothing."""
    monkeypatch.setattr("service.helpers._CONNECT_SECONDS", 2.0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"tcp://127.0.0.1:{listening.getsockname()[1]}"


def test_a_service_that_is_ready_says_who_computes_large_runs(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json() == {"status": "ready", "executor": {"kind": "threads", "width": Threads().crew().width}}


def test_threads_that_take_no_tasks_are_missing(client: FlaskClient) -> None:
    assert client.get("/readyz").status_code == 200
    helping = services_of(client).helpers
    assert isinstance(helping, Threads)
    helping.executor.shutdown()
    assert "take no tasks" in missing(client)


def test_a_worker_whose_thread_has_ended_is_missing(client: FlaskClient) -> None:
    worker = services_of(client).worker
    worker.start()
    assert client.get("/readyz").status_code == 200
    worker.stop()
    assert "queued runs" in missing(client)


def test_a_scheduler_that_is_not_there_is_missing(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.helpers._CONNECT_SECONDS", 0.2)
    with client_of(replace(config, dask_scheduler=f"tcp://127.0.0.1:{free_port()}")) as client:
        assert missing(client) == "The Dask scheduler does not answer."
        assert client.get("/livez").status_code == 200


def test_readiness_is_answered_while_the_scheduler_hangs(
    config: Config, silent_scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.readiness.TIMEOUT_SECONDS", 0.05)
    with client_of(replace(config, dask_scheduler=silent_scheduler)) as client:
        before = threading.active_count()
        assert missing(client) == "The Dask scheduler has not answered for 0.05 seconds."
        during = [(missing(client), threading.active_count()) for _ in range(3)]
        assert {threads for _, threads in during} <= {before, during[0][1]}  # probes do not pile up
