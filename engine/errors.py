"""What is wrong with a graph document: every error at once, each with its JSON pointer."""

from __future__ import annotations

from typing import Any

MAX_ERRORS = 50


class GraphError(ValueError):
    """A graph document that cannot be accepted.

    `errors` holds at most 50 mappings with the keys `pointer`, `code` and `detail` (and `line` and `column`,
    counted from 1, inside an expression); `truncated` says that there are more.
    """

    def __init__(self, errors: list[dict[str, Any]], truncated: bool = False) -> None:
        others = f" (and {len(errors) - 1}{' or more' if truncated else ''} others)" if len(errors) > 1 else ""
        super().__init__(f"{errors[0]['pointer'] or '/'}: {errors[0]['detail']}{others}")
        self.errors = errors
        self.truncated = truncated


class Findings:
    """Collects the errors of one document, and stops its reading once there are more than can be shown."""

    def __init__(self, pointer: str = "") -> None:
        self.pointer = pointer
        self.errors: list[dict[str, Any]] = []

    def add(self, pointer: str, code: str, detail: str, **place: int) -> None:
        """Note one error; raises GraphError when 50 are noted already."""
        if len(self.errors) == MAX_ERRORS:
            raise GraphError(self.errors, truncated=True)
        self.errors.append({"pointer": self.pointer + pointer, "code": code, "detail": detail, **place})

    def error(self) -> GraphError:
        """The exception that tells what was noted."""
        if not self.errors:
            raise AssertionError("a document was refused for no reason that could be told")
        return GraphError(self.errors)

    def fatal(self, pointer: str, code: str, detail: str, **place: int) -> GraphError:
        """Note an error that leaves nothing more to read, and answer the exception."""
        self.add(pointer, code, detail, **place)
        return self.error()


def escape(key: object) -> str:
    """A key as one token of a JSON pointer (RFC 6901), with lone surrogates spelled out: UTF-8 has none."""
    return str(key).replace("~", "~0").replace("/", "~1").encode("utf-8", "backslashreplace").decode()
