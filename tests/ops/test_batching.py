"""Every batching rule gives what a loop gives, whichever operands are batched; alignments are true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.ir import OPS, Box, Input, Op, Sample, TensorType, apply
from graphspec.ops.convolution import Convolution, ConvolutionInputAdjoint, ConvolutionWeightAdjoint
from graphspec.ops.indexing import Gather, ScatterAdd

STRUCTURAL = {"input", "literal", "tap", "call", "grad", "jvp"}
PRIMITIVES = [op for name, op in OPS.items() if name not in STRUCTURAL]

#: what the ops' own samples leave out: groups with several images, indices behind several axes
MORE = [
    Sample(Convolution((1, 1), (1, 0), (1, 1), 2), (Box((2, 4, 3, 4)), Box((6, 2, 2, 3)))),
    Sample(
        ConvolutionInputAdjoint((1, 1), (1, 0), (1, 1), 2, (3, 4)), (Box((2, 6, 4, 2)), Box((6, 2, 2, 3)))
    ),
    Sample(
        ConvolutionWeightAdjoint((1, 1), (1, 0), (1, 1), 2, (2, 3)), (Box((2, 6, 4, 2)), Box((2, 4, 3, 4)))
    ),
    Sample(Gather(2), (Box((2, 3, 4, 2)), Box((5,), 0, 4, "int"))),
    Sample(ScatterAdd(2, (2, 3, 4, 2)), (Box((2, 3, 5, 2)), Box((5,), 0, 4, "int"))),
    Sample(OPS["matmul"](), (Box((2, 4, 3)), Box((2, 3, 2)))),
    Sample(OPS["matmul"](), (Box((2, 4, 3)), Box((3,)))),
]


def _cases() -> Iterator[object]:
    samples = [(op.name, i, s) for op in PRIMITIVES for i, s in enumerate(op.samples())]
    samples += [(s.op.name, f"more{i}", s) for i, s in enumerate(MORE)]
    for name, i, sample in samples:
        for batched in itertools.product((False, True), repeat=len(sample.inputs)):
            if any(batched):
                marks = "".join("b" if b else "-" for b in batched)
                yield pytest.param(sample, batched, id=f"{name}-{i}-{marks}")


@pytest.mark.parametrize(("sample", "batched"), list(_cases()))
def test_a_batched_op_gives_what_a_loop_gives(sample: Sample, batched: tuple[bool, ...]) -> None:
    testing.check_batching(sample, batched)


@pytest.mark.parametrize(
    "sample", [pytest.param(s, id=f"{op.name}-{i}") for op in PRIMITIVES for i, s in enumerate(op.samples())]
)
def test_aligned_axes_run_together(sample: Sample) -> None:
    testing.check_alignment(sample)


def test_an_elementwise_op_and_a_kept_axis_are_aligned() -> None:
    row, matrix = TensorType(testing.DType.F64, (3,)), TensorType(testing.DType.F64, (2, 3))
    assert OPS["add"]().alignment(matrix, row) == ((0, None), (1, 0))
    assert OPS["sum"]((0,)).alignment(matrix) == ((1,),)
    assert OPS["sum"]((0,), True).alignment(matrix) == ((None,), (1,))
    assert OPS["matmul"]().alignment(matrix, TensorType(testing.DType.F64, (3, 4))) == ((0, None), (None, 1))
    assert OPS["reshape"]((2, 3, 1)).alignment(matrix) == ((0,), (1,), (None,))


def test_an_op_without_a_rule_says_so() -> None:
    class Odd(Op):
        name = "odd"

    x = apply(Input("x", TensorType(testing.DType.F64, (2,))))
    with pytest.raises(NotImplementedError, match="odd has no batching rule"):
        Odd().batch(2, (x,), (True,))
