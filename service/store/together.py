"""What several requests have to store, in one transaction: they wait for the disk together, not one after the other."""

from collections import deque
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Generic, TypeVar

from sqlalchemy import Connection

from service.errors import Unavailable
from service.store.database import Database

Item = TypeVar("Item")


class _Entry(Generic[Item]):
    """An item that a thread waits for, until `wake` is released: it is settled then, or this thread's turn has come."""

    __slots__ = ("error", "item", "settled", "wake")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.settled = False
        self.error: BaseException | None = None
        self.wake = Lock()
        self.wake.acquire()


class Together(Generic[Item]):
    """Stores items of many threads; `write` stores some of them in a transaction.

    There is no thread for it. Whoever finds nobody storing does so; those who come while that transaction is under
    way are the next one, and the first of them stores it for all.
    """

    def __init__(self, database: Database, write: Callable[[Connection, Sequence[Item]], None]) -> None:
        self._database = database
        self._write = write
        self._waiting: deque[_Entry[Item]] = deque()
        self._storing = False
        self._lock = Lock()

    def store(self, item: Item) -> None:
        """Return when the item is on disk, or raise what kept this one from it."""
        entry = _Entry(item)
        with self._lock:
            self._waiting.append(entry)
            others_turn, self._storing = self._storing, True
        if others_turn:
            entry.wake.acquire()
        if not entry.settled:
            try:
                self._store_waiting()
            finally:
                self._pass_on()
        if entry.error is not None:
            raise entry.error

    def _pass_on(self) -> None:
        with self._lock:
            self._storing = bool(self._waiting)
            if self._storing:
                self._waiting[0].wake.release()

    def _store_waiting(self) -> None:
        entries = self._take()
        try:
            self._try(entries)
        except BaseException as error:  # the process is to end: nobody may believe that all went well
            _settle([entry for entry in entries if not entry.settled], error)
            raise

    def _try(self, entries: list[_Entry[Item]]) -> None:
        try:
            self._commit(entries)
        except Unavailable as error:
            # Who came meanwhile would only wait for the same as long again.
            _settle(entries + self._take(), error)
        except Exception as error:
            if len(entries) == 1:
                _settle(entries, error)
            else:  # one is to blame, and the transaction was rolled back: in which half is it?
                half = len(entries) // 2
                self._try(entries[:half])
                self._try(entries[half:])

    def _take(self) -> list[_Entry[Item]]:
        with self._lock:
            entries = list(self._waiting)
            self._waiting.clear()
        return entries

    def _commit(self, entries: list[_Entry[Item]]) -> None:
        with self._database.writing() as connection:
            self._write(connection, [entry.item for entry in entries])
        _settle(entries, None)


def _settle(entries: list[_Entry[Item]], error: BaseException | None) -> None:
    for entry in entries:
        entry.error = error
        entry.settled = True
        entry.wake.release()
