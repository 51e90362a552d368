"""Elementwise functions for compiled loops, written so that the compiler computes many elements at once.

numba calls the C library for `exp` and its like, one element at a time; these are polynomials, without
branches, in single precision.  Their largest errors are in units of the last place of the result, for all
arguments whose results are normal numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from graphspec.runtime.kernels.erf import SINGLE as ERF
from graphspec.runtime.kernels.erf import SPLIT, WHOLE

float32, int32 = np.float32, np.int32

#: the functions for elements of single precision, by the name that `Op.element` uses
SINGLE: dict[str, Callable[..., Any]] = {}
#: those for every precision
ANY: dict[str, Callable[..., Any]] = {}

# a product and a sum may be one rounding; nothing else is allowed, or exact differences would be lost
_exact = njit(nogil=True, forceinline=True, fastmath={"contract"}, error_model="numpy")
_free = njit(nogil=True, forceinline=True, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


def _single(function: Callable[..., Any]) -> Any:
    compiled = _exact(function)
    SINGLE[function.__name__] = compiled
    return compiled


def _any(function: Callable[..., Any]) -> Any:
    compiled = _exact(function)
    ANY[function.__name__] = compiled
    return compiled


@_free
def plus(total: Any, x: Any) -> Any:
    """total + x, where the terms of a sum may be taken in any order."""
    return total + x


@intrinsic
def _maximum(context: Any, x: Any, y: Any) -> Any:
    return x(x, x), lambda context, builder, signature, arguments: _call("maximum", builder, x, arguments)


@intrinsic
def _minimum(context: Any, x: Any, y: Any) -> Any:
    return x(x, x), lambda context, builder, signature, arguments: _call("minimum", builder, x, arguments)


def _call(name: str, builder: Any, type: Any, arguments: Any) -> Any:
    """An instruction of the machine, as LLVM calls it."""
    from llvmlite import ir

    of_llvm = ir.FloatType() if type == types.float32 else ir.DoubleType()
    function = builder.module.declare_intrinsic(
        f"llvm.{name}", [of_llvm], ir.FunctionType(of_llvm, [of_llvm] * len(arguments))
    )
    return builder.call(function, arguments)


@_any
def maximum(x: Any, y: Any) -> Any:
    """The greater one; nan if either is."""
    return _maximum(x, y)


@_any
def minimum(x: Any, y: Any) -> Any:
    """The lesser one; nan if either is."""
    return _minimum(x, y)


@intrinsic
def _bits_of(context: Any, x: Any) -> Any:
    def cast(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int32))

    return types.int32(types.float32), cast


@intrinsic
def _from_bits(context: Any, bits: Any) -> Any:
    def cast(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float32))

    return types.float32(types.int32), cast


#: 1.5 * 2**23: added to a small number it leaves the nearest whole number in the last bits
_SHIFT = float32(12582912.0)


@_exact
def _power_of_two(n: Any) -> Any:
    """2**n for a whole number -127 < n < 128, as int32."""
    return _from_bits(int32(int32(n << int32(23)) + int32(0x3F800000)))


@_single
def exp(x: Any) -> Any:
    """e**x, off by at most 1.5 units: 2**n * e**r with |r| <= log(2)/2.

    Source: Moshier, Cephes library (1984-1992), `expf`; Cody & Waite (1980), chapter 6.
    """
    low = x if x > float32(-104.0) else float32(-104.0)
    z = low if low < float32(88.8) else float32(88.8)
    shifted = z * float32(1.44269504088896341) + _SHIFT
    n = shifted - _SHIFT
    r = z - n * float32(0.693359375)
    r = r - n * float32(-2.12194440e-4)
    p = float32(1.9875691500e-4)
    p = p * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    p = p * (r * r) + r + float32(1.0)
    whole = int32(_bits_of(shifted) - int32(0x4B400000))
    half = int32(whole >> int32(1))  # in two factors: 2**128 and 2**-150 are no floats
    y = p * _power_of_two(half) * _power_of_two(int32(whole - half))
    return y if x == x else x


@_single
def expm1(x: Any) -> Any:
    """e**x - 1, off by at most 3 units; near 0 by its series, which cancels nothing.

    Source: Abramowitz & Stegun (1964), 4.2.1.
    """
    p = float32(1.0 / 40320.0)
    p = p * x + float32(1.0 / 5040.0)
    p = p * x + float32(1.0 / 720.0)
    p = p * x + float32(1.0 / 120.0)
    p = p * x + float32(1.0 / 24.0)
    p = p * x + float32(1.0 / 6.0)
    p = p * x + float32(0.5)
    near = p * (x * x) + x
    far = exp(x) - float32(1.0)
    return near if abs(x) < float32(0.5) else far


@_single
def log(x: Any) -> Any:
    """The natural logarithm, off by at most 2 units: of m * 2**n with sqrt(1/2) <= m < sqrt(2).

    Source: Moshier, Cephes library (1984-1992), `logf`.
    """
    tiny = x < float32(1.17549435e-38)
    scaled = x * float32(8388608.0) if tiny else x
    bits = _bits_of(scaled)
    n = float32(int32((bits >> int32(23)) - int32(126))) - (float32(23.0) if tiny else float32(0.0))
    m = _from_bits(int32((bits & int32(0x007FFFFF)) | int32(0x3F000000)))
    is_low = m < float32(0.707106781186547524)
    n = n - float32(1.0) if is_low else n
    z = (m + m if is_low else m) - float32(1.0)
    p = float32(7.0376836292e-2)
    p = p * z + float32(-1.1514610310e-1)
    p = p * z + float32(1.1676998740e-1)
    p = p * z + float32(-1.2420140846e-1)
    p = p * z + float32(1.4249322787e-1)
    p = p * z + float32(-1.6668057665e-1)
    p = p * z + float32(2.0000714765e-1)
    p = p * z + float32(-2.4999993993e-1)
    p = p * z + float32(3.3333331174e-1)
    square = z * z
    y = p * z * square + n * float32(-2.12194440e-4) - float32(0.5) * square
    y = z + y + n * float32(0.693359375)
    y = y if x < float32(np.inf) else x  # infinity and nan as they are
    y = y if x != float32(0.0) else float32(-np.inf)
    return y if not x < float32(0.0) else float32(np.nan)


@_single
def log1p(x: Any) -> Any:
    """log(1 + x), off by at most 3 units: what 1 + x loses is made up for by a quotient.

    Source: Kahan, as in Goldberg (1991), theorem 4.
    """
    u = float32(1.0) + x
    corrected = log(u) * (x / (u - float32(1.0)))
    y = x if u == float32(1.0) else corrected
    return y if u < float32(np.inf) else u


@_single
def tanh(x: Any) -> Any:
    """(e**2x - 1) / (e**2x + 1), off by at most 3 units; near 0 by a polynomial.

    Source: Moshier, Cephes library (1984-1992), `tanhf`.
    """
    size = abs(x)
    z = x * x
    p = float32(-5.70498872745e-3)
    p = p * z + float32(2.06390887954e-2)
    p = p * z + float32(-5.37397155531e-2)
    p = p * z + float32(1.33314422036e-1)
    p = p * z + float32(-3.33332819422e-1)
    near = p * z * x + x
    far = float32(1.0) - float32(2.0) / (exp(size + size) + float32(1.0))
    far = far if x > float32(0.0) else -far
    y = near if size < float32(0.625) else far
    return y if x == x else x


@_any
def sqrt(x: Any) -> Any:
    """The square root."""
    return np.sqrt(x)


@_single
def sign(x: Any) -> Any:
    """1, -1 or 0; nan of nan."""
    y = float32(1.0) if x > float32(0.0) else x
    return float32(-1.0) if x < float32(0.0) else y


#: coefficients as the compiler takes them: numbers of their own precision
_NEAR = tuple(float32(c) for c in ERF.near)
_WHOLE = tuple(float32(c) for c in WHOLE)
_LAST, _SPLIT = float32(ERF.last), float32(SPLIT)


@_exact
def _complement(size: Any) -> Any:
    """erfc(size) for size >= 0: the formula of `kernels.erf`."""
    t = size if size < _LAST else _LAST
    # the square of a number with few digits is exact: t*t = head*head + (t - head) * (t + head)
    head = float32(int32(t * float32(16.0))) * float32(0.0625)
    near, rest = head * head, (t - head) * (t + head)
    square = near + rest
    y = exp(-square)
    y -= y * ((near - square) + rest)  # what the sum has lost: exp(-lost) is 1 - lost
    u = (t - float32(3.0)) / (t + float32(3.0))
    p = _WHOLE[0]
    p = p * u + _WHOLE[1]
    p = p * u + _WHOLE[2]
    p = p * u + _WHOLE[3]
    p = p * u + _WHOLE[4]
    p = p * u + _WHOLE[5]
    p = p * u + _WHOLE[6]
    p = p * u + _WHOLE[7]
    p = p * u + _WHOLE[8]
    p = p * u + _WHOLE[9]
    p = p * u + _WHOLE[10]
    return y * p / (t + t + float32(1.0))


@_single
def erfc(x: Any) -> Any:
    """1 - erf(x), off by at most 8 units where it is not below 1e-30."""
    far = _complement(abs(x))
    y = float32(2.0) - far if x < float32(0.0) else far
    return y if x == x else x


@_single
def erf(x: Any) -> Any:
    """The error function, off by at most 2 units: near 0 a polynomial, else from its complement."""
    z = x * x
    p = _NEAR[0]
    p = p * z + _NEAR[1]
    p = p * z + _NEAR[2]
    p = p * z + _NEAR[3]
    p = p * z + _NEAR[4]
    p = p * z + _NEAR[5]
    far = float32(1.0) - _complement(abs(x))
    far = -far if x < float32(0.0) else far
    y = p * x if abs(x) <= _SPLIT else far
    return y if x == x else x
