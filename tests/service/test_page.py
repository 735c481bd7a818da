"""What surrounds the page: its policy, its files, and that none of them is needed from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from service.web.page import STATIC


@pytest.mark.parametrize("path", ["/", "/runs", "/runs/anything", "/operations", "/docs"])
def test_the_page_is_one_document_under_a_strict_policy(client: FlaskClient, path: str) -> None:
    response = client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (response.status_code, response.content_type) == (200, "text/html; charset=utf-8")
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", response.text)


def test_every_file_that_the_page_names_is_there_and_may_be_kept(client: FlaskClient) -> None:
    named = re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text)
    named += re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/docs").text)
    assert {"app.js", "docs.js"} <= {name.rsplit("/", 1)[1] for name in named}
    for name in named:
        with client.get(name) as response:
            assert response.status_code == 200
            assert "immutable" in response.headers["Cache-Control"]
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]


def test_a_file_under_an_older_name_is_served_but_not_kept(client: FlaskClient) -> None:
    with client.get("/static/older/app.js") as response:
        assert response.status_code == 200
        assert "immutable" not in response.headers["Cache-Control"]


@pytest.mark.parametrize(
    "name", ["nothing.js", "../page.py", "..%2fpage.py", "%2e%2e/page.py", "/etc/passwd", "vendor", "a\0b"]
)
def test_nothing_else_is_served(client: FlaskClient, name: str) -> None:
    response = client.get(f"/static/x/{name}")
    assert (response.status_code, response.content_type) == (404, "application/problem+json")


def test_every_module_is_imported_or_loaded_by_another() -> None:
    sources = {path.name: path.read_text() for path in STATIC.glob("*.js")}
    templates = [path.read_text() for path in Path(STATIC.parent, "templates").glob("*.html")]
    text = "\n".join([*sources.values(), *templates])
    for name in sources:
        assert re.search(rf"/{re.escape(name)}\"", text), name


def test_no_file_of_ours_names_another_host() -> None:
    for path in [*STATIC.glob("*"), *STATIC.parent.glob("templates/*")]:
        if path.is_file():
            elsewhere = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text()))
            assert elsewhere <= {"http://www.w3.org/2000/svg"}, path.name
