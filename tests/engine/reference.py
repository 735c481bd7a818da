"""What each operation is, written a second time for mpmath, and differentiated without a rule.

Nothing here reads the operation table but its names: values come from mpmath, derivatives are central differences of
those values in as many digits as it takes to be sure of twenty. What is not differentiable answers None.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import cache
from itertools import product

import mpmath
from mpmath import mp, mpf

Point = tuple[float, ...]

DIGITS = (60, 120, 240, 480, 960, 1920)
"""Working precisions tried one after the other, in decimal digits."""
SURE = mpf(10) ** -20
"""The relative difference between two precisions at which the more exact one is believed."""
NOTHING = mpf(10) ** -345
"""What is far below half of the smallest float64."""


def _where(condition: mpf, a: mpf, b: mpf) -> mpf:
    return a if condition != 0 else b


def _mean(*xs: mpf) -> mpf:
    return mpmath.fsum(xs) / len(xs)


def _logsumexp(*xs: mpf) -> mpf:
    *others, largest = sorted(xs)
    return largest + mp.log1p(mpmath.fsum(_exp(x - largest) for x in others))


def _exp(x: mpf) -> mpf:
    # Nothing beyond is told from infinity or zero in float64, and mpmath takes long over it.
    return mp.exp(x) if abs(x) < 10**4 else (mp.inf if x > 0 else mpf(0))


def _erfc(x: mpf) -> mpf:
    # Far out mpmath is slow, or refuses; what is left out is below exp(-800).
    return mp.erfc(x) if abs(x) < 28.5 else mpf(2 if x < 0 else 0)


def _hypot(a: mpf, b: mpf) -> mpf:
    return mp.sqrt(a * a + b * b)


VALUES: dict[str, Callable[..., mpf]] = {
    "neg": lambda x: -x,
    "abs": abs,
    "sign": mp.sign,
    "square": lambda x: x**2,
    "sqrt": mp.sqrt,
    "reciprocal": lambda x: 1 / x,
    "exp": _exp,
    "exp2": lambda x: mpf(2) ** x,
    "expm1": mp.expm1,
    "log": mp.log,
    "log2": lambda x: mp.log(x) / mp.log(2),
    "log10": lambda x: mp.log(x) / mp.log(10),
    "log1p": mp.log1p,
    "sin": mp.sin,
    "cos": mp.cos,
    "tan": mp.tan,
    "asin": mp.asin,
    "acos": mp.acos,
    "atan": mp.atan,
    "sinh": mp.sinh,
    "cosh": mp.cosh,
    "tanh": mp.tanh,
    "asinh": mp.asinh,
    "acosh": mp.acosh,
    "atanh": mp.atanh,
    "erf": lambda x: mp.erf(x) if abs(x) < 28.5 else mp.sign(x),
    "erfc": _erfc,
    "sigmoid": lambda x: 1 / (1 + _exp(-x)),
    "softplus": lambda x: max(x, mpf(0)) + mp.log1p(_exp(-abs(x))),
    "relu": lambda x: x if x > 0 else mpf(0),
    "leaky_relu": lambda x: x if x > 0 else mpf("0.01") * x,
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "gelu": lambda x: x * _erfc(-x / mp.sqrt(2)) / 2,
    # (1 + tanh(u)) / 2 is 1 / (1 + exp(-2u)).
    "gelu_tanh": lambda x: x / (1 + _exp(-2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3))),
    "silu": lambda x: x / (1 + _exp(-x)),
    "floor": mp.floor,
    "ceil": mp.ceil,
    "round": mp.nint,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "pow": lambda a, b: a**b,
    "atan2": mp.atan2,
    "hypot": _hypot,
    "lt": lambda a, b: mpf(a < b),
    "le": lambda a, b: mpf(a <= b),
    "gt": lambda a, b: mpf(a > b),
    "ge": lambda a, b: mpf(a >= b),
    "eq": lambda a, b: mpf(a == b),
    "ne": lambda a, b: mpf(a != b),
    "where": _where,
    "clamp": lambda x, low, high: min(max(x, low), high),
    "sum": lambda *xs: mpmath.fsum(xs),
    "prod": lambda *xs: mpmath.fprod(xs),
    "mean": _mean,
    "max": lambda *xs: max(xs),
    "min": lambda *xs: min(xs),
    "logsumexp": _logsumexp,
}


def value(name: str, point: Sequence[float]) -> mpf | None:
    """The operation's exact value, or None outside its domain."""
    previous = None
    for digits in DIGITS:
        with mp.workdps(digits):
            try:
                result = VALUES[name](*map(mpf, point))
            except (ZeroDivisionError, ValueError):
                return None
            if not isinstance(result, mpf) or mp.isnan(result):
                return None
            if previous is not None and (mp.isinf(result) or abs(result - previous) <= SURE * abs(result) + NOTHING):
                return result
            previous = result
    raise AssertionError(f"{name}{tuple(point)} does not settle")


def derivative(name: str, point: Sequence[float], places: tuple[int, ...]) -> mpf | None:
    """The partial derivative by the operands in `places` (one or two of them), or None where there is none."""
    return differentiate(VALUES[name], tuple(point), places)[0]


def is_kink(name: str, point: Sequence[float], place: int) -> bool:
    """Whether the differences to both sides disagree, in a point inside the domain."""
    return differentiate(VALUES[name], tuple(point), (place,))[1]


def differentiate(function: Callable[..., mpf], point: Point, places: tuple[int, ...]) -> tuple[mpf | None, bool]:
    """The partial derivative of a function of mpmath numbers, None where there is none, and whether for a kink.

    Differences over a shrinking step, at a precision that leaves the difference itself all the digits it needs.
    """
    previous = rougher = None
    for digits in DIGITS:
        with mp.workdps(digits):
            try:
                result, noise, roughness = _difference(function, point, places, digits)
            except (ZeroDivisionError, ValueError):
                return None, False
            sure = SURE * abs(result) + NOTHING
            if noise <= sure and previous is not None:
                # That of a smooth function shrinks with the step.
                if roughness > 16 * noise + NOTHING and roughness > rougher / 2:
                    return None, True
                if abs(result - previous) <= sure:
                    return result, False
            previous, rougher = result, roughness
    return None, False


def _difference(
    function: Callable[..., mpf], point: Point, places: tuple[int, ...], digits: int
) -> tuple[mpf, mpf, mpf]:
    """The central difference, what rounding may have done to it, and how far one-sided ones and values lie apart."""
    exact = [mpf(x) for x in point]
    shrink = mpf(10) ** -(digits // (2 + len(places)))
    twice = len(places) == 2 and places[0] == places[1]
    places = tuple(dict.fromkeys(places))
    smallest = min((abs(x) for x in exact if x != 0), default=mpf(1))
    steps = [shrink * min(abs(exact[place]) or smallest, 1) for place in places]
    if any(exact[place] + step == exact[place] for place, step in zip(places, steps, strict=True)):
        return mpf(0), mp.inf, mp.inf

    def at(*multiples: int) -> mpf:
        moved = list(exact)
        for place, step, multiple in zip(places, steps, multiples, strict=True):
            moved[place] += multiple * step
        result = function(*moved)
        if not isinstance(result, mpf) or not mp.isfinite(result):
            raise ValueError("outside the domain")
        return result

    if len(places) == 1 and not twice:
        scale = 1 / steps[0]
        values = [at(multiple) for multiple in (-1, 0, 1)]
        centre = (values[2] - values[0]) / 2
        sides = [values[2] - values[1], values[1] - values[0]]
    elif twice:
        scale = 1 / steps[0] ** 2
        values = [at(multiple) for multiple in (-2, -1, 0, 1, 2)]
        left, centre, right = (values[k] - 2 * values[k + 1] + values[k + 2] for k in range(3))
        sides = [left, right]
    else:
        scale = 1 / (steps[0] * steps[1])
        values = [at(*multiples) for multiples in product((-1, 0, 1), repeat=2)]
        centre = (values[8] - values[6] - values[2] + values[0]) / 4
        sides = [values[k + 4] - values[k + 3] - values[k + 1] + values[k] for k in (0, 1, 3, 4)]
    noise = mpf(10) ** -digits * max(map(abs, values)) * scale
    roughness = max(abs(side - centre) * scale for side in sides) + (max(values) - min(values))
    return centre * scale, noise, roughness


def ulps(found: float, expected: mpf) -> float:
    """The distance of a float64 from an exact number, in units of the last place of the latter.

    An exact number beyond the range of float64 is infinity.
    """
    if mp.isinf(expected) or abs(expected) >= mpf(2) ** 1024 * (1 - mpf(2) ** -54):
        largest = mpf(2) ** 1024
        expected = mp.sign(expected) * largest
        found_exact = mp.sign(mpf(found)) * largest if mp.isinf(found) else mpf(found)
    elif found != found or found in (float("inf"), float("-inf")):
        if found == found and mp.sign(found) == mp.sign(expected):
            found_exact = mp.sign(expected) * mpf(2) ** 1024
        else:
            return float("inf")
    else:
        found_exact = mpf(found)
    with mp.workdps(60):
        exponent = max(mp.mag(expected) - 53, -1074) if expected != 0 else -1074
        return float(abs(found_exact - expected) / mpf(2) ** exponent)


EDGES = (
    0.0, 5e-324, 2.2250738585072014e-308, 1e-300, 1e-200, 1e-160, 1e-100, 1e-30, 1e-17, 1.1e-16, 1e-10, 1.5e-8, 1e-5,
    0.001, 0.1, 0.25, 0.34657359, 0.5, 0.7071067811865476, 0.7517915, 0.99, 0.9999, 0.99999999, 1 - 2**-53, 1.0,
    1 + 2**-52, 1.00000001, 1.0001, 1.1, 1.2784645, 1.5, 1.5707963267948966, 2.0, 2.5, 3.0, 3.141592653589793, 3.5,
    5.0, 6.0, 8.0, 9.5, 12.5, 18.0, 19.5, 22.0, 26.5, 27.2, 30.0, 36.7, 37.5, 38.4, 38.6, 40.0, 64.0, 88.0, 100.0,
    307.0, 355.0, 372.0, 700.0, 709.7, 709.79, 710.0, 710.4, 710.48, 745.1, 745.2, 746.0, 800.0, 1000.0, 1022.0,
    1023.5, 1024.0, 1073.0, 1074.0, 1e5, 1e8, 1073741823.5, 1073741824.0, 4503599627370496.5, 9007199254740993.0,
    1e20, 1e50, 1e100, 1e154, 1.3e154, 1e160, 1e200, 1e300, 1e308, 1.7976931348623157e308,
)  # fmt: skip


@cache
def axis(seed: str) -> tuple[float, ...]:
    """Numbers to try for one operand: edges of known functions, numbers of every size, many of a usual one."""
    chosen = random.Random(seed)  # noqa: S311
    numbers = [sign * edge for edge in EDGES for sign in (1.0, -1.0)]
    numbers += [chosen.uniform(-1, 1) for _ in range(40)]
    numbers += [chosen.uniform(-10, 10) for _ in range(60)]
    numbers += [chosen.uniform(-50, 50) for _ in range(30)]
    numbers += [chosen.choice((1, -1)) * 10 ** chosen.uniform(-320, 308) for _ in range(40)]
    numbers += [1 + chosen.choice((1, -1)) * 2 ** chosen.uniform(-52, 0) for _ in range(20)]
    numbers += [-1 + chosen.choice((1, -1)) * 2 ** chosen.uniform(-52, 0) for _ in range(20)]
    return tuple(numbers)


@cache
def points(name: str, operands: int) -> tuple[Point, ...]:
    """Operands to try an operation at, kinks and ties among them, deterministic."""
    if operands == 1:
        return tuple((x,) for x in axis(name))
    chosen = random.Random(f"{name} {operands}")  # noqa: S311
    numbers = axis(name)
    found: list[Point] = []
    while len(found) < {2: 300, 3: 200}.get(operands, 120):
        kind = len(found) % 5
        if kind == 0:
            point = [chosen.choice(numbers) for _ in range(operands)]
        elif kind == 1:
            size = 10 ** chosen.uniform(-200, 200)
            point = [size * chosen.uniform(-1, 1) for _ in range(operands)]
        elif kind == 2:
            point = [float(chosen.randint(-3, 3)) for _ in range(operands)]
        else:
            point = [chosen.uniform(-10, 10) for _ in range(operands)]
        if name == "clamp" and not point[1] < point[2]:
            continue  # outside its domain, or where its bounds meet
        if name == "logsumexp" and kind == 4:
            y = float(VALUES[name](*map(mpf, point)))
            point = [x - y for x in point]  # where the result is about 0
        found.append(tuple(point))
    return tuple(found)
