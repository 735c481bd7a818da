"""Whole requests, from bytes to bytes through the WSGI application, beside reading and writing the same JSON."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from benchmarks.graphs import random_graph
from benchmarks.peers.chainrule import checked
from benchmarks.report import Goal, Section, number
from benchmarks.timing import median_ns

WHY_NOT_ROWS = (
    "of the nanoseconds a node, parsing takes 245, checking each node and building the graph 300, the two mappings of "
    "the answer 80, writing them 40, storing 180 and the engine 8."
)
WHY_NOT_COLUMNS = (
    "of the nanoseconds a node, parsing takes 70, checking and building the graph 125, hashing it for its id 10, "
    "storing 180 and the engine 8."
)

Application = Callable[[dict[str, Any], Callable[..., Any]], Any]


def application(directory: Path) -> Application:
    """The service as its server loads it, collector settings included, on a fresh SQLite file."""
    from service.config import Config
    from service.store import schema
    from service.store.database import Database

    os.environ["CHAINRULE_DATABASE_URL"] = f"sqlite:///{directory / 'chainrule.sqlite3'}"
    config = Config.from_environment()
    database = Database(config.database_url, timeout_seconds=config.database_timeout_seconds)
    schema.upgrade(database)
    database.close()
    from service.wsgi import app

    return app


def post(app: Application, path: str, body: bytes) -> bytes:
    """The answer to a POST, without a socket and without a client's own work."""
    path, _, query = path.partition("?")
    statuses = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    answer = app(environ, lambda status, headers, exception=None: statuses.append(status))
    try:
        content = b"".join(answer)
    finally:
        if hasattr(answer, "close"):
            answer.close()
    if not statuses[0].startswith("20"):
        raise AssertionError(f"{statuses[0]}: {content[:500]!r}")
    return content


class Bodies:
    """Request bodies for one graph under ever new names, so that each is stored for the first time."""

    def __init__(self, graph: dict[str, Any], request: dict[str, Any]) -> None:
        self.template = orjson.dumps({"graph": {"name": "graph 000000000", **graph}, **request})
        self.count = 0

    def __next__(self) -> bytes:
        self.count += 1
        return self.template.replace(b"graph 000000000", b"graph %09d" % self.count, 1)


def measure(app: Application, nodes: int, report: Callable[[str], None]) -> tuple[list[str], dict[str, float]]:
    """A row of times (ns per node), and ratios to the floor of the row form."""
    document = random_graph(nodes)
    graph = checked(document["columns"], document["outputs"][0])
    rows = {"nodes": graph.to_document()["nodes"], "outputs": graph.to_document()["outputs"]}
    forms = {
        "rows": ("/v1/runs", Bodies(rows, {})),
        "rows, not stored": ("/v1/runs", Bodies(rows, {"store": False})),
        "columns": ("/v1/runs?form=columns", Bodies(document, {})),
    }
    example = next(forms["rows"][1])
    answer = orjson.loads(post(app, "/v1/runs", example))
    again = {"graph_id": answer["graph_id"], "select": "leaves"}
    requests = {
        "stored graph": orjson.dumps(again),
        "stored graph, not stored": orjson.dumps({**again, "store": False}),
    }

    def floor() -> None:
        orjson.loads(example)
        orjson.dumps(answer)

    times = {"floor": median_ns(floor, collector=True)}
    for name, (path, bodies) in forms.items():
        times[name] = median_ns(
            lambda path=path, bodies=bodies: post(app, path, next(bodies)),
            seconds=2,
            most=200,
            collector=True,
        )
    for name, body in requests.items():
        times[name] = median_ns(lambda body=body: post(app, "/v1/runs", body), seconds=2, collector=True)
    report(f"requests, {nodes:,} nodes: " + ", ".join(f"{name} {t / nodes:.0f}" for name, t in times.items()))
    row = [f"{nodes:,}", *(number(time / nodes) for time in times.values())]
    return row, {name: time / times["floor"] for name, time in times.items()}


def section(report: Callable[[str], None], app: Application) -> Section:
    small, ratios = measure(app, 10_000, report)
    large, _ = measure(app, 100_000, report)
    return Section(
        "Requests",
        "Nanoseconds per node of a whole `POST /v1/runs` through the WSGI application, with SQLite, a new graph in "
        "each request. The floor is `orjson.loads` of the request's bytes and `orjson.dumps` of the answer's, in the "
        "row form (one object for each node). *Columns* sends and gets arrays (`?form=columns`). "
        '*Stored graph* names a graph by its id and asks for `"select": "leaves"`. What is stored is on the disk '
        "before it is answered: the disk's own time for that is most of the difference between stored and not.",
        ["nodes", "floor", "rows", "rows, not stored", "columns", "stored graph", "stored graph, not stored"],
        [small, large],
        [
            Goal("request with 10,000 nodes, stored / floor", 3, ratios["rows"], why=WHY_NOT_ROWS),
            Goal("the same in columns / floor of the row form", 1, ratios["columns"], why=WHY_NOT_COLUMNS),
            Goal("a stored graph run again, run not stored / floor", 0.25, ratios["stored graph, not stored"]),
        ],
    )
