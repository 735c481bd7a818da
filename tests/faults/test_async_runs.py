"""Asynchronous runs outlive the processes that compute them."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.conftest import Server, StartServer
from tests.faults.servers import kill

# Long enough to be caught in the middle of: some tenths of a second, a checkpoint every few milliseconds.
NODES = 2_000
SLOW: dict[str, Any] = {
    "graph": {
        "columns": {
            "op": ["input"] + ["tanh"] * (NODES - 1),
            "inputs": [[], *([k] for k in range(NODES - 1))],
            "data": [1.0] + [None] * (NODES - 1),
        }
    },
    "inputs": {"0": [k / 20_000 for k in range(20_000)]},
    "reduce": "sum",
}


@pytest.fixture
def settings(ready_url: str) -> dict[str, str]:
    """Settings of servers that share one database, ready for use, and notice soon when another has died."""
    return {"CHAINRULE_DATABASE_URL": ready_url, "CHAINRULE_LEASE_SECONDS": "2", "CHAINRULE_RUN_SLOTS": "1"}


def post(server: Server, count: int) -> list[str]:
    with httpx.Client(base_url=server.url) as client:
        responses = [client.post("/v1/runs", json=SLOW, headers={"Prefer": "respond-async"}) for _ in range(count)]
    assert [response.status_code for response in responses] == [202] * count
    return [response.headers["Location"] for response in responses]


def states(server: Server, locations: list[str]) -> list[str]:
    with httpx.Client(base_url=server.url) as client:
        return [client.get(location).json()["state"] for location in locations]


def wait_until_any_runs(server: Server, locations: list[str]) -> None:
    deadline = time.monotonic() + 20
    while "running" not in states(server, locations):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def wait_until_all_succeeded(server: Server, locations: list[str]) -> None:
    deadline = time.monotonic() + 60
    while (now := states(server, locations)) != ["succeeded"] * len(locations):
        assert "failed" not in now
        assert time.monotonic() < deadline, now
        time.sleep(0.05)


def test_what_a_killed_server_was_computing_is_taken_up_by_another(
    server: StartServer, settings: dict[str, str]
) -> None:
    first, second = server(**settings), server(**settings)
    locations = post(first, 4)
    wait_until_any_runs(first, locations)
    kill(first)
    wait_until_all_succeeded(second, locations)


def test_what_a_killed_server_was_computing_is_taken_up_at_the_next_start(
    server: StartServer, settings: dict[str, str]
) -> None:
    first = server(**settings)
    locations = post(first, 2)
    wait_until_any_runs(first, locations)
    kill(first)
    wait_until_all_succeeded(server(**settings), locations)


def test_a_server_that_is_stopped_hands_its_runs_back(server: StartServer, settings: dict[str, str]) -> None:
    # With so long a lease, nobody could take them up in time unless they were handed back.
    first = server(**settings | {"CHAINRULE_LEASE_SECONDS": "3600"})
    locations = post(first, 3)
    wait_until_any_runs(first, locations)
    first.process.terminate()
    assert first.process.wait(timeout=30) == 0
    second = server(**settings)
    wait_until_all_succeeded(second, locations)
