"""Every operation of the table against mpmath, which differentiates values and never sees a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from engine.derivatives import Batch, batch, gradient
from engine.operations import OPERATIONS, Operation
from engine.symbolic import Expression, parse
from tests.engine import reference
from tests.engine.subjects import SUBJECTS, single, subject_name

ULPS = 4.0
SUBNORMAL = 2e-320
"""What may be lost where intermediate results fall below the normal range."""
ACCURACY = Path(__file__).parents[2] / "docs" / "accuracy.md"

subjects = pytest.mark.parametrize(("operation", "size"), SUBJECTS, ids=subject_name)


def evaluate(expression: Expression, names: Mapping[str, Any]) -> mpf:
    """An expression of the table's language in mpmath; `xs` and `others` are lists, numbers are read as decimals."""
    kind, *operands = expression
    if kind == "number":
        return mpf(repr(operands[0]))
    if kind == "name":
        return {"pi": mp.pi, "inf": mp.inf, **names}[operands[0]]
    if kind == "sum" and len(operands) == 1:
        return mpmath.fsum(evaluate(operands[0], {**names, "xs": x}) for x in names["xs"])
    if kind == "prod" and operands == [("name", "others")]:
        return mpmath.fprod(names["others"])
    values = [evaluate(operand, names) for operand in operands]
    if kind == "chain":
        return mpf(0) if 0 in values else values[0] * values[1]
    return reference.VALUES[kind](*values)


def names_at(operation: Operation, point: reference.Point, place: int, y: mpf) -> dict[str, Any]:
    """What the names of a rule mean where it is the rule of the operand in `place`."""
    exact = [mpf(x) for x in point]
    if not operation.variadic:
        return {**dict(zip(operation.parameters, exact, strict=True)), "y": y}
    others = exact[:place] + exact[place + 1 :]
    return {"x": exact[place], "xs": exact, "others": others, "n": mpf(len(exact)), "y": y}


class WiderBound(NamedTuple):
    """A row of the table in docs/accuracy.md."""

    operation: str
    result: str
    where: str
    ulps: str
    absolute: str


@cache
def wider_bounds() -> tuple[WiderBound, ...]:
    rows = [line.split("|")[1:6] for line in ACCURACY.read_text().splitlines() if line.startswith("| `")]
    return tuple(WiderBound(*(cell.strip().strip("`") for cell in row)) for row in rows)


def results(operation: Operation, size: int) -> tuple[tuple[reference.Point, ...], Batch]:
    """The points to try the operation at, with value and gradients of each as one batch."""
    points = reference.points(operation.name, size)
    columns = {f"x{place}": np.array(column) for place, column in enumerate(zip(*points, strict=True))}
    return points, batch(single(operation.name, size), columns, value_of=[size], gradient_of=range(size))


def result_name(operation: Operation, place: int) -> str:
    return f"d/d{'x' if operation.variadic else operation.parameters[place]}"


def test_every_operation_has_a_reference_and_no_reference_is_left_over() -> None:
    assert set(reference.VALUES) == {operation.name for operation in OPERATIONS}


@subjects
def test_values_and_derivatives_are_exact_to_the_last_places(operation: Operation, size: int) -> None:
    points, found = results(operation, size)
    allowed = [bound for bound in wider_bounds() if bound.operation == operation.name]
    misses = []
    compared = dict.fromkeys(range(-1, size), 0)
    for row, point in enumerate(points):
        exact = reference.value(operation.name, point)
        if exact is None:
            continue
        for place in range(-1, size):
            if place < 0:
                expected, computed, result = exact, float(found.values[0, row]), "value"
            else:
                expected = reference.derivative(operation.name, point, (place,))
                computed, result = float(found.gradients[place, row]), result_name(operation, place)
            if expected is None:
                continue
            compared[place] += 1
            error = reference.ulps(computed, expected)
            if error <= ULPS or abs(mpf(computed) - expected) <= SUBNORMAL:
                continue
            names = names_at(operation, point, max(place, 0), exact)
            bounds = [
                (evaluate(parse(bound.ulps or "0"), names), mpf(bound.absolute or 0))
                for bound in allowed
                if bound.result == result and evaluate(parse(bound.where), names)
            ]
            if not any(error <= ulps or abs(mpf(computed) - expected) <= absolute for ulps, absolute in bounds):
                misses.append((error, result, point, computed, float(expected)))
    assert not misses, f"{len(misses)}, the worst: {max(misses)}"
    assert min(compared.values()) >= min(100, len(points) // 2), compared


@pytest.mark.parametrize("bound", wider_bounds(), ids=lambda bound: f"{bound.operation} {bound.result}")
def test_no_wider_bound_is_given_than_needed(bound: WiderBound) -> None:
    worst = 0.0
    for operation, size in SUBJECTS:
        if operation.name != bound.operation:
            continue
        points, found = results(operation, size)
        for row, point in enumerate(points):
            exact = reference.value(operation.name, point)
            if exact is None or not evaluate(parse(bound.where), names_at(operation, point, 0, exact)):
                continue
            if bound.result == "value":
                worst = max(worst, reference.ulps(float(found.values[0, row]), exact))
            elif (expected := reference.derivative(operation.name, point, (0,))) is not None:
                worst = max(worst, reference.ulps(float(found.gradients[0, row]), expected))
    assert worst > ULPS


@subjects
def test_the_text_for_people_says_the_same(operation: Operation, size: int) -> None:
    formula, shown = operation.formula, operation.shown
    if operation.variadic:
        formula, shown = written_out(formula, size), shown * size
    compared = 0
    for point in reference.points(operation.name, size):
        exact = reference.value(operation.name, point)
        if exact is None or max(map(abs, point)) > 30:
            continue
        for place, text in enumerate([formula, *shown], -1):
            expected = exact if place < 0 else reference.derivative(operation.name, point, (place,))
            if expected is None:
                continue
            # So many digits that even 1 - y**2 of tanh(30) has some left.
            with mp.workdps(200):
                y = reference.VALUES[operation.name](*map(mpf, point))
                names = names_at(operation, point, max(place, 0), y) | {f"x{k}": mpf(x) for k, x in enumerate(point, 1)}
                try:
                    said = evaluate(parse(text), names)
                except ZeroDivisionError:
                    continue
                if isinstance(said, mpf) and mp.isfinite(said):
                    assert abs(said - expected) <= abs(expected) * mpf(10) ** -18 + mpf(10) ** -180, (text, point)
                    compared += 1
    assert compared >= 60


def written_out(formula: str, size: int) -> str:
    """A formula with an ellipsis, `exp(x1) + exp(x2) + ...` or `f(x1, x2, ...)`, for exactly so many operands."""
    match = re.search(r"(\w*\(?)x1(\)?)( . |, )\1x2\2\3\.\.\.", formula)
    assert match, formula
    before, after, between = match.groups()
    terms = between.join(f"{before}x{k}{after}" for k in range(1, size + 1))
    return formula[: match.start()] + terms + formula[match.end() :]


# Jumps and corners that the contract does not count as kinks.
UNREPORTED = {"where", "atan2", "pow"}


@subjects
def test_kinks_are_reported_exactly_where_there_are_some(operation: Operation, size: int) -> None:
    """One-sided differences disagree, or the value jumps, just where `nonsmooth` names the node."""
    graph = single(operation.name, size)
    for point in reference.points(operation.name, size)[:150]:
        exact = reference.value(operation.name, point)
        if exact is None:
            continue
        kinked = any(reference.is_kink(operation.name, point, place) for place in range(size))
        reported = gradient(graph, {f"x{k}": x for k, x in enumerate(point)}).nonsmooth == [size]
        if operation.name in UNREPORTED:
            assert not reported or kinked
        else:
            assert reported == kinked, point
