"""The error function and its complement, which numpy has not: piecewise polynomials, to the last digits.

The coefficients come from `tests/ops/make_erf_tables.py`, highest power first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphspec.runtime.kernels.registry import kernel

SPLIT = 0.75
#: elements that are worked on at a time: few enough to stay in the cache
BLOCK = 8192


@dataclass(frozen=True, slots=True)
class Table:
    """erf(x) = x * near(x**2) up to SPLIT; beyond, erfc(x) is e**(-x**2) * far((x-k)/(x+k)) / (1+2*x).

    From `last` on, erfc is 0 in the precision of the table.
    """

    near: tuple[float, ...]
    far: tuple[float, ...]
    k: float
    last: float


DOUBLE = Table(
    near=(
        1.1472499701094691e-08,
        -1.5940066854661717e-07,
        1.643068417974155e-06,
        -1.4924196305569617e-05,
        0.00012055289567541706,
        -0.0008548326188759752,
        0.005223977615420539,
        -0.026866170644428485,
        0.11283791670952596,
        -0.37612638903183715,
        1.1283791670955126,
    ),
    far=(
        -1.3803431007811976e-08,
        1.1283795778853066e-07,
        -6.397686004943868e-08,
        -6.58438049666849e-07,
        3.0805158135334003e-07,
        3.508962994831482e-06,
        -7.150724695067582e-07,
        -2.0116657886323057e-05,
        4.946434512138627e-06,
        0.00012510347046426474,
        -0.00010515952060172957,
        -0.0007798329068247115,
        0.0018886903541165147,
        0.00252939187379074,
        -0.02377051491966329,
        0.06830802734110944,
        -0.11927366341524354,
        0.12964515870282617,
        -0.047562294353451814,
        -0.13562110612458161,
        1.2530080582697296,
    ),
    k=3.0,
    last=30.0,
)
SINGLE = Table(
    near=(
        -0.0006756479568680047,
        0.005115332112532226,
        -0.026835114568609705,
        0.11283386538414544,
        -0.37612619469437675,
        1.1283791655787516,
    ),
    far=(
        -0.001504798270024531,
        0.0011002450313731575,
        0.008764237973096724,
        -0.008012720391442428,
        -0.0542258060887025,
        0.16405048269697312,
        -0.16603017526615443,
        -0.09276382677612276,
        1.2769783803447314,
    ),
    k=2.0,
    last=12.0,
)


@kernel("erf", "numpy")
def erf(xp: Any, out: Any, x: Any) -> None:
    """out = erf(x)."""

    def finish(x: Any, near: Any, far: Any, is_near: Any) -> None:
        xp.subtract(1, far, out=far)
        xp.copysign(far, x, out=far)
        xp.copyto(far, near, where=is_near)

    _by_blocks(xp, out, x, finish)


@kernel("erfc", "numpy")
def erfc(xp: Any, out: Any, x: Any) -> None:
    """out = 1 - erf(x)."""
    if out.dtype.name == "float32":
        _erfc_single(xp, out, x)
        return

    def finish(x: Any, near: Any, far: Any, is_near: Any) -> None:
        xp.subtract(2, far, out=far, where=x < 0)
        xp.subtract(1, near, out=far, where=is_near)

    _by_blocks(xp, out, x, finish)


def _by_blocks(xp: Any, out: Any, x: Any, finish: Callable[[Any, Any, Any, Any], None]) -> None:
    """Write into `out` what `finish` makes of erf(x) and erfc(|x|) in its third argument."""
    xp.copyto(out, x)
    flat = out.reshape(-1)
    if flat.dtype.name == "float16":  # its range is too small for the intermediate results
        wide = flat.astype("float32")
        _by_blocks(xp, wide, wide, finish)
        xp.copyto(flat, wide, casting="same_kind")
        return
    table = SINGLE if flat.dtype.name == "float32" else DOUBLE
    for start in range(0, flat.size, BLOCK):
        block = flat[start : start + BLOCK]
        size = xp.absolute(block)
        near = block * _polynomial(xp, table.near, xp.square(block))
        far = _complement(xp, table, size)
        finish(block, near, far, size <= SPLIT)
        xp.copyto(block, far)


#: erfc(x) is e**(-x**2) * polynomial((x-3)/(x+3)) / (1+2*x) for all x from 0 on
WHOLE = (
    -0.0002601643133034042,
    -0.0007533479766788793,
    0.0020225035018595285,
    0.0025632531401427704,
    -0.023810092771728776,
    0.06829313059867897,
    -0.1192688996893254,
    0.12964703334665714,
    -0.04756250164249535,
    -0.13562116579747852,
    1.2530080598856959,
)


def _erfc_single(xp: Any, out: Any, x: Any) -> None:
    """out = erfc(x) in single precision: one formula for all |x|, and 2 - erfc(-x) for x < 0."""
    xp.copyto(out, x)
    flat = out.reshape(-1)
    size = min(flat.size, 2 * BLOCK)
    work = xp.empty((4, size), dtype=out.dtype)
    # numbers as arrays are read faster than Python's
    one, two, three, many, few, last = xp.array([1, 2, 3, 16, 1 / 16, SINGLE.last], out.dtype).reshape(-1, 1)
    highest, *others = xp.array(WHOLE, out.dtype).reshape(-1, 1)
    for start in range(0, flat.size, max(size, 1)):
        block = flat[start : start + size]
        t, u, v, y = work[:, : block.size]
        xp.minimum(xp.absolute(block, out=t), last, out=t)
        sign = xp.copysign(one, block, out=block)
        # the square of a number with few digits is exact: t*t = head*head + (t - head) * (t + head)
        head = xp.multiply(xp.trunc(xp.multiply(t, many, out=u), out=u), few, out=u)
        xp.multiply(xp.subtract(head, t, out=y), xp.add(head, t, out=v), out=y)
        xp.exp(y, out=y)
        xp.negative(xp.multiply(head, head, out=u), out=u)
        xp.multiply(y, xp.exp(u, out=u), out=y)
        xp.true_divide(xp.subtract(t, three, out=u), xp.add(t, three, out=v), out=u)
        xp.multiply(u, highest, out=v)
        for coefficient in others[:-1]:
            xp.multiply(xp.add(v, coefficient, out=v), u, out=v)
        xp.multiply(y, xp.add(v, others[-1], out=v), out=y)
        xp.true_divide(y, xp.add(xp.multiply(t, two, out=t), one, out=t), out=y)
        xp.multiply(y, sign, out=y)
        xp.add(y, xp.subtract(one, sign, out=sign), out=block)


def _complement(xp: Any, table: Table, x: Any) -> Any:
    """erfc(x) for x >= SPLIT; anything finite below."""
    x = xp.minimum(x, table.last)
    # the square of a number with few digits is exact: x*x = head*head + (x - head) * (x + head)
    head = xp.trunc(x * 16) / 16
    y = xp.exp((head - x) * (head + x))
    y *= xp.exp(-head * head)
    y *= _polynomial(xp, table.far, (x - table.k) / (x + table.k))
    x *= 2
    x += 1
    y /= x
    return y


def _polynomial(xp: Any, coefficients: tuple[float, ...], x: Any) -> Any:
    """Horner's rule, highest power first."""
    y = xp.multiply(x, coefficients[0])
    for c in coefficients[1:-1]:
        y += c
        y *= x
    y += coefficients[-1]
    return y


@kernel("erf", "cupy")
def erf_on_device(xp: Any, out: Any, x: Any) -> None:
    """out = erf(x)."""
    from cupyx.scipy import special

    special.erf(xp.asarray(x, dtype=out.dtype), out=out)


@kernel("erfc", "cupy")
def erfc_on_device(xp: Any, out: Any, x: Any) -> None:
    """out = 1 - erf(x)."""
    from cupyx.scipy import special

    special.erfc(xp.asarray(x, dtype=out.dtype), out=out)
