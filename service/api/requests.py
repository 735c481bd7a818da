"""What holds for every request: an id, known query parameters, media types, a JSON body."""

import random
import re
import zlib
from collections.abc import Callable
from typing import Any

from flask import Request, Response, request
from flask.ctx import _AppCtxGlobals as Globals
from flask.globals import request_ctx
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from engine.numbers import quote
from service import wire
from service.errors import (
    FieldError,
    InvalidRequest,
    MalformedJson,
    NotAcceptable,
    UnsupportedEncoding,
    UnsupportedMediaType,
)
from service.schemas.errors import body_errors, query_errors
from service.telemetry import phases

JSON = "application/json"

# Headers that hardly any request has are looked for in WSGI's environment: `request.headers` takes ten times as long to
# find out that one is not there.

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def identify(request: Request, kept: Globals) -> None:
    """Give the request an id: one that the client chose is taken over, so that it runs through the logs of both."""
    given = request.environ.get("HTTP_X_REQUEST_ID")
    # No secret; os.urandom would let go of the GIL, which other threads wait for.
    kept.request_id = given if given and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def refuse_unknown_parameters(request: Request, view: Callable[..., object]) -> None:
    """Raise InvalidRequest for query parameters that the view does not know, and for those that come twice."""
    if not request.query_string:
        return
    known: frozenset[str] = getattr(view, "query_parameters", frozenset())
    errors = []
    for name, values in request.args.lists():
        if name not in known:
            errors.append(FieldError("UNKNOWN_FIELD", f"There is no parameter {quote(name)}.", parameter=name))
        elif len(values) > 1:
            errors.append(FieldError("INVALID_VALUE", f"{name} is given more than once.", parameter=name))
    if errors:
        raise InvalidRequest(errors)


def negotiate(request: Request, view: Callable[..., object]) -> None:
    """Raise NotAcceptable unless the client takes one of the view's media types."""
    if request.environ.get("HTTP_ACCEPT", "") in ("", "*/*"):
        return
    produced = getattr(view, "produces", (JSON,))
    if request.accept_mimetypes.best_match(produced) is None:
        raise NotAcceptable(f"This resource has {' and '.join(produced)}.")


def finish(request: Request, response: Response, kept: Globals) -> None:
    """Add the headers that every answer has."""
    response.headers.add("X-Request-Id", kept.request_id)
    response.headers.add("X-Content-Type-Options", "nosniff")
    if request.method == "OPTIONS" and response.status_code == 200:
        # Flask's own answer to OPTIONS is an empty page of HTML.
        response.status_code = 204
        del response.headers["Content-Type"]


def _decompress(body: bytes, most: int) -> bytes:
    """Return what gzip made `body` of, or its first `most` bytes: a bomb must not go off."""
    gzip = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        content = gzip.decompress(body, most)
    except zlib.error as error:
        raise MalformedJson("The body is not what gzip writes.") from error
    if len(content) < most and (not gzip.eof or gzip.unused_data):
        raise MalformedJson("The body is not one whole gzip member.")
    return content


def read_query(schema: Schema) -> dict[str, Any]:
    """Return the query parameters as the schema reads them; each is there at most once by now."""
    try:
        read: dict[str, Any] = schema.load(request.args.to_dict())
    except ValidationError as error:
        raise InvalidRequest(query_errors(error)) from None
    return read


def read_body(schema: Schema) -> Any:
    """Return the body as the schema reads it; no body at all is as good as {} where the schema says so."""
    with phases.measured("parse"):
        try:
            sent = request_ctx.request  # looked up once, and not at each of its attributes
            return schema.load(_load_json(sent, optional=getattr(schema, "body_is_optional", False)))
        except ValidationError as error:
            raise InvalidRequest(body_errors(error)) from None


def _is_json(sent: Request) -> bool:
    return sent.mimetype == JSON and sent.mimetype_params.get("charset", "utf-8").lower() == "utf-8"


def _load_json(sent: Request, *, optional: bool) -> Any:
    if optional and not sent.content_type and not sent.get_data():
        return {}
    if sent.environ.get("CONTENT_TYPE") != JSON and not _is_json(sent):
        raise UnsupportedMediaType(f"The body must be {JSON} in UTF-8.")
    encoding = sent.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise UnsupportedEncoding("The body must not be compressed, or by gzip.")
    too_long = sent.max_content_length or 0
    body = sent.get_data(cache=False)
    if encoding == "gzip":
        body = _decompress(body, too_long)
    if len(body) >= too_long:  # Werkzeug cuts a body without a length off there
        raise RequestEntityTooLarge
    return wire.parse(body)
