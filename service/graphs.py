"""Use cases about graphs: store one, find it, list them, delete one."""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.exc import IntegrityError

from engine.graph import Graph, GraphError
from engine.numbers import quote
from service import references
from service.errors import FieldError, GraphInUse, InvalidRequest, NotFound
from service.limits import Limits
from service.paging import Page, make_token, read_token
from service.records import GraphSummary, StoredGraph
from service.store import graphs as statements
from service.store.database import Database
from service.telemetry.metrics import GRAPH_CACHE_HIT, GRAPH_CACHE_MISS
from service.work import DeadlineExceeded, Work

_HASH_LENGTH = 64
_LISTING = "graphs"


def build(document: object, *, pointer: str, max_nodes: int) -> Graph:
    """Build a graph from a document in any of its forms; InvalidRequest lists all that is wrong."""
    try:
        return Graph.from_document(document, pointer=pointer, max_nodes=max_nodes)
    except GraphError as error:
        errors = [FieldError(**entry) for entry in error.errors]
        raise InvalidRequest(errors, truncated=error.truncated) from None


class Graphs:
    """Every owner's graphs. A graph is known by its content, so one that was read once never changes."""

    def __init__(self, database: Database, limits: Limits, *, cached_bytes: int) -> None:
        self._database = database
        self._limits = limits
        self._recent = _RecentGraphs(cached_bytes)

    def add(self, owner: str, document: object) -> tuple[StoredGraph, bool]:
        """Store a document; return the stored graph and whether it was new."""
        return self._store(owner, build(document, pointer="", max_nodes=self._limits.max_nodes))

    def add_gradient(self, owner: str, graph_id: str, options: Mapping[str, Any]) -> tuple[StoredGraph, bool]:
        """Store the backward graph of a stored one, as `add` does; options: wrt, outputs, seeds."""
        graph = self.find(owner, graph_id).graph
        outputs = options.get("outputs")
        errors = [
            *references.check_nodes(graph, outputs or [], "outputs"),
            *references.check_seeds(graph, options.get("seeds", {}), outputs),
            *references.check_wrt(graph, options.get("wrt")),
        ]
        if errors:
            raise InvalidRequest(errors)
        work = Work(self._limits.max_seconds)

        def checkpoint(nodes: int) -> None:
            if nodes > self._limits.max_nodes:
                detail = f"Its backward graph has more nodes than this service's {self._limits.max_nodes}."
                raise InvalidRequest([FieldError("TOO_MANY_NODES", detail, "")])
            work.checkpoint()

        try:
            backward = graph.gradient(
                options.get("wrt"), outputs=outputs, seeds=options.get("seeds"), checkpoint=checkpoint
            )
        except DeadlineExceeded as exceeded:
            raise InvalidRequest([FieldError("LIMIT_EXCEEDED", str(exceeded), "")]) from None
        return self._store(owner, backward)

    def _store(self, owner: str, graph: Graph) -> tuple[StoredGraph, bool]:
        now = datetime.now(UTC)
        with self._database.writing() as connection:
            new = statements.add(connection, owner, graph, now)
            stored_at = now if new else statements.created_at(connection, owner, graph.id)
        # None: someone deleted the old one between the two statements, so this one is as good as new.
        return StoredGraph(graph, stored_at or now), new

    def created_at(self, owner: str, graph_id: str) -> datetime:
        """Return when the graph was stored; NotFound if it was not."""
        _require_hash(graph_id)
        with self._database.reading() as connection:
            created_at = statements.created_at(connection, owner, graph_id)
        if created_at is None:
            raise _not_found(graph_id)
        return created_at

    def find(self, owner: str, graph_id: str) -> StoredGraph:
        """Return a stored graph; NotFound if the owner has none of that id."""
        if (recent := self._recent.get(graph_id)) is not None:
            # Another owner's, or deleted since: having seen the content proves nothing about that.
            return StoredGraph(recent, self.created_at(owner, graph_id))
        return self._load(owner, graph_id)

    def to_run(self, owner: str, graph_id: str) -> Graph:
        """Return a stored graph as `find` does, without its moment."""
        recent = self._recent.get(graph_id)
        if recent is None:
            return self._load(owner, graph_id).graph
        if not statements.is_stored(self._database, owner, graph_id):
            raise _not_found(graph_id)
        return recent

    def of_run(self, owner: str, graph_id: str) -> Graph:
        """Return the graph of a run that was just read: that run keeps it from being deleted."""
        return self._recent.get(graph_id) or self._load(owner, graph_id).graph

    def _load(self, owner: str, graph_id: str) -> StoredGraph:
        _require_hash(graph_id)
        with self._database.reading() as connection:
            found = statements.load(connection, owner, graph_id)
        if found is None:
            raise _not_found(graph_id)
        graph, created_at = found
        self._recent.put(graph)
        return StoredGraph(graph, created_at)

    def page(self, owner: str, *, page_size: int, page_token: str | None) -> Page[GraphSummary]:
        """Return one page of the owner's graphs, newest first."""
        after = None if page_token is None else _read_key(page_token)
        with self._database.reading() as connection:
            rows = statements.page(connection, owner, after=after, limit=page_size + 1)
        if len(rows) <= page_size:
            return Page(rows, None)
        last = rows[page_size - 1]
        return Page(rows[:page_size], make_token(_LISTING, {}, [last.created_at.isoformat(), last.id]))

    def delete(self, owner: str, graph_id: str) -> None:
        """Delete a graph; GraphInUse while runs refer to it."""
        _require_hash(graph_id)
        try:
            with self._database.writing() as connection:
                if statements.remove(connection, owner, graph_id):
                    return
                in_use = statements.created_at(connection, owner, graph_id) is not None
        except IntegrityError:  # a run came in between the check and the deletion
            in_use = True
        if in_use:
            raise GraphInUse(f"Runs refer to graph {graph_id}; delete them first.")
        raise _not_found(graph_id)


class _RecentGraphs:
    """The graphs used last, by id, compiled tapes included, up to a number of bytes in all."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = self._free = max_bytes
        self._graphs: OrderedDict[str, tuple[Graph, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, graph_id: str) -> Graph | None:
        with self._lock:
            found = self._graphs.get(graph_id)
            if found is not None:
                self._graphs.move_to_end(graph_id)
        (GRAPH_CACHE_MISS if found is None else GRAPH_CACHE_HIT).inc()
        return None if found is None else found[0]

    def put(self, graph: Graph) -> None:
        size = graph.nbytes
        with self._lock:
            if graph.id in self._graphs or size > self._max_bytes:
                return
            self._graphs[graph.id] = graph, size
            self._free -= size
            while self._free < 0:
                _, (_, freed) = self._graphs.popitem(last=False)
                self._free += freed


def _read_key(page_token: str) -> tuple[datetime, str]:
    created_at, graph_id = read_token(page_token, _LISTING, {})
    return datetime.fromisoformat(created_at), graph_id


def _require_hash(graph_id: str) -> None:
    # Whatever is no hash names no graph; it may hold characters that PostgreSQL refuses.
    if len(graph_id) != _HASH_LENGTH or not set(graph_id) <= set("0123456789abcdef"):
        raise _not_found(graph_id)


def _not_found(graph_id: str) -> NotFound:
    return NotFound(f"There is no graph {quote(graph_id)}.")
