"""Rules as expressions: reading them, differentiating them by the operation table, and writing them out.

An expression is a nested tuple: `("number", 2.0)`, `("name", "x")`, or an operation's canonical name followed by
its operands. `("chain", local, gradient)` is the chain rule's product, in which an exact zero passes nothing on.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from typing import Any

from engine.operations import OPCODES, RULE_FUNCTIONS, Operation, operation_of

Expression = tuple[Any, ...]

ZERO: Expression = ("number", 0.0)
ONE: Expression = ("number", 1.0)

_BINARY = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
_COMPARISONS = {ast.Lt: "lt", ast.LtE: "le", ast.Gt: "gt", ast.GtE: "ge", ast.Eq: "eq", ast.NotEq: "ne"}


def find(function: str) -> Operation:
    """The operation, or the function only rules speak of, by its name or alias."""
    return RULE_FUNCTIONS.get(function) or operation_of(OPCODES[function])


def number(value: float) -> Expression:
    return ("number", float(value))


def name(value: str) -> Expression:
    return ("name", value)


@cache
def parse(text: str) -> Expression:
    """The expression that a rule's text means; names it assigns on the way are replaced by what they stand for."""
    assigned: dict[str, Expression] = {}

    def read(node: ast.expr) -> Expression:
        match node:
            case ast.Constant(value=int() | float() as value):
                return number(value)
            case ast.Name(id=identifier):
                return assigned.get(identifier, name(identifier))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = read(operand)
                return number(-inner[1]) if inner[0] == "number" else ("neg", inner)
            case ast.BinOp(left=left, op=operator, right=right):
                return (_BINARY[type(operator)], read(left), read(right))
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return (_COMPARISONS[type(operator)], read(left), read(right))
            case ast.Call(func=ast.Name(id="chain"), args=[local, gradient]):
                return ("chain", read(local), read(gradient))
            case ast.Call(func=ast.Name(id=function), args=arguments):
                return (find(function).name, *map(read, arguments))
        raise ValueError(f"not a rule: {ast.unparse(node)} in {text!r}")

    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=assigned_name)], value=value):
                assigned[assigned_name] = read(value)
            case ast.Expr(value=value):
                return read(value)
    raise ValueError(f"not a rule: {text!r}")


def substitute(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """The expression with names replaced."""
    if expression[0] == "name":
        return values.get(expression[1], expression)
    if expression[0] == "number":
        return expression
    return (expression[0], *(substitute(operand, values) for operand in expression[1:]))


def add(a: Expression, b: Expression) -> Expression:
    if a == ZERO:
        return b
    if b == ZERO:
        return a
    return ("add", a, b)


def chain(local: Expression, gradient: Expression) -> Expression:
    """The chain rule's product, without trivial factors."""
    if local == ZERO or gradient == ZERO:
        return ZERO
    if local == ONE:
        return gradient
    if gradient == ONE:
        return local
    if local[0] == gradient[0] == "number":
        return number(local[1] * gradient[1])
    for factor, other in ((local, gradient), (gradient, local)):
        if factor == ("number", -1.0):
            return other[1] if other[0] == "neg" else ("neg", other)
    return ("chain", local, gradient)


def local_derivatives(operation: Operation, operands: tuple[Expression, ...], result: Expression) -> list[Expression]:
    """d result / d operand for each operand of an operation that takes a fixed number of them."""
    values = dict(zip(operation.parameters, operands, strict=True)) | {"y": result}
    return [substitute(parse(rule), values) for rule in operation.derivatives]


def derivative(expression: Expression, tangents: Mapping[str, Expression]) -> Expression:
    """The directional derivative of an expression whose names move by `tangents` (a name not in it is fixed)."""
    kind = expression[0]
    if kind == "number":
        return ZERO
    if kind == "name":
        return tangents.get(expression[1], ZERO)
    operands = expression[1:]
    moving = [derivative(operand, tangents) for operand in operands]
    total = ZERO
    if kind == "chain":
        locals_: list[Expression] = [operands[1], operands[0]]
    else:
        locals_ = local_derivatives(find(kind), operands, expression)
    for local, moved in zip(locals_, moving, strict=True):
        total = add(total, chain(local, moved))
    return total
