"""A graph as a picture, in the lecture's look: a box `label | data | grad` per node, its operation before it.

Two texts of the same picture: Graphviz dot and Mermaid. Labels come from strangers; each text escapes them so that
they are shown, character for character, and mean nothing to the program that reads it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engine import graphviz
from engine.graph import Graph
from engine.notation import visible
from engine.numbers import number_to_wire
from engine.operations import CONSTANT, INPUT, Operation, operation_of

if TYPE_CHECKING:
    from engine.value import Value

Array = NDArray[np.float64]

# Blue for negative, orange for positive, told apart with every kind of colour blindness; black text on the
# strongest shade still has a contrast of 8 to 1.
_NEGATIVE = (0x6A, 0xAE, 0xE0)
_POSITIVE = (0xF5, 0xA3, 0x4B)
_NOT_FINITE = "#e6b3e6"
_FILLS = {"input": "#eef3ea", "constant": "#ececec", "output": "#fff6cc", "inner": "#ffffff"}


@dataclass(frozen=True)
class _Box:
    """What is drawn of one node; `data` and `grad` are None where there is nothing to show."""

    position: int
    kind: str
    label: str
    data: float | None
    grad: float | None
    operation: Operation | None
    operands: list[int | float]

    def numbers(self) -> list[tuple[str, float]]:
        """What there is to show, by name."""
        return [(name, value) for name, value in (("data", self.data), ("grad", self.grad)) if value is not None]

    def cells(self) -> list[str]:
        """The numbers as they stand in the box."""
        return [f"{name} {decimals(value)}" for name, value in self.numbers()]

    def tooltip(self, node: str) -> str:
        """All there is to know about the node, numbers in full."""
        known = [f"{self.kind} {visible(node)}" if self.kind != "inner" else visible(node)]
        if self.operation is not None:
            known.append(f"{self.operation.name}: {self.operation.formula}")
        known += [f"{name} {number_to_wire(value)}" for name, value in self.numbers()]
        return "\n".join(known)


def symbol(operation: Operation) -> str:
    """An operation in its small circle: + where it has a sign, else its name."""
    return next((alias for alias in operation.aliases if not alias.isidentifier()), operation.name)


def decimals(value: float) -> str:
    """A number in a box: four decimals, or four digits after the first where those would show nothing of it."""
    if not math.isfinite(value):
        return str(number_to_wire(value))
    return f"{value:.4f}" if value == 0.0 or 5e-5 <= abs(value) < 1e9 else f"{value:.4e}"


def _boxes(graph: Graph, values: Array | None, gradients: Array | None) -> Iterator[_Box]:
    outputs = frozenset(graph.outputs.tolist())
    for position, node in enumerate(graph.ids):
        opcode = int(graph.ops[position])
        leaf = opcode in (INPUT, CONSTANT)
        data = None
        if values is not None:
            data = _number(values, position)
        elif leaf and graph.has_data[position]:
            data = float(graph.data[position])
        kind = {INPUT: "input", CONSTANT: "constant"}.get(opcode, "inner")
        yield _Box(
            position,
            "output" if position in outputs else kind,
            visible(graph.labels.get(position, node)),
            data,
            None if gradients is None or opcode == CONSTANT else _number(gradients, position),
            None if leaf else operation_of(opcode),
            graph.inputs(position),
        )


def _number(numbers: Array, position: int) -> float | None:
    """A node's number, or None where a masked array has none for it."""
    number = numbers[position]
    return None if number is np.ma.masked else float(number)


def _largest(gradients: Array | None) -> float:
    """The largest finite gradient's size: the strongest colour."""
    if gradients is None:
        return 0.0
    known = np.ma.compressed(gradients)
    finite = np.abs(known[np.isfinite(known)])
    return float(finite.max()) if finite.size else 0.0


def shade(gradient: float, largest: float) -> str:
    """The colour of a gradient: white at 0, stronger with its size relative to the largest of the picture."""
    if not math.isfinite(gradient):
        return _NOT_FINITE
    if gradient == 0.0 or largest == 0.0:
        return "#ffffff"
    # The square root keeps small gradients apart from zero.
    strength = 0.15 + 0.85 * math.sqrt(abs(gradient) / largest)
    full = _POSITIVE if gradient > 0 else _NEGATIVE
    return "#" + "".join(f"{round(255 + (channel - 255) * strength):02x}" for channel in full)


def to_dot(graph: Graph, values: Array | None = None, gradients: Array | None = None) -> str:
    """The picture as Graphviz dot; with `values` and `gradients`, both float64[n], every box carries its numbers.

    Masked arrays leave out what they have not.
    Boxes are named n0, n1, ... by position, operations o0, o1, ..., so nothing a stranger wrote is ever a name.
    """
    largest = _largest(gradients)
    lines = [
        "digraph chainrule {",
        '  graph [rankdir="LR", ordering="in", nodesep="0.22", ranksep="0.32", bgcolor="white"];',
        '  node [fontname="Helvetica", fontsize="11", shape="plain"];',
        '  edge [color="#555555", arrowsize="0.6"];',
    ]
    for box in _boxes(graph, values, gradients):
        place = box.position
        tooltip = _dot_tooltip(box.tooltip(graph.ids[place]))
        lines.append(f'  n{place} [label=<{_dot_table(box, largest)}>, tooltip="{tooltip}"];')
        if box.operation is None:
            continue
        small = f'label=<{_dot_text(symbol(box.operation))}>, tooltip="{_dot_tooltip(box.operation.summary)}"'
        lines.append(f'  o{place} [shape="ellipse", margin="0.03", width="0.3", height="0.3", {small}];')
        lines.append(f"  o{place} -> n{place};")
        for k, operand in enumerate(box.operands):
            if isinstance(operand, int):
                lines.append(f"  n{operand} -> o{place};")
            else:
                lines.append(f'  c{place}_{k} [label=<{_dot_text(_literal(operand))}>, fontcolor="#555555"];')
                lines.append(f"  c{place}_{k} -> o{place};")
    return "\n".join([*lines, "}", ""])


def _literal(value: float) -> str:
    return str(number_to_wire(int(value) if value == math.floor(value) and abs(value) < 1e15 else value))


def _dot_table(box: _Box, largest: float) -> str:
    style = {"input": ' STYLE="ROUNDED"', "constant": ' STYLE="DASHED"'}.get(box.kind, "")
    border = "2" if box.kind == "output" else "1"
    label = f"<B>{_dot_text(box.label)}</B>" if box.kind == "output" and box.label else _dot_text(box.label)
    cells = [f'<TD BGCOLOR="{_FILLS[box.kind]}">{label}</TD>']
    cells += [f"<TD>{_dot_text(cell)}</TD>" for cell in box.cells()]
    if box.grad is not None:
        cells[-1] = cells[-1].replace("<TD>", f'<TD BGCOLOR="{shade(box.grad, largest)}">')
    table = f'<TABLE BORDER="{border}" CELLBORDER="0" CELLSPACING="0" CELLPADDING="5"{style}>'
    return f"{table}<TR>{'<VR/>'.join(cells)}</TR></TABLE>"


def _dot_text(text: str) -> str:
    """Text inside an HTML-like label: markup as entities, and backslashes doubled, for \\N would be the node's name."""
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;", "\\": "\\\\"}
    return "".join(entities.get(character, character) for character in text)


def _dot_tooltip(text: str) -> str:
    """Text inside a quoted tooltip: Graphviz reads backslashes twice there, and takes entities for what they name."""
    special = {"&": "&amp;", '"': "&quot;", "<": "&lt;", ">": "&gt;", "\\": "\\" * 4, "\n": "&#10;"}
    return "".join(special.get(character, character) for character in text)


def to_mermaid(graph: Graph, values: Array | None = None, gradients: Array | None = None) -> str:
    """The picture as a Mermaid flowchart, with the same names, numbers and colours as the dot text."""
    largest = _largest(gradients)
    lines = ["flowchart LR"]
    for box in _boxes(graph, values, gradients):
        place = box.position
        label = " | ".join([_mermaid_text(box.label), *box.cells()])
        left, right = {"input": ("(", ")"), "output": ("[[", "]]")}.get(box.kind, ("[", "]"))
        lines.append(f'  n{place}{left}"{label}"{right}:::{box.kind}')
        if box.grad is not None:
            lines.append(f"  style n{place} fill:{shade(box.grad, largest)}")
        if box.operation is None:
            continue
        lines.append(f'  o{place}(("{_mermaid_text(symbol(box.operation))}")) --> n{place}')
        for k, operand in enumerate(box.operands):
            if isinstance(operand, int):
                lines.append(f"  n{operand} --> o{place}")
            else:
                lines.append(f'  c{place}_{k}["{_mermaid_text(_literal(operand))}"]:::literal --> o{place}')
    lines += [f"  classDef {kind} fill:{fill},stroke:#555,color:#000" for kind, fill in _FILLS.items()]
    lines += ["  classDef literal fill:none,stroke:none", "  classDef constant stroke-dasharray:4 3"]
    return "\n".join([*lines, ""])


def _mermaid_text(text: str) -> str:
    """Text inside a quoted label: ASCII signs as numeric entities, for Mermaid reads quotes, markup and Markdown."""
    return "".join(
        character if character.isalnum() or character in " _" or not character.isascii() else f"#{ord(character)};"
        for character in text
    )


@dataclass(frozen=True)
class Drawing:
    """A picture of a graph; a notebook shows it by itself."""

    dot: str
    mermaid: str

    @property
    def svg(self) -> str:
        """The picture as SVG; graphviz.NotInstalled says how to install the program that it takes."""
        return graphviz.render(self.dot, seconds=60)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        try:
            return {"image/svg+xml": self.svg, "text/plain": self.dot}
        except graphviz.NotInstalled:
            # Notebooks draw Mermaid by themselves.
            return {"text/markdown": f"```mermaid\n{self.mermaid}```", "text/plain": self.dot}


def draw_dot(value: Value) -> Drawing:
    """The picture of a value and all it was made from, with data and grad as they stand."""
    nodes = value.ancestors()
    return draw(value.to_graph(), np.array([node.data for node in nodes]), np.array([node.grad for node in nodes]))


def draw(graph: Graph, values: Array | None = None, gradients: Array | None = None) -> Drawing:
    """The picture of a graph, in both texts."""
    return Drawing(to_dot(graph, values, gradients), to_mermaid(graph, values, gradients))
