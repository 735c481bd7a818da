"""Compiled loops are found again where nothing can be written."""

import os
import re
from pathlib import Path

import numba
import pytest

from engine import jit


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which no directory can be written to: root, which runs some test suites, could write to any."""
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    # What is changed by hand below comes back to what it was.
    monkeypatch.setenv("NUMBA_CACHE_DIR", "")
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")


@pytest.mark.usefixtures("read_only")
def test_a_read_only_cache_is_copied_to_where_numba_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "engine_0").mkdir()
    (tmp_path / "engine_0" / "backward.nbi").write_bytes(b"compiled")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    jit._cache_directory()
    place = Path(os.environ["NUMBA_CACHE_DIR"])
    assert place != tmp_path
    assert Path(numba.config.CACHE_DIR) == place
    assert (place / "engine_0" / "backward.nbi").read_bytes() == b"compiled"


@pytest.mark.usefixtures("read_only")
def test_a_place_is_made_where_there_is_none() -> None:
    jit._cache_directory()
    assert Path(os.environ["NUMBA_CACHE_DIR"]).is_dir()


def test_a_writable_cache_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new"))
    jit._cache_directory()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "new")


def test_no_loop_is_compiled_past_these_settings() -> None:
    sources = Path(jit.__file__).parent.glob("*.py")
    assert [source.name for source in sources if re.search(r"\bn?jit\(|\bvectorize\(", source.read_text())] == [
        "jit.py"
    ]
