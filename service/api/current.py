"""What the current request works with."""

from dataclasses import dataclass
from uuid import UUID

from flask import current_app, g

from service.config import Config
from service.drawings import Drawings
from service.graphs import Graphs
from service.helpers import Helpers
from service.idempotency import Idempotency
from service.keys import Keys
from service.queue import Queue
from service.readiness import Readiness
from service.runs import Runs
from service.store.database import Database
from service.throttle import Throttle
from service.worker import Worker


@dataclass(frozen=True)
class Services:
    """The use cases of one app, and what they stand on."""

    config: Config
    database: Database
    readiness: Readiness
    keys: Keys
    throttle: Throttle
    idempotency: Idempotency
    graphs: Graphs
    runs: Runs
    queue: Queue
    worker: Worker
    helpers: Helpers
    drawings: Drawings


def services() -> Services:
    """Return the current app's."""
    found: Services = current_app.extensions["chainrule"]
    return found


def owner() -> str:
    """Return the name that graphs and runs of this request belong to; without keys, nobody's."""
    found: str = g.owner
    return found


def reserved_run_id() -> UUID | None:
    """Return the id that the run of this request has to have, if it may have been stored under it before."""
    reserved: UUID | None = g.get("reserved_run_id")
    return reserved
