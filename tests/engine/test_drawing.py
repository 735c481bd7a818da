"""Drawings: the lecture's numbers in its look, and labels that stay text whatever is written in them."""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from engine import Value, draw_dot, graphviz
from engine.derivatives import gradient
from engine.drawing import Drawing, decimals, draw, shade
from engine.graph import Graph

SVG = "{http://www.w3.org/2000/svg}"
XLINK = "{http://www.w3.org/1999/xlink}"

NEURON = {
    "nodes": [
        {"id": "x1", "op": "input", "data": 2.0},
        {"id": "x2", "op": "input", "data": 0.0},
        {"id": "w1", "op": "input", "data": -3.0},
        {"id": "w2", "op": "input", "data": 1.0},
        {"id": "b", "op": "input", "data": 6.881373587019543},
        {"id": "x1w1", "op": "mul", "inputs": ["x1", "w1"]},
        {"id": "x2w2", "op": "mul", "inputs": ["x2", "w2"]},
        {"id": "s", "op": "add", "inputs": ["x1w1", "x2w2"]},
        {"id": "n", "op": "add", "inputs": ["s", "b"]},
        {"id": "o", "op": "tanh", "inputs": ["n"]},
    ]
}

HOSTILE = [
    "</svg><script>alert(1)</script>",
    '" | } {',
    "a\\Nb\\G\\n\\",
    "&lt;&amp;lt;&#60;",
    "]]>--><!-- <![CDATA[",
    "\U0001f600 emoji",
    "שלום right to left",
    '--> ]]; }"); click n0 call alert()',
    "`markdown` **bold** #35; #quot;",
    "1. list",
    "%%{init: {}}%%",
]


def drawn(document: object) -> tuple[Graph, Drawing]:
    graph = Graph.from_document(document)
    run = gradient(graph)
    return graph, draw(graph, run.values, run.gradients)


def hostile_document() -> dict[str, object]:
    """Every hostile text as the label of an input and as the id of an operation."""
    inputs = [{"id": f"i{k}", "op": "input", "data": k, "label": text} for k, text in enumerate(HOSTILE)]
    nodes = [{"id": text, "op": "sub", "inputs": [f"i{k}", 2.5]} for k, text in enumerate(HOSTILE)]
    return {"nodes": [*inputs, *nodes], "outputs": list(HOSTILE), "name": "</title><script>"}


def parsed(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)  # noqa: S314  (what is to be seen is that it is harmless)


def tooltips(drawing: Drawing) -> list[str]:
    return [link.get(f"{XLINK}title", "") for link in parsed(drawing.svg).iter(f"{SVG}a")]


def svg_texts(svg: str) -> list[str]:
    return [text.text or "" for text in parsed(svg).iter(f"{SVG}text")]


def mermaid_boxes(text: str) -> Iterator[str]:
    """The texts of the boxes, read as Mermaid reads them: quoted, with #N; for a character."""
    for quoted in re.findall(r'^  n\d+[(\[]+"([^"\n]*)"[)\]]+:::\w+$', text, re.MULTILINE):
        assert not re.search(r"#(?!\d+;)", quoted)
        yield re.sub(r"#(\d+);", lambda entity: chr(int(entity[1])), quoted)


@pytest.fixture
def without_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


def test_every_box_shows_its_numbers() -> None:
    graph, drawing = drawn(NEURON)
    texts = svg_texts(drawing.svg)
    for label, data, grad in [("x1", "2.0000", "-1.5000"), ("w1", "-3.0000", "1.0000"), ("o", "0.7071", "1.0000")]:
        at = texts.index(label)
        assert texts[at : at + 3] == [label, f"data {data}", f"grad {grad}"]
        assert f"{label} | data {data} | grad {grad}" in list(mermaid_boxes(drawing.mermaid))
    assert texts.count("*") == 2 and texts.count("+") == 2 and texts.count("tanh") == 1
    assert len(graph) == len(list(mermaid_boxes(drawing.mermaid)))


def test_hostile_labels_and_ids_are_shown_as_text_in_svg() -> None:
    _, drawing = drawn(hostile_document())
    root = parsed(drawing.svg)
    allowed = {"svg", "g", "title", "polygon", "polyline", "path", "ellipse", "text", "a"}
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= allowed
    texts = svg_texts(drawing.svg)
    assert [texts.count(text) for text in HOSTILE] == [2] * len(HOSTILE)
    for text in HOSTILE:
        assert any(tooltip.startswith(f"output {text}\nsub") for tooltip in tooltips(drawing))


def test_hostile_labels_cannot_leave_their_place_in_dot() -> None:
    _, drawing = drawn(hostile_document())
    named = re.compile(
        r"  ([noc]\d+(_\d+)? (\[label=<.*>.*\]|-> [no]\d+)|[noc]\d+ \[.*\]);|  (graph|node|edge) \[.*\];"
    )
    first, *lines, last = drawing.dot.splitlines()
    assert (first, last) == ("digraph chainrule {", "}")
    assert all(named.fullmatch(line) for line in lines)
    labels = [
        html.unescape(cell).replace("\\\\", "\\") for cell in re.findall(r'BGCOLOR="#\w+">(?:<B>)?([^<]*)', drawing.dot)
    ]
    assert all(text in labels for text in HOSTILE)


def test_hostile_labels_are_shown_as_text_in_mermaid() -> None:
    _, drawing = drawn(hostile_document())
    shown = [box.split(" | data ")[0] for box in mermaid_boxes(drawing.mermaid)]
    assert shown == [*HOSTILE, *HOSTILE]


def test_control_characters_and_direction_overrides_are_made_visible() -> None:
    nodes = [
        {"id": "x", "op": "input", "data": 1, "label": "one\ntwo\ttab"},
        {"id": "\u202ey", "op": "neg", "inputs": ["x"]},
    ]
    _, drawing = drawn({"nodes": nodes})
    assert {"one␊two␉tab", "<right-to-left override>y"} <= set(svg_texts(drawing.svg))
    assert "\u202e" not in drawing.dot + drawing.mermaid


def test_tooltips_hold_the_numbers_in_full() -> None:
    _, drawing = drawn(NEURON)
    assert "input x1\ndata 2.0\ngrad -1.4999999999999996" in tooltips(drawing)
    output = r"output o\ntanh: tanh\(x\)\ndata 0\.7071067811865\d+\ngrad 1\.0"
    assert any(re.fullmatch(output, tooltip) for tooltip in tooltips(drawing))


def test_a_graph_without_a_run_shows_the_data_it_has() -> None:
    nodes = [
        {"id": "x", "op": "input"},
        {"id": "c", "op": "constant", "data": 2},
        {"id": "y", "op": "mul", "inputs": ["x", "c"]},
    ]
    graph = Graph.from_document({"nodes": nodes})
    assert list(mermaid_boxes(draw(graph).mermaid)) == ["x", "c | data 2.0000", "y"]


def test_a_constant_shows_no_gradient() -> None:
    _, drawing = drawn({"nodes": [{"id": "c", "op": "constant", "data": 2}, {"id": "y", "op": "neg", "inputs": ["c"]}]})
    assert list(mermaid_boxes(drawing.mermaid)) == ["c | data 2.0000", "y | data -2.0000 | grad 1.0000"]


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (-1.5, "-1.5000"),
        (0.0, "0.0000"),
        (1e-9, "1.0000e-09"),
        (123456789012.0, "1.2346e+11"),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
    ],
)
def test_numbers_are_shown_with_four_decimals(number: float, shown: str) -> None:
    assert decimals(number) == shown


def test_colours_tell_sign_and_size() -> None:
    assert shade(0.0, 2.0) == "#ffffff"
    strong, weak, negative = shade(2.0, 2.0), shade(0.1, 2.0), shade(-2.0, 2.0)
    red, blue = (slice(1, 3), slice(5, 7))
    assert int(strong[red], 16) > int(strong[blue], 16) and int(negative[red], 16) < int(negative[blue], 16)
    assert int(weak[blue], 16) > int(strong[blue], 16)


def test_without_dot_a_notebook_gets_mermaid_and_the_caller_gets_advice(without_dot: None) -> None:
    _, drawing = drawn(NEURON)
    with pytest.raises(graphviz.NotInstalled, match="apt-get install graphviz"):
        _ = drawing.svg
    assert drawing._repr_mimebundle_()["text/markdown"].startswith("```mermaid\nflowchart LR")


def test_with_dot_a_notebook_gets_svg() -> None:
    assert shutil.which("dot")
    assert "image/svg+xml" in drawn(NEURON)[1]._repr_mimebundle_()


def test_a_value_is_drawn_like_its_graph() -> None:
    a, b = Value(2.0, "a"), Value(-3.0, "b")
    product = a * b
    product.backward()
    assert list(mermaid_boxes(draw_dot(product + 10.0).mermaid))[-1].endswith(" | data 4.0000 | grad 0.0000")
    graph = product.to_graph()
    run = gradient(graph)
    assert draw_dot(product) == draw(graph, run.values, run.gradients)


def test_a_layout_that_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = tmp_path / "dot"
    slow.write_text("#!/bin/sh\nexec sleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(graphviz.TooSlow, match=r"0\.2 seconds"):
        graphviz.render("digraph {}", seconds=0.2)
