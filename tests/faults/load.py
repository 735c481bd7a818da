"""Clients that keep a service busy, and hold it to what it has acknowledged."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Self

import httpx

from tests.conftest import Server
from tests.service.documents import product

CLIENTS = 4
# What a request may take when the service waits for its database and for other requests that do.
TIMEOUT_SECONDS = 60


class Load:
    """Clients that run, queue, repeat and read until they are told to stop, or the block ends.

    Each posts graphs that nobody else posts, so that what came of a request can be found by its graph.
    """

    def __init__(self, url: str) -> None:
        self.acknowledged: dict[str, bytes] = {}
        self.queued: dict[str, float] = {}
        self.repeated: dict[str, dict[str, Any]] = {}
        self.refused: list[httpx.Response] = []
        self.broken: list[str] = []
        self._stop = threading.Event()
        self._url = url
        self._threads = [threading.Thread(target=self._work, args=[k]) for k in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def move(self, url: str) -> None:
        self._url = url

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Return when that many more runs were acknowledged."""
        self._wait(lambda: len(self.acknowledged), count)

    def wait_for_refusals(self, count: int) -> None:
        """Return when that many more requests were refused."""
        self._wait(lambda: len(self.refused), count)

    def _wait(self, size: Callable[[], int], count: int) -> None:
        enough = size() + count
        deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
        while size() < enough:
            assert time.monotonic() < deadline, f"{size()} of {enough}; refused: {self.refused[-3:]}"
            time.sleep(0.01)

    def _work(self, k: int) -> None:
        numbers = itertools.count(1)
        while not self._stop.is_set():
            try:
                with httpx.Client(base_url=self._url, timeout=TIMEOUT_SECONDS) as client:
                    while not self._stop.is_set():
                        self._once(client, k, next(numbers))
            except httpx.HTTPError as error:
                self.broken.append(repr(error))
                time.sleep(0.05)  # nobody answers at the moment

    def _once(self, client: httpx.Client, k: int, number: int) -> None:
        body = {"graph": product(a=float(k), b=float(number))}
        self._run(client, body)
        if number % 4 == 1:
            self._queue(client, body, float(k * number))
        if number % 4 == 2:
            self._repeat(client, body, f"{k}-{number}")

    def _run(self, client: httpx.Client, body: dict[str, Any]) -> None:
        response = client.post("/v1/runs", json=body)
        if not self._accepted(response):
            return
        location = response.headers["Location"]
        self.acknowledged[location] = response.content
        shown = client.get(location)
        if self._accepted(shown):
            assert shown.content == response.content

    def _queue(self, client: httpx.Client, body: dict[str, Any], expected: float) -> None:
        response = client.post("/v1/runs", json=body, headers={"Prefer": "respond-async"})
        if self._accepted(response):
            self.queued[response.headers["Location"]] = expected

    def _repeat(self, client: httpx.Client, body: dict[str, Any], key: str) -> None:
        """Send a request until it is answered, however often the answer gets lost on the way."""
        body = {"kind": "jvp", "tangents": {"a": 1.0}} | body
        self.repeated[key] = body
        while not self._stop.is_set():
            if self._accepted(client.post("/v1/runs", json=body, headers={"Idempotency-Key": key})):
                return
            time.sleep(0.05)

    def _accepted(self, response: httpx.Response) -> bool:
        if response.is_success:
            return True
        # A request whose first answer was lost with its server is in flight until that one's lease is over.
        if response.status_code != 409:
            self.refused.append(response)
        return False

    def check(self, server: Server) -> None:
        """Everything that was acknowledged is there, done once, with the answer that was given."""
        for refusal in self.refused:
            assert (refusal.status_code, refusal.json()["code"]) == (503, "UNAVAILABLE"), refusal.text
            assert int(refusal.headers["Retry-After"]) > 0
        assert self.acknowledged
        with httpx.Client(base_url=server.url, timeout=TIMEOUT_SECONDS) as client:
            for location, content in self.acknowledged.items():
                assert client.get(location).content == content
            for location, expected in self.queued.items():
                assert _settled(client, location)["outputs"] == {"y": expected}
            for key, body in self.repeated.items():
                _check_done_once(client, key, body)


def _settled(client: httpx.Client, location: str) -> Any:
    deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
    while (run := client.get(location).json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline, run
        time.sleep(0.05)
    return run


def _check_done_once(client: httpx.Client, key: str, body: dict[str, Any]) -> None:
    deadline = time.monotonic() + 2 * TIMEOUT_SECONDS
    while (again := client.post("/v1/runs", json=body, headers={"Idempotency-Key": key})).status_code == 409:
        assert time.monotonic() < deadline, again.text
        time.sleep(0.05)
    assert again.status_code == 201, again.text
    listed = client.get("/v1/runs", params={"kind": "jvp", "graph_id": again.json()["graph_id"]}).json()["items"]
    assert [row["id"] for row in listed] == [again.json()["id"]], key
