"""Whose request it is: API keys as bearer tokens, where CHAINRULE_AUTH asks for them."""

from flask import Request, Response
from flask.ctx import _AppCtxGlobals as Globals

from service.api import idempotency
from service.api.current import Services
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
_STORING_NOTHING = ("/v1/explain",)
"""Paths of POST that only compute."""


def authenticate(request: Request, kept: Globals, services: Services) -> None:
    """Find the owner of the request, before anything else is looked at; without keys, it is nobody."""
    kept.owner = ""
    config = services.config
    if config.auth == Auth.OFF or not guarded(request.path, metrics_too=config.open_metrics == Switch.OFF):
        return
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("This needs a key: send it as Authorization: Bearer KEY.", "")
    key = services.keys.find(presented.strip())
    if key is None:
        raise Unauthenticated("That is no key, or no longer one.", "invalid_token")
    if key.scope is Scope.READ and request.method not in _READING:
        if request.path not in _STORING_NOTHING:
            raise Forbidden("This key only reads.")
        if idempotency.HEADER in request.headers:
            raise Forbidden(f"This key only reads, and for an {idempotency.HEADER} the answer is kept: leave it out.")
    services.throttle.admit(key.id)
    kept.owner = key.name


def guarded(path: str, *, metrics_too: bool = False) -> bool:
    """Return whether a path needs a key where keys are asked for."""
    # By path rather than by view: what does not exist must not look different from what one may not see.
    return path == "/v1" or path.startswith("/v1/") or (path == "/metrics" and metrics_too)


def keep_private(request: Request, response: Response, services: Services) -> None:
    """Keep shared caches from handing one owner's answers to another."""
    if services.config.auth == Auth.KEYS and "Authorization" in request.headers:
        response.headers["Cache-Control"] = "private, no-cache"
        response.vary.add("Authorization")
