"""Windows that slide over the last two axes: how they are written, and how many there are."""

from __future__ import annotations

from dataclasses import dataclass

from graphspec.ir import (
    Alignment,
    Demand,
    Need,
    Op,
    Position,
    Region,
    Size,
    Span,
    TensorType,
    TypeRuleError,
    Value,
    apply,
)
from graphspec.ir.regions import Axis, as_span, is_whole
from graphspec.ops.rules import require_rank
from graphspec.ops.shape import cut_axis, every, fold_axes


def window_count(
    size: Size, kernel: Size, stride: int, padding: int, dilation: int, ceil_mode: bool = False
) -> Size:
    """How many windows fit on an axis.

    With `ceil_mode` also one that starts within the axis or the padding before it and ends beyond.
    Source: the documentation of torch.nn.Conv2d and torch.nn.MaxPool2d.
    """
    extent = dilation * (kernel - 1) + 1
    if not ceil_mode:
        return (size + 2 * padding - extent) // stride + 1
    if isinstance(extent, int):
        # the last window starts before the padding that follows the axis: a bound of its own
        return (size + padding + min(padding - extent + stride, 0) + stride - 1) // stride
    raise TypeRuleError("a window whose size is not known yet has no `ceil_mode`")


def windows_read(axis: Axis, kernel: Size, stride: int, padding: int, dilation: int) -> Span | None:
    """The elements that some windows along an axis lie on; None where the windows are no span."""
    part = as_span(axis)
    if part is None:
        return None
    extent = (part.size - 1) * (stride * part.step) + dilation * (kernel - 1) + 1
    return Span(part.start * stride - padding, extent, inside=padding == 0)


@dataclass(frozen=True, eq=False, repr=False)
class Window(Op):
    """What ops that slide a window over x[..., H, W] share."""

    kernel_size: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    ceil_mode: bool = False

    def windows(self, what: str, x: TensorType) -> TensorType:
        """x[N, C, H, W] with as many rows and columns as there are windows."""
        require_rank(what, "x", x, 4, "[N, C, H, W]")
        axes = zip(self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        counts: list[Size] = []
        for size, (kernel, stride, padding, dilation) in zip(x.shape[2:], axes, strict=True):
            check_window(what, kernel, stride, padding, dilation)
            if 2 * padding > dilation * (kernel - 1) + 1:
                raise TypeRuleError(f"`padding` of `{what}` must be at most half the window, not {padding}")
            count = window_count(size, kernel, stride, padding, dilation, self.ceil_mode)
            if isinstance(count, int) and count < 1:
                raise TypeRuleError(f"the window of `{what}` is larger than the padded x, which is {x}")
            counts.append(count)
        return x.with_shape((*x.shape[:2], *counts))

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        folded = [fold_axes(x, 0) for x in every(size, inputs, batched)]
        y = apply(self, *folded)
        return cut_axis(y, 0, (size, y.shape[0] // size))

    def boxes_of_windows(self, region: Region, y: Value, fill: float) -> Demand | None:
        """What some windows need of x, which reads as `fill` outside."""
        images, channels, *spatial = region
        if self.ceil_mode and spatial != [None, None]:
            # a window may end beyond the padding: all of them are spelled out, on both axes
            sizes = y.shape[2:]
            spatial = [axis or Span(Position(), size) for axis, size in zip(spatial, sizes, strict=True)]
        axes: list[Axis] = [images, channels]
        made: list[Axis] = [images, channels]
        stride, padding = list(self.stride), list(self.padding)
        for i, axis in enumerate(spatial):
            slide = self.kernel_size[i], self.stride[i], self.padding[i], self.dilation[i]
            read, part = windows_read(axis, *slide), as_span(axis)
            if read is None or part is None:
                if self.ceil_mode and axis is not None:
                    return None
                axes.append(None)
                made.append(None)
                continue
            axes.append(Span(read.start, read.size, inside=read.inside and not self.ceil_mode))
            made.append(axis)
            stride[i], padding[i] = stride[i] * part.step, 0
        if is_whole(tuple(made)):
            return None
        shapes = (self.kernel_size, (stride[0], stride[1]), (padding[0], padding[1]), self.dilation)
        slid = type(self)(*shapes, self.ceil_mode and spatial == [None, None])
        return Demand((Need(tuple(axes), fill),), lambda box: apply(slid, box), tuple(made))

    def alignment(self, *inputs: TensorType) -> Alignment:
        both, none = (0,) * len(inputs), (None,) * len(inputs)
        return both, (1,) * len(inputs), none, none


def check_window(what: str, kernel: Size, stride: int, padding: int, dilation: int) -> None:
    """Refuse numbers that describe no window."""
    if isinstance(kernel, int) and kernel < 1:
        raise TypeRuleError(f"`kernel_size` of `{what}` must be at least 1, not {kernel}")
    if stride < 1 or dilation < 1:
        raise TypeRuleError(f"`stride` and `dilation` of `{what}` must be at least 1")
    if padding < 0:
        raise TypeRuleError(f"`padding` of `{what}` must be at least 0, not {padding}")
