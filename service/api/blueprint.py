"""flask-smorest, mended: typed decorators, and an OpenAPI document that tells the truth about errors."""

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import flask_smorest
from apispec.ext.marshmallow.common import make_schema_key
from flask import Flask, Response, request
from flask_smorest.utils import prepare_response
from marshmallow import Schema

from service import wire
from service.api import authentication, idempotency, problems
from service.api.requests import JSON, read_body, read_query
from service.config import Auth
from service.schemas.errors import ProblemSchema
from service.schemas.graphs import FORMS, GraphDocumentSchema
from service.schemas.runs import RunRequestSchema

View = TypeVar("View", bound=Callable[..., object])


class Api(flask_smorest.Api):  # type: ignore[misc]
    """The OpenAPI document; errors are documented as the problem documents they are."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _init_spec(self, **options: Any) -> None:
        super()._init_spec(**options)
        self.spec.components.security_scheme(authentication.SECURITY_SCHEME, authentication.SECURITY_SCHEME_DEFINITION)
        converter = self.ma_plugin.converter
        # What a marshmallow schema cannot say: one of several forms, exactly one of two fields.
        forms = [converter.resolve_nested_schema(form) for form in FORMS]
        self._define("GraphDocument", GraphDocumentSchema, {"oneOf": forms})
        either = [{"required": ["graph"]}, {"required": ["graph_id"]}]
        request = converter.schema2jsonschema(RunRequestSchema())
        self._define("RunRequest", RunRequestSchema, {**request, "oneOf": either})

    def _define(self, name: str, schema: type[Schema], definition: dict[str, Any]) -> None:
        self.spec.components.schema(name, definition)
        self.ma_plugin.converter.refs[make_schema_key(schema())] = name

    def _register_error_handlers(self) -> None:
        """Leave errors to service.api.problems."""

    def _register_pagination_header(self) -> None:
        """Document nothing: lists carry their next page in the body and in Link."""

    def _register_responses(self) -> None:
        for status in HTTPStatus:
            response: dict[str, Any] = {"description": status.phrase}
            if status >= HTTPStatus.BAD_REQUEST:
                response["schema"] = ProblemSchema
            if status in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
                response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
            prepare_response(response, self.spec, problems.MEDIA_TYPE)
            self.spec.components.response(status.name, response, lazy=True)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """A resource; every operation documents the errors that any of its kind can answer."""

    def __init__(self, name: str, import_name: str, **options: Any) -> None:
        super().__init__(name, import_name, **options)
        self._guarded: set[str] = set()
        self._headers: dict[str, list[dict[str, Any]]] = {}
        self._prepare_doc_cbks += [_document_common_errors, self._document_headers, self._document_keys]

    def route(self, rule: str, **options: Any) -> Callable[[View], View]:
        """Register a view in the app and in the OpenAPI document."""
        register = super().route(rule, **options)

        posts = "POST" in options.get("methods", ())
        guarded = authentication.guarded(f"{self.url_prefix or ''}{rule}")

        def decorator(view: View) -> View:
            _document(self.doc(operationId=view.__name__), view)
            register(idempotency.idempotent(view) if posts else view)  # type: ignore[arg-type]
            if guarded:
                self._guarded.add(view.__name__)
            return view

        return decorator

    def _document_keys(
        self, doc: dict[str, Any], doc_info: Mapping[str, Any], *, app: Flask, method: str, **_: object
    ) -> dict[str, Any]:
        guarded = doc_info["manual_doc"]["operationId"] in self._guarded
        if guarded and app.extensions["chainrule"].config.auth == Auth.KEYS:
            doc["security"] = [{authentication.SECURITY_SCHEME: []}]
            failures = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
            for status in failures[:1] if method == "get" else failures:
                doc["responses"].setdefault(status, status.name)
            doc["responses"].setdefault(HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.TOO_MANY_REQUESTS.name)
        return doc

    def body(self, schema: type[Schema], **options: Any) -> Callable[[View], View]:
        """Pass the JSON body, read by the schema, to the view as its next argument."""
        instance = schema()
        document = super().arguments(instance, **options)

        def decorator(view: View) -> View:
            @wraps(view)
            def read(*arguments: Any, **named: Any) -> object:
                return view(*arguments, read_body(instance), **named)

            return _document(document, cast(View, read))

        return decorator

    def query(self, schema: type[Schema]) -> Callable[[View], View]:
        """Pass the query parameters, read by the schema, to the view as keyword arguments."""
        instance = schema()
        document = super().arguments(instance, location="query")
        defaults = instance.load({})

        def decorator(view: View) -> View:
            @wraps(view)
            def read(*arguments: Any, **named: Any) -> object:
                return view(*arguments, **named, **(read_query(instance) if request.query_string else defaults))

            read.query_parameters = frozenset(instance.load_fields)  # type: ignore[attr-defined]
            return _document(document, cast(View, read))

        return decorator

    def header(self, parameter: dict[str, Any]) -> Callable[[View], View]:
        """Document a header that the view reads."""

        def decorator(view: View) -> View:
            self._headers.setdefault(view.__name__, []).append(parameter)
            return view

        return decorator

    def _document_headers(
        self, doc: dict[str, Any], doc_info: Mapping[str, Any], *, method: str, **_: object
    ) -> dict[str, Any]:
        headers = list(self._headers.get(doc_info["manual_doc"]["operationId"], ()))
        if method == "post":
            headers.append(idempotency.PARAMETER)
            doc["responses"].setdefault(HTTPStatus.CONFLICT, HTTPStatus.CONFLICT.name)
        if headers:
            doc["parameters"] = [*doc.get("parameters", ()), *headers]
        return doc

    def answers(
        self, status: HTTPStatus, schema: type[Schema] | dict[str, Any] | None = None, **options: Any
    ) -> Callable[[View], View]:
        """Document a status that the view answers when all is well; views build their answers themselves."""
        decorate = super().alt_response(status, schema=schema, success=True, **options)
        return lambda view: _document(decorate, view)

    def answers_as(self, *media_types: str, **options: Any) -> Callable[[View], View]:
        """Document an answer that is not JSON, in each of the media types that the view has."""
        content = {media_type: {"schema": {"type": "string"}} for media_type in media_types}

        def decorator(view: View) -> View:
            _document(self.doc(responses={HTTPStatus.OK: {"content": content} | options}), view)
            view.produces = media_types  # type: ignore[attr-defined]
            return view

        return decorator

    def fails(self, *statuses: HTTPStatus) -> Callable[[View], View]:
        """Document errors that not every resource has."""

        def decorator(view: View) -> View:
            for status in statuses:
                _document(super(Blueprint, self).alt_response(status, status.name), view)
            return view

        return decorator


def _document(decorate: Callable[[View], Any], view: View) -> View:
    # flask-smorest wraps a view once for each thing it documents, and has webargs read what is sent, which takes
    # longer than reading it; the views do without these layers.
    view._apidoc = decorate(view)._apidoc  # type: ignore[attr-defined]
    return view


def _document_common_errors(doc: dict[str, Any], doc_info: Mapping[str, Any], **_: object) -> dict[str, Any]:
    statuses = [HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR]
    if "requestBody" in doc:
        statuses += [
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        ]
    responses = doc.setdefault("responses", {})
    for status in statuses:
        responses.setdefault(status, status.name)
    return doc


def respond(document: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer; the document must be JSON already (service.wire has the numbers)."""
    return Response(wire.write(document), status, dict(headers or {}), content_type=JSON)


def respond_page(rows: list[dict[str, Any]], next_page_token: str | None) -> Response:
    """Return one page of a list, with a link to the next one."""
    if next_page_token is None:
        return respond({"items": rows})
    query = request.args.to_dict() | {"page_token": next_page_token}
    link = f'<{request.path}?{urlencode(query)}>; rel="next"'
    return respond({"items": rows, "next_page_token": next_page_token}, headers={"Link": link})
