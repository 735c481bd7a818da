"""What holds for every request: an id, known query parameters, media types, a JSON body."""

import re
import secrets
import zlib
from typing import Any, NoReturn

from flask import Flask, Request, Response, current_app, g, request
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from engine.numbers import quote
from service import wire
from service.api import authentication
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

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def register(app: Flask) -> None:
    """Put the checks in front of every view, and the common headers on every answer."""
    app.before_request(_identify)
    app.before_request(authentication.authenticate)
    app.before_request(_refuse_unknown_parameters)
    app.before_request(_negotiate)
    app.after_request(_finish)
    app.after_request(authentication.keep_private)


def _identify() -> None:
    # An id that the client chose is taken over, so that one id runs through the logs of both.
    given = request.headers.get("X-Request-Id", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(16)


def _refuse_unknown_parameters() -> None:
    if request.endpoint is None or not request.query_string:
        return
    known: frozenset[str] = getattr(current_app.view_functions[request.endpoint], "query_parameters", frozenset())
    errors = []
    for name, values in request.args.lists():
        if name not in known:
            errors.append(FieldError("UNKNOWN_FIELD", f"There is no parameter {quote(name)}.", parameter=name))
        elif len(values) > 1:
            errors.append(FieldError("INVALID_VALUE", f"{name} is given more than once.", parameter=name))
    if errors:
        raise InvalidRequest(errors)


def _negotiate() -> None:
    if request.endpoint is None or request.headers.get("Accept", "") in ("", "*/*"):
        return
    produced = getattr(current_app.view_functions[request.endpoint], "produces", (JSON,))
    if request.accept_mimetypes.best_match(produced) is None:
        raise NotAcceptable(f"This resource has {' and '.join(produced)}.")


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers["X-Content-Type-Options"] = "nosniff"
    if request.method == "OPTIONS" and response.status_code == 200:
        # Flask's own answer to OPTIONS is an empty page of HTML.
        response.status_code = 204
        del response.headers["Content-Type"]
    return response


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


class Parser(FlaskParser):
    """webargs, with our JSON, our status codes and our errors."""

    def parse(self, *arguments: Any, **options: Any) -> Any:
        """Read a body or a query and check it against its schema."""
        with phases.measured("parse"):
            return super().parse(*arguments, **options)

    def load_json(self, req: Request, schema: Schema) -> object:
        """Return the parsed body; no body at all is as good as {} where the schema says so."""
        if getattr(schema, "body_is_optional", False) and not req.content_type and not req.get_data():
            return {}
        if req.mimetype != JSON or req.mimetype_params.get("charset", "utf-8").lower() != "utf-8":
            raise UnsupportedMediaType(f"The body must be {JSON} in UTF-8.")
        encoding = req.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise UnsupportedEncoding("The body must not be compressed, or by gzip.")
        too_long = req.max_content_length or 0
        body = req.get_data(cache=False)
        if encoding == "gzip":
            body = _decompress(body, too_long)
        if len(body) >= too_long:  # Werkzeug cuts a body without a length off there
            raise RequestEntityTooLarge
        return wire.parse(body)

    def handle_error(self, error: ValidationError, req: Request, schema: Schema, **_: object) -> NoReturn:
        """Turn what a schema found into our errors."""
        if "json" in error.messages_dict:
            raise InvalidRequest(body_errors(ValidationError(error.messages_dict["json"]))) from None
        raise InvalidRequest(query_errors(error)) from None
