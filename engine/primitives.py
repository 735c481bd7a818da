"""The scalar functions that the operation table's values and rules are written in.

Each is IEEE arithmetic around elementary.py and the C library: nothing raises, NaN goes through, and nothing overflows
where the function itself does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from engine.elementary import exp, log1p, sigmoid
from engine.jit import inlined


@inlined
def chain(local: float, gradient: float) -> float:
    """local * gradient, where an exact zero passes nothing on, not even infinity or NaN."""
    return 0.0 if local == 0.0 or gradient == 0.0 else local * gradient


@inlined
def abs(x: float) -> float:
    return math.fabs(x)


@inlined
def sign(x: float) -> float:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else (0.0 if x == 0.0 else x))


@inlined
def sqrt(x: float) -> float:
    return math.sqrt(x)


@inlined
def exp2(x: float) -> float:
    return np.exp2(x)


@inlined
def log2(x: float) -> float:
    return math.log2(x)


@inlined
def log10(x: float) -> float:
    return math.log10(x)


@inlined
def tan(x: float) -> float:
    return math.tan(x)


@inlined
def asin(x: float) -> float:
    return math.asin(x)


@inlined
def acos(x: float) -> float:
    return math.acos(x)


@inlined
def atan(x: float) -> float:
    return math.atan(x)


@inlined
def sinh(x: float) -> float:
    return math.sinh(x)


@inlined
def cosh(x: float) -> float:
    return math.cosh(x)


@inlined
def asinh(x: float) -> float:
    return math.asinh(x)


@inlined
def acosh(x: float) -> float:
    return math.acosh(x)


@inlined
def atanh(x: float) -> float:
    return math.atanh(x)


@inlined
def erf(x: float) -> float:
    return math.erf(x)


@inlined
def erfc(x: float) -> float:
    return math.erfc(x)


@inlined
def softplus(x: float) -> float:
    small = log1p(exp(-math.fabs(x)))
    return x + small if x > 0.0 else small


@inlined
def relu(x: float) -> float:
    # The comparison is false for NaN, which must come out as NaN.
    return 0.0 if x <= 0.0 else x


@inlined
def gaussian(a: float, b: float) -> float:
    """exp(-b a^2) for b = 1 or 1/2, with the rounding of the exponent kept out.

    h is a to the nearest sixteenth, so that b h^2 is exact, and the rest of the exponent is small.
    """
    if not math.fabs(a) < 64.0:
        return 0.0 if a == a else a
    h = np.rint(16.0 * a) * 0.0625
    return exp(-b * h * h) * exp(b * (h - a) * (h + a))


@inlined
def product_error(a: float, b: float, product: float) -> float:
    """a * b - product for the rounded product, exact, by halving both factors (Dekker 1971)."""
    t = 134217729.0 * a
    a_high = t - (t - a)
    a_low = a - a_high
    t = 134217729.0 * b
    b_high = t - (t - b)
    b_low = b - b_high
    return ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


@inlined
def normal_cdf(x: float) -> float:
    """erfc(-x / sqrt(2)) / 2, with the rounding of x / sqrt(2) put right to first order.

    Far out, erfc multiplies a relative error of its argument z by 2 z^2.
    """
    if not math.fabs(x) < 40.0:
        return x if x != x else (0.0 if x < 0.0 else 1.0)
    z = -0.7071067811865476 * x
    error = product_error(-0.7071067811865476, x, z) + 4.833646656726457e-17 * x
    return 0.5 * (math.erfc(z) - error * 1.1283791670955126 * gaussian(z, 1.0))


@inlined
def gelu(x: float) -> float:
    return -0.0 if x < -40.0 else x * normal_cdf(x)


@inlined
def tanh_cdf(x: float) -> float:
    """sigmoid(u) for u = sqrt(8 / pi) (x + 0.044715 x^3), with the rounding of u put right to first order.

    Far out on the left, an absolute error of u is a relative error of the result.
    """
    if not x < -0.5:
        return sigmoid(1.5957691216057308 * x * (1.0 + 0.044715 * x * x))
    if x < -40.0:
        return 0.0
    square = x * x
    cubic = 0.07135481627260025 * square
    factor = 1.5957691216057308 + cubic
    u = x * factor
    # What each of these, and the two constants, lacks. The sum's error is Knuth's two-sum.
    error = product_error(0.07135481627260025, square, cubic) - 6.175149918155315e-19 * square
    error += 0.07135481627260025 * product_error(x, x, square) - 9.96930880911092e-17
    kept = factor - cubic
    error += (1.5957691216057308 - kept) + (cubic - (factor - kept))
    error = product_error(x, factor, u) + x * error
    e = exp(u)
    return (e + e * error) / (1.0 + e)


@inlined
def gelu_tanh(x: float) -> float:
    return -0.0 if x < -40.0 else x * tanh_cdf(x)


@inlined
def silu(x: float) -> float:
    # Half the exponent twice: exp(x) alone would lose its digits to underflow before x brings them back.
    half = exp(-0.5 * math.fabs(x))
    y = x / (1.0 + half * half)
    y = y if x >= 0.0 else y * half * half
    return -0.0 if x < -1600.0 else y


@inlined
def floor(x: float) -> float:
    return np.floor(x)


@inlined
def ceil(x: float) -> float:
    return np.ceil(x)


@inlined
def round(x: float) -> float:
    return np.rint(x)


@inlined
def power(a: float, b: float) -> float:
    # C has pow(1, NaN) = pow(NaN, 0) = 1; here NaN in is NaN out.
    if b == 2.0:
        return a * a
    if a != a or b != b:
        return a + b
    return math.pow(a, b)


@inlined
def power_below(a: float, b: float) -> float:
    """a^(b - 1), with the rounding of b - 1 put right."""
    if a != a or b != b:
        return a + b
    below = b - 1.0
    kept = below - b
    rest = (b - (below - kept)) - (1.0 + kept)
    result = math.pow(a, below)
    if not math.fabs(rest) > 0.0 or a == 0.0 or math.isinf(a):
        return result
    return result * math.pow(a, rest)


@inlined
def atan2(a: float, b: float) -> float:
    return math.atan2(a, b)


@inlined
def hypot(a: float, b: float) -> float:
    # C has hypot(inf, NaN) = inf; here NaN in is NaN out.
    if a != a or b != b:
        return a + b
    return math.hypot(a, b)


@inlined
def clamp(x: float, low: float, high: float) -> float:
    if x != x or low != low or high != high:
        return x + low + high
    if x < low:
        x = low
    return high if x > high else x


# Over any number of operands: xs holds them in its first n places.


@inlined
def _compensated(xs: Any, n: int, scale: float) -> float:
    """The sum of scale * xs with the rounding errors carried along (Knuth's two-sum)."""
    total = xs[0] * scale
    lost = 0.0
    for i in range(1, n):
        x = xs[i] * scale
        t = total + x
        kept = t - x
        lost += (total - kept) + (x - (t - kept))
        total = t
    # A sum of nothing but -0.0 is one too.
    if lost == 0.0 or not math.isfinite(total):
        return total
    return total + lost


@inlined
def sum(xs: Any, n: int) -> float:
    total = _compensated(xs, n, 1.0)
    if not math.isfinite(total):
        plain = xs[0]
        finite = math.isfinite(xs[0])
        for i in range(1, n):
            plain += xs[i]
            finite = finite and math.isfinite(xs[i])
        # Finite numbers whose partial sums overflow: 2**-64 leaves room for 2**64 of them.
        total = _compensated(xs, n, 5.421010862427522e-20) * 18446744073709551616.0 if finite else plain
    return total


@inlined
def mean(xs: Any, n: int) -> float:
    total = sum(xs, n)
    if math.isinf(total):
        return _compensated(xs, n, 5.421010862427522e-20) / n * 18446744073709551616.0
    return total / n


@inlined
def _scaled_product(xs: Any, n: int) -> tuple[float, int, int]:
    """The size of the product of the finite numbers other than 0, as mantissa and exponent of 2; and their count."""
    mantissa = 1.0
    exponent = 0
    count = 0
    for i in range(n):
        if xs[i] != 0.0 and math.isfinite(xs[i]):
            m, e = math.frexp(math.fabs(xs[i]))
            mantissa, more = math.frexp(mantissa * m)
            exponent += e + more
            count += 1
    return mantissa, exponent, count


@inlined
def _scaled(mantissa: float, exponent: int) -> float:
    # ldexp takes 32 bits of exponent; beyond this all is zero or infinite anyway.
    exponent = -5000 if exponent < -5000 else (5000 if exponent > 5000 else exponent)
    return math.ldexp(mantissa, np.int32(exponent))  # type: ignore[arg-type]


@inlined
def _special_factor(x: float) -> float:
    """A zero or non-finite number itself, of any other its sign."""
    return x if x == 0.0 or not math.isfinite(x) else math.copysign(1.0, x)


_NORMAL = 2.2250738585072014e-308
"""Products below have lost digits."""


@inlined
def prod(xs: Any, n: int) -> float:
    product = xs[0]
    smallest = math.fabs(product)
    for i in range(1, n):
        product *= xs[i]
        size = math.fabs(product)
        smallest = size if size < smallest else smallest
    if smallest >= _NORMAL and math.isfinite(product):
        return product
    mantissa, exponent, ordinary = _scaled_product(xs, n)
    product = 1.0
    for i in range(n):
        product *= _special_factor(xs[i])
    return product if ordinary < n else product * _scaled(mantissa, exponent)


@inlined
def products_of_others(xs: Any, n: int, ds: Any) -> None:
    """For each of xs the product of all the others, in ds."""
    before = 1.0
    smallest = 1.0
    for i in range(n):
        ds[i] = before
        size = math.fabs(before)
        smallest = size if not size >= smallest else smallest
        before *= xs[i]
    after = 1.0
    largest = 0.0
    for i in range(n - 1, -1, -1):
        size = math.fabs(after)
        smallest = size if not size >= smallest else smallest
        ds[i] *= after
        largest += math.fabs(ds[i])
        after *= xs[i]
    if smallest >= _NORMAL and math.isfinite(largest):
        return
    # Zeros, infinities and signs by running products, which nothing ordinary can over- or underflow; then sizes.
    mantissa, exponent, ordinary = _scaled_product(xs, n)
    before = 1.0
    for i in range(n):
        ds[i] = before
        before *= _special_factor(xs[i])
    after = 1.0
    for i in range(n - 1, -1, -1):
        ds[i] *= after
        after *= _special_factor(xs[i])
        if xs[i] != 0.0 and math.isfinite(xs[i]):
            if ordinary == n:
                m, e = math.frexp(math.fabs(xs[i]))
                ds[i] *= _scaled(mantissa / m, exponent - e)
        elif ordinary == n - 1:
            ds[i] *= _scaled(mantissa, exponent)


@inlined
def max(xs: Any, n: int) -> float:
    largest = xs[0]
    for i in range(1, n):
        x = xs[i]
        if x > largest or x != x:
            largest = x
        if largest != largest:
            return largest
    return largest


@inlined
def min(xs: Any, n: int) -> float:
    smallest = xs[0]
    for i in range(1, n):
        x = xs[i]
        if x < smallest or x != x:
            smallest = x
        if smallest != smallest:
            return smallest
    return smallest


@inlined
def logsumexp(xs: Any, n: int) -> float:
    largest = 0
    for i in range(n):
        if xs[i] != xs[i]:
            return xs[i]
        if xs[i] > xs[largest]:
            largest = i
    if not math.isfinite(xs[largest]):
        return xs[largest]
    rest = 0.0
    for i in range(n):
        if i != largest:
            rest += exp(xs[i] - xs[largest])
    return xs[largest] + log1p(rest)


@inlined
def exp_difference(a: float, b: float) -> float:
    """exp(a - b), with the rounding of the difference put right; 1 where both are the same infinity."""
    if a == b:
        return 1.0
    difference = a - b
    e = exp(difference)
    if not 0.0 < e < math.inf:
        return e
    kept = difference - a
    return e + e * ((a - (difference - kept)) - (b + kept))


@inlined
def softmax(xs: Any, n: int, ds: Any) -> None:
    """For each of xs its share of the sum of exponentials, in ds."""
    largest = max(xs, n)
    total = 0.0
    for i in range(n):
        ds[i] = exp_difference(xs[i], largest)
        total += ds[i]
    for i in range(n):
        ds[i] /= total


# The same over just two.


@inlined
def sum_of_two(p: float, q: float) -> float:
    return p + q


@inlined
def prod_of_two(p: float, q: float) -> float:
    return p * q


@inlined
def mean_of_two(p: float, q: float) -> float:
    total = p + q
    return 0.5 * p + 0.5 * q if math.isinf(total) else 0.5 * total


@inlined
def max_of_two(p: float, q: float) -> float:
    return p if p >= q or p != p else q


@inlined
def min_of_two(p: float, q: float) -> float:
    return p if p <= q or p != p else q


@inlined
def logsumexp_of_two(p: float, q: float) -> float:
    if p == q:
        return p + 0.6931471805599453
    larger = max_of_two(p, q)
    return larger + log1p(exp(-math.fabs(p - q)))


@inlined
def softmax_of_two(p: float, q: float) -> float:
    """exp(p) / (exp(p) + exp(q))."""
    if p >= q:
        return 1.0 / (1.0 + exp_difference(q, p))
    e = exp_difference(p, q)
    return e / (1.0 + e)
