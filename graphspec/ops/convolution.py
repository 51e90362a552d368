"""Convolution over two axes and its two adjoints, each of which is differentiated through the others."""

from __future__ import annotations

from dataclasses import dataclass, replace

from graphspec.ir import (
    Alignment,
    Box,
    Demand,
    Need,
    Op,
    Region,
    Sample,
    Size,
    Span,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    op,
    same,
)
from graphspec.ir.regions import Axis, as_span, is_whole
from graphspec.ir.types import same_shape
from graphspec.ops.portions import CACHE, Geometry, Shape, forward_work, geometry, weight_work
from graphspec.ops.rules import pair, require_float, require_rank
from graphspec.ops.shape import cut_axis, fold_axes, move_axis
from graphspec.ops.windows import check_window, window_count, windows_read


@dataclass(frozen=True, eq=False, repr=False)
class Sliding(Op):
    """What the three share: how the kernel slides, and which shapes belong together."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    groups: Size

    @property
    def slides(self) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]:
        """How the kernel slides, when the sizes are known: stride, padding, dilation, groups."""
        return self.stride, self.padding, self.dilation, _number(self.groups)

    def convolved(self, x: TensorType, weight: TensorType) -> TensorType:
        """The type of the convolution of x with weight."""
        name = "convolution"
        require_float(name, x, weight)
        require_rank(name, "x", x, 4, "[N, C, H, W]")
        require_rank(name, "weight", weight, 4, "[O, C/groups, KH, KW]")
        channels, results = x.shape[1], weight.shape[0]
        if isinstance(self.groups, int) and self.groups < 1:
            raise TypeRuleError(f"`groups` must be at least 1, not {self.groups}")
        if any(isinstance(left := size % self.groups, int) and left for size in (channels, results)):
            raise TypeRuleError(
                f"`groups={self.groups}` must divide the {channels} channels of x "
                f"and the {results} of the result"
            )
        if not same(weight.shape[1] * self.groups, channels):
            raise TypeRuleError(
                f"weight, which is {weight}, is for {weight.shape[1] * self.groups} channels, "
                f"but x, which is {x}, has {channels}"
            )
        counts: list[Size] = []
        for i in (0, 1):
            size, kernel = x.shape[2 + i], weight.shape[2 + i]
            check_window(name, kernel, self.stride[i], self.padding[i], self.dilation[i])
            count = window_count(size, kernel, self.stride[i], self.padding[i], self.dilation[i])
            if isinstance(count, int) and count < 1:
                raise TypeRuleError(f"the kernel of weight, {weight}, is larger than the padded x, {x}")
            counts.append(count)
        return x.with_shape((x.shape[0], results, *counts))

    def storage(self, x: TensorType, weight: TensorType, with_products: bool) -> tuple[TensorType, ...]:
        """Working storage: for some images, each window as a column, and the weight's shape if asked for."""
        y = self.convolved(x, weight)
        images, _, height, width = (_number(s) for s in y.shape)
        column = _number(x.shape[1] * weight.shape[2] * weight.shape[3])
        per_image = column * height * width
        if self.is_pointwise(weight):
            per_image = 0
        product = _number(weight.size) if with_products else 0
        if with_products and images == 1:  # the groups are worked on as images, and nothing is summed
            images, per_image, product = _number(self.groups), per_image // _number(self.groups), 0
        bytes_per_image = max(1, (per_image + product) * x.dtype.itemsize)
        count = max(1, min(images, CACHE // bytes_per_image))
        window, groups = (_number(weight.shape[2]), _number(weight.shape[3])), _number(self.groups)
        sizes = geometry(numbers(x), numbers(y), window, self.stride, self.padding, self.dilation, groups)
        needed = self.elements(sizes, x.dtype.itemsize) if sizes else 0
        columns = TensorType(x.dtype, (max(count * per_image, needed),))
        return (columns, TensorType(x.dtype, (count, product))) if with_products else (columns,)

    def elements(self, sizes: Geometry, itemsize: int) -> int:
        """The working storage of what `ops.portions` chooses where windows follow place by place."""
        return forward_work(sizes.by_group(), itemsize).elements

    def with_sets(self, size: Size) -> Op:
        """The op on `size` sets of operands whose channels stand side by side: each set has its groups."""
        return replace(self, groups=size * self.groups)

    def join_channels(self, x: Value, axis: int) -> Value:
        """x[size, ..., G * C, ...], `axis` without the leading one being the channels, as
        [..., G * size * C, ...]: in each group the channels of all sets.
        """
        x = cut_axis(x, axis + 1, (self.groups, x.shape[axis + 1] // self.groups))
        return fold_axes(fold_axes(move_axis(x, 0, axis + 1), axis + 1), axis)

    def cut_channels(self, y: Value, axis: int, size: Size) -> Value:
        """The inverse of `join_channels`: [size, ..., G * C, ...]."""
        y = cut_axis(y, axis, (self.groups, size, y.shape[axis] // (size * self.groups)))
        return fold_axes(move_axis(y, axis + 1, 0), axis + 1)

    def grouped(self) -> tuple[tuple[Size, int, tuple[int | None, ...]], ...]:
        return ((self.groups, 1, (1, 0)),)

    def is_pointwise(self, weight: TensorType) -> bool:
        """Whether each window is a single place and each place is a window: x itself holds the columns."""
        return weight.shape[2:] == (1, 1) and self.stride == (1, 1) and self.padding == (0, 0)


def numbers(type: TensorType) -> Shape:
    """The shape of images or weights whose sizes are known."""
    a, b, c, d = type.shape
    return _number(a), _number(b), _number(c), _number(d)


def _number(size: Size) -> int:
    assert isinstance(size, int), f"storage is planned when sizes are known, {size} is not"
    return size


@op
class Convolution(Sliding):
    """y[n, o, i, j] = sum over c, k, l of weight[o, c, k, l] * x[n, c, i*s - p + k*d, j*s - p + l*d], with
    stride s, padding p, dilation d, and x = 0 outside; o and c range over one group at a time.

    Shapes: x[N, C, H, W], weight[O, C/groups, KH, KW] -> y[N, O, OH, OW],
    OH = (H + 2*p - d*(KH - 1) - 1) // s + 1, and OW likewise.
    Source: the documentation of torch.nn.Conv2d (cross-correlation, as all networks have it);
    Dumoulin & Visin (2016), arXiv:1603.07285.
    """

    kernel = "convolution"

    def infer(self, x: TensorType, weight: TensorType) -> TensorType:
        return self.convolved(x, weight)

    def vjp(self, gy: Value, y: Value, x: Value, weight: Value) -> tuple[Value, Value]:
        return input_adjoint(self, gy, weight, x), weight_adjoint(self, gy, x, weight)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        x, weight = inputs
        if not batched[1]:
            return _cut_images(apply(self, fold_axes(x, 0), weight), size)
        if not batched[0]:
            return self.cut_channels(apply(self, x, self.join_channels(weight, 0)), 1, size)
        y = apply(self.with_sets(size), fold_axes(move_axis(x, 0, 1), 1), fold_axes(weight, 0))
        return _cut_sets(y, size)

    def alignment(self, x: TensorType, weight: TensorType) -> Alignment:
        return (0, None), (None, 0), (None, None), (None, None)

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        images, results, *spatial = region
        results = results if self.groups == 1 else None
        axes: list[Axis] = [images, None]
        made: list[Axis] = [images, results]
        stride, padding = list(self.stride), list(self.padding)
        for i, axis in enumerate(spatial):
            kernel = inputs[1].shape[2 + i]
            read = windows_read(axis, kernel, self.stride[i], self.padding[i], self.dilation[i])
            part = as_span(axis)
            axes.append(read)
            made.append(axis if read else None)
            if read and part:
                stride[i], padding[i] = stride[i] * part.step, 0
        if is_whole(tuple(made)):
            return None
        slid = replace(self, stride=(stride[0], stride[1]), padding=(padding[0], padding[1]))
        needs = Need(tuple(axes)), Need((results, None, None, None))
        return Demand(needs, lambda *boxes: apply(slid, *boxes), tuple(made))

    def scratch(self, x: TensorType, weight: TensorType) -> tuple[TensorType, ...]:
        return self.storage(x, weight, with_products=False)

    @classmethod
    def make(
        cls,
        x: Value,
        weight: Value,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: Size = 1,
    ) -> Value:
        return apply(cls(*_pairs(stride, padding, dilation), groups), x, weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((1, 1), (0, 0), (1, 1), 1), (Box((2, 3, 5, 4)), Box((2, 3, 3, 2)))),
            Sample(cls((2, 1), (1, 2), (1, 2), 1), (Box((2, 2, 5, 4)), Box((3, 2, 3, 2)))),
            Sample(cls((1, 2), (1, 0), (1, 1), 2), (Box((1, 4, 3, 5)), Box((6, 2, 2, 3)))),
            Sample(cls((1, 1), (0, 0), (1, 1), 1), (Box((2, 3, 2, 3)), Box((4, 3, 1, 1)))),
            Sample(cls((2, 2), (0, 0), (1, 1), 1), (Box((2, 3, 4, 3)), Box((2, 3, 1, 1)))),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ConvolutionEpilogue(Sliding):
    """z = the convolution of x with weight, plus bias by channel; if `is_rectified`, 0 where that is <= 0.

    Shapes: x[N, C, H, W], weight[O, C/groups, KH, KW], bias[O] -> z[N, O, OH, OW].
    Made by the compiler (`transforms.epilogues`), after differentiation.
    """

    is_rectified: bool

    name = "convolution_epilogue"
    field_names = ("stride", "padding", "dilation", "groups", "is_rectified")
    kernel = "convolution_epilogue"
    is_internal = True

    @property
    def convolution(self) -> Convolution:
        """The convolution alone."""
        return Convolution(self.stride, self.padding, self.dilation, self.groups)

    def infer(self, x: TensorType, weight: TensorType, bias: TensorType) -> TensorType:
        return self.convolved(x, weight)

    def scratch(self, x: TensorType, weight: TensorType, bias: TensorType) -> tuple[TensorType, ...]:
        return self.convolution.scratch(x, weight)


@op
class ConvolutionInputAdjoint(Sliding):
    """x[n, c, h, w] = sum of weight[o, c, k, l] * g[n, o, i, j] over all o, i, j, k, l whose window element
    is at h = i*s - p + k*d, w = j*s - p + l*d: the derivative of a convolution in x.

    Shapes: g[N, O, OH, OW], weight[O, C/groups, KH, KW] -> x[N, C, H, W], H and W being `size`.
    Source: Dumoulin & Visin (2016), arXiv:1603.07285, chapter 4 (transposed convolution).
    """

    size: tuple[Size, Size]
    kernel = "convolution_input_adjoint"

    def infer(self, g: TensorType, weight: TensorType) -> TensorType:
        require_rank("convolution", "the cotangent", g, 4, "[N, O, OH, OW]")
        require_rank("convolution", "weight", weight, 4, "[O, C/groups, KH, KW]")
        x = g.with_shape((*g.shape[:1], weight.shape[1] * self.groups, *self.size))
        _require_result(g, self.convolved(x, weight))
        return x

    def vjp(self, gx: Value, x: Value, g: Value, weight: Value) -> tuple[Value, Value]:
        return convolve(self, gx, weight), weight_adjoint(self, g, gx, weight)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        g, weight = inputs
        if not batched[1]:
            return _cut_images(apply(self, fold_axes(g, 0), weight), size)
        if not batched[0]:
            joined = fold_axes(move_axis(weight, 0, 1), 1)
            return self.cut_channels(apply(self, g, joined), 1, size)
        x = apply(self.with_sets(size), fold_axes(move_axis(g, 0, 1), 1), fold_axes(weight, 0))
        return _cut_sets(x, size)

    def alignment(self, g: TensorType, weight: TensorType) -> Alignment:
        return (0, None), (None, 1 if self.groups == 1 else None), (None, None), (None, None)

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        images, channels, *spatial = region
        channels = channels if self.groups == 1 else None
        axes: list[Axis] = [images, None]
        made: list[Axis] = [images, channels]
        padding, sizes = list(self.padding), list(self.size)
        for i, axis in enumerate(spatial):
            found = self._cotangents_over(axis, i, inputs[1].shape[2 + i])
            if found is None:
                axes.append(None)
                made.append(None)
                continue
            read, covered, padding[i] = found
            axes.append(read)
            made.append(covered)
            sizes[i] = covered.size
        if is_whole(tuple(made)):
            return None
        slid = replace(self, padding=(padding[0], padding[1]), size=(sizes[0], sizes[1]))
        needs = Need(tuple(axes)), Need((None, channels, None, None))
        return Demand(needs, lambda *boxes: apply(slid, *boxes), tuple(made))

    def _cotangents_over(self, axis: Axis, i: int, kernel: Size) -> tuple[Span, Span, int] | None:
        """The windows that lie on a span of x along spatial axis i, the span of x that they make, and the
        padding with which they make it.

        Window j lies on j*s - p + k*d.  The first that can reach x[h] has j*s <= h + p - d*(K - 1).
        Counted from it, x[h] is at h - (j*s - p): the padding.  Where h is known at run time only, that
        is made one number by starting at the first place that this window reaches last.
        """
        part = as_span(axis)
        s, p, reach = self.stride[i], self.padding[i], self.dilation[i] * (kernel - 1)
        if part is None or part.step != 1 or not isinstance(reach, int):
            return None
        first = (part.start + (p - reach)) // s
        covered = part
        if not (part.start + p - first * s).is_static:
            covered = Span(first * s + (reach - p), part.size + (s - 1), inside=False)
        padding = (covered.start + p - first * s).number
        if not isinstance(padding, int):
            return None
        count = window_count(covered.size, kernel, s, padding, self.dilation[i])
        return Span(first, count, inside=False), covered, padding

    def scratch(self, g: TensorType, weight: TensorType) -> tuple[TensorType, ...]:
        return self.storage(self.infer(g, weight), weight, with_products=False)

    def elements(self, sizes: Geometry, itemsize: int) -> int:
        mirrored = sizes.mirrored()
        return forward_work(mirrored.by_group(), itemsize).elements if mirrored else 0

    @classmethod
    def make(
        cls,
        g: Value,
        weight: Value,
        size: tuple[Size, Size],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: Size = 1,
    ) -> Value:
        return apply(cls(*_pairs(stride, padding, dilation), groups, size), g, weight)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((1, 1), (0, 0), (1, 1), 1, (5, 4)), (Box((2, 2, 3, 3)), Box((2, 3, 3, 2)))),
            Sample(cls((2, 1), (1, 2), (1, 2), 1, (5, 4)), (Box((2, 3, 3, 6)), Box((3, 2, 3, 2)))),
            Sample(cls((1, 2), (1, 0), (1, 1), 2, (3, 5)), (Box((1, 6, 4, 2)), Box((6, 2, 2, 3)))),
            Sample(cls((1, 1), (0, 0), (1, 1), 1, (2, 3)), (Box((2, 4, 2, 3)), Box((4, 3, 1, 1)))),
        )


@op
class ConvolutionWeightAdjoint(Sliding):
    """weight[o, c, k, l] = sum over n, i, j of g[n, o, i, j] * x[n, c, i*s - p + k*d, j*s - p + l*d]:
    the derivative of a convolution in weight.

    Shapes: g[N, O, OH, OW], x[N, C, H, W] -> weight[O, C/groups, KH, KW], KH and KW being `size`.
    Source: Dumoulin & Visin (2016), arXiv:1603.07285.
    """

    size: tuple[Size, Size]
    kernel = "convolution_weight_adjoint"

    def infer(self, g: TensorType, x: TensorType) -> TensorType:
        require_rank("convolution", "the cotangent", g, 4, "[N, O, OH, OW]")
        require_rank("convolution", "x", x, 4, "[N, C, H, W]")
        weight = x.with_shape((g.shape[1], x.shape[1] // self.groups, *self.size))
        _require_result(g, self.convolved(x, weight))
        return weight

    def vjp(self, gw: Value, weight: Value, g: Value, x: Value) -> tuple[Value, Value]:
        return convolve(self, x, gw), input_adjoint(self, g, gw, x)

    def batch(self, size: Size, inputs: tuple[Value, ...], batched: tuple[bool, ...]) -> Value:
        g, x = inputs
        if not batched[1]:
            return self.cut_channels(apply(self, self.join_channels(g, 1), x), 0, size)
        if not batched[0]:
            weight = cut_axis(apply(self, g, self.join_channels(x, 1)), 1, (size, x.shape[2] // self.groups))
            return move_axis(weight, 1, 0)
        lined = (fold_axes(move_axis(v, 0, 1), 1) for v in (g, x))
        weight = apply(self.with_sets(size), *lined)
        return cut_axis(weight, 0, (size, g.shape[2]))

    def alignment(self, g: TensorType, x: TensorType) -> Alignment:
        return (1, None), (None, 1 if self.groups == 1 else None), (None, None), (None, None)

    def demand(self, region: Region, y: Value, *inputs: Value) -> Demand | None:
        return super().demand(region, y, *inputs) if self.groups == 1 else None

    def grouped(self) -> tuple[tuple[Size, int, tuple[int | None, ...]], ...]:
        return ((self.groups, 0, (1, 1)),)

    def summed(self, g: TensorType, x: TensorType) -> Alignment:
        return ((0, 0),)

    def scratch(self, g: TensorType, x: TensorType) -> tuple[TensorType, ...]:
        return self.storage(x, self.infer(g, x), with_products=True)

    def elements(self, sizes: Geometry, itemsize: int) -> int:
        return weight_work(sizes.by_group(), itemsize).elements

    @classmethod
    def make(
        cls,
        g: Value,
        x: Value,
        size: tuple[Size, Size],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: Size = 1,
    ) -> Value:
        return apply(cls(*_pairs(stride, padding, dilation), groups, size), g, x)

    @classmethod
    def samples(cls) -> tuple[Sample, ...]:
        return (
            Sample(cls((1, 1), (0, 0), (1, 1), 1, (3, 2)), (Box((2, 2, 3, 3)), Box((2, 3, 5, 4)))),
            Sample(cls((2, 1), (1, 2), (1, 2), 1, (3, 2)), (Box((2, 3, 3, 6)), Box((2, 2, 5, 4)))),
            Sample(cls((1, 2), (1, 0), (1, 1), 2, (2, 3)), (Box((1, 6, 4, 2)), Box((1, 4, 3, 5)))),
            Sample(cls((1, 1), (0, 0), (1, 1), 1, (1, 1)), (Box((2, 4, 2, 3)), Box((2, 3, 2, 3)))),
        )


def _cut_images(y: Value, size: Size) -> Value:
    """y[size * N, ...] as [size, N, ...]."""
    return cut_axis(y, 0, (size, y.shape[0] // size))


def _cut_sets(y: Value, size: Size) -> Value:
    """y[N, size * C, ...], the channels of each set side by side, as [size, N, C, ...]."""
    return move_axis(cut_axis(y, 1, (size, y.shape[1] // size)), 1, 0)


def _pairs(
    stride: int | tuple[int, int], padding: int | tuple[int, int], dilation: int | tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """How a kernel slides, a number for each axis."""
    name = "convolution"
    return pair(name, "stride", stride), pair(name, "padding", padding), pair(name, "dilation", dilation)


def _require_result(g: TensorType, expected: TensorType) -> None:
    if g.dtype is not expected.dtype or not same_shape(g.shape, expected.shape):
        raise TypeRuleError(f"the cotangent of a convolution is {g}, but its result is {expected}")


def convolve(like: Sliding, x: Value, weight: Value) -> Value:
    """The convolution that slides as `like` does."""
    return apply(Convolution(like.stride, like.padding, like.dilation, like.groups), x, weight)


def input_adjoint(like: Sliding, g: Value, weight: Value, x: Value) -> Value:
    """The cotangent of x for the cotangent g of a convolution."""
    size = (x.shape[2], x.shape[3])
    made = ConvolutionInputAdjoint(like.stride, like.padding, like.dilation, like.groups, size)
    return apply(made, g, weight)


def weight_adjoint(like: Sliding, g: Value, x: Value, weight: Value) -> Value:
    """The cotangent of weight for the cotangent g of a convolution."""
    size = (weight.shape[2], weight.shape[3])
    made = ConvolutionWeightAdjoint(like.stride, like.padding, like.dilation, like.groups, size)
    return apply(made, g, x)
