"""Whether the service can do its work right now."""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as CheckTimeout
from threading import Lock

from service.errors import Unavailable
from service.store import schema
from service.store.database import Database
from service.store.schema import SchemaState

TIMEOUT_SECONDS = 2.0


class Readiness:
    """Checks the database in bounded time, however long the database itself takes to answer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="readiness")
        self._running: Future[SchemaState] | None = None
        self._lock = Lock()

    def check(self) -> None:
        """Return if the database answers and its schema is current; Unavailable says what is missing."""
        try:
            state = self._check().result(TIMEOUT_SECONDS)
        except CheckTimeout:
            raise Unavailable(f"The database has not answered for {TIMEOUT_SECONDS:g} seconds.") from None
        if state is not SchemaState.CURRENT:
            raise Unavailable(f"The database's schema is {state.value}; run `chainrule db upgrade`.")

    def _check(self) -> "Future[SchemaState]":
        # A check that hangs is waited for, not repeated: probes must not pile up behind a dead database.
        with self._lock:
            if self._running is None or self._running.done():
                self._running = self._executor.submit(schema.state, self._database)
            return self._running
