"""float64 arrays as blobs: little-endian IEEE 754, in C order, nothing around them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LITTLE_ENDIAN_FLOAT64 = np.dtype("<f8")


def to_blob(array: NDArray[np.float64]) -> bytes:
    """Return the 8 bytes of each number, row after row."""
    return np.ascontiguousarray(array, dtype=LITTLE_ENDIAN_FLOAT64).tobytes()


def from_blob(blob: bytes, shape: Sequence[int]) -> NDArray[np.float64]:
    """Return the array of that shape; it is read-only, for it shares the blob's memory."""
    return np.frombuffer(blob, dtype=LITTLE_ENDIAN_FLOAT64).reshape(shape).astype(np.float64, copy=False)
