"""An application on a fresh database, on each of the two engines in turn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from service.app import create_app
from service.config import Config
from service.store import schema
from service.store.database import Database


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


@pytest.fixture
def app(config: Config) -> Iterator[Flask]:
    """The application."""
    made = create_app(config)
    yield made
    made.extensions["chainrule"].database.close()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A client of the application."""
    return app.test_client()
