"""Coefficients of src/kernels/polynomials.inl, with the error each fit leaves.

Each polynomial is a weighted minimax fit in double (Lawson's iteration: least squares, weights
multiplied by the error until the error is level). Coefficients are rounded to float one by one,
lowest degree first, and the rest is fitted again, so that rounding costs almost nothing.
usage: make_polynomials.py"""
import math

import numpy as np


def fit(x, target, weight, degree, fixed):
    """Coefficients minimising max |weight (target - p(x))|, the first len(fixed) given."""
    free = np.arange(len(fixed), degree + 1)
    rest = target - sum(c * x**i for i, c in enumerate(fixed))
    if not len(free):
        return np.array(fixed), np.abs(weight * rest).max()
    basis = np.stack([x**i for i in free], 1)
    lawson = np.ones_like(x)
    best = None
    for _ in range(300):
        w = np.sqrt(lawson) * weight
        c = np.linalg.lstsq(basis * w[:, None], rest * w, rcond=None)[0]
        error = np.abs(weight * (rest - basis @ c))
        if best is None or error.max() < best[1]:
            best = np.concatenate([fixed, c]), error.max()
        lawson = lawson * (error / error.max() + 1e-9)
        lawson /= lawson.max()
    return best


def rounded(name, formula, x, target, weight, degree):
    fixed = []
    for i in range(degree + 1):
        c, _ = fit(x, target, weight, degree, np.array(fixed))
        fixed.append(float(np.float32(c[i])))
    _, error = fit(x, target, weight, degree, np.array(fixed))
    print(f"// {formula}; fit error {error:.1e}.")
    print(f"constexpr float {name}[] = {{{', '.join(float(c).hex() + 'F' for c in fixed)}}};")


def nodes(low, high, count=2001):
    return (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(count) + 0.5) / count)


erf, erfc = np.vectorize(math.erf), np.vectorize(math.erfc)

x = nodes(-0.3475, 0.3475)
small = np.abs(x) < 1e-3
with np.errstate(all="ignore"):
    target = np.where(small, 0.5 + x / 6 + x * x / 24 + x**3 / 120, (np.expm1(x) - x) / (x * x))
rounded("kExp", "exp(r) = 1 + r + r^2 P(r), |r| <= ln2 / 2; relative", x, target, x * x / np.exp(x), 4)

t = nodes(0, 1)  # x^2
x = np.sqrt(t)
rounded("kErfSmall", "erf(x) = x + x P(x^2), |x| <= 1; relative", t, erf(x) / x - 1, x / erf(x), 6)

x = nodes(1, 4)
rounded("kErfLarge", "erf(x) = 1 - exp(P(x)), 1 <= x <= 4; absolute", x, np.log(erfc(x)), erfc(x), 6)

t = nodes(0, 0.4)  # x^2
x = np.sqrt(t)
rounded("kTanhSmall", "tanh(x) = x + x^3 P(x^2), |x| <= 0.63; relative", t, (np.tanh(x) / x - 1) / t, t * x / np.tanh(x), 5)

# Tails of the two GELUs by pieces: interval i is centred on 0.75 i, the last one cut at 5.6.
WIDTH, LAST = 0.75, 5.6


def pieces(name, formula, tail):
    columns, absolute, relative = [], 0, 0
    for i in range(8):
        t = nodes(max(0, (i - 0.5) * WIDTH), min((i + 0.5) * WIDTH, LAST), 501)
        r, q = t - i * WIDTH, tail(t)
        fixed = []
        for j in range(8):
            c, _ = fit(r, q, 1 / q, 7, np.array(fixed))
            fixed.append(float(np.float32(c[j])))
        error = np.abs(sum(c * r**j for j, c in enumerate(fixed)) - q)
        absolute, relative = max(absolute, error.max()), max(relative, (error / q).max())
        columns.append(fixed)
    print(f"// {formula}; fit error {absolute:.1e} absolute, {relative:.1e} relative.")
    rows = ["{" + ", ".join(float(c[j]).hex() + "F" for c in columns) + "}" for j in range(8)]
    print(f"alignas(32) constexpr float {name}[8][8] = {{{', '.join(rows)}}};")


pieces("kGelu", "erfc(t / sqrt 2) / 2", lambda t: erfc(t / math.sqrt(2)) / 2)
pieces("kGeluTanh", "1 / (1 + exp(2 sqrt(2 / pi) (t + 0.044715 t^3)))",
       lambda t: 1 / (1 + np.exp(2 * math.sqrt(2 / math.pi) * (t + 0.044715 * t**3))))
