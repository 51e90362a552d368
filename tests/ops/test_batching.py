"""Every batching rule gives what a loop gives, whichever operands are batched; alignments are true."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.ir import OPS, Box, Input, Op, Sample, TensorType, Value, apply, symbol
from graphspec.ops.convolution import Convolution, ConvolutionInputAdjoint, ConvolutionWeightAdjoint
from graphspec.ops.indexing import Gather, ScatterAdd

STRUCTURAL = {"input", "literal", "tap", "call", "grad", "jvp"}
PRIMITIVES = [op for name, op in OPS.items() if name not in STRUCTURAL]
SIZE = 3

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


def _numbers(sample: Sample, seed: int) -> list[np.ndarray]:
    """Other operands for each seed, where the sample does not say which they are."""
    return testing.draw(sample, seed=seed)


@pytest.mark.parametrize(("sample", "batched"), list(_cases()))
def test_a_batched_op_gives_what_a_loop_gives(sample: Sample, batched: tuple[bool, ...]) -> None:
    sets = [_numbers(sample, seed) for seed in range(SIZE)]
    for i, (box, own) in enumerate(zip(sample.inputs, batched, strict=True)):
        for k, arrays in enumerate(sets):
            if not own:
                arrays[i] = sets[0][i]
            elif box.values is not None and k:  # the same elements in another order
                arrays[i] = np.roll(arrays[i].ravel(), k).reshape(arrays[i].shape)
    operands = [
        np.stack([arrays[i] for arrays in sets]) if own else sets[0][i] for i, own in enumerate(batched)
    ]
    # the new axis has a size that is not known yet: rules may not rely on its number
    types = [
        TensorType(testing.type_of(a).dtype, (symbol("B"), *a.shape[1:]) if own else a.shape)
        for a, own in zip(operands, batched, strict=True)
    ]
    inputs = tuple(apply(Input(f"x{i}", t)) for i, t in enumerate(types))
    y = sample.op.batch(symbol("B"), inputs, batched)
    assert isinstance(y, Value)
    loop = [testing.apply_sample(sample, arrays) for arrays in sets]
    assert y.type == TensorType(loop[0][0].dtype, (symbol("B"), *loop[0][0].shape))
    expected = [testing.evaluate([one], at)[0] for one, at in loop]
    (found,) = testing.evaluate([y], dict(zip(inputs, operands, strict=True)), {"B": SIZE})
    assert found.dtype == expected[0].dtype
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "sample", [pytest.param(s, id=f"{op.name}-{i}") for op in PRIMITIVES for i, s in enumerate(op.samples())]
)
def test_aligned_axes_run_together(sample: Sample) -> None:
    """What changes at one place of an axis of an operand changes the result at that place only."""
    arrays = testing.draw(sample)
    y, inputs = testing.apply_sample(sample, arrays)
    alignment = sample.op.alignment(*(testing.type_of(a) for a in arrays))
    (before,) = testing.evaluate([y], inputs)
    assert len(alignment) in (0, len(y.shape))
    for k, axes in enumerate(alignment):
        assert len(axes) == len(arrays)
        for i, axis in enumerate(axes):
            if axis is None:
                continue
            assert y.shape[k] == arrays[i].shape[axis]
            for place in range(arrays[i].shape[axis]):
                changed = arrays[i].copy()
                at = (slice(None),) * axis + (place,)
                changed[at] = np.roll(changed[at].ravel(), 1).reshape(changed[at].shape)
                if changed.dtype.kind == "f":
                    changed[at] = changed[at] * 0.9 + 0.05
                moved = {**inputs, list(inputs)[i]: changed}
                (after,) = testing.evaluate([y], moved)
                elsewhere = [p for p in range(y.shape[k]) if p != place]
                np.testing.assert_array_equal(np.take(after, elsewhere, k), np.take(before, elsewhere, k))


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
