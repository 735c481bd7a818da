"""The scan of expressions: which tokens may stand where, and how deep they may nest."""

from __future__ import annotations

import keyword
import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from typing import NamedTuple

from engine.errors import Findings
from engine.forms import MAX_ID_LENGTH
from engine.numbers import quote

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
      | (?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?
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
TOO_DEEP = "nested too deep; give parts of it names on lines of their own, or call sum or prod"
OPERAND = "a name, a number, a call or '('"


class Source:
    """A text and its lines, to say where things are."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n").replace("\r", "\n")
        self.starts = [0, *(found.end() for found in re.finditer("\n", self.text))]

    def place(self, offset: int) -> dict[str, int]:
        """Line and column of an offset, counted from 1."""
        line = bisect_right(self.starts, offset)
        return {"line": line, "column": offset - self.starts[line - 1] + 1}


class Refused(Exception):
    """What is wrong at an offset of the text."""

    def __init__(self, offset: int, detail: str, code: str = "SYNTAX_ERROR") -> None:
        super().__init__(detail)
        self.offset, self.detail, self.code = offset, detail, code


class Statement(NamedTuple):
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


class Scan:
    """Admits the tokens of statements, in an order in which they make one, and bounds their nesting."""

    def __init__(self, source: Source, findings: Findings) -> None:
        self.source, self.text, self.findings = source, source.text, findings
        self.at = 0
        self.names: dict[str, int] = {}
        self.levels: list[_Level] = []

    def statements(self) -> list[Statement]:
        """The statements of the text without those in which something is wrong, which is noted."""
        found: list[Statement] = []
        while self._has_more():
            try:
                found.append(self._statement())
            except Refused as wrong:
                self.findings.add("/expression", wrong.code, wrong.detail, **self.source.place(wrong.offset))
                # Go on with the next line, unless an open parenthesis has swallowed the rest.
                line_end = self.text.find("\n", wrong.offset)
                self.at = line_end if line_end >= 0 and self.at < len(self.text) else len(self.text)
        return found

    def _has_more(self) -> bool:
        while (token := _TOKEN.match(self.text, self.at)) and token.lastgroup in ("space", "end"):
            self.at = token.end()
        return self.at < len(self.text)

    def _statement(self) -> Statement:
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
        return Statement(target, offset, start, stop)

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
                    raise Refused(here, f"a number of more than {_MAX_DIGITS} digits", "INVALID_VALUE")
                return
            else:
                raise self._unexpected(OPERAND, found, here)

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
                raise Refused(level.offset, "this '(' is never closed; ')' expected")
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
            raise Refused(here, TOO_DEEP, "LIMIT_EXCEEDED")

    def _name(self, name: str, here: int) -> str:
        if keyword.iskeyword(name):
            raise self._unexpected(OPERAND, name, here)
        if not name.isascii():
            self._all_visible(name, here)
        usual = unicodedata.normalize("NFKC", name)
        if usual != name:
            raise Refused(here, f"{quote(name)} is one name with {quote(usual)}; write it that way")
        if not name.isidentifier():
            hint = f"; {_HINTS[name]}" if name in _HINTS else ""
            raise Refused(here, f"{quote(name)} cannot be a name{hint}")
        if len(name) > MAX_ID_LENGTH:
            raise Refused(here, f"a name has at most {MAX_ID_LENGTH} characters", "INVALID_VALUE")
        return name

    def _all_visible(self, name: str, here: int) -> None:
        for place, character in enumerate(name):
            if (category := unicodedata.category(character)) in ("Zs", "Zl", "Zp", "Cf"):
                what = f"U+{ord(character):04X} ({unicodedata.name(character, 'nameless').lower()})"
                advice = "remove it" if category == "Cf" else "write an ordinary space"
                raise Refused(here + place, f"{what} has no meaning here; {advice}")

    def _unexpected(self, expected: str, found: str, here: int) -> Refused:
        what = {"": "the end", "\n": "the end of the line"}.get(found) or quote(found)
        hint = f"; {_HINTS[found]}" if found in _HINTS else ""
        if not hint and keyword.iskeyword(found):
            hint = f"; a word of Python's cannot be a name, {found}_ can"
        return Refused(here, f"expected {expected}, found {what}{hint}")

    def _foreign(self) -> Refused:
        """What to say of text that is no token of an expression."""
        word = _WORD.match(self.text, self.at)
        found = word.group() if word else ""
        if found[0].isdigit():
            return Refused(self.at, f"{quote(found)} is no number")
        hint = _HINTS.get(found) or _HINTS.get(found[0], "an expression has names, numbers, calls and operators")
        return Refused(self.at, f"{quote(found)} has no meaning here; {hint}")
