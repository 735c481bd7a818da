"""The measurements measure the right thing: what is compared computes the same, and is reported faithfully."""

import xml.etree.ElementTree as ElementTree
from typing import Any

import numpy as np
import pytest

from benchmarks import distributed, graphs
from benchmarks.peers import Answer, chainrule, chainrule_tape, closures
from benchmarks.picture import dot_plot
from benchmarks.report import Goal, Section, exchange, markdown, number
from benchmarks.single import agree
from engine.derivatives import batch, gradient
from engine.graph import Graph

DOCUMENTS = {
    "neuron": graphs.neuron(),
    "perceptron": graphs.hinge_loss(3),
    "random": graphs.random_graph(500, seed=1),
    "chain": graphs.chain(2_000),
}


def answer(peer: Any, document: graphs.Document) -> Answer:
    prepared = peer.build(document["columns"], document["outputs"][0])
    prepared.run()
    return prepared.read(prepared.run())


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_engine_agrees_with_closures(name: str) -> None:
    reference = answer(closures, DOCUMENTS[name])
    for ours in (chainrule, chainrule_tape):
        agree(answer(ours, DOCUMENTS[name]), reference, ours.NAME)


def test_the_loss_that_is_spread_is_the_one_that_is_trained() -> None:
    points, labels = graphs.moons(5)
    rows = {"0": points[:, 0].copy(), "1": points[:, 1].copy(), "2": labels.astype(float)}
    spread, whole = (
        Graph.from_document(document) for document in (distributed.loss_of_a_point(), graphs.hinge_loss(5))
    )
    by_row = batch(spread, rows, value_of=spread.outputs, gradient_of=spread.tape.inputs[3:])
    trained = gradient(whole)
    assert by_row.values.mean() == pytest.approx(trained.values[whole.outputs[0]])
    assert by_row.gradients.mean(axis=1) == pytest.approx(trained.gradients[whole.tape.inputs])


def test_every_node_of_a_random_graph_reaches_its_output() -> None:
    columns = DOCUMENTS["random"]["columns"]
    used = {operand for operands in columns["inputs"] for operand in operands}
    assert used == set(range(len(columns["op"]) - 1))


def test_the_neuron_is_the_lectures() -> None:
    value, gradients = answer(closures, graphs.neuron())
    assert value == pytest.approx(0.7071067811865476)
    assert gradients == pytest.approx([-1.5, 0.5, 1.0, 0.0, 0.5])


@pytest.mark.parametrize("wrong", [Answer(1.0 + 1e-6, np.ones(2)), Answer(1.0, np.array([1.0, 1.001]))])
def test_a_peer_that_computes_something_else_is_not_timed(wrong: Answer) -> None:
    with pytest.raises(AssertionError, match="the peer disagrees"):
        agree(wrong, Answer(1.0, np.ones(2)), "the peer")


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.0033, "0.0033"), (0.25, "0.25"), (7.714, "7.71"), (43515.4, "43,515")]
)
def test_numbers_are_shown_with_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_goal_says_whether_it_is_reached() -> None:
    assert Goal("ours / theirs", 1.2, 1.1).row() == ["ours / theirs", "at most 1.2", "1.10", "yes"]
    assert Goal("theirs / ours", 3, 2.5, at_least=True).row() == ["theirs / ours", "at least 3", "2.50", "**no**"]


def test_only_missed_goals_are_explained() -> None:
    goals = [Goal("reached", 1, 0.5, why="never shown"), Goal("missed", 1, 2, why="a reason")]
    page = markdown([Section("Title", "Text.", ["", "ns"], [["a", "1"]], goals)], "a machine", "picture.svg")
    assert "- **missed**: a reason" in page
    assert "never shown" not in page


def test_each_target_writes_its_own_part_of_the_page() -> None:
    page = exchange("# Performance\n", "load", "## Under load\n\nold\n")
    page = exchange(page, "spread", "## Spread\n")
    page = exchange(page, "load", "## Under load\n\nnew\n")
    page = exchange(page, "bench", "# Performance, again\n")
    assert page == (
        "# Performance, again\n\n<!-- make load -->\n\n## Under load\n\nnew\n\n<!-- make spread -->\n\n## Spread\n"
    )
    assert exchange(page, "spread", "## Spread\n") == page


def test_the_picture_has_a_dot_for_every_number() -> None:
    drawn = dot_plot("Times & more", "ns", {"A": {"x": 1.0, "y": 20.0}, "B <": {"x": 300.0}})
    picture = ElementTree.fromstring(drawn)  # noqa: S314  (our own text)
    dots = [circle for circle in picture.iter("{http://www.w3.org/2000/svg}circle") if len(circle)]
    assert [float(dot.get("cx", "")) for dot in dots] == sorted(float(dot.get("cx", "")) for dot in dots)
    assert len(dots) == 3
