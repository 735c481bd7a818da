"""Use cases: write all graphs and runs to a file, and read them into another database; see docs/archive-format.md."""

from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO
from uuid import UUID

import orjson
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from engine.graph import Graph
from service import wire
from service.records import UNFINISHED, Run
from service.store import archive as statements
from service.store import arrays, graphs
from service.store.database import Database

FORMAT = {"format": "chainrule archive", "version": 1}

# What one transaction of an import stores; an interrupted one loses no more than that.
_BATCH = 100


class ArchiveError(ValueError):
    """A file is no whole archive of a version that this one reads; the message says where it goes wrong."""


@dataclass(frozen=True)
class Contents:
    """How many graphs and runs were written, or were new to the database that read them."""

    graphs: int
    runs: int


def write(database: Database, file: BinaryIO) -> Contents:
    """Write everything as it is at this moment, whatever the service does meanwhile."""
    graphs = runs = 0
    _write_line(file, FORMAT)
    with database.snapshot() as connection:
        # Graphs first, so that every run finds its own when it is read.
        for owner, created_at, graph in statements.each_graph(connection):
            _write_line(file, {"graph": _graph_to_json(owner, created_at, graph)})
            graphs += 1
        for owner, run in statements.each_run(connection):
            _write_line(file, {"run": _run_to_json(owner, run)})
            runs += 1
    _write_line(file, {"end": {"graphs": graphs, "runs": runs}})
    return Contents(graphs, runs)


def read(database: Database, file: BinaryIO) -> Contents:
    """Store what an archive holds and the database does not; what is there already stays as it is.

    ArchiveError at the first line that is wrong; the lines before it may be stored, and reading the mended file
    stores the rest.
    """
    lines = enumerate(file, 1)
    if _parse(*next(lines, (1, b""))) != FORMAT:
        raise ArchiveError("Line 1 does not say that this is a Chainrule archive of version 1")
    graphs = runs = 0
    for batch in _batches(_entries(lines)):
        try:
            with database.writing() as connection:
                new = [_store(connection, kind, members) for _, kind, members in batch]
        except IntegrityError:
            raise ArchiveError(f"A run between lines {batch[0][0]} and {batch[-1][0]} has no graph") from None
        graphs += sum(stored for stored, (_, kind, _) in zip(new, batch, strict=True) if kind == "graph")
        runs += sum(stored for stored, (_, kind, _) in zip(new, batch, strict=True) if kind == "run")
    return Contents(graphs, runs)


Entry = tuple[int, str, tuple[Any, ...]]


def _entries(lines: Iterator[tuple[int, bytes]]) -> Iterator[Entry]:
    """Yield line number, "graph" or "run", and what has to be stored; ArchiveError unless the end is reached."""
    counted = {"graphs": 0, "runs": 0}
    for number, line in lines:
        document = _parse(number, line)
        try:
            ((kind, members),) = document.items()
            if kind == "end":
                if members != counted:
                    raise ArchiveError(f"Line {number} counts {members}, but before it there are {counted}")
                return
            entry = {"graph": _graph_from_json, "run": _run_from_json}[kind](members)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ArchiveError):
                raise
            raise ArchiveError(f"Line {number} is no graph, run or end that this version knows: {error!r}") from None
        counted[f"{kind}s"] += 1
        yield number, kind, entry
    raise ArchiveError("The file ends too early: its last line is missing")


def _batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    while batch := list(islice(entries, _BATCH)):
        yield batch


def _store(connection: Connection, kind: str, members: tuple[Any, ...]) -> bool:
    if kind == "run":
        return statements.add_run(connection, *members)
    owner, created_at, graph = members
    return graphs.add(connection, owner, graph, created_at)


def _graph_to_json(owner: str, created_at: datetime, graph: Graph) -> dict[str, Any]:
    return {
        "owner": owner,
        "id": graph.id,
        "created_at": wire.timestamp(created_at),
        "document": b64encode(graph.to_bytes()).decode(),
    }


def _graph_from_json(members: Mapping[str, Any]) -> tuple[str, datetime, Graph]:
    graph = Graph.from_bytes(b64decode(members["document"], validate=True))
    if graph.id != members["id"]:
        raise ValueError(f"graph {members['id']} has other bytes than its id says")
    return members["owner"], datetime.fromisoformat(members["created_at"]), graph


_MOMENTS = ("created_at", "started_at", "finished_at")
_JSON = ("kind", "state", "graph_id", "error", "options", "findings")


def _run_to_json(owner: str, run: Run) -> dict[str, Any]:
    if run.state in UNFINISHED:
        # Whoever computes it here does not do so for the other database: there it waits for its turn.
        run = replace(run, state="queued", started_at=None)
    moments = {name: getattr(run, name) for name in _MOMENTS}
    return {
        "owner": owner,
        "id": str(run.id),
        **{name: None if moment is None else wire.timestamp(moment) for name, moment in moments.items()},
        **{name: getattr(run, name) for name in _JSON},
        "arrays": {
            name: {"shape": array.shape, "data": b64encode(arrays.to_blob(array)).decode()}
            for name, array in sorted(run.arrays.items())  # databases return them in any order
        },
    }


def _run_from_json(members: Mapping[str, Any]) -> tuple[str, Run]:
    moments: dict[str, Any] = {
        name: None if members[name] is None else datetime.fromisoformat(members[name]) for name in _MOMENTS
    }
    return members["owner"], Run(
        id=UUID(members["id"]),
        **moments,
        **{name: members[name] for name in _JSON},
        arrays={
            name: arrays.from_blob(b64decode(array["data"], validate=True), array["shape"])
            for name, array in members["arrays"].items()
        },
    )


def _write_line(file: BinaryIO, document: object) -> None:
    file.write(wire.write(document) + b"\n")


def _parse(number: int, line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ArchiveError(f"Line {number} is not JSON: {error}") from None
