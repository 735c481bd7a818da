"""Migrations on both databases: from nothing, back, current, and by many processes at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect

from service.config import Config
from service.store import schema
from service.store.database import Database
from service.store.schema import SchemaState
from service.store.tables import Table
from tests.service.clients import client_of
from tests.service.documents import NEURON

ROOT = Path(__file__).parents[2]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    yield opened
    opened.close()


def tables(database: Database) -> set[str]:
    return set(inspect(database.engine).get_table_names()) - {"alembic_version"}


def test_an_empty_database_is_outdated_and_an_upgrade_makes_it_current(database: Database) -> None:
    assert schema.current(database) is None
    assert schema.state(database) is SchemaState.OUTDATED
    schema.upgrade(database)
    assert schema.current(database) == schema.head()
    assert schema.state(database) is SchemaState.CURRENT
    assert tables(database) == set(Table.metadata.tables)


def test_an_upgrade_of_a_current_database_changes_nothing(database: Database, database_url: str) -> None:
    schema.upgrade(database)
    run = _store_a_run(database_url)
    schema.upgrade(database)
    with client_of(Config(database_url=database_url)) as client:
        assert client.get(run).status_code == 200


def test_models_equal_migrations(database: Database) -> None:
    schema.upgrade(database)
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Table.metadata) == []


def test_every_revision_can_be_undone_and_done_again_with_data_in_it(database: Database, database_url: str) -> None:
    schema.upgrade(database)
    _store_a_run(database_url)
    schema.downgrade(database, "base")
    assert schema.current(database) is None
    assert tables(database) == set()
    schema.upgrade(database)
    assert _store_a_run(database_url)


def test_finished_runs_outlive_a_return_to_the_first_revision(database: Database, database_url: str) -> None:
    schema.upgrade(database)
    finished = _store_a_run(database_url)
    with client_of(Config(database_url=database_url)) as client:
        before = client.get(finished).data
        queued = client.post("/v1/runs", json={"graph": NEURON}, headers={"Prefer": "respond-async"})
    schema.downgrade(database, "0001")
    schema.upgrade(database)
    with client_of(Config(database_url=database_url)) as client:
        assert client.get(finished).data == before
        # The first revision knows no run that is unfinished.
        assert client.get(queued.headers["Location"]).status_code == 404


def test_a_revision_from_the_future_is_recognised(database: Database) -> None:
    schema.upgrade(database)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert schema.state(database) is SchemaState.NEWER


def test_a_migration_that_fails_leaves_nothing_behind(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("alembic.op.drop_table", fail)
    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        schema.upgrade(database)
    assert tables(database) == set()
    assert schema.current(database) is None


@pytest.mark.parametrize("revision", ["base", "0001"])
def test_eight_processes_upgrade_at_once(database: Database, database_url: str, revision: str) -> None:
    schema.upgrade(database)
    run = _store_a_run(database_url)
    with client_of(Config(database_url=database_url)) as client:
        before = client.get(run).data
    schema.downgrade(database, revision)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CHAINRULE_DATABASE_URL": database_url}
    command = [sys.executable, "-m", "service", "db", "upgrade"]
    processes = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for _ in range(8)
    ]
    outputs = [process.communicate(timeout=180)[0].decode() for process in processes]
    assert [process.returncode for process in processes] == [0] * 8, outputs
    assert schema.state(database) is SchemaState.CURRENT
    with client_of(Config(database_url=database_url)) as client:
        shown = client.get(run)
    assert (shown.status_code == 200 and shown.data == before) or revision == "base"


def _store_a_run(database_url: str) -> str:
    with client_of(Config(database_url=database_url)) as client:
        response = client.post("/v1/runs", json={"graph": NEURON})
        assert response.status_code == 201
        location: str = response.headers["Location"]
        return location
