"""Every op makes any box of its result from what it says it needs, at places known now or at run time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.ir import OPS, Box, DType, Graph, Input, Sample, TensorType, Value, apply, verify
from graphspec.ir.regions import (
    Parts,
    Position,
    Rows,
    Span,
    as_span,
    axis_from,
    box_shape,
    normal,
    relative,
    union,
)
from graphspec.ir.sizes import symbol
from graphspec.ops.convolution import Convolution, ConvolutionInputAdjoint
from graphspec.ops.indexing import Gather
from graphspec.ops.pooling import MaxPool2d, WindowSum
from graphspec.ops.regrouping import regroup
from graphspec.ops.shape import Reshape, Slice
from graphspec.transforms.push_selections import push_selections

STRUCTURAL = {"input", "literal", "tap", "call", "grad", "jvp"}
#: what the ops' own samples are too small for
LARGE = Box((2, 3, 9, 8))
KERNEL = Box((4, 3, 3, 3))
MORE = [
    Sample(Convolution((1, 1), (1, 1), (1, 1), 1), (LARGE, KERNEL)),
    Sample(Convolution((2, 3), (2, 1), (1, 2), 3), (LARGE, Box((3, 1, 3, 2)))),
    Sample(ConvolutionInputAdjoint((1, 1), (1, 1), (1, 2), 1, (9, 8)), (Box((2, 4, 9, 6)), KERNEL)),
    Sample(ConvolutionInputAdjoint((3, 2), (1, 0), (1, 1), 1, (8, 7)), (Box((2, 4, 3, 3)), KERNEL)),
    Sample(MaxPool2d((3, 3), (1, 2), (1, 1), (1, 1), True), (LARGE,)),
    Sample(WindowSum((3, 2), (2, 2), (1, 1), (2, 1), True), (LARGE,)),
    Sample(Reshape((6, 72)), (LARGE,)),
    Sample(Reshape((2, 27, 2, 4)), (LARGE,)),
    Sample(Reshape((8, 54)), (LARGE,)),
    Sample(OPS["concat"](2), (LARGE, LARGE)),
    Sample(OPS["matmul"](), (Box((2, 1, 6, 5)), Box((3, 5, 7)))),
    Sample(OPS["cumsum"](2), (LARGE,)),
    Sample(OPS["sum"]((1,)), (LARGE,)),
]


def _samples() -> Iterator[object]:
    for name, op in OPS.items():
        if name not in STRUCTURAL:
            for i, sample in enumerate(op.samples()):
                yield pytest.param(sample, id=f"{name}-{i}")
    for i, sample in enumerate(MORE):
        yield pytest.param(sample, id=f"{sample.op.name}-more{i}")


def computed(x: Value) -> Value:
    """x again, as something that was computed."""
    return apply(OPS["logical_not" if x.dtype is DType.BOOL else "neg"](), x)


def selections(y: Value, rng: np.random.Generator) -> Iterator[tuple[Value, dict[Value, np.ndarray]]]:
    """Parts of y: a slice, slices with steps, one place on some axes, rows of an axis."""
    sizes = [size for size in y.shape if isinstance(size, int)]
    for step in (1, 2):
        starts = [int(rng.integers(0, max(size, 1))) for size in sizes]
        stops = [int(rng.integers(min(a + 1, s), s + 1)) for a, s in zip(starts, sizes, strict=True)]
        if 0 not in sizes:
            yield apply(Slice(tuple(starts), tuple(stops), (step,) * len(sizes)), y), {}
    for first in range(len(sizes)):
        if 0 in sizes:
            continue
        count = int(rng.integers(1, len(sizes) - first + 1))
        places = [apply(Input(f"i{k}", TensorType(DType.I64))) for k in range(count)]
        numbers = [np.asarray(rng.integers(0, size)) for size in sizes[first : first + count]]
        yield apply(Gather(first), y, *places), dict(zip(places, numbers, strict=True))
        rows = apply(Input("rows", TensorType(DType.I32, (2,))))
        yield apply(Gather(first), y, rows), {rows: rng.integers(0, sizes[first], 2).astype("i4")}


@pytest.mark.parametrize("sample", list(_samples()))
def test_a_box_of_a_result_is_made_of_what_it_needs(sample: Sample) -> None:
    rng = np.random.default_rng(3)
    given, inputs = testing.apply_sample(sample, testing.draw(sample))
    # starts and indices stay as they are, so that they point somewhere
    operands = [computed(x) if x.dtype.is_float else x for x in given.node.inputs]
    arrays = {x: -a if x.dtype.is_float else a for x, a in inputs.items()}
    y = apply(sample.op, *operands)
    for _ in range(3):
        for part, places in selections(y, rng):
            graph = Graph({"part": part})
            pushed = push_selections(graph, differentiated=True)
            verify(pushed)
            expected, found = (
                testing.evaluate([g.outputs["part"]], {**arrays, **places})[0] for g in (graph, pushed)
            )
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12, strict=True)


# --- regions ----------------------------------------------------------------------------------------


def place(name: str = "i") -> Value:
    return apply(Input(name, TensorType(DType.I64)))


def at(number: int = 0, *values: Value) -> Position:
    return Position(number, tuple((v, 1) for v in values))


def test_a_position_is_seen_through_sums_and_multiples() -> None:
    i = place()
    assert Position.at(i * 3 + 2) == Position(2, ((i, 3),))
    assert Position.at(2 - i) == Position(2, ((i, -1),))
    assert Position.at(-(5 + i)) == Position(-5, ((i, -1),))
    assert (Position.at(i + 4) - Position.at(i)) == Position(4)


def test_positions_that_are_rounded_alike_are_equal() -> None:
    i = place()
    p, q = (at(1, i) * 2 // 3 for _ in range(2))
    assert p == q
    assert hash(p) == hash(q)
    assert p != at(1, i) * 2 % 3
    assert (Position(7) // 2, Position(7) % 2) == (Position(3), Position(1))
    assert p.bases == (i,)


def test_boxes_at_a_known_distance_have_a_union() -> None:
    i = place()
    a, b = (Span(at(0, i), 3), None), (Span(at(2, i), 3), Span(at(1), 2))
    assert union(a, b) == (Span(at(0, i), 5), None)
    assert union(a, (Span(at(0, place("j")), 3), None)) is None
    assert relative(b, (Span(at(0, i), 5), None)) == (Span(at(2), 3), Span(at(1), 2))


def test_an_axis_in_its_shortest_form() -> None:
    every = Span(at(), 4)
    one, two = Span(at(), 1), Span(at(1), 2)
    cut = Parts(((2, None), (3, two)))
    assert normal((every, one, Parts(((2, None), (1, one), (3, two)))), (4, 1, 6)) == (None, None, cut)
    assert box_shape((every, None, cut), (4, 1, 6)) == (4, 1, 4)


def test_spans_of_axes_seen_as_several_and_back() -> None:
    i = place()
    pick, inner = Span(at(0, i), 1), Span(at(1), 2)
    assert as_span(Parts(((3, pick), (4, inner)))) == Span(Position(1, ((i, 4),)), 2)
    assert as_span(Parts(((3, inner), (4, None)))) == Span(at(4), 8)
    assert as_span(Parts(((3, None), (4, Span(at(2), 1))))) == Span(at(2), 3, 4)
    assert as_span(Parts(((3, inner), (4, inner)))) is None
    assert axis_from(Span(at(4), 8), (3, 4)) == (inner, None)
    assert axis_from(Span(at(5), 2), (3, 4)) == (Span(at(1), 1), Span(at(1), 2))
    assert axis_from(Span(at(3), 2), (3, 4)) is None
    assert axis_from(pick, (3, 4)) == (Span(at(0, i) // 4, 1), Span(at(0, i) % 4, 1))


def test_boxes_of_reshaped_values() -> None:
    N, H, W = symbol("N"), symbol("H"), symbol("W")
    box = (None, Span(at(1), 2), Span(at(3), 4))
    flat = (None, Parts(((H, box[1]), (W, box[2]))))
    assert regroup(box, (N, H, W), (N, H * W)) == (box, flat)
    assert regroup(flat, (N, H * W), (N, H, W)) == (flat, box)
    rows = Rows(place(), 2)
    assert regroup((rows, None), (N, 12), (N, 3, 4)) == ((rows, None), (rows, None, None))
    # two rows and three columns of 4x6 are no box of 3x8: both axes are taken whole
    assert regroup((Span(at(), 2), Span(at(), 3)), (4, 6), (3, 8)) is None
    assert regroup((Span(at(), 2), None), (4, 0), (0, 4)) is None
