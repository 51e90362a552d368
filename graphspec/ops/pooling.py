"""Pooling over windows of the last two axes: greatest elements and averages, with their adjoints."""

from __future__ import annotations

import math

from graphspec.ir import (
    Box,
    Demand,
    Region,
    Sample,
    Size,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    function,
    op,
)
from graphspec.ir.types import same_shape
from graphspec.ops.construction import full
from graphspec.ops.rules import pair, require_float, require_one_dtype
from graphspec.ops.shape import slice_axis
from graphspec.ops.windows import Window

#: 4x5 images without equal elements: each window has one winner, by a margin
DISTINCT = Box((1, 2, 4, 5), values=[(7 * i) % 41 / 4 for i in range(40)])
TIES = Box((1, 1, 3, 3), values=[1.0, 1.0, 0.0, 1.0, 2.0, 2.0, 0.0, 2.0, 2.0])
TIES_POOLED = Box((1, 1, 2, 2), values=[2.0, 2.0, 2.0, 2.0])
PLAIN = (2, 2), (2, 2)
OVERLAPPING = (3, 2), (1, 2), (1, 1)
DILATED = (2, 2), (1, 2), (1, 0), (2, 3)
CEILED = (3, 3), (2, 2), (1, 0), (1, 1), True


@op
class MaxPool2d(Window):
    """y[n, c, i, j] = the greatest x[n, c, i*s - p + k*d, j*s - p + l*d] over the window's k and l, with
    stride s, padding p (by -inf) and dilation d; nan if there is one.

    Shapes: x[N, C, H, W] -> y[N, C, OH, OW], OH = (H + 2*p - d*(KH - 1) - 1) // s + 1, and OW likewise;
    `ceil_mode` adds a window that starts inside and ends outside.
    Of equal elements the first, row by row, receives the derivative.
    Source: the documentation of torch.nn.MaxPool2d.
    """

    kernel = "max_pool2d"

    def infer(self, x: TensorType) -> TensorType:
        require_float("max_pool2d", x)
        return self.windows("max_pool2d", x)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        return (_same_windows(MaxPool2dScatter, self, gy, x, y),)

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        return self.boxes_of_windows(region, y, -math.inf)

    @classmethod
    def make(
        cls,
        x: Value,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        ceil_mode: bool = False,
    ) -> Value:
        name = "max_pool2d"
        window = pair(name, "kernel_size", kernel_size)
        made = cls(
            window,
            window if stride is None else pair(name, "stride", stride),
            pair(name, "padding", padding),
            pair(name, "dilation", dilation),
            ceil_mode,
        )
        return apply(made, x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        settings = (PLAIN, OVERLAPPING, DILATED, CEILED)
        smooth = tuple(Sample(cls(*s), (DISTINCT,)) for s in settings)
        return *smooth, Sample(cls(*OVERLAPPING), (TIES,), False)


def _same_windows(kind: type[Window], like: Window, *inputs: Value) -> Value:
    made = kind(like.kernel_size, like.stride, like.padding, like.dilation, like.ceil_mode)
    return apply(made, *inputs)


@op
class MaxPool2dScatter(Window):
    """z = 0, then z at the place of the first greatest element of each window += g of the window.

    Shapes: g[N, C, OH, OW], x[N, C, H, W], y[N, C, OH, OW] -> z[N, C, H, W]; y is max_pool2d(x).
    Source: the adjoint of max-pooling (torch.nn.MaxPool2d); linear in g.
    """

    kernel = "max_pool2d_scatter"

    def infer(self, g: TensorType, x: TensorType, y: TensorType) -> TensorType:
        require_one_dtype("max_pool2d", g, x, y)
        windows = self.windows("max_pool2d", x)
        _require_shape(g, windows)
        _require_shape(y, windows)
        return x

    def vjp(self, gz: Value, z: Value, g: Value, x: Value, y: Value) -> tuple[Value, None, None]:
        return _same_windows(MaxPool2dGather, self, gz, x, y), None, None

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(*PLAIN), (Box((1, 1, 1, 1)), TIES, Box((1, 1, 1, 1), values=2.0)), False),
            Sample(cls((2, 2), (1, 1)), (Box((1, 1, 2, 2)), TIES, TIES_POOLED), False),
        )


@op
class MaxPool2dGather(Window):
    """z of each window = v at the place of the first greatest element of the window.

    Shapes: v[N, C, H, W], x[N, C, H, W], y[N, C, OH, OW] -> z[N, C, OH, OW]; y is max_pool2d(x).
    Source: max-pooling (torch.nn.MaxPool2d) with the places kept; linear in v.
    """

    kernel = "max_pool2d_gather"

    def infer(self, v: TensorType, x: TensorType, y: TensorType) -> TensorType:
        require_one_dtype("max_pool2d", v, x, y)
        _require_shape(v, x)
        _require_shape(y, self.windows("max_pool2d", x))
        return y

    def vjp(self, gz: Value, z: Value, v: Value, x: Value, y: Value) -> tuple[Value, None, None]:
        return _same_windows(MaxPool2dScatter, self, gz, x, y), None, None

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(*PLAIN), (Box((1, 1, 3, 3)), TIES, Box((1, 1, 1, 1), values=2.0)), False),
            Sample(cls((2, 2), (1, 1)), (Box((1, 1, 3, 3)), TIES, TIES_POOLED), False),
        )


def _require_shape(found: TensorType, wanted: TensorType) -> None:
    if not same_shape(found.shape, wanted.shape):
        raise TypeRuleError(f"an operand of the derivative of `max_pool2d` is {found}, not {wanted}")


@op
class WindowSum(Window):
    """y[n, c, i, j] = the sum of x[n, c, i*s - p + k*d, j*s - p + l*d] over the window's k and l.

    Shapes: x[N, C, H, W] -> y[N, C, OH, OW], as in max_pool2d; outside, x is 0.
    Source: the documentation of torch.nn.AvgPool2d.
    """

    kernel = "window_sum"

    def infer(self, x: TensorType) -> TensorType:
        require_float("avg_pool2d", x)
        return self.windows("avg_pool2d", x)

    def vjp(self, gy: Value, y: Value, x: Value) -> tuple[Value]:
        size = (x.shape[2], x.shape[3])
        made = WindowSpread(self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, size)
        return (apply(made, gy),)

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        return self.boxes_of_windows(region, y, 0)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        image = Box((2, 1, 4, 5))
        return tuple(Sample(cls(*s), (image,)) for s in (PLAIN, OVERLAPPING, DILATED, CEILED))


@op
class WindowSpread(Window):
    """x[n, c, h, w] = the sum of g[n, c, i, j] over the windows that the element is in.

    Shapes: g[N, C, OH, OW] -> x[N, C, H, W], H and W being `size`.
    Source: the adjoint of a sum over windows (torch.nn.AvgPool2d).
    """

    size: tuple[Size, Size] = (1, 1)
    kernel = "window_spread"

    def infer(self, g: TensorType) -> TensorType:
        require_float("avg_pool2d", g)
        x = g.with_shape((*g.shape[:2], *self.size))
        windows = self.windows("avg_pool2d", x)
        if not same_shape(g.shape, windows.shape):
            raise TypeRuleError(f"the cotangent of `avg_pool2d` is {g}, but its result is {windows}")
        return x

    def vjp(self, gx: Value, x: Value, g: Value) -> tuple[Value]:
        return (_same_windows(WindowSum, self, gx),)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls(*PLAIN, size=(4, 5)), (Box((2, 1, 2, 2)),)),
            Sample(cls(*OVERLAPPING, size=(4, 5)), (Box((2, 1, 4, 3)),)),
            Sample(cls(*CEILED, size=(4, 5)), (Box((2, 1, 3, 2)),)),
        )


@function
def avg_pool2d(
    x: Value,
    kernel_size: int | tuple[int, int],
    stride: int | tuple[int, int] | None = None,
    padding: int | tuple[int, int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """y[n, c, i, j] = the mean of x[n, c, i*s - p + k, j*s - p + l] over the window's k and l, with
    stride s and padding p, by zeros that count as elements if `count_include_pad`.

    Shapes: x[N, C, H, W] -> y[N, C, OH, OW], OH = (H + 2*p - KH) // s + 1, and OW likewise;
    `ceil_mode` adds a window that starts inside and ends outside, where nothing counts.
    Source: the documentation of torch.nn.AvgPool2d.
    """
    name = "avg_pool2d"
    window = pair(name, "kernel_size", kernel_size)
    step = window if stride is None else pair(name, "stride", stride)
    border = pair(name, "padding", padding)
    total = apply(WindowSum(window, step, border, (1, 1), ceil_mode), x)
    if not ceil_mode and (count_include_pad or border == (0, 0)):
        return total / (window[0] * window[1])
    if count_include_pad:
        shape = (1, 1, x.shape[2] + 2 * border[0], x.shape[3] + 2 * border[1])
        border = (0, 0)
    else:
        shape = (1, 1, x.shape[2], x.shape[3])
    count = apply(WindowSum(window, step, border, (1, 1), ceil_mode), full(shape, 1, x.dtype))
    for axis in (2, 3):
        count = slice_axis(count, axis, 0, total.shape[axis])
    return total / count
