"""A real browser on a real server: no request may leave the host, and nothing may go wrong unseen."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, sync_playwright

from tests.conftest import ROOT, Server, start_server

SCREENSHOTS = Path(os.environ.get("CHAINRULE_SCREENSHOTS", ROOT / "build" / "screenshots"))

# Without these, Chromium itself looks for updates and names on the network.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of the page."""
    folder = tmp_path_factory.mktemp("page")
    url = f"sqlite:///{folder / 'chainrule.sqlite3'}"
    server = start_server(folder / "server.log", {"CHAINRULE_DATABASE_URL": url})
    yield server
    server.process.terminate()
    server.process.wait(timeout=30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    program = shutil.which("chromium")
    assert program, "chromium is not on the PATH; tests/install-programs installs it"
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=_FLAGS)
        yield running
        running.close()


Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, page_server: Server) -> Iterator[Visit]:
    """Open the page as a new visitor: `visit("/runs", viewport=...)`.

    At the end, fails the test if the page asked another host for anything, or an error reached the console.
    """
    contexts: list[BrowserContext] = []
    outside: list[str] = []
    mistakes: list[str] = []

    def open_page(path: str = "/", **options: Any) -> Page:
        options = {"base_url": page_server.url, "viewport": {"width": 1360, "height": 900}, **options}
        host = urlsplit(options["base_url"]).netloc
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("request", lambda request: _note_outside(request.url, host, outside))
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda message: _note_mistake(message.type, message.text, mistakes))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert outside == []
    assert mistakes == []


def _note_outside(url: str, host: str, outside: list[str]) -> None:
    if urlsplit(url).scheme in ("http", "https", "ws", "wss") and urlsplit(url).netloc != host:
        outside.append(url)


def _note_mistake(kind: str, text: str, mistakes: list[str]) -> None:
    # The browser itself reports every answer of 400 and more; tests of errors ask for those.
    if kind == "error" and not text.startswith("Failed to load resource"):
        mistakes.append(text)


@pytest.fixture
def screenshot() -> Callable[[Page | Locator, str], None]:
    """Keep a picture of the page for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    def take(page: Page | Locator, name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png")

    return take
