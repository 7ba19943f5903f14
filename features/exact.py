"""exp and log from operations that IEEE 754 fixes to the last bit.

numpy's, glibc's with FMA and glibc's without FMA give different last bits of exp (1 in 20, 1 in 1,300), so a golden
row scored elsewhere would not be equal. Sums, products, quotients and square roots are equal everywhere.
"""

import math

_LOG2_E = 1.4426950408889634
_LN2_HIGH = 0.6931471803691238  # ln 2 in two parts, the first with 20 trailing zero bits (Cody & Waite 1980)
_LN2_LOW = 1.9082149292705877e-10
_TAYLOR = tuple(1.0 / math.factorial(power) for power in range(13, -1, -1))
_HALF_ROOT = 0.7071067811865476
_ODD = tuple(1.0 / power for power in range(21, 0, -2))


def exp(x: float) -> float:
    """e**x for |x| <= 30: x = k ln 2 + r with |r| < 0.35, then Taylor's series to r**13 (error 5e-18)."""
    doublings = round(x * _LOG2_E)
    rest = (x - doublings * _LN2_HIGH) - doublings * _LN2_LOW
    total = 0.0
    for coefficient in _TAYLOR:
        total = total * rest + coefficient
    return math.ldexp(total, doublings)


def log(x: float) -> float:
    """ln x for a normal x > 0: x = 2**k m with m near 1, then the series of 2 atanh((m - 1) / (m + 1))."""
    part, doublings = math.frexp(x)
    if part < _HALF_ROOT:
        part, doublings = 2.0 * part, doublings - 1
    ratio = (part - 1.0) / (part + 1.0)
    total = 0.0
    for coefficient in _ODD:
        total = total * (ratio * ratio) + coefficient
    return doublings * _LN2_HIGH + (doublings * _LN2_LOW + 2.0 * ratio * total)
