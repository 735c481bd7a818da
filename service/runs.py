"""Use cases about runs: compute and store one, find it, list them, delete one."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.graph import Graph
from engine.numbers import quote
from service import wire
from service.errors import FieldError, InvalidRequest, NotFound, RunFinished
from service.forms import Form
from service.graphs import Graphs, build
from service.identifiers import moment_of, parse_run_id, run_id
from service.kinds import KINDS
from service.kinds.base import Outcome
from service.limits import Limits
from service.paging import Page, make_token, read_token
from service.queue import Claim, Queue
from service.records import UNFINISHED, Run, RunSummary
from service.store import graphs as graph_statements
from service.store import queue as queue_statements
from service.store import runs as statements
from service.store.database import Database
from service.store.together import Together
from service.telemetry import metrics, phases
from service.work import DeadlineExceeded, Interrupted, Work

_LISTING = "runs"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunRequest:
    """A request as far as it can be understood without its graph.

    `errors` is what is wrong so far: it is reported together with what the graph shows to be wrong.
    """

    kind: str | None
    graph: object = None
    graph_id: str | None = None
    store: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()


@dataclass(frozen=True)
class _New:
    """A run to store, with its graph where it came with the request."""

    owner: str
    run: Run
    graph: Graph | None


class Runs:
    """Every owner's runs. `read` turns a stored request back into what it was."""

    def __init__(
        self, database: Database, graphs: Graphs, limits: Limits, queue: Queue, read: Callable[[Any], RunRequest]
    ) -> None:
        self._database = database
        self._graphs = graphs
        self._limits = limits
        self._queue = queue
        self._read = read
        self._together = Together(database, self._write)

    def create(
        self, owner: str, request: RunRequest, reserved: UUID | None = None, *, asynchronous: bool = False
    ) -> tuple[Run, Graph]:
        """Compute a run and, unless `store` is false, store it; InvalidRequest lists all that is wrong.

        `asynchronous` only queues it, as does a cost above the limit. Of all that are created under the same
        `reserved` id, one is stored, and that one is returned.
        """
        if asynchronous and not request.store:
            detail = "What nobody waits for has to be stored: leave out store, or respond-async."
            request = replace(request, errors=(*request.errors, FieldError("INVALID_VALUE", detail, "/store")))
        now = datetime.now(UTC)
        identifier = (reserved or run_id(now)) if request.store else None
        with phases.measured("parse"):
            graph = self._graph(owner, request)
            run = accept(request, graph, moment_of(reserved) if reserved else now, self._limits, identifier)
        queued = request.store and (asynchronous or self._is_costly(run.kind, graph, request))
        if queued:
            run = replace(run, options=wire.to_json(request.options))
        else:
            run = compute(run, request.options, graph, Work(self._limits.max_seconds))
        if request.store:
            with phases.measured("persist"):
                run = self._save(owner, run, graph if request.graph_id is None else None)
        if not queued:
            metrics.observe_run(run.kind, run.state, phases.spent())
        return run, graph

    def _is_costly(self, kind: str, graph: Graph, request: RunRequest) -> bool:
        return KINDS[kind].cost(graph, request.options) > self._limits.async_cells

    def execute(self, claim: Claim, work: Work) -> Run:
        """Compute a run that was queued; NotFound if it is gone, Interrupted if its work is stopped."""
        run = self._load(claim.owner, claim.run_id)
        if run is None:
            raise _not_found(str(claim.run_id))
        request = self._read({"graph_id": run.graph_id, "kind": run.kind, **run.options})
        if claim.attempt > self._limits.max_attempts:
            detail = f"Taken up {self._limits.max_attempts} times, it was never finished: the processes ended before."
            return _failed(run, request.options, "ABANDONED", detail)
        graph = self._graphs.of_run(claim.owner, run.graph_id)
        return compute(run, request.options, graph, work)

    def cancel(self, owner: str, text: str) -> tuple[Run, Graph]:
        """Cancel a run that is not finished; RunFinished if it is, unless it was cancelled before."""
        identifier = _parse(text)
        with self._database.writing() as connection:
            cancelled = queue_statements.cancel(connection, owner, identifier, datetime.now(UTC))
        run, graph = self.find(owner, text)
        if cancelled:
            metrics.observe_run(run.kind, run.state, {})
        if run.state != "cancelled":
            raise RunFinished(f"Run {run.id} has {run.state} already.")
        return run, graph

    def _graph(self, owner: str, request: RunRequest) -> Graph:
        if request.graph_id is None:
            return inline_graph(request, max_nodes=self._limits.max_nodes)
        if request.errors:  # they come first: nothing they say depends on what is stored
            raise InvalidRequest(request.errors)
        return self._graphs.to_run(owner, request.graph_id)

    def _save(self, owner: str, run: Run, graph: Graph | None) -> Run:
        # Someone may delete the very graph between the two statements; then the foreign key objects. An
        # inline graph is simply stored again.
        for _ in range(3):
            try:
                self._together.store(_New(owner, run, graph))
            except IntegrityError:
                if (stored := self._load(owner, run.id)) is not None:
                    return stored
                if graph is None:
                    break
            else:
                if run.state == "queued":
                    self._queue.arrived.set()
                return run
        raise NotFound(f"Graph {run.graph_id} was deleted while the run was computed.")

    def _write(self, connection: Connection, added: Sequence[_New]) -> None:
        graphs = {(each.owner, each.graph.id): (each.graph, each.run) for each in added if each.graph is not None}
        for owner, graph_id in sorted(graphs):  # in one order, or two processes might wait for each other
            graph, run = graphs[owner, graph_id]
            graph_statements.add(connection, owner, graph, run.created_at)
        if queued := sum(each.run.state == "queued" for each in added):
            self._queue.admit(connection, queued)
        statements.add(connection, [(each.owner, each.run) for each in added])

    def find(self, owner: str, text: str) -> tuple[Run, Graph]:
        """Return a run and its graph; NotFound if the owner has no run of that id."""
        run = self._load(owner, _parse(text))
        if run is None:
            raise _not_found(text)
        return run, self._graphs.of_run(owner, run.graph_id)

    def _load(self, owner: str, identifier: UUID | None) -> Run | None:
        with self._database.reading() as connection:
            return None if identifier is None else statements.load(connection, owner, identifier)

    def page(
        self, owner: str, filters: Mapping[str, Any], *, page_size: int, page_token: str | None
    ) -> Page[RunSummary]:
        """Return one page of the owner's runs, newest first; filters as in store.runs.page."""
        spelled = {name: str(value) for name, value in filters.items()}
        after = None if page_token is None else UUID(read_token(page_token, _LISTING, spelled)[0])
        with self._database.reading() as connection:
            rows = statements.page(connection, owner, filters, after=after, limit=page_size + 1)
        if len(rows) <= page_size:
            return Page(rows, None)
        return Page(rows[:page_size], make_token(_LISTING, spelled, [str(rows[page_size - 1].id)]))

    def delete(self, owner: str, text: str) -> None:
        """Delete a run; its graph stays."""
        identifier = _parse(text)
        with self._database.writing() as connection:
            if not statements.remove(connection, owner, identifier):
                raise _not_found(text)


def inline_graph(request: RunRequest, *, max_nodes: int, pointer: str = "/graph") -> Graph:
    """Return the graph that came with a request; InvalidRequest adds the request's errors to the graph's."""
    if request.graph is None:
        raise InvalidRequest(request.errors)
    try:
        return build(request.graph, pointer=pointer, max_nodes=max_nodes)
    except InvalidRequest as error:
        raise InvalidRequest([*request.errors, *error.errors], truncated=error.truncated) from None


def accept(
    request: RunRequest, graph: Graph, created_at: datetime, limits: Limits, identifier: UUID | None = None
) -> Run:
    """Check a request against its graph and return the run to compute; InvalidRequest lists all that is wrong."""
    kind = KINDS.get(request.kind or "")
    errors = list(request.errors)
    if kind is not None:
        # Bindings that could not be read are not there to be counted: what else lacks data cannot be told.
        unread = any((error.pointer or "").startswith(("/inputs", "/data")) for error in errors)
        found = kind.check(graph, request.options, limits)
        errors += [error for error in found if not (unread and error.code == "MISSING_DATA")]
    if errors or kind is None:
        raise InvalidRequest(errors)
    return Run(
        id=identifier,
        kind=kind.name,
        state="queued",
        graph_id=graph.id,
        created_at=created_at,
        started_at=None,
        finished_at=None,
        error=None,
    )


def compute(run: Run, options: Mapping[str, Any], graph: Graph, work: Work) -> Run:
    """Compute an accepted run; a computation that breaks, or takes too long, is a failed one."""
    kind = KINDS[run.kind]
    started_at = run.started_at or datetime.now(UTC)
    metrics.NODES.observe(len(graph))
    try:
        with phases.measured("compute"):
            outcome = kind.compute(graph, options, work)
    except Interrupted:
        raise
    except DeadlineExceeded as exceeded:
        return _failed(replace(run, started_at=started_at), options, "DEADLINE_EXCEEDED", str(exceeded))
    except Exception:
        _log.exception("a run of kind %s on graph %s broke", kind.name, graph.id)
        detail = "The computation broke; the service's log says why."
        return _failed(replace(run, started_at=started_at), options, "INTERNAL", detail)
    return _ended(replace(run, started_at=started_at), options, outcome)


def _failed(run: Run, options: Mapping[str, Any], code: str, detail: str) -> Run:
    return _ended(run, options, Outcome({}, {}, {"code": code, "detail": detail}))


def _ended(run: Run, options: Mapping[str, Any], outcome: Outcome) -> Run:
    kind = KINDS[run.kind]
    rows = kind.rows(options)
    return replace(
        run,
        state="failed" if outcome.error else "succeeded",
        finished_at=datetime.now(UTC),
        options=wire.to_json(kind.kept(options)),
        arrays={**rows.arrays, **outcome.arrays},
        findings={**rows.findings, **outcome.findings},
        error=outcome.error,
    )


def summarise(run: RunSummary) -> dict[str, Any]:
    """Return a run's row in a list."""
    return {
        "id": None if run.id is None else str(run.id),
        "kind": run.kind,
        "state": run.state,
        "graph_id": run.graph_id,
        "created_at": wire.timestamp(run.created_at),
        "started_at": None if run.started_at is None else wire.timestamp(run.started_at),
        "finished_at": None if run.finished_at is None else wire.timestamp(run.finished_at),
        "error": run.error,
    }


def answer(run: Run, graph: Graph, form: Form) -> dict[str, Any]:
    """Return what POST and GET show of a run; a run that is not stored has no id."""
    members = summarise(run)
    error = members.pop("error")
    if run.id is None:
        del members["id"]
    progress = {"progress": run.progress} if run.state in UNFINISHED else {}
    return members | KINDS[run.kind].answer(graph, run, form) | progress | {"error": error}


def _parse(text: str) -> UUID:
    identifier = parse_run_id(text)
    if identifier is None:
        raise _not_found(text)
    return identifier


def _not_found(text: str) -> NotFound:
    return NotFound(f"There is no run {quote(text)}.")
