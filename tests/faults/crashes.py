"""What a process of its own does that is to die at a certain point."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from service import runs
from service.app import create_app
from service.config import Config
from service.idempotency import Idempotency
from service.queue import Queue
from service.runs import Runs

DIED = 70


def _die(*_: object, **__: object) -> None:
    os._exit(DIED)  # nothing is tidied up, as after kill -9


def _after(function: Callable[..., Any]) -> Callable[..., Any]:
    def and_die(*arguments: Any, **options: Any) -> None:
        function(*arguments, **options)
        _die()

    return and_die


def _before(_: Callable[..., Any]) -> Callable[..., Any]:
    return _die


_OWNERS = {
    "claim": (Idempotency, "claim"),
    "compute": (runs, "compute"),
    "persist": (Runs, "create"),
    "answer": (Idempotency, "settle"),
    "take up": (Queue, "claim"),
    "finish": (Queue, "finish"),
}

REQUEST_POINTS = ["after claim", "before compute", "after compute", "after persist", "before answer", "after answer"]
WORKER_POINTS = ["after take up", "before compute", "after compute", "before finish", "after finish"]


def _arm(point: str) -> None:
    moment, _, step = point.partition(" ")
    owner, name = _OWNERS[step]
    setattr(owner, name, {"before": _before, "after": _after}[moment](getattr(owner, name)))


def send(url: str, point: str, body: Any, key: str) -> None:
    """Answer a request, and die at that point."""
    client = create_app(Config(database_url=url)).test_client()
    _arm(point)
    client.post("/v1/runs", json=body, headers={"Idempotency-Key": key})


def work(url: str, point: str) -> None:
    """Compute what is queued, and die at that point."""
    app = create_app(Config(database_url=url))
    _arm(point)
    app.extensions["chainrule"].worker.start()
    signal.pause()
