"""Serves the page: plain files that the browser loads as they are, and no other host is asked for anything."""

from collections.abc import Iterable
from hashlib import blake2s
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, render_template, send_from_directory

from service import __version__

STATIC = Path(__file__).parent / "static"

POLICY = "; ".join(
    (
        "default-src 'none'",
        # Graphviz is WebAssembly; nothing else is ever compiled from text.
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self'",
        "style-src 'self'",
        "font-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)

blueprint = Blueprint("page", __name__, template_folder="templates")


def register(app: Flask) -> None:
    """Serve the page, and its files under a path that changes with their content."""
    app.config["PAGE_FILES"] = digest(STATIC.rglob("*"))
    # Imported by the page's own modules: named in advance, they are fetched at once instead of one after the other.
    app.config["PAGE_MODULES"] = sorted(path.name for path in STATIC.glob("*.js") if path.stem not in _APART)
    app.register_blueprint(blueprint)


# Loaded by elements of their own, and by the worker.
_APART = ("theme", "layout-worker", "docs")


def digest(files: Iterable[Path]) -> str:
    """Return a short name for the content of files."""
    content = blake2s(digest_size=8)
    for path in sorted(files):
        if path.is_file():
            content.update(path.name.encode() + b"\0" + path.read_bytes())
    return content.hexdigest()


@blueprint.get("/")
@blueprint.get("/runs")
@blueprint.get("/runs/<run_id>")
@blueprint.get("/operations")
def show_page(run_id: str | None = None) -> Response:
    """Answer the one document; what it shows is decided by its scripts, from the path."""
    return _document("page.html", modules=current_app.config["PAGE_MODULES"], version=__version__)


@blueprint.get("/docs")
def show_docs() -> Response:
    """Answer the documentation of the API, to read and to try."""
    return _document("docs.html")


def _document(template: str, **shown: object) -> Response:
    page = render_template(template, static=f"/static/{current_app.config['PAGE_FILES']}", **shown)
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Cache-Control"] = "no-cache"
    return _guarded(response)


for _view in (show_page, show_docs):
    _view.produces = ("text/html",)  # type: ignore[attr-defined]


@blueprint.get("/static/<files>/<path:name>")
def show_file(files: str, name: str) -> Response:
    """Answer one of the page's files; a browser keeps it, unless it asks by the path of an older page."""
    response = send_from_directory(STATIC, name)
    if files == current_app.config["PAGE_FILES"]:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return _guarded(response)


show_file.produces = ("*/*",)  # type: ignore[attr-defined]


def _guarded(response: Response) -> Response:
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    return response
