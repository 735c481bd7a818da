"""How the loops are compiled: ahead of use, without the GIL, IEEE arithmetic, cached on disk."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def _cache_directory() -> None:
    """Give numba a place for compiled code where its own choices (beside the source, HOME) are read-only.

    Without one, `cache=True` raises at import, even when the code is compiled already.
    """
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    here = Path(__file__).parent / "__pycache__"
    candidates = [here if here.exists() else here.parent, Path.home()]
    if not any(os.access(place, os.W_OK) for place in candidates):
        os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="chainrule-kernels-")


_cache_directory()

import numba  # noqa: E402  (reads its settings from the environment when imported)

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
