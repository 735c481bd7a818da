"""Expressions: text into the nodes of a graph, and a graph into text.

    e = a*b         # a and b are assigned nowhere: inputs
    d = e + c
    L = d*f         # the last line is the output

A text is read twice. A scan of its tokens admits nothing but names, numbers, calls, parentheses, `+ - * / **`,
comparisons, `=`, `;`, comments and newlines, says what it expected where something else stands, and bounds the
nesting. What passed goes to Python's own `ast`, statement by statement, for the precedence. Nothing is evaluated.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from engine.errors import Findings, escape
from engine.forms import (
    MAX_ID_LENGTH,
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

MAX_CHARACTERS = 1_000_000
MAX_LABEL = 500
# Of one statement: the operators that hang on each other, and what Python's parser recurses into, where a pair of
# parentheses counts 10 and a minus sign or a power 2.
MAX_DEPTH = 1_000
_MAX_NESTING = 1_000
_PARENTHESES, _PREFIX = 10, 2
_MAX_DIGITS = 1_000

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t]+ | \#[^\n]*)
  | (?P<end>[\n;])
  | (?P<number>(?:
        0[xX](?:_?[0-9a-fA-F])+ | 0[oO](?:_?[0-7])+ | 0[bB](?:_?[01])+
      | (?:[0-9](?:_?[0-9])*\.?(?:[0-9](?:_?[0-9])*)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?
    )(?![\w.]))
  | (?P<name>(?:[A-Za-z_]|[^\x00-\x7f])(?:\w|[^\x00-\x7f])*)
  | (?P<operator>\*\*|[=!<>]=|[-+*/<>])
  | (?P<mark>[(),=])
    """,
    re.VERBOSE,
)
_TARGET = re.compile(r"((?:[A-Za-z_]|[^\x00-\x7f])(?:\w|[^\x00-\x7f])*)[ \t]*=(?!=)")
_CALL = re.compile(r"[ \t]*\(")
_WORD = re.compile(r"[\w.]+|.", re.DOTALL)

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
_HINTS = {
    "^": "a power is written **",
    "%": "x - y * floor(x / y) is the remainder",
    "and": "conditions are multiplied",
    "&": "conditions are multiplied",
    "or": "max(a, b) is true where one of two conditions is",
    "|": "max(a, b) is true where one of two conditions is",
    "not": "x == 0 is true where x is not",
    "!": "different is written !=",
    "if": "where(condition, a, b) chooses",
    ":": "a name is assigned with =",
    ".": "operations are called as functions: tanh(x)",
    "\\": "what spans several lines goes into parentheses",
    "/": "floor(a / b) is the division that rounds down",
    "+": "a plus sign stands between two operands only",
    "=": "a line assigns one name; equality is written ==",
    "−": "a minus sign is written -",
    "×": "a product is written *",
    "·": "a product is written *",
    ",": "commas separate the arguments of a call",
}
_TOO_DEEP = "nested too deep; give parts of it names on lines of their own, or call sum or prod"
_OPERAND = "a name, a number, a call or '('"


class _Source:
    """A text and its lines, to say where things are."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.starts = [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, offset: int) -> dict[str, int]:
        """Line and column of an offset, counted from 1."""
        line = bisect_right(self.starts, offset)
        return {"line": line, "column": offset - self.starts[line - 1] + 1}


class _Refused(Exception):
    """What is wrong at an offset of the text."""

    def __init__(self, offset: int, detail: str, code: str = "SYNTAX_ERROR") -> None:
        super().__init__(detail)
        self.offset, self.detail, self.code = offset, detail, code


class _Statement(NamedTuple):
    """The name that a line assigns, or None; its offset, and those of the right-hand side."""

    target: str | None
    offset: int
    start: int
    stop: int


@dataclass(slots=True)
class _Level:
    """The innermost open parentheses, or the statement, up to here.

    operators, deepest: of the operand being read, the operators in it and the depth of what is in parentheses.
    widest: the depth of the arguments before it. run, below: what the parser recurses into here, and around.
    """

    offset: int
    is_call: bool = False
    operators: int = 0
    deepest: int = 0
    widest: int = 0
    run: int = 0
    below: int = 0

    @property
    def depth(self) -> int:
        return max(self.widest, self.operators + self.deepest)


class _Scan:
    """Admits the tokens of statements, in an order in which they make one, and bounds their nesting."""

    def __init__(self, source: _Source, findings: Findings) -> None:
        self.source, self.text, self.findings = source, source.text, findings
        self.at = 0
        self.names: dict[str, int] = {}
        self.levels: list[_Level] = []

    def statements(self) -> list[_Statement]:
        """The statements of the text without those in which something is wrong, which is noted."""
        found: list[_Statement] = []
        while self._has_more():
            try:
                found.append(self._statement())
            except _Refused as wrong:
                self.findings.add("/expression", wrong.code, wrong.detail, **self.source.place(wrong.offset))
                # Go on with the next line, unless an open parenthesis has swallowed the rest.
                line_end = self.text.find("\n", wrong.offset)
                self.at = line_end if line_end >= 0 and self.at < len(self.text) else len(self.text)
        return found

    def _has_more(self) -> bool:
        while (token := _TOKEN.match(self.text, self.at)) and token.lastgroup in ("space", "end"):
            self.at = token.end()
        return self.at < len(self.text)

    def _statement(self) -> _Statement:
        offset = self.at
        target: str | None = None
        if assigned := _TARGET.match(self.text, self.at):
            target = self._name(assigned.group(1), offset)
            self.at = assigned.end()
        start = self.at
        self.levels = [_Level(offset)]
        self._operand()
        while (stop := self._operator()) is None:
            self._operand()
        return _Statement(target, offset, start, stop)

    def _next(self) -> tuple[str, str, int]:
        """Kind, text and offset of the next token; newlines are space inside parentheses."""
        while self.at < len(self.text):
            token = _TOKEN.match(self.text, self.at)
            if token is None:
                raise self._foreign()
            kind, found = str(token.lastgroup), token.group()
            if kind != "space" and not (found == "\n" and len(self.levels) > 1):
                here, self.at = self.at, token.end()
                return kind, found, here
            self.at = token.end()
        return "end", "", self.at

    def _operand(self) -> None:
        """Read up to the end of a name or number, through the signs, parentheses and calls before it."""
        while True:
            kind, found, here = self._next()
            if found == "-":
                self._deepen(1, _PREFIX, here)
            elif found == "(":
                self._open(here, is_call=False)
            elif kind == "name":
                self._name(found, here)
                if call := _CALL.match(self.text, self.at):
                    self.at = call.end()
                    self._open(call.end() - 1, is_call=True)
                else:
                    self.names.setdefault(found, here)
                    return
            elif kind == "number":
                if len(found) > _MAX_DIGITS:
                    raise _Refused(here, f"a number of more than {_MAX_DIGITS} digits", "INVALID_VALUE")
                return
            else:
                raise self._unexpected(_OPERAND, found, here)

    def _operator(self) -> int | None:
        """Read through an operator or comma, after which an operand is due, or answer where the statement ends."""
        while True:
            kind, found, here = self._next()
            level = self.levels[-1]
            if found == ")" and len(self.levels) > 1:
                self.levels.pop()
                self.levels[-1].deepest = max(self.levels[-1].deepest, level.depth + 1)
                self._deepen(0, 0, here)
            elif found == "," and level.is_call:
                level.widest, level.operators, level.deepest, level.run = level.depth, 0, 0, 0
                return None
            elif kind == "operator":
                level.run = level.run if found == "**" else 0
                self._deepen(1, _PREFIX if found == "**" else 0, here)
                return None
            elif kind == "end" and len(self.levels) == 1:
                return here
            elif not found:
                raise _Refused(level.offset, "this '(' is never closed; ')' expected")
            else:
                raise self._unexpected(self._operator_expected(), found, here)

    def _operator_expected(self) -> str:
        if len(self.levels) == 1:
            return "an operator or the end of the line"
        return "an operator, ',' or ')'" if self.levels[-1].is_call else "an operator or ')'"

    def _open(self, here: int, is_call: bool) -> None:
        level = self.levels[-1]
        self.levels.append(_Level(here, is_call, below=level.below + level.run + _PARENTHESES))
        self._deepen(0, 0, here)

    def _deepen(self, operators: int, run: int, here: int) -> None:
        level = self.levels[-1]
        level.operators += operators
        level.run += run
        if level.depth > MAX_DEPTH or level.below + level.run > _MAX_NESTING:
            raise _Refused(here, _TOO_DEEP, "LIMIT_EXCEEDED")

    def _name(self, name: str, here: int) -> str:
        if keyword.iskeyword(name):
            raise self._unexpected(_OPERAND, name, here)
        usual = unicodedata.normalize("NFKC", name)
        if usual != name:
            raise _Refused(here, f"{quote(name)} is one name with {quote(usual)}; write it that way")
        if not name.isidentifier():
            hint = f"; {_HINTS[name]}" if name in _HINTS else ""
            raise _Refused(here, f"{quote(name)} cannot be a name{hint}")
        if len(name) > MAX_ID_LENGTH:
            raise _Refused(here, f"a name has at most {MAX_ID_LENGTH} characters", "INVALID_VALUE")
        return name

    def _unexpected(self, expected: str, found: str, here: int) -> _Refused:
        what = {"": "the end", "\n": "the end of the line"}.get(found) or quote(found)
        hint = f"; {_HINTS[found]}" if found in _HINTS else ""
        if not hint and keyword.iskeyword(found):
            hint = f"; a word of Python's cannot be a name, {found}_ can"
        return _Refused(here, f"expected {expected}, found {what}{hint}")

    def _foreign(self) -> _Refused:
        """What to say of text that is no token of an expression."""
        word = _WORD.match(self.text, self.at)
        found = word.group() if word else ""
        if found[0].isdigit():
            return _Refused(self.at, f"{quote(found)} is no number")
        hint = _HINTS.get(found) or _HINTS.get(found[0], "an expression has names, numbers, calls and operators")
        return _Refused(self.at, f"{quote(found)} has no meaning here; {hint}")


class _Builder:
    """Turns statements into the rows of a node document, each operation after its operands."""

    def __init__(
        self, source: _Source, statements: list[_Statement], names: Mapping[str, int], data: Mapping[str, Any]
    ) -> None:
        self.source, self.names, self.data = source, names, data
        self.assigned = {statement.target for statement in statements}
        self.rows: list[dict[str, Any]] = []
        self.offsets: list[int] = []
        self.seen: set[str] = set()
        self.generated = 0

    def add(self, statement: _Statement, findings: Findings) -> str:
        """Add the nodes of a statement that are not there yet; answers the id of the one that is its value."""
        text = self.source.text[statement.start : statement.stop]
        start = statement.start + len(text) - len(text := text.lstrip(" \t"))
        try:
            root = ast.parse(text, mode="eval").body
        except SyntaxError as error:
            raise _Refused(start, error.msg) from None
        except (RecursionError, MemoryError):
            raise _Refused(start, _TOO_DEEP, "LIMIT_EXCEEDED") from None
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
            raise _Refused(statement.offset, detail)
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
            raise _Refused(lines.offset(node), "compare two at a time; a < b < c is (a < b) * (b < c)")
        case ast.Call(func=ast.Name(id=name), args=operands, keywords=[]) if operands:
            return name, operands
    raise _Refused(lines.offset(node), "an expression has names, numbers, calls and operators")


def _check_call(name: str, operands: int, place: dict[str, int], findings: Findings) -> None:
    if name in NAMES[: CONSTANT + 1]:
        detail = "a name that is not assigned is an input, and a number a constant: neither is called"
        findings.add("/expression", "UNKNOWN_OPERATION", detail, **place)
    else:
        check_operation(name, operands, "/expression", "/expression", findings, **place)


def _number(node: ast.Constant, lines: _Lines) -> float:
    number = read_number(node.value)
    if number is None or isinstance(node.value, str):
        raise _Refused(lines.offset(node), "this number is beyond float64", "INVALID_VALUE")
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
    source = _Source(text)
    scan = _Scan(source, findings)
    statements = scan.statements()
    if not statements and not findings.errors:
        findings.add("/expression", "SYNTAX_ERROR", f"expected {_OPERAND}, found the end", line=1, column=1)
    if findings.errors:
        raise findings.error()
    _check_targets(statements, source, findings)
    builder = _Builder(source, statements, scan.names, data)
    value = ""
    for statement in statements:
        try:
            value = builder.add(statement, findings)
        except _Refused as wrong:
            findings.add("/expression", wrong.code, wrong.detail, **source.place(wrong.offset))
        if max_nodes is not None and len(builder.rows) > max_nodes:
            raise findings.fatal("/expression", "TOO_MANY_NODES", f"at most {max_nodes} nodes are accepted")
    _check_data(data, builder, findings)
    if findings.errors:
        raise findings.error()
    return _graph(document, builder, value, findings)


def _check_targets(statements: list[_Statement], source: _Source, findings: Findings) -> None:
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
