"""Clients of an application in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask.testing import FlaskClient

from service.app import create_app
from service.config import Config


@contextmanager
def client_of(config: Config) -> Iterator[FlaskClient]:
    """A client of an application with these settings, which ends with the block."""
    app = create_app(config)
    try:
        yield app.test_client()
    finally:
        app.extensions["chainrule"].database.close()
