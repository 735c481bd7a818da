"""How the loops are compiled: ahead of use, without the GIL, IEEE arithmetic, cached on disk."""

from __future__ import annotations

import atexit
import ctypes
import math
import os
import shutil
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.extending import intrinsic, overload

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
    compiled: Function = numba.njit(**_OPTIONS, forceinline=True)(function)
    return compiled


def called(function: Function) -> Function:
    """A function for calls from compiled loops, where it is too large to become part of them."""
    compiled: Function = numba.njit(**_OPTIONS)(function)
    return compiled


@intrinsic
def _fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    signature = numba.float64(numba.float64, numba.float64, numba.float64)
    return signature, lambda context, builder, signature, values: builder.fma(*values)


def _bitcast(context: Any, builder: Any, signature: Any, values: Any) -> Any:
    return builder.bitcast(values[0], context.get_value_type(signature.return_type))


@intrinsic
def _bits_of(typing: Any, x: Any) -> Any:
    return numba.int64(numba.float64), _bitcast


@intrinsic
def _float_of(typing: Any, bits: Any) -> Any:
    return numba.float64(numba.int64), _bitcast


@intrinsic
def _at(typing: Any, address: Any, k: Any) -> Any:
    def load(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        start = builder.inttoptr(values[0], context.get_value_type(numba.float64).as_pointer())
        return builder.load(builder.gep(start, [values[1]]))

    return numba.float64(numba.int64, numba.int64), load


# Single instructions, which Python has no name for. As written here they are for NUMBA_DISABLE_JIT=1.


def fma(a: float, b: float, c: float) -> float:
    """a * b + c, rounded once."""
    if not math.isfinite(a * b + c):
        return a * b + c
    return float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


def bits_of(x: float) -> int:
    """The bits of a float64, as an int64."""
    (bits,) = struct.unpack("<q", struct.pack("<d", x))
    return int(bits)


def float_of(bits: int) -> float:
    """The float64 of an int64's bits."""
    (x,) = struct.unpack("<d", struct.pack("<Q", int(bits) & 0xFFFFFFFFFFFFFFFF))
    return float(x)


def at(address: int, k: int) -> float:
    """Element k of the contiguous float64 array at an address: how a loop takes any number of arrays."""
    return ctypes.c_double.from_address(int(address) + 8 * int(k)).value


overload(fma)(lambda a, b, c: lambda a, b, c: _fma(a, b, c))  # type: ignore[call-arg]
overload(bits_of)(lambda x: lambda x: _bits_of(x))  # type: ignore[call-arg]
overload(float_of)(lambda bits: lambda bits: _float_of(bits))  # type: ignore[call-arg]
overload(at)(lambda address, k: lambda address, k: _at(address, k))  # type: ignore[call-arg]


def compiled(signature: Any, *, nogil: bool = True) -> Callable[[Function], Function]:
    """A loop compiled for exactly one signature, loaded from the disk cache when it is there.

    The signature is explicit so that no request ever compiles. A loop that is short even on a large graph keeps the
    GIL (`nogil` false): where other threads wait for it, getting it back takes longer than such a loop.
    """

    def decorate(function: Function) -> Function:
        result: Function = numba.njit(signature, cache=True, **_OPTIONS | {"nogil": nogil})(function)
        return result

    return decorate
