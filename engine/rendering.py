"""A graph as an expression, for reading and for posting again.

Every node becomes a line `id = …` in evaluation order; one with a generated id (`_1`), used once and short, stands
where it is used. An id that cannot be a name is given one, and a comment says which it stands for. A constant that
no number can spell (NaN, infinities) becomes an input with that data, and an input that feeds nothing is left out.
"""

from __future__ import annotations

import keyword
import math
import re
import unicodedata
from collections import Counter
from typing import Any

import numpy as np

from engine.forms import heading
from engine.graph import Graph
from engine.numbers import number_to_wire
from engine.operations import CONSTANT, NAMES

_COMPARISON, _SUM, _PRODUCT, _NEGATIVE, _POWER, _ATOM = range(6)
_SYMBOLS = {
    "lt": ("<", _COMPARISON),
    "le": ("<=", _COMPARISON),
    "gt": (">", _COMPARISON),
    "ge": (">=", _COMPARISON),
    "eq": ("==", _COMPARISON),
    "ne": ("!=", _COMPARISON),
    "add": ("+", _SUM),
    "sub": ("-", _SUM),
    "mul": ("*", _PRODUCT),
    "div": ("/", _PRODUCT),
    "pow": ("**", _POWER),
}
_GENERATED = re.compile(r"_[1-9][0-9]*")
# Longer text is not put into a line; it also keeps the nesting far below what the reader takes.
_LONGEST = 100


def write_expression(graph: Graph) -> dict[str, Any]:
    """The expression document of a graph, with the same values."""
    names = _names(graph)
    ops, uses = graph.ops.tolist(), np.bincount(graph.operands[graph.operands >= 0], minlength=len(graph))
    outputs = graph.outputs.tolist()
    uses[outputs] += 2
    lines = [f"# {name} stands for {graph.ids[k]!r}" for k, name in enumerate(names) if name != graph.ids[k]]
    data: dict[str, Any] = {}
    rendered: dict[int, tuple[str, int]] = {}
    last = None
    for position in range(len(graph)) if graph.order is None else graph.order.tolist():
        name = names[position]
        if ops[position] <= CONSTANT:
            value = float(graph.data[position])
            if ops[position] == CONSTANT and math.isfinite(value):
                lines.append(f"{name} = {_number(value)[0]}")
                last = position
            elif graph.has_data[position] and uses[position]:
                data[name] = number_to_wire(value)
            continue
        operands = [
            (rendered.pop(item, (names[item], _ATOM)) if isinstance(item, int) else _number(item))
            for item in graph.inputs(position)
        ]
        text, strength = _operation(NAMES[ops[position]], operands)
        if uses[position] == 1 and _GENERATED.fullmatch(graph.ids[position]) and len(text) <= _LONGEST:
            rendered[position] = (text, strength)
        else:
            lines.append(f"{name} = {text}")
            last = position
    # Leaves that are outputs, and used nowhere, have to be named somewhere.
    bare = [names[k] for k in outputs if uses[k] == 2 and ops[k] <= CONSTANT]
    if len(bare) > 1:
        lines.append(f"sum({', '.join(bare)})")
    elif outputs != [last]:
        lines.append(bare[0] if bare else names[outputs[-1]])
    document = {**heading(graph), "expression": "\n".join(lines), "data": data}
    return document if len(outputs) == 1 else document | {"outputs": [names[k] for k in outputs]}


def _operation(name: str, operands: list[tuple[str, int]]) -> tuple[str, int]:
    """The text of an operation and how strongly it binds, from those of its operands."""
    if name == "neg" and not operands[0][0].lstrip("-")[0].isdigit():
        return f"-{_within(operands[0], _NEGATIVE)}", _NEGATIVE
    if name not in _SYMBOLS:
        return f"{name}({', '.join(text for text, _ in operands)})", _ATOM
    symbol, strength = _SYMBOLS[name]
    # A power leans to the right and takes a sign there; comparisons do not chain; the others lean to the left.
    left = {_POWER: _ATOM, _COMPARISON: _SUM}.get(strength, strength)
    right = _NEGATIVE if strength == _POWER else strength + 1
    space = "" if strength == _POWER else " "
    return f"{_within(operands[0], left)}{space}{symbol}{space}{_within(operands[1], right)}", strength


def _within(operand: tuple[str, int], least: int) -> str:
    text, strength = operand
    return text if strength >= least else f"({text})"


def _number(value: float) -> tuple[str, int]:
    text = repr(value).removesuffix(".0")
    return text, _NEGATIVE if text.startswith("-") else _ATOM


def _names(graph: Graph) -> list[str]:
    """A name for every node: its id where that is one."""
    names = list(graph.ids)
    taken = set(names)
    alike: Counter[str] = Counter()
    for position, node in enumerate(names):
        usual = unicodedata.normalize("NFKC", node)
        if usual == node and node.isidentifier() and not keyword.iskeyword(node):
            continue
        base = re.sub(r"[^A-Za-z0-9_]", "_", usual)[:100]
        base = base if base.isidentifier() and not keyword.iskeyword(base) else f"n{base}"
        name = base
        while name in taken:
            alike[base] += 1
            name = f"{base}_{alike[base] + 1}"
        taken.add(name)
        names[position] = name
    return names
