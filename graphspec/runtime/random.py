"""Draws that depend on nothing but seed, name and element number: no generator, no state, no order.

Element i of the stream (seed, name) is a hash of i.  So adding a layer changes no other layer's weights,
a slice of a tensor is the slice of its draw, and threads need no coordination.  Everything is integer
arithmetic or the four operations and square roots that IEEE 754 rounds exactly, never a library's `log`
or `cos`: the same numbers come out on every machine and backend.

Sources: SplitMix64, Steele, Lea & Flood (2014), "Fast splittable pseudorandom number generators",
figures 13 to 16, with a pair (start, odd gamma) per stream; the normal quantile is Wichura (1988),
algorithm AS 241, routine PPND16.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from graphspec.diagnostics import GraphSpecError, Span
from graphspec.diagnostics.catalogue.data import sampler_domain
from graphspec.ir import DType
from graphspec.ops.samplers import SAMPLERS

Array: TypeAlias = Any
Arguments: TypeAlias = Mapping[str, Any]

_MASK = (1 << 64) - 1
#: elements per round: on the CPU the working arrays then stay in its caches, on a GPU they stay small
_BLOCK, _DEVICE_BLOCK = 1 << 15, 1 << 24
#: the standard deviation that keeps a signal's variance through each nonlinearity, as PyTorch has it
_GAINS = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}


def draw(
    sampler: str,
    arguments: Arguments,
    shape: Sequence[int],
    dtype: DType,
    seed: int,
    name: str,
    xp: Any = np,
    offset: int = 0,
    span: Span | None = None,
) -> Array:
    """An array of `shape` drawn by a sampler of `ops.samplers`.

    Its first element is element `offset` of the stream (seed, name): so `draw(shape=(n,))[k:]` is
    `draw(shape=(n - k,), offset=k)`.  Raises GraphSpecError where the arguments define no distribution.
    """
    signature = SAMPLERS[sampler]
    values = {p.name: p.default for p in signature.parameters} | dict(arguments)
    try:
        generate = _generator(sampler, values, tuple(shape), dtype)
    except _NoDistributionError as error:
        raise GraphSpecError(sampler_domain(name, sampler, str(error), span)) from None
    size = math.prod(shape)
    start, gamma = stream(seed, name)
    result = xp.empty(size, dtype=dtype.array_name)
    block = _BLOCK if xp is np else _DEVICE_BLOCK
    with np.errstate(over="ignore"):
        for low in range(0, size, block):
            high = min(low + block, size)
            result[low:high] = generate(xp, _bits(xp, start, gamma, offset + low, offset + high))
    return result.reshape(tuple(shape))


class _NoDistributionError(Exception):
    """The arguments of a sampler do not define a distribution."""


def stream(seed: int, name: str) -> tuple[int, int]:
    """The start and the odd increment of a stream."""
    text = f"{int(seed)}:{name}".encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(text, digest_size=16).digest()
    start, gamma = int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little") | 1
    if (gamma ^ (gamma >> 1)).bit_count() < 24:  # too regular an increment: figure 16 of the paper
        gamma ^= 0xAAAAAAAAAAAAAAAA
    return start, gamma


def _bits(xp: Any, start: int, gamma: int, low: int, high: int) -> Array:
    """The 64 random bits of elements low..high: `mix64(start + (i + 1) * gamma)`."""
    z = xp.arange(high - low, dtype=xp.uint64)
    z *= xp.uint64(gamma)
    z += xp.uint64((start + (low + 1) * gamma) & _MASK)
    z ^= z >> xp.uint64(30)
    z *= xp.uint64(0xBF58476D1CE4E5B9)
    z ^= z >> xp.uint64(27)
    z *= xp.uint64(0x94D049BB133111EB)
    z ^= z >> xp.uint64(31)
    return z


Generator: TypeAlias = Callable[[Any, Array], Array]


def _generator(sampler: str, a: Arguments, shape: tuple[int, ...], dtype: DType) -> Generator:
    """The function from random bits to numbers."""
    for key, value in a.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise _NoDistributionError(f"`{key}` must be finite, and is {value}")
    if sampler == "uniform":
        return _uniform(float(a["low"]), float(a["high"]), dtype)
    if sampler == "normal":
        return _normal(float(a["mean"]), float(a["std"]))
    if sampler == "trunc_normal":
        return _trunc_normal(float(a["mean"]), float(a["std"]), float(a["a"]), float(a["b"]))
    if sampler == "randint":
        return _randint(int(a["low"]), int(a["high"]), dtype)
    if sampler == "bernoulli":
        return _bernoulli(float(a["p"]))
    std = _scaled_std(sampler, a, shape)
    if sampler.endswith("_uniform"):
        return _uniform(-math.sqrt(3.0) * std, math.sqrt(3.0) * std, dtype)
    return _normal(0.0, std)


def _unit(xp: Any, bits: Array) -> Array:
    """Doubles in [0, 1), multiples of 2**-53."""
    return (bits >> xp.uint64(11)).astype(xp.float64) * 2.0**-53


def _open_unit(xp: Any, bits: Array) -> Array:
    """Doubles in (0, 1), symmetric about 1/2."""
    return ((bits >> xp.uint64(12)).astype(xp.float64) + 0.5) * 2.0**-52


def _uniform(low: float, high: float, dtype: DType) -> Generator:
    if low > high:
        raise _NoDistributionError(f"`low` must not be above `high`, and they are {low:g} and {high:g}")
    first, last = _bounds(low, high, np.dtype(dtype.array_name).type)

    def generate(xp: Any, bits: Array) -> Array:
        u = _unit(xp, bits)
        # one rounding to the dtype could still step outside [low, high)
        return xp.clip((low * (1.0 - u) + high * u).astype(dtype.array_name), first, last)

    return generate


def _bounds(low: float, high: float, kind: Any) -> tuple[Any, Any]:
    """The least number of a dtype that is not below `low`, and the greatest that is below `high`."""
    first, last = kind(low), kind(high)
    if float(first) < low:
        first = np.nextafter(first, kind(np.inf))
    if float(last) >= high > low:
        last = np.nextafter(last, kind(-np.inf))
    return first, max(first, last)


def _normal(mean: float, std: float) -> Generator:
    if std < 0:
        raise _NoDistributionError(f"`std` must not be negative, and is {std:g}")

    def generate(xp: Any, bits: Array) -> Array:
        return mean + std * quantile(xp, _open_unit(xp, bits))

    return generate


def _trunc_normal(mean: float, std: float, a: float, b: float) -> Generator:
    """By the quantile of a uniform number between the distribution functions at the bounds.

    Bounds in the upper tail are mirrored to the lower one, where probabilities keep their precision.
    """
    if std <= 0:
        raise _NoDistributionError(f"`std` must be positive, and is {std:g}")
    if a >= b:
        raise _NoDistributionError(f"`a` must be below `b`, and they are {a:g} and {b:g}")
    low, high, sign = (a - mean) / std, (b - mean) / std, 1.0
    if low > 0:
        low, high, sign = -high, -low, -1.0
    bottom, top = (0.5 * math.erfc(-x / math.sqrt(2.0)) for x in (low, high))

    def generate(xp: Any, bits: Array) -> Array:
        p = xp.clip(bottom + (top - bottom) * _open_unit(xp, bits), 1e-300, 1.0 - 2.0**-53)
        return xp.clip(mean + (sign * std) * quantile(xp, p), a, b)

    return generate


def _randint(low: int, high: int, dtype: DType) -> Generator:
    if low >= high:
        raise _NoDistributionError(f"`high` must be above `low`, and they are {high} and {low}")
    limit = 1 << (8 * dtype.itemsize - 1)
    if low < -limit or high > limit:
        raise _NoDistributionError(f"{low}..{high} does not fit into {dtype}")

    def generate(xp: Any, bits: Array) -> Array:
        """floor(bits * span / 2**64): the high word of a product of two 64-bit words, from 32-bit halves.

        No number is likelier than another by more than span / 2**64.
        Source: Warren, Hacker's Delight (2012), 8-2.
        """
        half, mask = xp.uint64(32), xp.uint64(0xFFFFFFFF)
        b0, b1 = bits & mask, bits >> half
        s0, s1 = xp.uint64((high - low) & 0xFFFFFFFF), xp.uint64((high - low) >> 32)
        middle = b1 * s0 + ((b0 * s0) >> half)
        carry = b0 * s1 + (middle & mask)
        offset = b1 * s1 + (middle >> half) + (carry >> half)
        return (offset + xp.uint64(low & _MASK)).astype(xp.int64)  # both wrap around at 2**64

    return generate


def _bernoulli(p: float) -> Generator:
    if not 0 <= p <= 1:
        raise _NoDistributionError(f"`p` is a probability, and is {p:g}")
    return lambda xp, bits: _unit(xp, bits) < p


def _scaled_std(sampler: str, a: Arguments, shape: tuple[int, ...]) -> float:
    """The standard deviation of the kaiming and xavier samplers."""
    fan_in, fan_out = fans(shape)
    if sampler.startswith("xavier"):
        return float(a["gain"]) * math.sqrt(2.0 / (fan_in + fan_out)) if fan_in + fan_out else 0.0
    fan = fan_in if a["mode"] == "fan_in" else fan_out
    return gain(str(a["nonlinearity"]), float(a["a"])) / math.sqrt(fan) if fan else 0.0


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """How many inputs feed one output of a weight, and how many outputs one input feeds.

    Layout `[out, in, *kernel]`.  Source: `torch.nn.init._calculate_fan_in_and_fan_out`.
    """
    if len(shape) < 2:
        raise _NoDistributionError(f"a weight of rank {len(shape)} has no fan: it needs rank 2 or more")
    receptive = math.prod(shape[2:])
    return shape[1] * receptive, shape[0] * receptive


def gain(nonlinearity: str, slope: float) -> float:
    """The recommended gain of a nonlinearity.  Source: `torch.nn.init.calculate_gain`."""
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + slope * slope))
    return _GAINS.get(nonlinearity, 1.0)


# AS 241: numerators and denominators, highest power first
_CENTRE = (
    (2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608),
    (5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0),
)  # fmt: skip
_NEAR = (
    (7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734),
    (1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0),
)  # fmt: skip
_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772),
    (2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0),
)  # fmt: skip

Coefficients: TypeAlias = tuple[tuple[float, ...], tuple[float, ...]]


def quantile(xp: Any, p: Array) -> Array:
    """The x below which a standard normal number stays with probability p, to about 1e-15 relative.

    Domain: 0 < p < 1.  Source: Wichura (1988), Applied Statistics 37, 477-484, algorithm AS 241.
    """
    q = p - 0.5
    x = q * _ratio(0.180625 - q * q, _CENTRE)
    in_tail = abs(q) > 0.425
    if xp is not np:  # which elements are tails only the device knows, so all are computed
        return xp.where(in_tail, _tail(xp, p, q), x)
    (tails,) = np.nonzero(in_tail)
    if tails.size:
        x[tails] = _tail(np, p[tails], q[tails])
    return x


def _tail(xp: Any, p: Array, q: Array) -> Array:
    r = xp.sqrt(-_log(xp, xp.minimum(p, 1.0 - p)))
    value = xp.where(r <= 5.0, _ratio(r - 1.6, _NEAR), _ratio(r - 5.0, _FAR))
    return xp.where(q < 0, -value, value)


def _ratio(r: Array, coefficients: Coefficients) -> Array:
    above, below = coefficients
    top, bottom = r * above[0], r * below[0]
    for a, b in zip(above[1:-1], below[1:-1], strict=True):
        top += a
        top *= r
        bottom += b
        bottom *= r
    return (top + above[-1]) / (bottom + below[-1])


def _log(xp: Any, x: Array) -> Array:
    """The natural logarithm of positive doubles, from operations that are rounded exactly.

    log(m * 2**e) = e * log 2 + 2 * atanh(s), s = (m - 1) / (m + 1), |s| < 0.172 for m in [1/sqrt 2, sqrt 2).
    """
    m, e = xp.frexp(x)
    small = m < math.sqrt(0.5)
    m = xp.where(small, 2.0 * m, m)
    e = xp.where(small, e - 1, e)
    s = (m - 1.0) / (m + 1.0)
    square = s * s
    series = xp.zeros_like(s)
    for odd in range(23, 0, -2):
        series *= square
        series += 1.0 / odd
    return e * math.log(2.0) + 2.0 * s * series
