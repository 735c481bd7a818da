"""Elementary functions without branches, so that a loop over many rows of them becomes vector instructions.

They are IEEE operations and fused multiply-adds in a fixed order: the same bits in every loop and on every machine,
whatever its C library. The polynomials are Chebyshev fits; arguments are reduced as by Cody and Waite (1980), and the
logarithm is put together as in Tang (1990), so that errors stay near one unit in the last place.
"""

from __future__ import annotations

import math

from engine.jit import bits_of, float_of, fma, inlined

_ROUND = 6755399441055744.0
"""1.5 * 2^52: adding it rounds to an integer, which is left in the lowest bits."""
_ROUND_BITS = 0x4338000000000000
_BIAS = 1023
_LN2, _LN2_REST = 0.6931471805599453, 2.3190468138462996e-17
_HALF_PI, _HALF_PI_REST, _HALF_PI_LAST = 1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33
_ROOT_HALF_BITS = 0x3FE6A09E667F3BCD

NEAR = 1073741824.0
"""sin_near and cos_near hold below this size: beyond, their reduction runs out of digits."""


@inlined
def _either(condition: bool, a: float, b: float) -> float:
    """Both are computed anyway: a selection, not a branch."""
    return a if condition else b


@inlined
def _exponential(x: float) -> tuple[float, float, float, float]:
    """s, t, r and c, where exp(x) = s t (1 + r + c), with c small beside r or r beside 1.

    s and t are powers of 2: two, or one would over- or underflow. For |x| up to 800, well beyond where exp gets to 0
    and to infinity.
    """
    rounded = fma(x, 1.4426950408889634, _ROUND)
    n = bits_of(rounded) - _ROUND_BITS
    whole = rounded - _ROUND
    rough = fma(-whole, _LN2, x)
    r = fma(-whole, _LN2_REST, rough)
    lost = fma(-whole, _LN2_REST, rough - r)
    r2 = r * r
    r4 = r2 * r2
    low = fma(r2, fma(r, 0.008333333333326136, 0.04166666666666667), fma(r, 0.1666666666666667, 0.5))
    middle = fma(
        r2,
        fma(r, 2.7557255400206422e-06, 2.4801587325547743e-05),
        fma(r, 0.00019841269874820627, 0.0013888888888883748),
    )
    high = fma(r2, 2.0914686968086876e-09, fma(r, 2.5105217004720745e-08, 2.75572736431103e-07))
    c = fma(r2, fma(r4, fma(r4, high, middle), low), lost)
    half = n >> 1
    return float_of((half + _BIAS) << 52), float_of((n - half + _BIAS) << 52), r, c


@inlined
def _bounded(x: float) -> float:
    """x, at least -800; NaN passes."""
    return _either(x < -800.0, -800.0, x)


@inlined
def _of_parts(s: float, t: float, r: float, c: float) -> tuple[float, float]:
    """s t (1 + r + c), as a sum of two."""
    one = 1.0 + r
    rest = (r - (one - 1.0)) + c
    high = one + rest
    return high * s * t, (rest - (high - one)) * s * t


@inlined
def _less_one(s: float, t: float, r: float, c: float) -> float:
    """s t (1 + r + c) - 1."""
    return fma(s, c, fma(s, r, s - float_of((2 * _BIAS << 52) - bits_of(t)))) * t


@inlined
def _share_of_one(e: float, e_rest: float) -> tuple[float, float]:
    """1 / (1 + e + e_rest) for e from 0 to 1, as a sum of two."""
    total = 1.0 + e
    lost = (e - (total - 1.0)) + e_rest
    rough = 1.0 / total
    wanting = fma(-lost, rough, fma(-total, rough, 1.0))
    share = fma(rough, wanting, rough)
    return share, fma(rough, wanting, rough - share)


@inlined
def exp(x: float) -> float:
    s, t, r, c = _exponential(_bounded(_either(x > 800.0, 800.0, x)))
    return _of_parts(s, t, r, c)[0]


@inlined
def expm1(x: float) -> float:
    s, t, r, c = _exponential(_bounded(_either(x > 800.0, 800.0, x)))
    return _either(x == 0.0, x, _less_one(s, t, r, c))


@inlined
def sigmoid(x: float) -> float:
    # exp of a negative number only, so that it never overflows.
    s, t, r, c = _exponential(_bounded(-math.fabs(x)))
    e, e_rest = _of_parts(s, t, r, c)
    share, share_rest = _share_of_one(e, e_rest)
    return _either(x >= 0.0, share, fma(e, share, fma(e, share_rest, e_rest * share)))


@inlined
def tanh(x: float) -> float:
    """(1 - e) / (1 + e) for e = exp(-2|x|), with the sign of x."""
    s, t, r, c = _exponential(_bounded(-2.0 * math.fabs(x)))
    e, e_rest = _of_parts(s, t, r, c)
    share, share_rest = _share_of_one(e, e_rest)
    less = _less_one(s, t, r, c)
    return math.copysign(fma(less, share, less * share_rest), x)


@inlined
def sech_squared(x: float) -> float:
    """1 / cosh(x)^2 = 4 e / (1 + e)^2 for e = exp(-2|x|)."""
    s, t, r, c = _exponential(_bounded(-2.0 * math.fabs(x)))
    e, e_rest = _of_parts(s, t, r, c)
    share, share_rest = _share_of_one(e, e_rest)
    root = 2.0 * share
    square = root * root
    rest = fma(root, root, -square) + 4.0 * root * share_rest
    return fma(e, square, fma(e, rest, e_rest * square))


@inlined
def _logarithm(f: float, k: float, rest: float) -> float:
    """log(2^k (1 + f)) + rest, for 1 + f from sqrt(1/2) to sqrt(2) and a rest that is small beside it."""
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    low = fma(z2, fma(z, 0.22222211130259878, 0.2857142862600327), fma(z, 0.39999999999899444, 0.666666666666667))
    high = fma(z2, 0.14616585424888623, fma(z, 0.15331710618210773, 0.18182889455674947))
    series = z * fma(z2 * z2, high, low)
    half = 0.5 * f * f
    return fma(k, _LN2, f - (half - fma(s, half + series, fma(k, _LN2_REST, rest))))


@inlined
def log(x: float) -> float:
    subnormal = x < 2.2250738585072014e-308
    bits = bits_of(_either(subnormal, x * 18014398509481984.0, x))
    k = (bits - _ROOT_HALF_BITS) >> 52
    f = float_of(bits - (k << 52)) - 1.0
    y = _logarithm(f, float_of(k + _ROUND_BITS) - _ROUND - _either(subnormal, 54.0, 0.0), 0.0)
    y = _either(x < math.inf, y, x)
    y = _either(x == 0.0, -math.inf, y)
    return _either(x < 0.0, math.nan, y)


@inlined
def log1p(x: float) -> float:
    u = 1.0 + x
    bits = bits_of(u)
    k = (bits - _ROOT_HALF_BITS) >> 52
    kept = u - 1.0
    lost = (1.0 - (u - kept)) + (x - kept)
    f = _either(k == 0, x, float_of(bits - (k << 52)) - 1.0)
    y = _logarithm(f, float_of(k + _ROUND_BITS) - _ROUND, _either(k == 0, 0.0, lost / u))
    y = _either(x < math.inf, y, x)
    y = _either(x == 0.0, x, y)
    y = _either(x == -1.0, -math.inf, y)
    return _either(x < -1.0, math.nan, y)


@inlined
def _remainder(x: float) -> tuple[int, float, float]:
    """A number whose last two bits say the quadrant, and what is left of x, at most pi / 4, as a sum of two."""
    rounded = fma(x, 0.6366197723675814, _ROUND)
    whole = rounded - _ROUND
    rough = fma(-whole, _HALF_PI, x)
    # What is left may be much smaller than both, so that the sum's error is Knuth's two-sum.
    more = -whole * _HALF_PI_REST
    total = rough + more
    kept = total - rough
    lost = (rough - (total - kept)) + (more - kept)
    lost += fma(-whole, _HALF_PI_LAST, fma(-whole, _HALF_PI_REST, -more))
    r = total + lost
    return bits_of(rounded), r, (total - r) + lost


@inlined
def _rotated(r: float, rest: float, quadrant: int) -> float:
    """sin(r + rest + quadrant pi / 2), of the quadrant's last two bits."""
    z = r * r
    z2 = z * z
    series = fma(
        z2 * z2,
        fma(z, 1.5917848524808262e-10, -2.5051127944014188e-08),
        fma(
            z2,
            fma(z, 2.755731608381636e-06, -0.00019841269836722418),
            fma(z, 0.008333333333330925, -0.16666666666666666),
        ),
    )
    half = 0.5 * z
    sine = r + fma(r * z, series, fma(-half, rest, rest))
    series = fma(
        z2 * z2,
        fma(z, -1.1382456778061306e-11, 2.0876143827993133e-09),
        fma(
            z2,
            fma(z, -2.7557317260008837e-07, 2.480158729874307e-05),
            fma(z, -0.0013888888888887382, 0.041666666666666664),
        ),
    )
    one = 1.0 - half
    cosine = one + fma(z2, series, fma(-r, rest, (1.0 - one) - half))
    y = _either(quadrant & 1 == 0, sine, cosine)
    return float_of(bits_of(y) ^ ((quadrant & 2) << 62))


@inlined
def sin_near(x: float) -> float:
    """sin(x) where |x| is below NEAR."""
    quadrant, r, rest = _remainder(x)
    # The sums would lose the sign of -0.0.
    return _either(x == 0.0, x, _rotated(r, rest, quadrant))


@inlined
def cos_near(x: float) -> float:
    """cos(x) where |x| is below NEAR."""
    quadrant, r, rest = _remainder(x)
    return _rotated(r, rest, quadrant + 1)


@inlined
def sin(x: float) -> float:
    return sin_near(x) if math.fabs(x) < NEAR else math.sin(x)


@inlined
def cos(x: float) -> float:
    return cos_near(x) if math.fabs(x) < NEAR else math.cos(x)
