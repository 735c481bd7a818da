"""Whether the service can do its work right now."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as CheckTimeout
from threading import Lock
from typing import Generic, TypeVar

from service.errors import Unavailable
from service.helpers import Crew, Helpers
from service.store import schema
from service.store.database import Database
from service.store.schema import SchemaState
from service.worker import Worker

TIMEOUT_SECONDS = 2.0

Answer = TypeVar("Answer")


class Readiness:
    """Checks the database and what computes, in bounded time, however long they themselves take to answer."""

    def __init__(self, database: Database, worker: Worker, helpers: Helpers) -> None:
        self._schema = _Question("The database", lambda: schema.state(database))
        self._crew = _Question(helpers.name, helpers.crew)
        self._worker = worker

    def check(self) -> Crew:
        """Return who computes large runs if everything is there; Unavailable says what is missing."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        state, crew = self._schema.ask(), self._crew.ask()
        if (found := self._schema.answer(state, deadline)) is not SchemaState.CURRENT:
            raise Unavailable(f"The database's schema is {found.value}; run `chainrule db upgrade`.")
        if not self._worker.is_alive():
            raise Unavailable("The thread that takes up queued runs has ended; restart this process.")
        try:
            return self._crew.answer(crew, deadline)
        except OSError as error:
            raise Unavailable(str(error)) from error


class _Question(Generic[Answer]):
    """Something to ask of another party, in a thread of its own."""

    def __init__(self, who: str, ask: Callable[[], Answer]) -> None:
        self._who = who
        self._ask = ask
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readiness")
        self._asked: Future[Answer] | None = None
        self._lock = Lock()

    def ask(self) -> "Future[Answer]":
        # One that hangs is waited for, not repeated: probes must not pile up behind a dead party.
        with self._lock:
            if self._asked is None or self._asked.done():
                self._asked = self._executor.submit(self._ask)
            return self._asked

    def answer(self, asked: "Future[Answer]", deadline: float) -> Answer:
        try:
            return asked.result(max(0.0, deadline - time.monotonic()))
        except CheckTimeout:
            if asked.done():  # its own: a TimeoutError is an OSError
                raise
            raise Unavailable(f"{self._who} has not answered for {TIMEOUT_SECONDS:g} seconds.") from None
