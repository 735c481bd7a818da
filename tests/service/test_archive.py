"""Everything out of one database and into another; what is old deleted."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from sqlalchemy import text

from service import archive, pruning
from service.archive import ArchiveError, Contents
from service.cli import main
from service.config import Config
from service.store import schema
from service.store.database import Database
from tests.service.clients import client_of
from tests.service.documents import NEURON, product


@pytest.fixture(params=["sqlite", "postgresql"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A second database with nothing in it, on each of the two engines in turn."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'other.sqlite3'}"
    else:
        from tests.conftest import new_postgres_database

        context = new_postgres_database(request.getfixturevalue("postgres_url"))
        url = context.__enter__()
        request.addfinalizer(lambda: context.__exit__(None, None, None))
    opened = Database(url)
    schema.upgrade(opened)
    yield opened
    opened.close()


@contextmanager
def client_on(database: Database) -> Iterator[FlaskClient]:
    with client_of(Config(database_url=database.url.render_as_string(hide_password=False))) as client:
        yield client


def fill(client: FlaskClient) -> list[str]:
    """Store graphs and runs of several kinds; return the paths that show them."""
    awkward = {"expression": "y = log(x) * -0.0 + 0.1 * z", "data": {"x": 0, "z": "Infinity"}}
    requests: list[dict[str, Any]] = [
        {"graph": NEURON, "inputs": {"b": 0.1 + 0.2}},
        {"graph": NEURON, "inputs": {"b": [1, 2.5, -0.0]}},
        {"graph": NEURON, "kind": "hessian", "outputs": ["o"]},
        {"graph": awkward},
        {"graph": product(a=1e308, b=10.0), "select": ["y"]},
    ]
    runs = [client.post("/v1/runs", json=request).headers["Location"] for request in requests]
    graphs = [row["id"] for row in client.get("/v1/graphs").get_json()["items"]]
    return [*runs, *(f"/v1/graphs/{graph}" for graph in graphs), "/v1/runs", "/v1/graphs"]


def test_what_was_exported_is_answered_alike_by_another_database(
    client: FlaskClient, database: Database, other: Database
) -> None:
    paths = fill(client)
    file = io.BytesIO()
    assert archive.write(database, file) == Contents(graphs=3, runs=5)
    file.seek(0)
    assert archive.read(other, file) == Contents(graphs=3, runs=5)
    with client_on(other) as moved:
        for path in paths:
            assert moved.get(path).data == client.get(path).data, path
    again = io.BytesIO()
    archive.write(other, again)
    assert again.getvalue() == file.getvalue()


def test_an_import_may_be_cut_off_anywhere_and_repeated(client: FlaskClient, database: Database, tmp_path: Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(archive, "_BATCH", 2)
    fill(client)
    file = io.BytesIO()
    archive.write(database, file)
    lines = file.getvalue().splitlines(keepends=True)
    other = Database(f"sqlite:///{tmp_path / 'other.sqlite3'}")
    schema.upgrade(other)
    for end in range(1, len(lines)):
        with pytest.raises(ArchiveError, match="ends too early"):
            archive.read(other, io.BytesIO(b"".join(lines[:end])))
    archive.read(other, io.BytesIO(file.getvalue()))
    assert archive.read(other, io.BytesIO(file.getvalue())) == Contents(graphs=0, runs=0)
    again = io.BytesIO()
    archive.write(other, again)
    other.close()
    assert again.getvalue() == file.getvalue()


def test_a_run_that_waits_is_exported_as_waiting(client: FlaskClient, database: Database, tmp_path: Path) -> None:
    queued = client.post("/v1/runs", json={"graph": NEURON}, headers={"Prefer": "respond-async"})
    with database.writing() as connection:
        connection.execute(text("UPDATE runs SET state = 'running', attempt = 2, started_at = created_at"))
    file = io.BytesIO()
    archive.write(database, file)
    run = json.loads(file.getvalue().splitlines()[2])["run"]
    assert (run["id"], run["state"], run["started_at"]) == (queued.get_json()["id"], "queued", None)


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "Line 1 is not JSON"),
        ([{"format": "chainrule archive", "version": 2}], "version 1"),
        ([archive.FORMAT, b"{"], "Line 2 is not JSON"),
        ([archive.FORMAT, {"grpah": {}}], "Line 2 is no graph, run or end"),
        ([archive.FORMAT, {"graph": {"owner": "", "id": "0" * 64}}], "Line 2 is no graph, run or end"),
        ([archive.FORMAT, {"end": {"graphs": 1, "runs": 0}}], "Line 2 counts"),
        ([archive.FORMAT], "ends too early"),
    ],
)
def test_a_file_that_is_no_archive_is_refused_where_it_goes_wrong(
    database: Database, lines: list[Any], complaint: str
) -> None:
    content = b"\n".join(line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    with pytest.raises(ArchiveError, match=re.escape(complaint)):
        archive.read(database, io.BytesIO(content))


def test_a_graph_whose_bytes_were_changed_is_refused(client: FlaskClient, database: Database) -> None:
    client.post("/v1/graphs", json=product(a=1.0, b=2.0))
    file = io.BytesIO()
    archive.write(database, file)
    header, graph, end = file.getvalue().splitlines()
    changed = json.loads(graph)
    changed["graph"]["id"] = "0" * 64
    with pytest.raises(ArchiveError, match="other bytes than its id says"):
        archive.read(database, io.BytesIO(b"\n".join([header, json.dumps(changed).encode(), end])))


def age(database: Database, path: str, days: int) -> None:
    """Make a run or a graph as old as that."""
    _, _, table, identifier = path.split("/")
    column = "REPLACE(CAST(id AS TEXT), '-', '')" if table == "runs" else "id"
    moment = datetime.now(UTC) - timedelta(days=days)
    shown = moment.replace(tzinfo=None).isoformat(" ") if database.embedded else moment
    with database.writing() as connection:
        aged = connection.execute(
            text(f"UPDATE {table} SET created_at = :moment WHERE {column} = :id"),
            {"moment": shown, "id": identifier.replace("-", "")},
        )
        assert aged.rowcount == 1


def test_pruning_deletes_what_is_old_and_what_nobody_refers_to(
    client: FlaskClient, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "_BATCH", 2)
    old = [client.post("/v1/runs", json={"graph": product(a=float(k), b=1.0)}).headers["Location"] for k in range(5)]
    kept_graph = client.post("/v1/runs", json={"graph": NEURON}).headers["Location"]
    fresh = client.post("/v1/runs", json={"graph": NEURON}).headers["Location"]
    waiting = client.post("/v1/runs", json={"graph": NEURON}, headers={"Prefer": "respond-async"}).headers["Location"]
    new_graph = client.post("/v1/graphs", json={"expression": "y = tanh(x)"}).headers["Location"]
    for path in (*old, kept_graph, waiting):
        age(database, path, 31)
    for row in client.get("/v1/graphs").get_json()["items"]:
        if f"/v1/graphs/{row['id']}" != new_graph:
            age(database, f"/v1/graphs/{row['id']}", 31)
    before = datetime.now(UTC) - timedelta(days=30)
    expected = pruning.Pruned(runs=6, graphs=5)
    assert pruning.count(database, before) == expected
    assert pruning.prune(database, before) == expected
    assert pruning.prune(database, before) == pruning.Pruned(runs=0, graphs=0)
    assert all(client.get(path).status_code == 404 for path in (*old, kept_graph))
    assert all(client.get(path).status_code == 200 for path in (fresh, waiting, new_graph))
    with database.reading() as connection:
        left = connection.execute(text("SELECT count(*) FROM run_arrays WHERE run_id NOT IN (SELECT id FROM runs)"))
        assert left.scalar_one() == 0


def invoke(database: Database, *arguments: str, stdin: bytes | None = None) -> Result:
    url = database.url.render_as_string(hide_password=False)
    return CliRunner().invoke(main, arguments, input=stdin, env={"CHAINRULE_DATABASE_URL": url})


def test_the_commands_say_what_they_did(client: FlaskClient, database: Database, tmp_path: Path) -> None:
    client.post("/v1/runs", json={"graph": NEURON})
    file = tmp_path / "archive"
    assert invoke(database, "export", str(file)).stderr == "Wrote 1 graphs and 1 runs.\n"
    assert invoke(database, "export", "-").stdout_bytes == file.read_bytes()
    assert (
        invoke(database, "db", "prune", "--older-than", "0m", "--dry-run").output
        == "Would delete 1 runs and 1 graphs.\n"
    )
    assert invoke(database, "db", "prune", "--older-than", "1d").output == "Deleted 0 runs and 0 graphs.\n"
    assert invoke(database, "db", "prune", "--older-than", "0m").output == "Deleted 1 runs and 1 graphs.\n"
    assert "Stored 1 graphs and 1 runs" in invoke(database, "import", "-", stdin=file.read_bytes()).stderr
    assert "Stored 0 graphs and 0 runs" in invoke(database, "import", str(file)).stderr
    assert invoke(database, "import", "-", stdin=b"no").exit_code == 1
    assert "is no age" in invoke(database, "db", "prune", "--older-than", "old").stderr
