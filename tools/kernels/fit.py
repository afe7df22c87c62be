#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where the constants of src/kernels/math_simd.h come from.

Each polynomial is the Chebyshev interpolation (near the best there is) of a smooth function, computed
with 60 digits and rounded to float32.  Needs mpmath.  Prints C initialisers, lowest power first.
"""
import struct

from mpmath import cos, erf, erfc, exp, log, mp, mpf, pi, polyval, sqrt, tanh

mp.dps = 60


def interpolate(f, low, high, degree):
    """Coefficients, lowest first, of the polynomial through f at the Chebyshev nodes of [low, high]."""
    n = degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * cos(pi * (2 * i + 1) / (2 * n)) for i in range(n)]
    # Newton's divided differences, then expanded.
    table = [f(x) for x in nodes]
    for level in range(1, n):
        for i in range(n - 1, level - 1, -1):
            table[i] = (table[i] - table[i - 1]) / (nodes[i] - nodes[i - level])
    poly = [table[-1]]
    for i in range(n - 2, -1, -1):
        poly = [mpf(0)] + poly
        for j in range(len(poly) - 1):
            poly[j] -= nodes[i] * poly[j + 1]
        poly[0] += table[i]
    return poly


def f32(x):
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def show(name, f, low, high, degree):
    low, high = mpf(low), mpf(high)
    poly = interpolate(f, low, high, degree)
    worst = max(
        abs(polyval(poly[::-1], x) - f(x))
        for x in (low + (high - low) * i / 500 for i in range(501))
    )
    values = ", ".join(f"{f32(c):.9g}f" for c in poly)
    print(f"{name}: [{float(low):.6g}, {float(high):.6g}], error {float(worst):.2g}\n    {values}")


def near_zero(f, limit):
    """f, with its limit where the quotient is 0 / 0."""
    return lambda x: f(x) if abs(x) > mpf(10) ** -20 else limit


half = log(2) / 2
show("exp(r) = 1 + r + r^2 P(r)", near_zero(lambda r: (exp(r) - 1 - r) / r**2, mpf(1) / 2), -half, half, 4)
edge = mpf("0.55") ** 2
show(
    "tanh(x) = x + x s P(s), s = x^2",
    near_zero(lambda s: (tanh(sqrt(s)) - sqrt(s)) / (s * sqrt(s)), -mpf(1) / 3),
    0,
    edge,
    4,
)
show(
    "erf(x) = x + x P(s), s = x^2, |x| < 1",
    near_zero(lambda s: erf(sqrt(s)) / sqrt(s) - 1, 2 / sqrt(pi) - 1),
    0,
    1,
    6,
)
show("erfc(x) = exp(-x^2 - P(x)), 1 <= x < 6", lambda x: -log(erfc(x)) - x**2, 1, 6, 9)
