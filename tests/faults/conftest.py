"""Databases to break."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.servers import prepare
from tests.postgres import Cluster


@pytest.fixture
def ready_url(database_url: str) -> str:
    """A database with the current schema, on each of the two engines in turn."""
    return prepare(database_url)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL server of the test's own, not started yet."""
    own = Cluster(Path(tempfile.gettempdir(), f"chainrule-test-{uuid.uuid4().hex[:8]}"))
    yield own
    own.stop()
