"""Runs of several requests in one transaction: each is told the truth about its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError

from engine.graph import Graph
from service import runs
from service.config import Config
from service.errors import Unavailable
from service.identifiers import run_id
from service.records import Run
from service.store import graphs as graph_statements
from service.store import runs as statements
from service.store.database import Database
from service.store.together import Together
from service.work import Work
from tests.service.clients import client_of
from tests.service.documents import NEURON, product

OWNER = "somebody"


class Batches:
    """What was stored together; the first transaction waits until `expected` more have come."""

    def __init__(self, database: Database) -> None:
        self.sizes: list[int] = []
        self.together = Together(database, self._write)
        self.fault: BaseException | None = None
        self._expected = 0

    def _write(self, connection: Connection, added: Sequence[Run]) -> None:
        if not self.sizes:
            while len(self.together._waiting) < self._expected:
                threading.Event().wait(0.001)
        self.sizes.append(len(added))
        if self.fault is not None:
            raise self.fault
        statements.add(connection, [(OWNER, run) for run in added])

    def store(self, first: Run, others: Sequence[Run]) -> list[BaseException | None]:
        """Store the first, and then all others at once; return what was raised for each."""
        self._expected = len(others)
        with ThreadPoolExecutor(1 + len(others)) as threads:
            futures = [threads.submit(self.together.store, first)]
            while not self.together._storing and not futures[0].done():
                threading.Event().wait(0.001)
            futures += [threads.submit(self.together.store, run) for run in others]
            return [future.exception() for future in futures]


@pytest.fixture
def new_run(database: Database) -> Callable[..., Run]:
    """Make runs on a graph that is stored, or on one that is not."""
    stored, missing = (Graph.from_document(document) for document in (NEURON, product(a=1.0, b=2.0)))
    with database.writing() as connection:
        graph_statements.add(connection, OWNER, stored, datetime.now(UTC))

    def make(*, on_missing: bool = False) -> Run:
        now = datetime.now(UTC)
        graph = missing if on_missing else stored
        request = runs.RunRequest(kind="gradient")
        accepted = runs.accept(request, graph, now, Config().limits, run_id(now))
        return runs.compute(accepted, {}, graph, Work(60))

    return make


def stored_of(database: Database, made: Sequence[Run]) -> list[bool]:
    found = []
    for run in made:
        assert run.id is not None
        with database.reading() as connection:
            loaded = statements.load(connection, OWNER, run.id)
        assert loaded is None or loaded.arrays.keys() == run.arrays.keys()
        found.append(loaded is not None)
    return found


def test_those_who_come_during_a_transaction_are_the_next_one(database: Database, new_run: Callable[..., Run]) -> None:
    batches = Batches(database)
    made = [new_run() for _ in range(12)]
    assert batches.store(made[0], made[1:]) == [None] * 12
    assert batches.sizes == [1, 11]
    assert stored_of(database, made) == [True] * 12


def test_one_that_cannot_be_stored_fails_alone(database: Database, new_run: Callable[..., Run]) -> None:
    batches = Batches(database)
    made = [new_run(on_missing=k in (3, 5)) for k in range(8)]
    raised = batches.store(made[0], made[1:])
    assert [type(each) for each in raised] == [IntegrityError if k in (3, 5) else type(None) for k in range(8)]
    assert stored_of(database, made) == [k not in (3, 5) for k in range(8)]


def test_the_same_run_twice_is_stored_once(database: Database, new_run: Callable[..., Run]) -> None:
    batches = Batches(database)
    first, again, other = new_run(), new_run(), new_run()
    raised = batches.store(first, [again, again, other])
    assert [type(each) for each in raised].count(IntegrityError) == 1
    assert raised[0] is None and raised[3] is None
    assert stored_of(database, [first, again, other]) == [True] * 3


def test_all_hear_at_once_that_the_database_is_away(database: Database, new_run: Callable[..., Run]) -> None:
    batches = Batches(database)
    made = [new_run() for _ in range(5)]
    batches.fault = OperationalError("", {}, Exception("away"))
    raised = batches.store(made[0], made[1:])
    assert [type(each) for each in raised] == [Unavailable] * 5
    assert batches.sizes == [1]  # the others did not have to wait for the same
    assert stored_of(database, made) == [False] * 5
    batches.fault = None
    batches.together.store(made[0])
    assert stored_of(database, made[:1]) == [True]


def test_nobody_is_told_that_all_is_well_when_the_one_who_stores_is_stopped(
    database: Database, new_run: Callable[..., Run]
) -> None:
    batches = Batches(database)
    made = [new_run() for _ in range(4)]
    batches.fault = SystemExit()
    assert {type(each) for each in batches.store(made[0], made[1:])} == {SystemExit}
    assert stored_of(database, made) == [False] * 4


def test_requests_at_once_are_answered_each_with_its_own(config: Config) -> None:
    with client_of(config) as client:
        graph = client.post("/v1/graphs", json=NEURON).get_json()["id"]
        application = client.application
        barrier = threading.Barrier(16)

        def post(k: int) -> tuple[int, bytes, bytes]:
            with application.test_client() as own:
                bodies = [
                    {"graph_id": graph, "inputs": {"x1": float(k)}},
                    {"graph": product(a=float(k % 3), b=2.0)},  # three graphs, stored by several at once
                ]
                barrier.wait()
                answered = own.post("/v1/runs", json=bodies[k % 2])
                return answered.status_code, answered.data, own.get(answered.headers["Location"]).data

        with ThreadPoolExecutor(16) as threads:
            answers = list(threads.map(post, range(16)))
    assert [status for status, _, _ in answers] == [201] * 16
    assert all(answered == shown for _, answered, shown in answers)
    assert len({answered for _, answered, _ in answers}) == 16
