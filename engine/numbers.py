"""Numbers on the wire: IEEE float64, with the non-finite ones as strings (the protobuf JSON mapping)."""

from __future__ import annotations

import math

_SPECIAL = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def read_number(value: object) -> float | None:
    """The float64 a wire value stands for, or None where it stands for none; `number_problem` says why.

    Numbers are int (rounded to the nearest float64), finite float, and the strings NaN, Infinity and
    -Infinity. A bare non-finite float is none: no JSON text spells one, so it is a literal that overflowed.
    """
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, int) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            return None
    return _SPECIAL.get(value) if isinstance(value, str) else None


def number_problem(value: object) -> tuple[str, str]:
    """The error code and the sentence for a value that `read_number` refuses."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "INVALID_VALUE", 'is beyond float64; write "Infinity", "-Infinity" or "NaN" for those values'
    return "NOT_A_NUMBER", f'must be a number, "NaN", "Infinity" or "-Infinity", not {describe(value)}'


def number_to_wire(value: float) -> float | str:
    """The JSON value of a float64: itself where finite, else its string."""
    if math.isfinite(value):
        return value
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def describe(value: object) -> str:
    """What a wire value is, in a few words fit for an error's detail."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the string {quote(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    if isinstance(value, (int, float)):
        return "a number"
    return f"a {type(value).__name__}"


def quote(text: str, limit: int = 64) -> str:
    """Text in quotes for an error's detail: clipped, and with anything unprintable escaped."""
    return repr(text) if len(text) <= limit else repr(text[:limit]) + "…"
