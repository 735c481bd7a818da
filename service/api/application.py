"""Flask, with what holds for every request written down in order."""

from collections.abc import Callable
from typing import Any

from flask import Flask, Request, Response, g
from flask.globals import request_ctx
from werkzeug.routing import MapAdapter

from service.api import authentication, requests, telemetry


class Application(Flask):
    """Calls what comes before and after every view by name.

    Flask's hooks would look for the same request through its proxies, again in each function and at each attribute.
    """

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function: none here is a coroutine, which Flask would find out each time."""
        return func

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what finds the view of a path; nothing here depends on the host, which Flask would look into."""
        if request is None:
            return None
        path = request.environ["PATH_INFO"].encode("latin-1").decode(errors="replace")  # see PEP 3333
        return MapAdapter(self.url_map, "", "/", "", "http", path, request.method)

    def preprocess_request(self) -> None:
        """Refuse what no view needs to see; the first of these to raise is answered."""
        request, kept = request_ctx.request, g._get_current_object()
        telemetry.begin(request, kept)
        requests.identify(request, kept)
        authentication.authenticate(request, kept, self.extensions["chainrule"])
        if request.endpoint is not None:
            view = self.view_functions[request.endpoint]
            requests.refuse_unknown_parameters(request, view)
            requests.negotiate(request, view)

    def process_response(self, response: Response) -> Response:
        """Put on every answer what all have, and say that it was given."""
        request, kept = request_ctx.request, g._get_current_object()
        authentication.keep_private(request, response, self.extensions["chainrule"])
        requests.finish(request, response, kept)
        telemetry.describe(request, response, kept)
        return response
