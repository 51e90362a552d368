"""Derivatives by finite differences, in double precision, and how far they can be trusted.

A central difference is trusted where it behaves as that of a smooth function: where halving the step
leaves it as it is, and halves the difference of the one-sided slopes.  At a kink neither holds, at any
step; a kink that is only near is left behind by a smaller step.

Sources: Abramowitz & Stegun (1964), 25.3; Press et al., Numerical Recipes (3rd ed., 2007), section 5.7,
for the balance of truncation and rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

Array: TypeAlias = Any
Verdict: TypeAlias = Literal["agrees", "differs", "small", "kink"]

#: the largest symmetric relative error |g - g_est| / |g + g_est| of a gradient that counts as right
TOLERANCE = 1e-6
#: steps, in the order in which they are tried; larger ones help where rounding hides everything, smaller
#: ones where kinks are dense
STEPS = (1e-5, 1e-6, 1e-7, 1e-4, 1e-3, 1e-8)
#: how many roundings of the function's value a difference may suffer
_ROUNDINGS = 32
#: a slope is precise where rounding is below this part of it
_PRECISE = 1e-5
_EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, slots=True)
class Slope:
    """The derivative of a function of one number at 0: its value, how far it may be off by rounding, and
    at a kink the one-sided slopes of the smallest step tried.
    """

    value: float
    rounding: float
    sides: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class _Try:
    """The differences of one step: what they estimate, and how little they look like a smooth function's."""

    step: float
    slope: float
    rounding: float
    suspicion: float
    sides: tuple[float, float]
    is_trusted: bool


def slope(f: Callable[[float], float], at_zero: float, like: float = 0.0) -> Slope:
    """The slope of f at 0; `at_zero` is f(0), and a change below TOLERANCE * |like| is none.

    The first step is taken at which f behaves as a smooth function does (see the module) and which is
    precise; else the most precise one.
    """
    tries: list[_Try] = []
    for h in STEPS:
        found = _try(f, at_zero, like, h)
        if found is None:
            continue
        tries.append(found)
        scale = abs(found.slope) + abs(like)
        if found.is_trusted and found.rounding <= _PRECISE * scale:
            return Slope(found.slope, found.rounding)
        if len(tries) == 1 and scale == 0 and f(-max(STEPS)) == f(max(STEPS)) == at_zero:
            return Slope(0.0, found.rounding)  # f does not depend on it
    trusted = [t for t in tries if t.is_trusted]
    if trusted:
        best = min(trusted, key=lambda t: t.rounding)
        suspicion = max((t.suspicion for t in tries if t.step > best.step and not t.is_trusted), default=0.0)
        # a bend that a larger step shows must have gone, not be hidden by rounding
        if suspicion == 0 or suspicion > 16 * best.rounding:
            return Slope(best.slope, best.rounding)
    sides = min(tries, key=lambda t: (t.is_trusted, t.step)).sides if tries else (math.nan, math.nan)
    return Slope(math.nan, math.inf, sides)


def _try(f: Callable[[float], float], at_zero: float, like: float, h: float) -> _Try | None:
    """The differences of a step; None where f is not finite within it."""
    values = [f(t) for t in (-h, -h / 2, h / 2, h)]
    if not all(map(math.isfinite, values)):
        return None
    low, near_low, near_high, high = values
    wide, narrow = (high - low) / (2 * h), (near_high - near_low) / h
    rounding = _ROUNDINGS * _EPSILON * max(map(abs, (*values, at_zero))) / h
    jump = (high - 2 * at_zero + low) / h
    near_jump = (near_high - 2 * at_zero + near_low) / (h / 2)
    # of a smooth f both vanish with h**2; a kink within the step leaves a quarter of its bend in one
    suspicion = max(abs(jump - 2 * near_jump), 2 * abs(wide - narrow))
    sides = (at_zero - near_low) / (h / 2), (near_high - at_zero) / (h / 2)
    is_trusted = suspicion <= TOLERANCE * (abs(narrow) + abs(like)) + 4 * rounding
    return _Try(h, (4 * narrow - wide) / 3, rounding, suspicion, sides, is_trusted)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Derivatives along some directions, analytic and by differences, and what follows.

    `error` is |g - g_est| / |g + g_est|, of the vectors of these derivatives.  "small" says that all of
    them drown in rounding, "kink" that the function has one, and no direction disagrees.  `worst` is the
    place in these vectors where they disagree most, `direction` the number of this direction, or of the
    one that meets the kink.
    """

    verdict: Verdict
    error: float
    analytic: tuple[float, ...]
    numeric: tuple[float, ...]
    worst: int
    direction: int
    sides: tuple[float, float] | None = None


def compare(
    f: Callable[[Array], float], x: Array, gradient: Array, directions: Iterable[Array]
) -> Comparison:
    """A gradient of f at x with differences of f along directions."""
    at_x = f(x)
    analytic: list[float] = []
    numeric: list[float] = []
    worst: tuple[float, int, int] = (-1.0, 0, 0)
    kink: tuple[int, tuple[float, float]] | None = None
    differs = False
    noise = 0.0
    for number, way in enumerate(directions):
        a = float((gradient * way).sum())

        def along(t: float, way: Array = way) -> float:
            return f(x + t * way)

        found = slope(along, at_x, a if math.isfinite(a) else 0.0)
        if found.sides is not None:
            kink = kink or (number, found.sides)
            continue
        analytic.append(a)
        numeric.append(found.value)
        noise = max(noise, found.rounding)
        gap = abs(a - found.value)
        wrong = not gap <= TOLERANCE * abs(a + found.value) + found.rounding
        differs |= wrong
        excess = math.inf if math.isnan(gap) else gap - found.rounding
        if excess > worst[0]:
            worst = (excess, len(analytic) - 1, number)
    error = symmetric_error(analytic, numeric)
    vectors = tuple(analytic), tuple(numeric)
    if differs:
        return Comparison("differs", error, *vectors, *worst[1:])
    if kink is not None:
        return Comparison("kink", error, *vectors, worst[1], *kink)
    is_small = any(analytic) and max(map(abs, (*analytic, *numeric))) <= noise
    return Comparison("small" if is_small else "agrees", error, *vectors, *worst[1:])


def symmetric_error(g: Sequence[float], estimate: Sequence[float]) -> float:
    """|g - g_est| / |g + g_est|; 0 where both are 0."""
    apart = math.hypot(*(a - b for a, b in zip(g, estimate, strict=True)))
    together = math.hypot(*(a + b for a, b in zip(g, estimate, strict=True)))
    if apart == 0:
        return 0.0
    return apart / together if together else math.inf


def random_directions(x: Array, count: int, seed: int, asarray: Callable[[Any], Array]) -> list[Array]:
    """Directions in which all elements of x move, each by about 1, or by the size that they have."""
    rng = np.random.default_rng(seed)
    return [asarray(_size(x) * rng.standard_normal(x.shape)) for _ in range(count)]


def unit_directions(x: Array, asarray: Callable[[Any], Array]) -> Iterator[Array]:
    """One direction for each element of x, in the order of memory."""
    for i in range(x.size):
        way = np.zeros(x.size)
        way[i] = max(1.0, abs(float(x.reshape(-1)[i])))
        yield asarray(way.reshape(x.shape))


def around(x: Array, distance: float, seed: int, asarray: Callable[[Any], Array]) -> Array:
    """A random point near x: each element moves by about `distance` times the size that elements have."""
    return x + asarray(distance * _size(x) * np.random.default_rng(seed).standard_normal(x.shape))


def random_weights(shape: Sequence[int], seed: int, asarray: Callable[[Any], Array]) -> Array:
    """Weights of either sign, none of them near 0."""
    rng = np.random.default_rng(seed)
    return asarray(rng.uniform(0.5, 1.5, shape) * rng.choice([-1.0, 1.0], shape))


def _size(x: Array) -> float:
    """The size of x's elements, at least 1: their root mean square."""
    return max(1.0, math.sqrt(float((x * x).sum()) / x.size)) if x.size else 1.0


def numeric_jacobian(f: Callable[[Array], Array], x: Array) -> Array:
    """The Jacobian of f at x by central differences: an array of f(x).shape + x.shape, in double precision.

    Column by column, with the error of fourth order in the step (Abramowitz & Stegun, 25.3.6): correct to
    about nine digits where f is smooth.  At a kink it is the mean of both sides.
    """
    x = np.asarray(x, dtype="float64")
    columns = []
    for way in unit_directions(x, np.asarray):
        h = 1e-5
        near = np.asarray(f(x + h / 2 * way)) - np.asarray(f(x - h / 2 * way))
        far = np.asarray(f(x + h * way)) - np.asarray(f(x - h * way))
        columns.append((8 * near - far) / (6 * h * way.max()))
    if not columns:
        return np.zeros((*np.shape(f(x)), *x.shape))
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *x.shape)
