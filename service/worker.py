"""Takes up runs that wait in the queue, and computes them in threads of this process."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from service.errors import NotFound, Unavailable
from service.idempotency import Idempotency
from service.queue import Claim, Queue
from service.records import Run
from service.runs import Runs
from service.telemetry import metrics, phases
from service.work import Interrupted, Work

_PURGE_SECONDS = 600.0

_log = logging.getLogger(__name__)


class Worker:
    """One process's share of the work.

    A single thread looks for runs and keeps the leases of what is under way; each run has a thread of its own, up
    to `slots`. With none, the process takes up no runs and keeps its other leases all the same.
    """

    def __init__(
        self,
        queue: Queue,
        runs: Runs,
        idempotency: Idempotency,
        new_work: Callable[[], Work],
        *,
        slots: int,
        lease_seconds: float,
    ) -> None:
        self._queue = queue
        self._runs = runs
        self._idempotency = idempotency
        self._new_work = new_work
        self._slots = slots
        self._interval = min(1.0, lease_seconds / 4)
        self._active: dict[Claim, Work] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads = ThreadPoolExecutor(max(slots, 1), "run")
        self._loop = threading.Thread(target=self._watch, name="worker")

    def start(self) -> None:
        """Begin; the process's end is noticed, and what is under way is handed back then."""
        self._loop.start()

    def is_alive(self) -> bool:
        """Return whether it takes up runs, or has not begun yet."""
        return self._loop.ident is None or self._loop.is_alive()

    def stop(self) -> None:
        """Hand back what is under way, for another process to take up at once, and end."""
        self._stopping.set()
        self._queue.arrived.set()
        self._loop.join()

    def _watch(self) -> None:
        beat = purge = time.monotonic()
        # No signal handler: the server has its own, and when it is done the main thread ends.
        while not self._stopping.is_set() and threading.main_thread().is_alive():
            try:
                now = time.monotonic()
                if now >= beat:
                    beat = now + self._interval
                    self._renew()
                self._take_up()
                if now >= purge:
                    purge = now + _PURGE_SECONDS
                    self._idempotency.purge()
            except Unavailable as error:
                _log.warning("the worker waits for the database: %s", error.__cause__)
            except Exception:
                _log.exception("the worker stumbled")  # and must not end: runs would wait forever
            self._queue.arrived.wait(self._interval)
            self._queue.arrived.clear()
        for work in self._held().values():
            work.stop(Interrupted("The process ends."))
        self._threads.shutdown()

    def _held(self) -> dict[Claim, Work]:
        with self._lock:
            return dict(self._active)

    def _renew(self) -> None:
        held = self._held()
        if held:
            for claim in self._queue.renew({claim: work.progress for claim, work in held.items()}):
                held[claim].stop(Interrupted("The run was cancelled, deleted or taken over."))
        self._idempotency.renew()

    def _take_up(self) -> None:
        while len(self._held()) < self._slots and (claim := self._queue.claim()) is not None:
            work = self._new_work()
            with self._lock:
                self._active[claim] = work
            try:
                self._threads.submit(self._execute, claim, work)
            except RuntimeError:  # the interpreter began to shut down just now
                self._stopping.set()
                self._let_go(claim)
                self._hand_back(claim)
                return

    def _execute(self, claim: Claim, work: Work) -> None:
        phases.begin()
        try:
            self._store(claim, self._runs.execute(claim, work), work)
        except NotFound:
            _log.info("run %s was deleted before it was computed", claim.run_id)
        except (Interrupted, Unavailable):
            self._hand_back(claim)
        except Exception:
            _log.exception("run %s could not be computed", claim.run_id)
        finally:
            self._let_go(claim)
            self._queue.arrived.set()  # there is room for the next one

    def _let_go(self, claim: Claim) -> None:
        with self._lock:
            del self._active[claim]

    def _store(self, claim: Claim, run: Run, work: Work) -> None:
        # What was computed is worth waiting for a database that is down; the lease is renewed as soon as it is back.
        while True:
            try:
                with phases.measured("persist"):
                    stored = self._queue.finish(claim, run)
                if stored:
                    metrics.observe_run(run.kind, run.state, phases.spent())
                else:
                    _log.info("run %s was cancelled or taken over: attempt %d is dropped", claim.run_id, claim.attempt)
                return
            except Unavailable as error:
                _log.warning("run %s waits to be stored: %s", claim.run_id, error.__cause__)
                if work.wait(self._interval):
                    raise

    def _hand_back(self, claim: Claim) -> None:
        try:
            self._queue.hand_back(claim)
        except Unavailable:
            _log.warning("run %s is taken up again when its lease ends", claim.run_id)
