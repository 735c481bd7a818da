"""Expressions: text into the nodes of a graph.

    e = a*b         # a and b are assigned nowhere: inputs
    d = e + c
    L = d*f         # the last line is the output

A text is read twice. The scan of its tokens (`engine.scanning`) admits nothing but names, numbers, calls,
parentheses, `+ - * / **`, comparisons, `=`, `;`, comments and newlines, says what it expected where something else
stands, and bounds the nesting. What passed goes to Python's own `ast`, statement by statement, for the precedence.
Nothing is evaluated. `engine.rendering` goes the other way.
"""

from __future__ import annotations

import ast
from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from engine.errors import Findings, escape
from engine.forms import (
    assemble,
    check_number,
    check_operation,
    check_text,
    finder,
    read_outputs,
)
from engine.graph import Graph
from engine.nodes import bulk_nodes
from engine.numbers import describe, quote, read_number
from engine.operations import CONSTANT, NAMES
from engine.scanning import OPERAND, TOO_DEEP, Refused, Scan, Source, Statement

MAX_CHARACTERS = 1_000_000
MAX_LABEL = 500

_OPERATORS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}


class _Builder:
    """Turns statements into the rows of a node document, each operation after its operands."""

    def __init__(
        self, source: Source, statements: list[Statement], names: Mapping[str, int], data: Mapping[str, Any]
    ) -> None:
        self.source, self.names, self.data = source, names, data
        self.assigned = {statement.target for statement in statements}
        self.rows: list[dict[str, Any]] = []
        self.offsets: list[int] = []
        self.seen: set[str] = set()
        self.generated = 0

    def add(self, statement: Statement, findings: Findings) -> str:
        """Add the nodes of a statement that are not there yet; answers the id of the one that is its value."""
        text = self.source.text[statement.start : statement.stop]
        start = statement.start + len(text) - len(text := text.lstrip(" \t"))
        try:
            root = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise Refused(start, error.msg) from None
        except (RecursionError, MemoryError):
            raise Refused(start, TOO_DEEP, "LIMIT_EXCEEDED") from None
        lines = _Lines(text, start)
        # Depth first, a node again after its operands; with the operation's name and the number of its operands.
        work: list[tuple[ast.expr, str, int]] = [(root, "", 0)]
        values: list[str | float] = []
        while work:
            node, name, count = work.pop()
            if isinstance(node, ast.Constant):
                values.append(_number(node, lines))
            elif isinstance(node, ast.Name):
                values.append(self._refer(node.id, lines.offset(node)))
            elif not count:
                name, operands = _operation(node, lines)
                work.append((node, name, len(operands)))
                work.extend((operand, "", 0) for operand in reversed(operands))
            else:
                inputs = values[-count:]
                del values[-count:]
                if isinstance(node, ast.UnaryOp) and isinstance(inputs[0], float):
                    values.append(-inputs[0])
                else:
                    target = statement.target if node is root else None
                    _check_call(name, count, self.source.place(lines.offset(node)), findings)
                    values.append(self._add({"op": name, "inputs": inputs}, target, node, lines))
        (value,) = values
        if isinstance(value, float):
            return self._add({"op": "constant", "data": value}, statement.target, root, lines)
        if statement.target is not None and isinstance(root, ast.Name):
            detail = f"{statement.target} would be another name of the node {value}; use {value}"
            raise Refused(statement.offset, detail)
        return value

    def _refer(self, name: str, offset: int) -> str:
        """The id of the node of a name, which is an input when nothing assigns it."""
        if name not in self.assigned and name not in self.seen:
            self.seen.add(name)
            self.offsets.append(offset)
            data = {"data": self.data[name]} if name in self.data else {}
            self.rows.append({"id": name, "op": "input", **data})
        return name

    def _add(self, row: dict[str, Any], target: str | None, node: ast.expr, lines: _Lines) -> str:
        if target is None:
            row["label"] = lines.text(node)
        name = target or self._generate()
        self.offsets.append(lines.offset(node))
        self.rows.append({"id": name, **row})
        return name

    def _generate(self) -> str:
        """The next id of a node that the text gives none."""
        while True:
            self.generated += 1
            name = f"_{self.generated}"
            if name not in self.names and name not in self.assigned:
                return name


class _Lines:
    """The text of one statement, addressed as syntax trees do it: by line, and column in bytes of UTF-8."""

    def __init__(self, text: str, start: int) -> None:
        lines = text.split("\n")
        self.lines = [line.encode() for line in lines]
        self.starts = [*accumulate((len(line) + 1 for line in lines), initial=start)]
        # Of every line beyond ASCII, the bytes before each character.
        self.widths = {
            number: [*accumulate((len(character.encode()) for character in line), initial=0)]
            for number, line in enumerate(lines)
            if not line.isascii()
        }

    def offset(self, node: ast.expr) -> int:
        """Where a node begins in the whole text."""
        line, column = node.lineno - 1, node.col_offset
        return self.starts[line] + (bisect_left(self.widths[line], column) if line in self.widths else column)

    def text(self, node: ast.expr) -> str:
        """The source of a node, cut where it is too long for a label."""
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        text = b"\n".join(lines).decode()
        return text if len(text) <= MAX_LABEL else text[: MAX_LABEL - 1] + "…"


def _operation(node: ast.expr, lines: _Lines) -> tuple[str, list[ast.expr]]:
    """The name of the operation that a syntax tree stands for, and its operands, of which there is one or more."""
    match node:
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return "neg", [operand]
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)], [left, right]
        case ast.Compare(left=left, ops=[operator], comparators=[right]) if type(operator) in _OPERATORS:
            return _OPERATORS[type(operator)], [left, right]
        case ast.Compare():
            raise Refused(lines.offset(node), "compare two at a time; a < b < c is (a < b) * (b < c)")
        case ast.Call(func=ast.Name(id=name), args=operands, keywords=[]) if operands:
            return name, operands
    raise Refused(lines.offset(node), "an expression has names, numbers, calls and operators")


def _check_call(name: str, operands: int, place: dict[str, int], findings: Findings) -> None:
    if name in NAMES[: CONSTANT + 1]:
        detail = "a name that is not assigned is an input, and a number a constant: neither is called"
        findings.add("/expression", "UNKNOWN_OPERATION", detail, **place)
    else:
        check_operation(name, operands, "/expression", "/expression", findings, **place)


def _number(node: ast.Constant, lines: _Lines) -> float:
    number = read_number(node.value)
    if number is None or isinstance(node.value, str):
        raise Refused(lines.offset(node), "this number is beyond float64", "INVALID_VALUE")
    return number


def read_expression(document: Mapping[str, Any], findings: Findings, max_nodes: int | None) -> Graph:
    """The graph of an expression document; raises GraphError with every error.

    Assigned names are node ids and all others inputs; the nodes come in the order of evaluation, an input before
    the first node that uses it. A name may be used above its assignment.
    """
    text, data = document["expression"], document.get("data", {})
    if type(data) is dict:
        for name, value in data.items():
            check_number(value, f"/data/{escape(name)}", findings)
    else:
        findings.add("/data", "INVALID_VALUE", f"must be an object of numbers, not {describe(data)}")
    if not check_text(text, "/expression", findings):
        raise findings.error()
    if len(text) > MAX_CHARACTERS:
        detail = f"{len(text)} characters; at most {MAX_CHARACTERS} are accepted"
        raise findings.fatal("/expression", "LIMIT_EXCEEDED", detail)
    source = Source(text)
    scan = Scan(source, findings)
    statements = scan.statements()
    if not statements and not findings.errors:
        findings.add("/expression", "SYNTAX_ERROR", f"expected {OPERAND}, found the end", line=1, column=1)
    if findings.errors:
        raise findings.error()
    _check_targets(statements, source, findings)
    builder = _Builder(source, statements, scan.names, data)
    value = ""
    for statement in statements:
        try:
            value = builder.add(statement, findings)
        except Refused as wrong:
            findings.add("/expression", wrong.code, wrong.detail, **source.place(wrong.offset))
        if max_nodes is not None and len(builder.rows) > max_nodes:
            raise findings.fatal("/expression", "TOO_MANY_NODES", f"at most {max_nodes} nodes are accepted")
    _check_data(data, builder, findings)
    if findings.errors:
        raise findings.error()
    return _graph(document, builder, value, findings)


def _check_targets(statements: list[Statement], source: Source, findings: Findings) -> None:
    lines: dict[str, int] = {}
    for statement in statements:
        place = source.place(statement.offset)
        if statement.target is None:
            if statement is not statements[-1]:
                detail = "only the last line may be an expression without a name; assign it to one"
                findings.add("/expression", "SYNTAX_ERROR", detail, **place)
        elif statement.target in lines:
            detail = f"{statement.target} is assigned on line {lines[statement.target]} already"
            findings.add("/expression", "DUPLICATE_ID", detail, **place)
        else:
            lines[statement.target] = place["line"]


def _check_data(data: Mapping[str, Any], builder: _Builder, findings: Findings) -> None:
    for name in data:
        if name in builder.assigned:
            detail = f"{quote(name)} is assigned by the expression; only names that are not take data"
            findings.add(f"/data/{escape(name)}", "UNKNOWN_FIELD", detail)
        elif name not in builder.names:
            detail = f"{quote(name)} does not occur in the expression"
            findings.add(f"/data/{escape(name)}", "UNKNOWN_NODE", detail)


def _graph(document: Mapping[str, Any], builder: _Builder, value: str, findings: Findings) -> Graph:
    bulk = bulk_nodes(builder.rows)
    if bulk is None:
        raise AssertionError("an expression gave nodes that are not well-formed")
    nodes, positions = bulk
    outputs = read_outputs(document, finder(positions), findings)

    def place(node: int, operand: int) -> tuple[str, dict[str, int]]:
        return "/expression", builder.source.place(builder.offsets[node])

    return assemble(document.get("name"), nodes, outputs or [positions[value]], findings, place)
