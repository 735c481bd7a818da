"""Use case: delete what is old, while the service goes on."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from service.store import pruning as statements
from service.store.database import Database

# What one transaction deletes: others wait no longer than for a few of their own.
_BATCH = 200


@dataclass(frozen=True)
class Pruned:
    """How much was deleted, or would be."""

    runs: int
    graphs: int


def count(database: Database, before: datetime) -> Pruned:
    """Return what `prune` would delete now."""
    with database.reading() as connection:
        runs = statements.count_runs(connection, before)
    with database.reading() as connection:
        return Pruned(runs, statements.count_graphs(connection, before))


def prune(database: Database, before: datetime) -> Pruned:
    """Delete the finished runs created before that moment, then graphs as old that no run refers to."""
    runs = _repeat(database, before, statements.delete_runs)
    return Pruned(runs, _repeat(database, before, statements.delete_graphs))


def _repeat(database: Database, before: datetime, delete: Callable[[Connection, datetime, int], int]) -> int:
    total = 0
    while True:
        try:
            with database.writing() as connection:
                deleted = delete(connection, before, _BATCH)
        except IntegrityError:  # someone has just run one of the graphs: the next look leaves that one out
            continue
        total += deleted
        if deleted == 0:
            return total
