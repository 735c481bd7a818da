"""axe-core finds nothing to object to, in either theme, in any state of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.conftest import Visit

AXE = Path(__file__).with_name("axe.min.js").read_text(encoding="utf-8")


def nothing(page: Page) -> None:
    """A page as it opens."""


def stepped(page: Page) -> None:
    for _ in range(9):
        page.get_by_role("button", name="Next step").click()


def mistaken(page: Page) -> None:
    page.get_by_label("Expression or JSON").fill("a = 2.0\nb = tahn(a)")
    expect(page.locator("#problems")).to_contain_text("line 2")


def checking(page: Page) -> None:
    page.get_by_role("tab", name="Numerical check").click()


def descending(page: Page) -> None:
    page.get_by_label("Example").select_option("A network on two moons")
    page.get_by_role("tab", name="Descent").click()
    expect(page.locator(".plane")).to_be_visible()


def sharing(page: Page) -> None:
    page.get_by_role("tab", name="Save and share").click()


def asked_for_a_key(page: Page) -> None:
    page.evaluate("document.getElementById('key-dialog').showModal()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("path", "act"),
    [
        ("/", nothing),
        ("/", stepped),
        ("/", mistaken),
        ("/", checking),
        ("/", descending),
        ("/", sharing),
        ("/", asked_for_a_key),
        ("/runs", nothing),
        ("/runs/nothing", nothing),
        ("/operations", nothing),
    ],
)
def test_axe_finds_no_violation(visit: Visit, path: str, act: Callable[[Page], None], scheme: str) -> None:
    page = visit(path, color_scheme=scheme)
    page.wait_for_load_state("networkidle")
    act(page)
    # The policy forbids scripts that are written into the page; the debugger's own evaluation is none.
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run()")
    assert [(violation["id"], [node["html"] for node in violation["nodes"]]) for violation in found["violations"]] == []
