"""Random small graphs with random selections: pushed back and not, values and gradients agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graphspec.ir import DType, Graph, Input, Size, TensorType, Value, apply, literal, symbol, verify
from graphspec.ops.convolution import ConvolutionInputAdjoint
from graphspec.ops.indexing import Gather
from graphspec.ops.pooling import WindowSum
from graphspec.ops.selection import Window
from graphspec.ops.shape import Embed, Slice
from graphspec.ops.windows import window_count
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.push_selections import push_selections
from tests.transforms.models import call, definition, evaluate_size, exp, relu, run, sin, tap, total
from tests.transforms.models import given as input_of

N, H = symbol("N"), symbol("H")
T = TypeVar("T")


class Builder:
    """Draws a graph: values of a few shapes, each made of earlier ones by an op with drawn attributes."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.env = {"N": self.number(1, 3), "H": self.number(3, 8)}
        self.inputs: list[Value] = []
        self.arrays: dict[Value, Any] = {}
        self.rng = np.random.default_rng(self.number(0, 99))

    def number(self, low: int, high: int) -> int:
        return self.data.draw(st.integers(low, high))

    def pick(self, items: Sequence[T]) -> T:
        return items[self.number(0, len(items) - 1)]

    def size(self, size: Size) -> int:
        return evaluate_size(size, self.env)

    def input(self, *shape: Size) -> Value:
        x = input_of(f"x{len(self.inputs)}", *shape)
        self.inputs.append(x)
        self.arrays[x] = self.rng.uniform(-1, 1, [self.size(s) for s in shape])
        return x

    def index(self, size: Size, *shape: int, spread: int = 0) -> Value:
        i = apply(Input(f"i{len(self.arrays)}", TensorType(DType.I64, shape)))
        self.arrays[i] = self.rng.integers(-spread, self.size(size) + spread, shape)
        return i

    # --- ops ----------------------------------------------------------------------------------------

    def step(self, x: Value) -> Value:
        kinds: list[Callable[[Value], Value]] = [self.elementwise, self.tapped, self.sliced, self.flipped]
        kinds += [self.called, self.by_hand] if x.shape else [self.called]
        if len(x.shape) >= 2:
            kinds += [self.transposed, self.normalised, self.reduced, self.joined, self.shaped, self.padded]
            kinds += [self.multiplied, self.summed_up, self.windowed]
        if len(x.shape) == 4:
            kinds += [self.convolved] * 4 + [self.pooled] * 2 + [self.spread_out, self.flat_normalised]
        return self.pick(kinds)(x)

    def elementwise(self, x: Value) -> Value:
        match self.number(0, 4):
            case 0:
                return sin(x)
            case 1:
                return relu(x) + 0.5
            case 2:
                return exp(sin(x)) * self.input(*x.shape[-1:])
            case 3 if len(x.shape) > 1:
                return x * self.input(x.shape[-2], 1)
        return x * sin(x)

    def tapped(self, x: Value) -> Value:
        return tap("t", x)

    def sliced(self, x: Value) -> Value:
        starts, stops, steps = [], [], []
        for size in x.shape:
            if isinstance(size, int) and size > 1 and self.number(0, 2) == 0:
                start = self.number(0, size - 1)
                starts.append(start)
                stops.append(self.number(start + 1, size))
                steps.append(self.number(1, 3))
            else:
                starts.append(0)
                stops.append(size)
                steps.append(1)
        return apply(Slice(tuple(starts), tuple(stops), tuple(steps)), x)

    def flipped(self, x: Value) -> Value:
        return call("flip", x, axis=(self.number(0, len(x.shape) - 1),))

    def transposed(self, x: Value) -> Value:
        return call("transpose", x, axes=tuple(self.data.draw(st.permutations(range(len(x.shape))))))

    def normalised(self, x: Value) -> Value:
        axis = (self.number(0, len(x.shape) - 1),)
        e = exp(x - call("max", x, axis=axis, keepdims=True))
        return e / call("sum", e, axis=axis, keepdims=True)

    def by_hand(self, x: Value) -> Value:
        """A call whose derivative is by hand, and another than the true one."""
        axis = (self.number(0, len(x.shape) - 1),)

        def forward(x: Value) -> Value:
            e = exp(x - call("max", x, axis=axis, keepdims=True))
            return e / call("sum", e, axis=axis, keepdims=True)

        def gradient(xs: Any, ys: Any, dys: Any) -> Value:
            return 3.0 * ys[0] * (dys[0] - call("sum", dys[0] * ys[0], axis=axis, keepdims=True))

        return definition("f", forward, x.type, gradients={0: gradient})(x)[0]

    def called(self, x: Value) -> Value:
        return definition("g", lambda x: sin(x) * x, x.type)(x)[0]

    def reduced(self, x: Value) -> Value:
        return call(self.pick(["sum", "max"]), x, axis=(self.number(0, len(x.shape) - 1),))

    def joined(self, x: Value) -> Value:
        return call("concat", x, sin(x), x * x, axis=self.number(0, len(x.shape) - 1))

    def shaped(self, x: Value) -> Value:
        k = self.number(0, len(x.shape) - 2)
        if self.number(0, 1) and isinstance(x.shape[k], int) and x.shape[k] % 2 == 0:
            return call("reshape", x, shape=(*x.shape[:k], 2, x.shape[k] // 2, *x.shape[k + 1 :]))
        return call("reshape", x, shape=(*x.shape[:k], x.shape[k] * x.shape[k + 1], *x.shape[k + 2 :]))

    def padded(self, x: Value) -> Value:
        k = self.number(0, len(x.shape) - 1)
        before, after = self.number(0, 2), self.number(0, 2)
        shape = (*x.shape[:k], x.shape[k] + before + after, *x.shape[k + 1 :])
        starts = tuple(before if i == k else 0 for i in range(len(x.shape)))
        return apply(Embed(shape, starts, (1,) * len(starts), 0.25), x)

    def multiplied(self, x: Value) -> Value:
        return x @ self.input(x.shape[-1], 3)

    def summed_up(self, x: Value) -> Value:
        return call("cumsum", x, axis=self.number(0, len(x.shape) - 1))

    def windowed(self, x: Value) -> Value:
        k = self.number(0, len(x.shape) - 1)
        return apply(Window((k,), (self.number(1, 4),), 0.75), x, self.index(2, spread=3))

    def slide(self, x: Value) -> tuple[tuple[int, int], ...] | None:
        """Kernel, stride, padding and dilation that fit."""
        drawn = tuple(
            (self.number(1, 3), self.number(1, 2)) for _ in ("kernel", "stride", "padding", "dilation")
        )
        kernel, stride, padding, dilation = drawn[0], drawn[1], tuple(p - 1 for p in drawn[2]), drawn[3]
        for i in (0, 1):
            if 2 * padding[i] > dilation[i] * (kernel[i] - 1) + 1:
                return None
            size = self.size(x.shape[2 + i])
            if self.size(window_count(size, kernel[i], stride[i], padding[i], dilation[i])) < 1:
                return None
        return kernel, stride, padding, dilation

    def convolved(self, x: Value) -> Value:
        slide = self.slide(x)
        if slide is None or not isinstance(x.shape[1], int):
            return x
        kernel, stride, padding, dilation = slide
        groups = self.pick([1, 1, x.shape[1]])
        weight = self.input(2 * groups, x.shape[1] // groups, *kernel)
        statics = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return sin(call("convolution", x, weight, **statics) + self.input(2 * groups, 1, 1)) + 0.5

    def spread_out(self, x: Value) -> Value:
        """A transposed convolution."""
        if not all(isinstance(s, int) for s in x.shape[1:]):
            return x
        kernel, stride = self.number(1, 3), self.number(1, 3)
        padding = self.number(0, kernel - 1)
        size = tuple((s - 1) * stride + kernel - 2 * padding for s in x.shape[2:])
        if min(size) < 1:
            return x
        weight = self.input(x.shape[1], 2, kernel, kernel)
        op = ConvolutionInputAdjoint((stride, stride), (padding, padding), (1, 1), 1, size)
        return sin(apply(op, x, weight)) + 0.5

    def pooled(self, x: Value) -> Value:
        slide = self.slide(x)
        if slide is None:
            return x
        ceil = bool(self.number(0, 1))
        if self.number(0, 1):
            kernel, stride, padding, dilation = slide
            return call(
                "max_pool2d", x, kernel, stride=stride, padding=padding, dilation=dilation, ceil_mode=ceil
            )
        return apply(WindowSum(*slide, ceil), x)

    def flat_normalised(self, x: Value) -> Value:
        """As batch normalisation does it: over flattened places."""
        n, c, h, w = x.shape
        flat = call("reshape", x, shape=(n, c, h * w))
        y = (flat - self.input(c, 1)) / (1.5 + call("reshape", self.input(c), shape=(c, 1)))
        return call("reshape", y, shape=(n, c, h, w))

    # --- selections ---------------------------------------------------------------------------------

    def selected(self, x: Value) -> Value:
        """One element, a box or rows of x, at places known now or at run time."""
        rank = len(x.shape)
        match self.number(0, 5):
            case 0 | 1 if rank:
                first = self.number(0, rank - 1)
                count = self.number(1, rank - first)
                sizes = x.shape[first : first + count]
                shift = [self.number(0, 1) if s != 1 else 0 for s in sizes]
                indices = [
                    self.index(s - d) + d if self.size(s) > d else self.index(s)
                    for s, d in zip(sizes, shift, strict=True)
                ]
                return apply(Gather(first), x, *indices)
            case 2 if rank:
                axis = self.number(0, rank - 1)
                return apply(Gather(axis), x, self.index(x.shape[axis], *self.pick([(1,), (2,), (2, 1)])))
            case 3 if rank:
                flat = call("reshape", x, shape=(-1,))
                return apply(Gather(0), flat, self.index(flat.shape[0]))
            case 4 if rank:
                # the place is found in the value itself
                flat = call("reshape", x, shape=(-1,))
                return apply(Gather(0), flat, call("argmax", flat, axis=0))
        return self.sliced(self.sliced(x))


@st.composite
def graphs(draw: Any) -> tuple[Graph, dict[Value, Any], dict[str, int], list[Value]]:
    """A graph whose output `y` is a number, numbers for its inputs, and some values in it."""
    b = Builder(draw(st.data()))
    first = b.input(b.pick([N, 2, 3]), b.number(1, 3), b.number(1, 7), b.pick([H, *range(3, 9)]))
    values = [first]
    for _ in range(b.number(1, 6)):
        values.append(b.step(values[-1]))
    parts = [b.selected(values[-1]) for _ in range(b.number(1, 3))]
    if b.number(0, 2) == 0:
        parts.append(b.selected(b.pick(values)))
    y = literal(0.0, DType.F64)
    for i, part in enumerate(parts):
        y = y + total(sin(part) * (1.0 + i))
    return Graph({"y": y}), b.arrays, b.env, values[1:]


def gradients(graph: Graph, names: Sequence[str]) -> dict[str, Value]:
    y = graph.outputs["y"]
    found = cotangents({y: literal(1.0, y.dtype)}, [graph.names[name] for name in names])
    return {name: g for name, g in zip(names, found, strict=True) if g is not None}


def compare(found: Any, expected: Any) -> None:
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12 * scale, strict=True)


@settings(max_examples=75, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_a_pushed_graph_computes_the_same(drawn: tuple[Graph, dict[Value, Any], dict[str, int], Any]) -> None:
    graph, arrays, env, inner = drawn
    inputs = [x for x in arrays if x.dtype.is_float]
    names = {x.node.op.label: x for x in inputs}
    if inner and len(inputs) % 2:
        names["inner"] = inner[0]
    whole = Graph(graph.outputs, names)
    pushed = push_selections(whole, {"N": 2}, keep=names)
    verify(pushed)
    compare(run([pushed.outputs["y"]], arrays, env)[0], run([graph.outputs["y"]], arrays, env)[0])

    expected, found = gradients(whole, list(names)), gradients(pushed, list(names))
    assert found.keys() <= expected.keys()
    again = push_selections(Graph(found), {"N": 2}, differentiated=True)
    verify(again)
    for name, g in expected.items():
        (dense,) = run([g], arrays, env)
        if name in found:
            compare(run([found[name]], arrays, env)[0], dense)
            compare(run([again.outputs[name]], arrays, env)[0], dense)
        else:  # it is no part of what was selected
            np.testing.assert_array_equal(dense, 0)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_selections_of_gradients_are_pushed_back_too(
    drawn: tuple[Graph, dict[Value, Any], dict[str, int], Any],
) -> None:
    graph, arrays, env, _ = drawn
    inputs = [x for x in arrays if x.dtype.is_float]
    found = cotangents({graph.outputs["y"]: literal(1.0, DType.F64)}, inputs)
    i = apply(Input("place", TensorType(DType.I64)))
    parts: dict[str, Value] = {}
    for k, g in enumerate(found):
        if g is not None:
            rank = len(g.shape)
            parts[f"first{k}"] = apply(Slice((0,) * rank, (1,) * rank, (1,) * rank), g)
            parts[f"last{k}"] = apply(Gather(rank - 1), g, i)
    arrays = {**arrays, i: np.asarray(0)}
    pushed = push_selections(Graph(parts), {"N": 2}, differentiated=True)
    verify(pushed)
    for name, value in pushed.outputs.items():
        compare(run([value], arrays, env)[0], run([parts[name]], arrays, env)[0])
