"""Fields for what marshmallow has no strict field for; each finds all that is wrong in one pass."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
from marshmallow import ValidationError, fields
from numpy.typing import NDArray

from engine.forms import MAX_ID_LENGTH
from engine.numbers import number_problem, read_number
from service.schemas.errors import Mistake

NUMBER = {"anyOf": [{"type": "number"}, {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}]}
NODE_ID = {"type": "string", "minLength": 1, "maxLength": MAX_ID_LENGTH}


class Number(fields.Field[float]):
    """A float64: a JSON number, or one of the three strings for those that JSON lacks."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {**NUMBER, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> float:
        number = read_number(value)
        if number is None:
            raise ValidationError([Mistake(*number_problem(value))])
        return number


class Operand(fields.Field[str | float]):
    """An input of a node: another node's id, or a number as an anonymous constant."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {"anyOf": [NODE_ID, {"type": "number"}], **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> str | float:
        if isinstance(value, str) and 1 <= len(value) <= MAX_ID_LENGTH:
            return value
        number = None if isinstance(value, str) else read_number(value)
        if number is None:
            raise ValidationError("Not a node id or a number.")
        return number


class Numbers(fields.Field[dict[str, float]]):
    """A mapping from node ids to float64."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {"type": "object", "additionalProperties": NUMBER, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> dict[str, float]:
        if not isinstance(value, dict):
            raise ValidationError("Not an object of numbers by node id.")
        numbers = {name: read_number(each) for name, each in value.items()}
        wrong = {name: [Mistake(*number_problem(value[name]))] for name in numbers if numbers[name] is None}
        if wrong:
            raise ValidationError(wrong)
        return numbers  # type: ignore[return-value]  # no None is left


class WholeNumber(fields.Field[int]):
    """A JSON integer within bounds."""

    def __init__(self, *, least: int, most: int = 2**63 - 1, **options: Any) -> None:
        super().__init__(**options)
        self._least, self._most = least, most
        self.metadata = {"type": "integer", "minimum": least, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise ValidationError([Mistake("NOT_A_NUMBER", "Not a whole number.")])
        if not self._least <= value <= self._most:
            raise ValidationError(f"Not a whole number from {self._least}.")
        return int(value)


class FiniteNumber(Number):
    """A float64 within bounds, never infinite or NaN."""

    def __init__(self, *, least: float = 0.0, below: float | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._least, self._below = least, below
        bounds = {"minimum": least} | ({} if below is None else {"exclusiveMaximum": below})
        self.metadata = {**self.metadata, "type": "number", **bounds}
        del self.metadata["anyOf"]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> float:
        number = super()._deserialize(value, attr, data)
        if not self._least <= number < (math.inf if self._below is None else self._below):
            most = "" if self._below is None else f" and below {self._below:g}"
            raise ValidationError(f"Not a number from {self._least:g}{most}.")
        return number


class Bindings(fields.Field[dict[str, "float | NDArray[np.float64]"]]):
    """A mapping from node ids to float64, or to arrays of them: the rows of a batch."""

    def __init__(self, *, rows_only: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self._rows_only = rows_only
        rows = {"type": "array", "items": NUMBER, "minItems": 1}
        self.metadata = {
            "type": "object",
            "additionalProperties": rows if rows_only else {"anyOf": [*NUMBER["anyOf"], rows]},
            **self.metadata,
        }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        if not isinstance(value, dict):
            raise ValidationError("Not an object of numbers by node id.")
        if not self._rows_only and set(map(type, value.values())) == {float}:  # by far the most common
            return value
        bound: dict[str, Any] = {}
        wrong: dict[str, Any] = {}
        for name, each in value.items():
            if isinstance(each, list):
                bound[name], wrong[name] = _rows(each)
            elif self._rows_only:
                wrong[name] = ["Not an array: data has rows."]
            else:
                bound[name] = read_number(each)
                wrong[name] = None if bound[name] is not None else [Mistake(*number_problem(each))]
        lengths = {name: len(each) for name, each in bound.items() if isinstance(each, np.ndarray)}
        common = next(iter(lengths.values()), 0)
        for name, length in lengths.items():
            if length != common and not wrong[name]:
                detail = f"Has {length} rows where the first array has {common}: a batch has one length."
                wrong[name] = [Mistake("LENGTH_MISMATCH", detail)]
        wrong = {name: mistakes for name, mistakes in wrong.items() if mistakes}
        if wrong:
            raise ValidationError(wrong)
        return bound


def _rows(listed: list[Any]) -> tuple[NDArray[np.float64], Any]:
    """Return float64[rows] and what is wrong with it, by row."""
    if not listed:
        return np.empty(0), ["An empty array: a batch has at least one row."]
    if set(map(type, listed)) == {float}:  # by far the most common, and 50 times faster
        return np.array(listed), None
    numbers = [read_number(each) for each in listed]
    wrong = {row: [Mistake(*number_problem(listed[row]))] for row, number in enumerate(numbers) if number is None}
    return np.array([0.0 if number is None else number for number in numbers]), wrong


def _ids(listed: list[Any]) -> list[str]:
    wrong = {
        index: ["Not a node id: ids are strings."] for index, each in enumerate(listed) if not isinstance(each, str)
    }
    if wrong:
        raise ValidationError(wrong)
    return listed


_LIST_OF_IDS = {"type": "array", "items": NODE_ID, "uniqueItems": True}


class Ids(fields.Field[list[str]]):
    """A list of node ids."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {**_LIST_OF_IDS, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> list[str]:
        if not isinstance(value, list):
            raise ValidationError("Not a list of node ids.")
        return _ids(value)


class Selection(fields.Field[str | list[str]]):
    """Which nodes to show: "all", "leaves" or a list of ids."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {
            "anyOf": [{"type": "string", "enum": ["all", "leaves"]}, _LIST_OF_IDS],
            **self.metadata,
        }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> Any:
        if value in ("all", "leaves"):
            return value
        if isinstance(value, list):
            return _ids(value)
        raise ValidationError('Not "all", "leaves" or a list of node ids.')


class StrictBoolean(fields.Boolean):
    """true or false, and nothing that merely looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Not true or false.")
        return value


class PageSize(fields.Field[int]):
    """How many rows of a list; a query holds text, so the digits are read strictly here."""

    def __init__(self, most: int, **options: Any) -> None:
        super().__init__(**options)
        self._most = most
        self.metadata = {"type": "integer", "minimum": 1, "maximum": most, **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **_: Any) -> int:
        # isdecimal alone takes Arabic digits too, and int() underscores and blanks.
        if not (value.isascii() and value.isdecimal() and len(value) < 9 and 1 <= int(value) <= self._most):
            raise ValidationError(f"Not a whole number from 1 to {self._most}.")
        return int(value)


class Timestamp(fields.Field[datetime]):
    """A moment in RFC 3339, with an offset."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.metadata = {"type": "string", "format": "date-time", **self.metadata}

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **_: Any) -> datetime:
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is None:
                raise ValueError
            return moment.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(
                "Not a moment with an offset, as in 2026-11-20T12:00:00Z (a + is written %2B in a URL)."
            ) from None
