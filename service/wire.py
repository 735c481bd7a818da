"""JSON as it crosses the wire: strict on the way in, no number lost on the way out."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from engine.numbers import number_to_wire
from service.errors import MalformedJson


def parse(body: bytes) -> Any:
    """Read JSON; anything else (NaN, 1e999, a lone surrogate, 1025 levels deep, ...) is MalformedJson."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise MalformedJson(f"The body is not JSON: {error}.") from error


def write(document: object) -> bytes:
    """Write JSON; floats must be finite (see numbers), for the writer turns any other into null."""
    return orjson.dumps(document)


def write_pretty(document: object) -> str:
    """Write JSON for people."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode()


def numbers(array: NDArray[np.float64]) -> list[float | str]:
    """Return float64[n] as JSON numbers, the non-finite ones as strings."""
    listed: list[Any] = array.tolist()
    if math.isfinite(sum(listed)):  # then each of them is
        return listed
    for index in np.flatnonzero(~np.isfinite(array)).tolist():
        listed[index] = number_to_wire(float(array[index]))
    return listed


def mapping(ids: Iterable[str], array: NDArray[np.float64]) -> dict[str, float | str]:
    """Return {id: number} for float64[n] and its n ids."""
    return dict(zip(ids, numbers(array), strict=True))


def to_json(value: Any) -> Any:
    """Return mappings, lists, arrays and numbers as JSON has them: non-finite numbers as strings."""
    if isinstance(value, float):
        return number_to_wire(value)
    if isinstance(value, dict):
        return {name: to_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [to_json(each) for each in value]
    if isinstance(value, np.ndarray):
        return numbers(value) if value.ndim == 1 else [to_json(row) for row in value]
    return value


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 in UTC with microseconds: 2026-11-20T12:00:00.000000Z."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
