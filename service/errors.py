"""What can go wrong, as exceptions that know their RFC 9457 problem document; no Flask here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar

from engine.errors import MAX_ERRORS


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with a request, and where: a JSON pointer into the body or a query parameter."""

    code: str
    detail: str
    pointer: str | None = None
    parameter: str | None = None
    line: int | None = None
    column: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the members that apply, the place first."""
        members = {
            "pointer": self.pointer,
            "parameter": self.parameter,
            "code": self.code,
            "detail": self.detail,
            "line": self.line,
            "column": self.column,
        }
        return {name: value for name, value in members.items() if value is not None}


class Problem(Exception):
    """An error with an HTTP status and a code that programs can rely on."""

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "INTERNAL"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail

    def members(self) -> dict[str, Any]:
        """Return the members of the problem document that do not depend on the request."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": int(self.status),
            "detail": self.detail,
            "code": self.code,
        }


class MalformedJson(Problem):
    """The body is not JSON that this service takes."""

    status = HTTPStatus.BAD_REQUEST
    code = "MALFORMED_JSON"


class Unauthenticated(Problem):
    """There is no key, or none that is in force; `error` is RFC 6750's word for it, if it has one."""

    status = HTTPStatus.UNAUTHORIZED
    code = "UNAUTHENTICATED"

    def __init__(self, detail: str, error: str) -> None:
        super().__init__(detail)
        self.headers = {"WWW-Authenticate": 'Bearer realm="chainrule"' + (f', error="{error}"' if error else "")}


class Forbidden(Problem):
    """The key does not allow that."""

    status = HTTPStatus.FORBIDDEN
    code = "FORBIDDEN"
    headers: Mapping[str, str] = {
        "WWW-Authenticate": 'Bearer realm="chainrule", error="insufficient_scope", scope="write"'
    }


class RateLimited(Problem):
    """The key is used too often; `seconds` is when it may be used again."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "RATE_LIMITED"

    def __init__(self, detail: str, seconds: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(seconds)}


class NotFound(Problem):
    """There is no such thing, or it belongs to someone else."""

    status = HTTPStatus.NOT_FOUND
    code = "NOT_FOUND"


class NotAcceptable(Problem):
    """The client takes no media type that this resource has."""

    status = HTTPStatus.NOT_ACCEPTABLE
    code = "NOT_ACCEPTABLE"


class GraphInUse(Problem):
    """The graph cannot go while runs refer to it."""

    status = HTTPStatus.CONFLICT
    code = "GRAPH_IN_USE"


class IdempotencyInFlight(Problem):
    """A request with the same idempotency key is being worked on."""

    status = HTTPStatus.CONFLICT
    code = "IDEMPOTENCY_IN_FLIGHT"
    headers: Mapping[str, str] = {"Retry-After": "1"}


class IdempotencyKeyReused(Problem):
    """The idempotency key belongs to another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "IDEMPOTENCY_KEY_REUSED"


class UnsupportedMediaType(Problem):
    """The body is not in a format that this resource reads."""

    status = HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    code = "UNSUPPORTED_MEDIA_TYPE"


class UnsupportedEncoding(UnsupportedMediaType):
    """The body is compressed in a way that this service does not read."""

    headers: Mapping[str, str] = {"Accept-Encoding": "gzip"}  # RFC 9110, 15.5.16


class Unavailable(Problem):
    """Something that the service needs does not answer; the same request may succeed in a moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "UNAVAILABLE"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class QueueFull(Unavailable):
    """Too many runs wait already."""


class RunFinished(Problem):
    """The run has ended; there is nothing left to cancel."""

    status = HTTPStatus.CONFLICT
    code = "RUN_FINISHED"


class InvalidRequest(Problem):
    """The request was understood and is wrong; every mistake found is listed, up to 50."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "INVALID_REQUEST"

    def __init__(self, errors: Iterable[FieldError], *, truncated: bool = False) -> None:
        errors = list(errors)
        self.errors = errors[:MAX_ERRORS]
        self.truncated = truncated or len(errors) > MAX_ERRORS
        count = f"more than {MAX_ERRORS} errors" if self.truncated else _plural(len(errors), "error")
        super().__init__(f"The request has {count}; the first: {self.errors[0].detail}")

    def members(self) -> dict[str, Any]:
        """Add the list of errors to the common members."""
        members = super().members() | {"errors": [error.to_dict() for error in self.errors]}
        if self.truncated:
            members["errors_truncated"] = True
        return members


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
