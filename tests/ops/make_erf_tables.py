"""Writes the coefficients of `runtime/kernels/erf.py` and `frozen/erf.json`; needs mpmath.

Run by hand: the results are committed.  The coefficients are Chebyshev fits computed with 60 digits:

    erf(x)  = x * P(x**2)                                for |x| <= 0.75
    erfc(x) = e**(-x**2) * Q((x - k) / (x + k)) / (1 + 2*x)    beyond, up to where it is 0

The form of the second is that of Shepherd & Laframboise, Math. Comp. 36 (1981), 249.
"""

import json
import sys
from pathlib import Path

import mpmath as mp

mp.mp.dps = 60
SPLIT = mp.mpf("0.75")
#: dtype: number of coefficients of P and of Q, k, the greatest x
SETTINGS = {"float64": (11, 21, 3, 30), "float32": (6, 9, 2, 12)}
POINTS = [1e-300, 1e-20, 1e-8, 0.001, 0.1, 0.3, 0.5, 0.7, 0.75, 0.7500001, 0.8, 1, 1.5]
POINTS += [2, 2.5, 3, 4, 5, 6, 8, 10, 15, 20, 25, 26]


def near(z: mp.mpf) -> mp.mpf:
    return mp.erf(mp.sqrt(z)) / mp.sqrt(z) if z else 2 / mp.sqrt(mp.pi)


def far(u: mp.mpf, k: int) -> mp.mpf:
    x = k * (1 + u) / (1 - u)
    return (1 + 2 * x) * mp.exp(x * x) * mp.erfc(x)


def main() -> None:
    for dtype, (near_count, far_count, k, last) in SETTINGS.items():
        p, p_error = mp.chebyfit(near, [mp.mpf("1e-30"), SPLIT**2], near_count, error=True)
        ends = [(SPLIT - k) / (SPLIT + k), mp.mpf(last - k) / (last + k)]
        q, q_error = mp.chebyfit(lambda u, k=k: far(u, k), ends, far_count, error=True)
        sys.stdout.write(f"{dtype}: k = {k}, errors {mp.nstr(p_error, 2)} and {mp.nstr(q_error, 2)}\n")
        for name, coefficients in (("P", p), ("Q", q)):
            sys.stdout.write(f"    {name} = ({', '.join(repr(float(c)) for c in coefficients)})\n")
    points = [mp.mpf(x) for x in POINTS]
    points += [-x for x in points]
    table = [[float(x), float(mp.erf(x)), float(mp.erfc(x))] for x in points]
    (Path(__file__).parent / "frozen" / "erf.json").write_text(json.dumps(table) + "\n")


if __name__ == "__main__":
    main()
