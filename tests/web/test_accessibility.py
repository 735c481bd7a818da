"""axe-core finds nothing to object to, in either theme, in any state of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Visit

AXE = Path(__file__).with_name("axe.min.js").read_text(encoding="utf-8")

in_both_themes = pytest.mark.parametrize("scheme", ["light", "dark"])


def violations(page: Page) -> list[tuple[str, list[str]]]:
    # The policy forbids scripts that are written into the page; the debugger's own evaluation is none.
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run()")
    return [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in found["violations"]]


@in_both_themes
def test_writing_stepping_and_every_tab_are_accessible(visit: Visit, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    expect(page.get_by_role("button", name="Next step")).to_be_enabled()
    assert violations(page) == []
    for _ in range(9):
        page.get_by_role("button", name="Next step").click()
    assert violations(page) == []
    page.get_by_role("tab", name="Numerical check").click()
    page.get_by_role("button", name="Check the gradients").click()
    assert violations(page) == []
    page.get_by_role("tab", name="Save and share").click()
    assert violations(page) == []
    page.get_by_label("Example").select_option("A network on two moons")
    page.get_by_role("tab", name="Descent").click()
    expect(page.locator(".plane")).to_be_visible()
    assert violations(page) == []


@in_both_themes
def test_errors_are_accessible(visit: Visit, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    page.get_by_label("Expression or JSON").fill("a = 2.0\nb = tahn(a)")
    expect(page.locator("#problems")).to_contain_text("line 2")
    assert violations(page) == []


@in_both_themes
def test_the_question_for_a_key_is_accessible(visit: Visit, scheme: str) -> None:
    page = visit(color_scheme=scheme)
    page.evaluate("document.getElementById('key-dialog').showModal()")
    assert violations(page) == []


@in_both_themes
@pytest.mark.parametrize("path", ["/runs", "/runs/nothing", "/operations"])
def test_the_other_pages_are_accessible(visit: Visit, path: str, scheme: str) -> None:
    page = visit(path, color_scheme=scheme)
    if path == "/operations":
        page.get_by_role("searchbox", name="Search").fill("tan")
    page.wait_for_load_state("networkidle")
    assert violations(page) == []
