"""Rules as people read them: the local derivative of one application, written with its operands' own names."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from engine.operations import Operation
from engine.symbolic import Expression, name, number, parse, substitute

_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = 2, 3, 4, 5, 6
_INFIX = {
    "lt": ("<", 1),
    "le": ("<=", 1),
    "gt": (">", 1),
    "ge": (">=", 1),
    "eq": ("==", 1),
    "ne": ("!=", 1),
    "add": ("+", _SUM),
    "sub": ("-", _SUM),
    "mul": ("*", _PRODUCT),
    "div": ("/", _PRODUCT),
    "pow": ("**", _POWER),
}
_TYPESET = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠", "-": "\N{MINUS SIGN}"}
_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_FEW = 4
"""More factors than this are not written out one by one."""


def local_derivative(operation: Operation, operands: Sequence[str | float], place: int, result: str) -> Expression:
    """d result / d operand `place`, over the operands (node ids, or numbers) and the result's id."""
    rules = operation.shown
    named = [number(operand) if isinstance(operand, float) else name(operand) for operand in operands]
    if not operation.variadic:
        values = dict(zip(operation.parameters, named, strict=True))
        rule = parse(rules[place])
    else:
        values = {"x": named[place], "n": number(len(named))}
        rule = parse(rules[0])
        if rule == ("prod", name("others")) and len(named) <= _FEW + 1:
            rule = _product([factor for k, factor in enumerate(named) if k != place])
            values = {}
    return _fold(substitute(rule, values | {"y": name(result)}))


def _product(factors: list[Expression]) -> Expression:
    if not factors:
        return number(1.0)
    product = factors[0]
    for factor in factors[1:]:
        product = ("mul", product, factor)
    return product


def _fold(expression: Expression) -> Expression:
    """The expression without the arithmetic that constant operands leave behind: 2 * x**(2 - 1) is 2 * x."""
    kind, *operands = expression
    if kind in ("name", "number"):
        return expression
    operands = [_fold(operand) for operand in operands]
    if kind in ("add", "sub", "mul") and all(operand[0] == "number" for operand in operands):
        (_, a), (_, b) = operands
        return number({"add": a + b, "sub": a - b, "mul": a * b}[kind])
    one = number(1.0)
    first: Expression = operands[0]
    if kind == "mul" and first == one:
        second: Expression = operands[1]
        return second
    if kind in ("mul", "pow", "div") and operands[1] == one:
        return first
    if kind == "pow" and operands[1] == number(0.0):
        return one
    return (kind, *operands)


def plain(expression: Expression) -> str:
    """The expression in the expression language: `1 - o**2`."""
    return _write(expression, False)[0]


def typeset(expression: Expression) -> str:
    """The expression as a textbook sets it: 1 − o²."""
    return _write(expression, True)[0]


def quoted(node: str) -> str:
    """A node's id inside a formula: as it is where it reads as one name, else in quotes."""
    return node if node.isidentifier() else '"' + node.replace('"', "″") + '"'


def _write(expression: Expression, pretty: bool) -> tuple[str, int]:
    """The text, and how tightly its outermost operator binds."""
    kind, *operands = expression
    if kind == "name":
        return ("π" if pretty and operands[0] == "pi" else quoted(operands[0])), _ATOM
    if kind == "number":
        value = operands[0]
        whole = value == int(value) if math.isfinite(value) else False
        text = str(int(value)) if whole and abs(value) < 1e15 else repr(value)
        if text.startswith("-"):
            return (_TYPESET["-"] if pretty else "-") + text[1:], _SIGN
        return text, _ATOM
    if kind == "neg":
        return (_TYPESET["-"] if pretty else "-") + _operand(operands[0], _SIGN, pretty), _SIGN
    if kind == "square":
        return _write(("pow", operands[0], number(2.0)), pretty)
    if kind == "chain":
        return _write(("mul", *operands), pretty)
    if kind in _INFIX:
        return _infix(kind, operands, pretty)
    arguments = ", ".join(_write(operand, pretty)[0] for operand in operands)
    return f"{kind}({arguments})", _ATOM


def _infix(kind: str, operands: list[Expression], pretty: bool) -> tuple[str, int]:
    symbol, binding = _INFIX[kind]
    left, right = operands
    if kind == "pow":
        base = _operand(left, _ATOM, pretty)
        if not pretty:
            return f"{base}**{_operand(right, _SIGN, pretty)}", binding
        exponent = _write(right, pretty)[0]
        if exponent.isascii() and exponent.isdigit():
            return base + exponent.translate(_SUPERSCRIPTS), binding
        return f"{base}^{_operand(right, _ATOM, pretty)}", binding
    first = _operand(left, binding if binding > 1 else _SUM, pretty)
    second = _operand(right, binding + 1, pretty)
    if kind == "mul" and pretty:
        return f"{first}·{second}", binding
    if pretty:
        symbol = _TYPESET.get(symbol, symbol)
    return f"{first} {symbol} {second}", binding


def _operand(expression: Expression, binding: int, pretty: bool) -> str:
    text, own = _write(expression, pretty)
    return text if own >= binding else f"({text})"


def visible(text: str) -> str:
    """The text on one line: control characters as the pictures Unicode has for them, direction marks as their names."""
    shown = []
    for character in text:
        code = ord(character)
        if code < 0x20:
            shown.append(chr(0x2400 + code))
        elif 0x7F <= code < 0xA0 or code in (0xFFFE, 0xFFFF):
            shown.append("\N{REPLACEMENT CHARACTER}")
        elif unicodedata.bidirectional(character) in ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"):
            # They would turn around what follows the label.
            shown.append(f"<{unicodedata.name(character).lower()}>")
        else:
            shown.append(character)
    return "".join(shown)
