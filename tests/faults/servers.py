"""What several tests do with a server, and to it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import httpx

from service.store import schema
from service.store.database import Database
from tests.conftest import Server


def prepare(database_url: str) -> str:
    """Give a database the current schema."""
    database = Database(database_url)
    schema.upgrade(database)
    database.close()
    return database_url


def worker_processes(server: Server) -> list[int]:
    """The ids of the processes that answer."""
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]


def kill(server: Server) -> None:
    """End the server and its workers with SIGKILL, all at once."""
    for pid in [*worker_processes(server), server.pid]:
        os.kill(pid, signal.SIGKILL)


def every_run(client: httpx.Client) -> list[str]:
    """The ids of all runs, by way of the pages."""
    path: str | None = "/v1/runs?page_size=7"
    found = []
    while path:
        page = client.get(path)
        found += [row["id"] for row in page.json()["items"]]
        path = page.links["next"]["url"] if page.links else None
    return found
