"""An application on a fresh database, on each of the two engines in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from service.config import Config
from service.store import schema
from service.store.database import Database
from tests.service.clients import client_of


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A database with the current schema and nothing in it."""
    opened = Database(database_url)
    schema.upgrade(opened)
    yield opened
    opened.close()


@pytest.fixture
def config(database: Database, database_url: str) -> Config:
    """Settings with small limits, for a database that is ready."""
    return Config(database_url=database_url, max_body_bytes=200_000, max_nodes=2_000)


@pytest.fixture(scope="module")
def validating_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A client of an application on one SQLite database, for tests that store little or nothing."""
    file = tmp_path_factory.mktemp("validating") / "chainrule.sqlite3"
    config = Config(database_url=f"sqlite:///{file}", max_body_bytes=200_000, max_nodes=2_000)
    database = Database(config.database_url)
    schema.upgrade(database)
    database.close()
    with client_of(config) as made:
        yield made


@pytest.fixture
def client(config: Config) -> Iterator[FlaskClient]:
    """A client of an application with these settings."""
    with client_of(config) as made:
        yield made
