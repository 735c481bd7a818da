"""How the loops are compiled: ahead of use, without the GIL, IEEE arithmetic, cached on disk."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_directory() -> None:
    """Give numba a place for compiled code where the one it would take is read-only.

    Without one, `cache=True` raises at import, even when the code is compiled already. What is compiled already in a
    read-only NUMBA_CACHE_DIR (of a container image, say) is copied, so that it is not compiled again.
    """
    configured = os.environ.get("NUMBA_CACHE_DIR")
    if configured:
        with suppress(OSError):
            Path(configured).mkdir(parents=True, exist_ok=True)
        candidates = [Path(configured)]
    else:
        here = Path(__file__).parent / "__pycache__"
        candidates = [here if here.exists() else here.parent, Path.home()]
    if any(os.access(place, os.W_OK) for place in candidates):
        return
    scratch = tempfile.mkdtemp(prefix="chainrule-kernels-")
    atexit.register(shutil.rmtree, scratch, ignore_errors=True)
    if configured and Path(configured).is_dir():
        shutil.copytree(configured, scratch, dirs_exist_ok=True)
    numba.config.CACHE_DIR = scratch  # type: ignore[attr-defined]  # numba fills its module from the environment
    # This process's workers find it in the environment.
    os.environ["NUMBA_CACHE_DIR"] = scratch


_cache_directory()

_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "boundscheck": False}


def inlined(function: Function) -> Function:
    """A scalar function for use inside compiled loops, compiled as part of them."""
    compiled: Function = numba.njit(**_OPTIONS)(function)
    return compiled


def compiled(signature: Any) -> Callable[[Function], Function]:
    """A loop compiled for exactly one signature, loaded from the disk cache when it is there.

    The signature is explicit so that no request ever compiles.
    """

    def decorate(function: Function) -> Function:
        result: Function = numba.njit(signature, cache=True, **_OPTIONS)(function)
        return result

    return decorate
