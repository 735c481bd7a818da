"""What a person does on the page: write, step, drag, store, come back, make mistakes, and use it by keyboard only."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.conftest import ROOT, Server, StartServer
from tests.web.conftest import Visit

Screenshot = Callable[[Page | Locator, str], None]

NEURON = """x1 = 2.0
x2 = 0.0
w1 = -3.0
w2 = 1.0
b = 6.8813735870195432

n = x1*w1 + x2*w2 + b
o = tanh(n)
"""
MINUS = "\N{MINUS SIGN}"


def write(page: Page, text: str) -> None:
    """Type a text in place of what is there, and wait until it is shown or refused."""
    ready(page)
    page.get_by_label("Expression or JSON").fill(text)
    expect(page.locator("#view-write:not([aria-busy])")).to_be_attached()


def ready(page: Page) -> None:
    expect(page.locator("#view-write[data-ready=true]")).to_be_attached()


def box(page: Page, label: str) -> Locator:
    """The box of a node in the drawing."""
    exactly = re.compile(f"^{re.escape(label)}$")
    return page.locator("#drawing g.box").filter(has=page.locator("text.label", has_text=exactly))


def grad(page: Page, label: str) -> Locator:
    return box(page, label).locator("text.number").last


def data(page: Page, label: str) -> Locator:
    return box(page, label).locator("text.number").first


def gradient_of_leaf(page: Page, name: str) -> Locator:
    return page.get_by_label(f"Gradient of {name}", exact=True)


def test_a_neuron_is_written_and_walked_back_to_its_last_gradient(visit: Visit, screenshot: Screenshot) -> None:
    page = visit()
    write(page, NEURON)
    expect(data(page, "n")).to_have_text("0.8814")
    expect(grad(page, "x1")).to_have_text("–")
    following = page.get_by_role("button", name="Next step")
    seen = []
    while following.is_enabled():
        following.click()
        seen.append(page.locator("#sentence").inner_text())
    assert seen[0] == "o is an output: its gradient starts at 1.0, the seed."
    assert seen[1] == "n feeds o through tanh; d tanh/dn = 1 − o² = 0.5; 1.0 × 0.5 = 0.5 goes to n."
    for label, shown in {"x1": f"{MINUS}1.5000", "w1": "1.0000", "x2": "0.5000", "w2": "0.0000", "o": "1.0000"}.items():
        expect(grad(page, label)).to_have_text(shown)
    screenshot(page, "neuron")


def test_gradients_appear_as_they_are_computed_and_go_again_on_the_way_back(visit: Visit) -> None:
    page = visit()
    ready(page)
    forward = page.get_by_role("button", name="Next step")
    for _ in range(2):
        forward.click()
    expect(grad(page, "n")).to_have_text("0.5000")
    expect(grad(page, "b")).to_have_text("–")
    expect(page.locator("#drawing .edge.lit")).to_have_count(2)
    page.get_by_role("button", name="One step back").click()
    expect(grad(page, "n")).to_have_text("–")
    expect(grad(page, "o")).to_have_text("1.0000")
    page.get_by_role("button", name="To the last gradient").click()
    expect(grad(page, "x1")).to_have_text(f"{MINUS}1.5000")
    page.get_by_role("button", name="Back to the start").click()
    expect(grad(page, "o")).to_have_text("–")


def test_a_shared_node_is_seen_adding_up(visit: Visit) -> None:
    page = visit()
    write(page, "a = 3.0\nb = a + a\n")
    expect(data(page, "b")).to_have_text("6.0000")
    for expected in ("–", "1.0000", "2.0000"):
        page.get_by_role("button", name="Next step").click()
        expect(grad(page, "a")).to_have_text(expected)
    expect(page.locator("#sentence")).to_contain_text("with the 1.0 it already has, that makes 2.0")


def test_dragging_a_leaf_moves_values_and_gradients_and_then_the_text(visit: Visit, screenshot: Screenshot) -> None:
    page = visit()
    ready(page)
    slider = page.get_by_role("slider", name="b", exact=True)
    bounds = slider.bounding_box()
    assert bounds is not None
    middle = bounds["y"] + bounds["height"] / 2
    page.mouse.move(bounds["x"] + bounds["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(bounds["x"] + bounds["width"] * 0.6, middle, steps=8)
    expect(data(page, "b")).not_to_have_text("6.8814")
    expect(grad(page, "n")).not_to_have_text("–")
    while_dragging = page.get_by_label("Expression or JSON").input_value()
    assert "b = 6.8813735870195432" in while_dragging
    screenshot(page, "dragging")
    page.mouse.up()
    expect(page.get_by_label("Expression or JSON")).not_to_have_value(while_dragging)
    written = re.search(r"^b = (.+)$", page.get_by_label("Expression or JSON").input_value(), re.MULTILINE)
    assert written
    expect(data(page, "b")).to_have_text(f"{float(written[1]):.4f}")


def test_a_typed_value_is_taken_and_nonsense_is_not(visit: Visit) -> None:
    page = visit()
    ready(page)
    field = page.get_by_role("textbox", name="Value of x1")
    field.fill("4")
    field.press("Enter")
    expect(data(page, "x1w1")).to_have_text(f"{MINUS}12.0000")
    field.fill("four")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(data(page, "x1w1")).to_have_text(f"{MINUS}12.0000")


def test_a_stored_run_is_found_again_under_its_link(visit: Visit, screenshot: Screenshot) -> None:
    page = visit()
    write(page, NEURON.replace("2.0", "2.25", 1))
    expect(data(page, "x1")).to_have_text("2.2500")
    page.get_by_role("tab", name="Save and share").click()
    page.get_by_label("Name", exact=True).fill("my neuron")
    page.get_by_role("button", name="Save and get the link").click()
    link = page.get_by_role("tabpanel").get_by_role("link")
    expect(link).to_contain_text("/runs/")
    path = link.get_attribute("href")
    assert path and page.url.endswith(path)

    friend = visit(path)
    expect(data(friend, "x1")).to_have_text("2.2500")
    expect(grad(friend, "w1")).to_have_text(re.compile(r"\d\.\d{4}"))
    expect(friend.get_by_label("Expression or JSON")).to_have_value(re.compile(r"^x1 = 2\.25$", re.MULTILINE))
    expect(friend.locator("#result")).to_contain_text("gradient run")
    screenshot(friend, "stored-run")

    runs = visit("/runs")
    runs.get_by_role("searchbox", name="Search").fill(path.rsplit("/", 1)[1])
    expect(runs.get_by_role("row")).to_have_count(2)
    runs.get_by_role("row").last.get_by_role("link", name="my neuron").click()
    expect(data(runs, "x1")).to_have_text("2.2500")


def test_looking_at_a_stored_run_does_not_replace_what_was_being_written(visit: Visit, page_server: Server) -> None:
    page = visit()
    write(page, "q = 1.5\nr = sin(q)")
    expect(data(page, "r")).to_have_text("0.9975")
    run = page.request.post("/v1/runs", data={"graph": {"expression": "y = x*x", "data": {"x": 3}}}).json()
    page.goto(f"/runs/{run['id']}")
    expect(data(page, "y")).to_have_text("9.0000")
    page.goto("/")
    expect(page.get_by_label("Expression or JSON")).to_have_value("q = 1.5\nr = sin(q)")


def test_half_written_text_survives_a_reload(visit: Visit) -> None:
    page = visit()
    write(page, "a = 2.0\nb = a*(a +")
    expect(page.get_by_role("alert").filter(has_text="line 2")).to_be_visible()
    page.reload()
    expect(page.get_by_label("Expression or JSON")).to_have_value("a = 2.0\nb = a*(a +")


@pytest.mark.parametrize(
    ("text", "place", "marked"),
    [
        ("a = 2.0\nb = a +* 3\n", "line 2, column", None),
        ("a = 2.0\nb = tahn(a)\n", "line 2, column 5", "tahn"),
        (
            '{"nodes": [{"id": "x", "op": "input", "data": 1}, {"id": "y", "op": "tahn", "inputs": ["x"]}]}',
            "line 1",
            '"tahn"',
        ),
        ('{"nodes": [{"id": "x" "op": "input"}]}', "line 1, column 23", '"'),
        ('{"nodes": [\n{"id": "y", "op": "neg", "inputs": ["nowhere"]}]}', "line 2", '"nowhere"'),
    ],
)
def test_an_error_appears_at_its_place(visit: Visit, text: str, place: str, marked: str | None) -> None:
    page = visit()
    write(page, text)
    expect(page.locator("#problems")).to_contain_text(place)
    expect(page.get_by_label("Expression or JSON")).to_have_attribute("aria-invalid", "true")
    if marked is not None:
        expect(page.locator("#editor mark").first).to_have_text(marked)
    page.locator("#problems").get_by_role("button", name=place).first.click()
    expect(page.get_by_label("Expression or JSON")).to_be_focused()


def test_an_input_without_a_value_is_offered_one(visit: Visit, screenshot: Screenshot) -> None:
    page = visit()
    write(page, "y = exp(-k*t)")
    offer = page.get_by_role("button", name=re.compile("Set .* to 1"))
    expect(offer).to_be_visible()
    screenshot(page, "missing-values")
    offer.click()
    expect(data(page, "y")).to_have_text("0.3679")
    expect(page.locator("#problems")).to_be_empty()


def test_a_hostile_label_is_text(visit: Visit) -> None:
    page = visit()
    labels = ["</svg><script>document.title='taken'</script>", '" | } {', "<img src=x onerror=alert(1)>"]
    nodes: list[dict[str, Any]] = [
        {"id": f"n{k}", "op": "input", "data": k, "label": label} for k, label in enumerate(labels)
    ]
    nodes.append({"id": labels[0], "op": "sum", "inputs": ["n0", "n1", "n2"]})
    write(page, json.dumps({"nodes": nodes}))
    expect(box(page, '" | } {')).to_have_count(1)
    page.get_by_role("button", name="To the last gradient").click()
    expect(page.locator("#drawing title").filter(has_text=labels[0])).to_have_count(1)
    expect(page.locator("#panel-nodes")).to_contain_text(labels[0])
    assert page.locator("#view-write script, #view-write img").count() == 0
    assert page.title() == "Chainrule"


def test_a_large_graph_is_a_sorted_table(visit: Visit) -> None:
    page = visit()
    chain = [{"id": "n0", "op": "input", "data": 0.5}]
    chain += [{"id": f"n{k}", "op": "sin", "inputs": [f"n{k - 1}"]} for k in range(1, 400)]  # type: ignore[dict-item]
    write(page, json.dumps({"nodes": chain}))
    expect(page.locator("#drawing-note")).to_contain_text("400 nodes are too many for a drawing")
    page.get_by_role("button", name="data", exact=True).click()
    expect(page.get_by_role("button", name="data")).to_have_text("data ↓")
    first = page.locator("#panel-nodes tbody tr").first
    expect(first).to_contain_text("n0")
    page.get_by_role("button", name="data").click()
    expect(first).to_contain_text("n399")
    page.get_by_label("Operation").select_option("input")
    expect(page.locator("#panel-nodes tbody tr")).to_have_count(1)


def test_it_works_by_keyboard_only(visit: Visit) -> None:
    page = visit()
    ready(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(grad(page, "x1")).to_have_text(f"{MINUS}1.5000")
    page.keyboard.press("Home")
    expect(page.locator("#position-text")).to_have_text("0 / 10")
    page.keyboard.press("End")
    expect(page.locator("#position-text")).to_have_text("10 / 10")

    def tab_to(target: Locator) -> None:
        for _ in range(60):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError("the keyboard does not get there")

    tab_to(page.get_by_label("Expression or JSON"))
    page.keyboard.press("Control+a")
    page.keyboard.type("u = 3.0\nv = u*u")
    expect(data(page, "v")).to_have_text("9.0000")
    tab_to(page.get_by_role("slider", name="u", exact=True))
    page.keyboard.press("ArrowRight")
    expect(data(page, "u")).not_to_have_text("3.0000")
    tab_to(page.get_by_role("tab", name="Every node"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("tab", name="Numerical check")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("button", name="Save and get the link")).to_be_visible()


def test_playing_goes_by_itself_and_stops(visit: Visit) -> None:
    page = visit()
    write(page, "a = 2.0\nb = -a")
    expect(data(page, "b")).to_have_text(f"{MINUS}2.0000")
    page.get_by_role("button", name="Play").click()
    expect(page.locator("#position-text")).to_have_text("2 / 2")
    expect(page.get_by_role("button", name="Play")).to_have_attribute("aria-pressed", "false")


def test_nothing_jumps_while_stepping(visit: Visit) -> None:
    page = visit()
    ready(page)
    places = "ids => ids.map(id => document.getElementById(id).getBoundingClientRect().toJSON())"
    ids = ["drawing", "text", "leaves", "tab-nodes", "position"]
    before = page.evaluate(places, ids)
    for _ in range(10):
        page.get_by_role("button", name="Next step").click()
        assert page.evaluate(places, ids) == before


def test_zooming_and_moving_change_the_view(visit: Visit) -> None:
    page = visit()
    ready(page)
    svg = page.locator("#drawing svg")
    fitted = svg.get_attribute("viewBox")
    page.get_by_role("button", name="Zoom in").click()
    assert svg.get_attribute("viewBox") != fitted
    page.locator("#drawing").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    expect(svg).to_have_attribute("viewBox", fitted or "")


def test_copies_can_be_run_elsewhere(visit: Visit, page_server: Server) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    write(page, NEURON)
    expect(data(page, "n")).to_have_text("0.8814")
    page.get_by_role("tab", name="Save and share").click()

    def copied(kind: str) -> str:
        page.get_by_role("button", name=f"Copy as {kind}").click()
        expect(page.get_by_role("tabpanel").get_by_role("status")).to_have_text(f"Copied as {kind}.")
        text: str = page.evaluate("navigator.clipboard.readText()")
        return text

    answered = subprocess.run(["sh", "-c", copied("curl")], capture_output=True, check=True, timeout=60)
    assert json.loads(answered.stdout)["gradients"]["x1"] == pytest.approx(-1.5)
    printed = subprocess.run([sys.executable, "-c", copied("Python")], capture_output=True, check=True, timeout=60)
    assert re.search(r"^x1 -1\.[45]", printed.stdout.decode(), re.MULTILINE)
    picture = ElementTree.fromstring(copied("SVG"))  # noqa: S314  (made by the page under test)
    assert "0.8814" in [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]


def test_a_key_is_asked_for_where_one_is_needed(
    visit: Visit, server: StartServer, sqlite_database_url: str, tmp_path: Path
) -> None:
    keyed = {"CHAINRULE_AUTH": "keys", "CHAINRULE_DATABASE_URL": sqlite_database_url}
    url = server(**keyed).url
    create = [sys.executable, "-m", "service", "keys", "create", "reader"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **keyed}
    key = subprocess.run(create, env=environment, cwd=tmp_path, capture_output=True, check=True, text=True, timeout=60)
    page = visit(base_url=url)
    page.get_by_label("Key", exact=True).fill("wrong")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_text("That key was not accepted.")).to_be_visible()
    page.get_by_label("Key", exact=True).fill(key.stdout.split()[-1])
    page.get_by_role("button", name="Use it").click()
    expect(data(page, "o")).to_have_text("0.7071")


@pytest.mark.parametrize(
    ("example", "output"),
    [
        ("The neuron", "o"),
        ("L = (a*b + c)*f", "L"),
        ("A shared node", "f"),
        ("A network on two moons", "loss"),
        ("Black–Scholes", "call"),
    ],
)
def test_every_example_is_drawn(visit: Visit, screenshot: Screenshot, example: str, output: str) -> None:
    page = visit()
    page.get_by_label("Example").select_option(example)
    expect(page.locator("#drawing g.box.output text.label")).to_have_text(output)
    page.get_by_role("button", name="To the last gradient").click()
    expect(grad(page, output)).to_have_text("1.0000")
    expect(page.get_by_role("button", name="Next step")).to_be_disabled()
    expect(page.locator("#problems")).to_be_empty()
    screenshot(page, re.sub(r"\W+", "-", example.lower()).strip("-"))


def test_the_page_is_interactive_within_a_second(visit: Visit) -> None:
    page = visit()
    ready(page)
    times = []
    for _ in range(3):
        started = time.monotonic()
        page.goto("/")
        page.get_by_role("button", name="Next step").click()
        expect(grad(page, "o")).to_have_text("1.0000")
        times.append(time.monotonic() - started)
    assert min(times) < 1.0, times


@pytest.mark.parametrize("path", ["/", "/runs", "/operations"])
def test_a_phone_shows_it_without_scrolling_sideways(visit: Visit, screenshot: Screenshot, path: str) -> None:
    page = visit(path, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark")
    page.wait_for_load_state("networkidle")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    if path == "/":
        for _ in range(9):
            page.get_by_role("button", name="Next step").click()
    screenshot(page, f"phone{path.replace('/', '-').rstrip('-')}")


def test_the_theme_can_be_chosen_and_is_remembered(visit: Visit) -> None:
    page = visit(color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    for _ in range(2):
        page.get_by_role("button", name="Theme").click()
    expect(page.get_by_role("button", name="Theme")).to_have_text("Theme: dark")
    assert page.evaluate(background) != light
    page.reload()
    expect(page.get_by_role("button", name="Theme")).to_have_text("Theme: dark")
    assert page.evaluate(background) != light


def test_the_catalogue_draws_every_operation(visit: Visit, screenshot: Screenshot) -> None:
    page = visit("/operations")
    cards = page.locator(".card")
    expect(page.get_by_role("status").first).to_contain_text("operations")
    count = cards.count()
    assert count == len(page.request.get("/v1/operations").json()["items"])
    for k in range(0, count, 3):
        cards.nth(k).scroll_into_view_if_needed()
    cards.last.scroll_into_view_if_needed()
    expect(page.locator(".card svg.plot")).to_have_count(count)
    page.get_by_role("searchbox", name="Search").fill("tanh")
    expect(page.get_by_role("heading", name="tanh", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="neg")).to_be_hidden()
    screenshot(page, "operations")


def test_the_numerical_check_stands_beside_the_gradient(visit: Visit, screenshot: Screenshot) -> None:
    page = visit()
    ready(page)
    page.get_by_role("tab", name="Numerical check").click()
    page.get_by_role("button", name="Check the gradients").click()
    expect(page.locator("#panel-check").get_by_role("status")).to_have_text("The two agree.")
    row = page.locator("#panel-check tbody tr").filter(has_text=re.compile("^x1"))
    expect(row.locator("td").nth(0)).to_have_text(f"{MINUS}1.5000")
    expect(row.locator("td").nth(1)).to_have_text(f"{MINUS}1.5000")
    screenshot(page, "check")


def test_the_numerical_check_says_where_nothing_can_be_told(visit: Visit) -> None:
    page = visit()
    write(page, '{"expression": "x * x + y", "data": {"x": 1e-200, "y": 1}}')
    expect(data(page, "y")).to_have_text("1.0000")
    page.get_by_role("tab", name="Numerical check").click()
    page.get_by_role("button", name="Check the gradients").click()
    expect(page.locator("#panel-check").get_by_role("status")).to_have_text(
        "The two agree, where anything can be told."
    )
    rows = page.locator("#panel-check tbody tr")
    expect(rows.filter(has_text=re.compile("^x")).locator("td").last).to_have_text("cannot tell")
    expect(rows.filter(has_text=re.compile("^y")).locator("td").last).to_have_text("✓ agrees")


def test_a_network_learns_two_moons_before_ones_eyes(visit: Visit, screenshot: Screenshot) -> None:
    page = visit()
    page.get_by_label("Example").select_option("A network on two moons")
    expect(page.locator("#drawing g.box.output text.label")).to_have_text("loss")
    page.get_by_role("tab", name="Descent").click()
    expect(page.get_by_role("img", name=re.compile("The sign of score over the plane of x and y"))).to_be_visible()
    before = page.get_by_label("Expression or JSON").input_value()
    page.get_by_role("button", name="Descend").click()
    seen = set()
    report = page.locator("#panel-descent").get_by_role("status")
    while "Step 400:" not in (text := report.inner_text()):
        seen.add(text)
    # The curve grew in pieces: a person saw it moving.
    assert len(seen) > 3
    expect(page.get_by_role("img", name="The objective over 400 steps")).to_be_visible()
    shown = re.search(r"loss was (\d+\.\d+); it began at (\d+\.\d+)", report.inner_text())
    assert shown and float(shown[1]) < 0.1 < float(shown[2])
    expect(page.get_by_label("Expression or JSON")).not_to_have_value(before)
    screenshot(page.locator(".below"), "descent")


def test_one_step_of_maximising_is_the_lectures_nudge(visit: Visit) -> None:
    page = visit()
    page.get_by_label("Example").select_option("L = (a*b + c)*f")
    expect(data(page, "L")).to_have_text(f"{MINUS}8.0000")
    page.get_by_role("tab", name="Descent").click()
    page.get_by_role("button", name="Descend").click()
    expect(data(page, "L")).to_have_text(f"{MINUS}7.2865")
    expect(page.get_by_label("Expression or JSON")).to_have_value(re.compile(r"^a = 2\.06$", re.MULTILINE))


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ({"kind": "jacobian"}, "27.0000"),
        ({"kind": "hessian"}, "18.0000"),
        ({"kind": "check"}, "✓ agrees"),
        ({"kind": "gradient", "inputs": {"x": [1.0, 2.0]}}, "gradient run"),
        (
            {"kind": "descent", "minimize": "y", "parameters": ["x"], "steps": 5,
             "optimizer": {"name": "sgd", "learning_rate": 0.001}},
            "descent run",
        ),
    ],
)  # fmt: skip
def test_a_stored_run_of_any_kind_can_be_looked_at(visit: Visit, kind: dict[str, Any], shown: str) -> None:
    page = visit("/runs")
    graph = {"expression": "y = x**3", "data": {"x": 3}}
    stored = page.request.post("/v1/runs", data={"graph": graph, **kind})
    assert stored.status == 201, stored.text()
    page.goto(f"/runs/{stored.json()['id']}")
    expect(page.locator("#result")).to_contain_text(shown)
    expect(box(page, "y")).to_be_visible()
    expect(page.locator("#problems")).to_be_empty()


def test_the_api_can_be_read_and_tried(visit: Visit, screenshot: Screenshot) -> None:
    page = visit("/docs")
    expect(page.get_by_role("heading", name=re.compile("Chainrule"))).to_be_visible()
    page.locator("#operations-runs-create_run, [id*=runs][id*=post]").first.get_by_role("button").first.click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table tbody .response-col_status").first).to_contain_text("201")
    screenshot(page, "docs")
