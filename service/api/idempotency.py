"""The header Idempotency-Key, on every POST."""

import re
from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import Response, g, request

from service.api.current import owner, services
from service.errors import FieldError, InvalidRequest, Unavailable
from service.idempotency import Answer

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_LENGTH = 255

PARAMETER = {
    "in": "header",
    "name": HEADER,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH, "pattern": "^[ -~]+$"},
    "description": "Makes the request safe to repeat: for 24 hours, the same key with the same query and body is "
    f"answered as the first time, with `{REPLAYED}: true`. A failure is not kept.",
}

_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_PRINTABLE = re.compile(rf"[ -~]{{1,{MAX_LENGTH}}}")


def idempotent(view: Callable[..., Response]) -> Callable[..., Response]:
    """Answer a request again that was answered before; only one of several at once reaches the view."""

    @wraps(view)
    def once(*arguments: Any, **options: Any) -> Response:
        header = request.environ.get("HTTP_IDEMPOTENCY_KEY")
        if header is None:
            return view(*arguments, **options)
        sent = (request.query_string, request.get_data())
        claim = services().idempotency.claim(owner(), request.path, _key(header), sent)
        if isinstance(claim, Answer):
            replayed = Response(claim.body, claim.status, list(claim.headers))
            replayed.headers[REPLAYED] = "true"
            return replayed
        g.reserved_run_id = claim.run_id
        try:
            response = view(*arguments, **options)
        except Unavailable:
            services().idempotency.pass_on(claim)
            raise
        except BaseException:
            services().idempotency.release(claim)
            raise
        kept = Answer(response.status_code, list(response.headers), response.get_data())
        services().idempotency.settle(claim, kept)
        return response

    return once


def _key(header: str) -> str:
    """Return the key that a header holds, bare or as a string of RFC 8941."""
    quoted = _QUOTED.fullmatch(header)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else header
    if not _PRINTABLE.fullmatch(key):
        detail = f"An {HEADER} has 1 to {MAX_LENGTH} printable ASCII characters."
        raise InvalidRequest([FieldError("INVALID_VALUE", detail, parameter=HEADER)])
    return key
