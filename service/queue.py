"""Use cases about runs that wait: take one up, stay alive, and store what came of it, once."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

from sqlalchemy import Connection

from service.errors import QueueFull
from service.records import Run
from service.store import queue as statements
from service.store.database import Database

Progress = Mapping[str, int] | None


@dataclass(frozen=True)
class Claim:
    """A run that was taken up. Every time that happens its attempt grows: what an earlier holder says is refused."""

    owner: str
    run_id: UUID
    attempt: int


class Queue:
    """The runs that wait, in the database that all server processes share.

    A holder that falls silent loses its claim when the lease ends. Clocks of several machines may differ: a lease
    that ends too early costs a computation done twice, never a second result.
    """

    def __init__(self, database: Database, *, lease_seconds: float, max_queued: int) -> None:
        self._database = database
        self._lease = timedelta(seconds=lease_seconds)
        self._max_queued = max_queued
        self.arrived = Event()
        """Set when a run was put in by this process; those of others are found by looking."""

    def admit(self, connection: Connection, runs: int) -> None:
        """Raise QueueFull unless so many more runs may wait."""
        if statements.depth(connection) + runs > self._max_queued:
            raise QueueFull(f"{self._max_queued} runs are waiting already. Try again later, or without respond-async.")

    def depth(self) -> int:
        """Return how many runs are waiting."""
        with self._database.reading() as connection:
            return statements.depth(connection)

    def claim(self) -> Claim | None:
        """Take up the run that has waited longest, or whose holder is dead; None if there is none."""
        now = datetime.now(UTC)
        # Looking costs nothing; taking locks a SQLite file, for everyone.
        with self._database.reading() as connection:
            if not statements.is_any_due(connection, now):
                return None
        with self._database.writing() as connection:
            row = statements.claim(connection, now, now + self._lease)
        return None if row is None else Claim(*row)

    def renew(self, held: Mapping[Claim, Progress]) -> list[Claim]:
        """Extend leases and store progress; return the claims that are lost: cancelled, deleted or taken over."""
        until = datetime.now(UTC) + self._lease
        with self._database.writing() as connection:
            return [
                claim
                for claim, progress in held.items()
                if not statements.renew(connection, claim.run_id, claim.attempt, until, progress)
            ]

    def finish(self, claim: Claim, run: Run) -> bool:
        """Store the result of a run; return whether the claim was still good for that."""
        with self._database.writing() as connection:
            return statements.finish(connection, claim.attempt, run)

    def hand_back(self, claim: Claim) -> None:
        """Let someone else take up a run, at once."""
        with self._database.writing() as connection:
            statements.hand_back(connection, claim.run_id, claim.attempt)
