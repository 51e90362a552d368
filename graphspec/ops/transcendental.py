"""Elementwise functions of one real number: exponentials, logarithms, trigonometry, the error function."""

from __future__ import annotations

import math
from typing import ClassVar

from graphspec.ir import Box, Op, Sample, TensorType, Value, apply, op
from graphspec.ops.rules import elementwise, require_float


class RealFunction(Op):
    """What functions of one floating-point number share; `ufunc` is numpy's name for it."""

    is_elementwise = True
    ufunc: ClassVar[str] = ""
    #: where the samples are drawn: a box of the domain, and one more
    boxes: ClassVar[tuple[tuple[float, float], ...]] = ((-2.0, 2.0),)

    def infer(self, x: TensorType) -> TensorType:
        require_float(self.name, x)
        return x

    def source(self, out: str, x: str) -> str:
        return f"xp.{self.ufunc or self.name}({x}, out={out})"

    def element(self, x: str) -> str:
        return f"{self.name}({x})"

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return tuple(Sample(cls(), (Box((2, 3), low, high),)) for low, high in cls.boxes)


@op
class Exp(RealFunction):
    """y = e**x, elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals; above 709 (88 in f32) the result is infinite.
    Source: Abramowitz & Stegun (1964), 4.2.1; derivative from 4.2.50.
    """

    boxes = ((-2.0, 2.0), (-30.0, -20.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * y,)


@op
class Expm1(RealFunction):
    """y = e**x - 1, elementwise, exact for small x too.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: Kahan, "Branch cuts" (1987); derivative y + 1.
    """

    boxes = ((-2.0, 2.0), (-1e-3, 1e-3))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * (y + 1),)


@op
class Log(RealFunction):
    """y = log(x), the natural logarithm, elementwise.

    Shapes: x[...] -> y[...].  Domain: x > 0; log(0) is -inf, below 0 it is nan.
    Source: Abramowitz & Stegun (1964), 4.1.1; derivative from 4.1.46.
    """

    boxes = ((0.5, 3.0), (1e3, 1e4))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy / x,)


@op
class Log1p(RealFunction):
    """y = log(1 + x), elementwise, exact for small x too.

    Shapes: x[...] -> y[...].  Domain: x > -1.
    Source: Kahan, "Branch cuts" (1987); derivative 1 / (1 + x).
    """

    boxes = ((-0.5, 2.0), (-1e-3, 1e-3))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy / (1 + x),)


@op
class Sqrt(RealFunction):
    """y = x**0.5, elementwise; its derivative at 0 is infinite.

    Shapes: x[...] -> y[...].  Domain: x >= 0; nan below.
    Source: IEEE 754-2019, 5.4.1; derivative 1 / (2 * y).
    """

    boxes = ((0.5, 3.0), (1e3, 1e4))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy / (2 * y),)


@op
class Sin(RealFunction):
    """y = sin(x), elementwise; x in radians.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: Abramowitz & Stegun (1964), 4.3; derivative from 4.3.105.
    """

    boxes = ((-2.0, 2.0), (40.0, 50.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * apply(Cos(), x),)


@op
class Cos(RealFunction):
    """y = cos(x), elementwise; x in radians.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: Abramowitz & Stegun (1964), 4.3; derivative from 4.3.106.
    """

    boxes = ((-2.0, 2.0), (40.0, 50.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (-gy * apply(Sin(), x),)


@op
class Tan(RealFunction):
    """y = sin(x) / cos(x), elementwise; x in radians.

    Shapes: x[...] -> y[...].  Domain: all reals but the odd multiples of pi/2.
    Source: Abramowitz & Stegun (1964), 4.3.3; derivative from 4.3.107.
    """

    boxes = ((-1.2, 1.2),)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * (1 + y * y),)


@op
class Asin(RealFunction):
    """y = the angle in [-pi/2, pi/2] with sin(y) = x, elementwise.

    Shapes: x[...] -> y[...].  Domain: -1 <= x <= 1; nan outside.
    Source: Abramowitz & Stegun (1964), 4.4.1; derivative from 4.4.52.
    """

    ufunc = "arcsin"
    boxes = ((-0.8, 0.8),)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy / apply(Sqrt(), (1 - x) * (1 + x)),)


@op
class Acos(RealFunction):
    """y = the angle in [0, pi] with cos(y) = x, elementwise.

    Shapes: x[...] -> y[...].  Domain: -1 <= x <= 1; nan outside.
    Source: Abramowitz & Stegun (1964), 4.4.2; derivative from 4.4.53.
    """

    ufunc = "arccos"
    boxes = ((-0.8, 0.8),)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (-gy / apply(Sqrt(), (1 - x) * (1 + x)),)


@op
class Atan(RealFunction):
    """y = the angle in (-pi/2, pi/2) with tan(y) = x, elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals.
    Source: Abramowitz & Stegun (1964), 4.4.3; derivative from 4.4.54.
    """

    ufunc = "arctan"
    boxes = ((-2.0, 2.0), (20.0, 30.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy / (1 + x * x),)


@op
class Atan2(Op):
    """z = the angle in (-pi, pi] of the point (x, y), from the x axis, elementwise.

    Shapes: y[...], x[...] -> z[...], broadcast.  Domain: all; the derivative at the origin is nan.
    Source: IEEE 754-2019, 9.2; derivatives x / (x*x + y*y) and -y / (x*x + y*y).
    """

    is_elementwise = True

    def infer(self, y: TensorType, x: TensorType) -> TensorType:
        require_float(self.name, y, x)
        return elementwise(self.name, y, x)

    def source(self, out: str, y: str, x: str) -> str:
        return f"xp.arctan2({y}, {x}, out={out})"

    def vjp(self, gz: Value, z: Value, y: Value, x: Value) -> tuple[Value, Value]:
        g = gz / (x * x + y * y)
        return g * x, -g * y

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        above = Box((2, 3), 0.5, 2.0)
        return Sample(cls(), (above, Box((3,)))), Sample(cls(), (Box((2, 3), -2.0, -0.5), Box((2, 3))))


@op
class Tanh(RealFunction):
    """y = (e**x - e**-x) / (e**x + e**-x), elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals; range (-1, 1), odd, rising.
    Source: Abramowitz & Stegun (1964), 4.5.3; derivative from 4.5.73.
    """

    boxes = ((-2.0, 2.0), (15.0, 25.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * (1 - y * y),)


def _gaussian(x: Value) -> Value:
    """2 / sqrt(pi) * e**(-x**2), the derivative of erf."""
    return 2 / math.sqrt(math.pi) * apply(Exp(), -x * x)


@op
class Erf(RealFunction):
    """y = 2 / sqrt(pi) * integral of e**(-t**2) for t from 0 to x, elementwise.

    Shapes: x[...] -> y[...].  Domain: all reals; range (-1, 1), odd, rising.
    Source: Abramowitz & Stegun (1964), 7.1.1; derivative from 7.1.19.
    """

    kernel = "erf"
    boxes = ((-2.0, 2.0), (-1e-2, 1e-2), (2.0, 4.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (gy * _gaussian(x),)


@op
class Erfc(RealFunction):
    """y = 1 - erf(x), elementwise, exact where erf(x) is near 1 too.

    Shapes: x[...] -> y[...].  Domain: all reals; range (0, 2), falling.
    Source: Abramowitz & Stegun (1964), 7.1.2; derivative from 7.1.19.
    """

    kernel = "erfc"
    boxes = ((-2.0, 2.0), (-1e-2, 1e-2), (2.0, 4.0))

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (-gy * _gaussian(x),)
