"""Whose request it is: API keys as bearer tokens, where CHAINRULE_AUTH asks for them."""

from flask import Response, g, request

from service.api.current import services
from service.config import Auth, Switch
from service.errors import Forbidden, Unauthenticated
from service.records import Scope

SECURITY_SCHEME = "key"
SECURITY_SCHEME_DEFINITION = {
    "type": "http",
    "scheme": "bearer",
    "description": "A key that `chainrule keys create` printed.",
}

_READING = ("GET", "HEAD", "OPTIONS")


def authenticate() -> None:
    """Find the owner of the request, before anything else is looked at; without keys, it is nobody."""
    g.owner = ""
    config = services().config
    if config.auth == Auth.OFF or not guarded(request.path, metrics_too=config.open_metrics == Switch.OFF):
        return
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("This needs a key: send it as Authorization: Bearer KEY.", "")
    key = services().keys.find(presented.strip())
    if key is None:
        raise Unauthenticated("That is no key, or no longer one.", "invalid_token")
    if key.scope is Scope.READ and request.method not in _READING:
        raise Forbidden("This key only reads.")
    services().throttle.admit(key.id)
    g.owner = key.name


def guarded(path: str, *, metrics_too: bool = False) -> bool:
    """Return whether a path needs a key where keys are asked for."""
    # By path rather than by view: what does not exist must not look different from what one may not see.
    return path == "/v1" or path.startswith("/v1/") or (path == "/metrics" and metrics_too)


def keep_private(response: Response) -> Response:
    """Keep shared caches from handing one owner's answers to another."""
    if services().config.auth == Auth.KEYS and "Authorization" in request.headers:
        response.headers["Cache-Control"] = "private, no-cache"
        response.vary.add("Authorization")
    return response
