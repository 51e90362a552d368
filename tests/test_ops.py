"""What must hold of every primitive, on each of its samples: a new op meets all of this unasked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.ir import FUNCTIONS, OPS, DType, Op, Sample, TensorType, reachable
from graphspec.runtime.kernels import KERNELS, find_kernel

#: made by the compiler itself, without samples of their own
STRUCTURAL = {"input", "literal", "tap", "call", "grad", "jvp"}
PRIMITIVES = [op for name, op in OPS.items() if name not in STRUCTURAL]


def _samples(ops: list[type[Op]]) -> Iterator[object]:
    for op in ops:
        for i, sample in enumerate(op.samples()):
            yield pytest.param(sample, id=f"{op.name}-{i}")


each_op = pytest.mark.parametrize("op", PRIMITIVES, ids=lambda op: op.name)
each_sample = pytest.mark.parametrize("sample", list(_samples(PRIMITIVES)))
each_elementwise_sample = pytest.mark.parametrize(
    "sample", list(_samples([op for op in PRIMITIVES if op.is_elementwise]))
)


@each_op
def test_an_op_has_samples_and_a_differentiable_one_if_it_has_a_derivative(op: type[Op]) -> None:
    samples = op.samples()
    assert samples
    flows = False
    for sample in samples:
        y, inputs = testing.apply_sample(sample, testing.draw(sample))
        if y.dtype.is_float and any(x.dtype.is_float for x in inputs):
            flows |= any(g is not None for g in op.vjp(sample.op, y, y, *inputs))
    # the adjoints of max-pooling are smooth in one operand only; they are tested as its derivatives
    assert not flows or any(sample.differentiable for sample in samples) or op.name in _in_derivatives()


@cache
def _in_derivatives() -> set[str]:
    """The ops that derivatives of differentiable samples are made of, up to the second order."""
    found: set[str] = set()
    for op in PRIMITIVES:
        for sample in op.samples():
            if sample.differentiable:
                y, inputs = testing.apply_sample(sample, testing.draw(sample))
                if not y.dtype.is_float:
                    continue
                first = testing.cotangents(y, y, inputs)
                made = [g for g in first if g is not None]
                made += [g2 for g in made for g2 in testing.cotangents(g, g, inputs) if g2 is not None]
                found |= {node.op.name for node in reachable(made)}
    return found


@pytest.mark.parametrize("documented", [*PRIMITIVES, *FUNCTIONS.values()], ids=lambda d: d.__name__)
def test_the_documentation_has_a_formula_the_shapes_and_the_source(documented: object) -> None:
    testing.check_documentation(documented)


@each_sample
@pytest.mark.parametrize("dtype", [DType.F16, DType.F32, DType.F64], ids=str)
def test_the_type_rule_says_what_comes_out_in_shape_and_dtype(sample: Sample, dtype: DType) -> None:
    testing.check_type(sample, dtype)


@each_sample
def test_first_and_second_derivative_agree_with_finite_differences(sample: Sample) -> None:
    if sample.differentiable:
        testing.check_derivatives(sample, order=2)


@each_sample
def test_wrong_rank_and_wrong_dtype_are_refused_in_a_sentence(sample: Sample) -> None:
    testing.check_refusals(sample)


@each_sample
def test_f32_agrees_with_f64_up_to_rounding(sample: Sample) -> None:
    single, double = (
        testing.evaluate([y], inputs)[0].astype("f8")
        for y, inputs in (
            testing.apply_sample(sample, testing.draw(sample, dtype)) for dtype in (DType.F32, DType.F64)
        )
    )
    # a few roundings of 6e-8 each, in sums of up to 30 terms
    np.testing.assert_allclose(single, double, rtol=2e-6, atol=2e-6)


@each_sample
def test_operands_need_not_be_contiguous(sample: Sample) -> None:
    arrays = testing.draw(sample)
    y, inputs = testing.apply_sample(sample, arrays)
    (expected,) = testing.evaluate([y], inputs)
    spaced = [_spaced(array) for array in arrays]
    (found,) = testing.evaluate([y], dict(zip(inputs, spaced, strict=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


def _spaced(array: np.ndarray) -> np.ndarray:
    """An equal array with gaps between its elements, stored last axis first."""
    if array.ndim == 0:
        return array
    store = np.zeros([2 * n for n in reversed(array.shape)], array.dtype)
    view = store.transpose()[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


@each_sample
def test_a_repeated_operand_counts_as_its_copies(sample: Sample) -> None:
    arrays = [_constant_along_rows(array) for array in testing.draw(sample)]
    y, inputs = testing.apply_sample(sample, arrays)
    copies = dict(zip(inputs, [array.copy() for array in arrays], strict=True))
    found, expected = testing.evaluate([y], inputs)[0], testing.evaluate([y], copies)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


def _constant_along_rows(array: np.ndarray) -> np.ndarray:
    """The first element of each row repeated with stride 0."""
    return np.broadcast_to(array[..., :1], array.shape) if array.ndim and array.shape[-1] else array


@each_elementwise_sample
def test_an_elementwise_op_may_overwrite_an_operand(sample: Sample) -> None:
    arrays = testing.draw(sample)
    y, inputs = testing.apply_sample(sample, arrays)
    (expected,) = testing.evaluate([y], inputs)
    for i, array in enumerate(arrays):
        if testing.type_of(array) == y.type:
            operands = [a.copy() for a in arrays]
            out = operands[i]
            if sample.op.kernel:
                find_kernel(sample.op.kernel, "numpy")(np, out, *operands, **sample.op.attributes())
            else:
                names = [f"x{k}" for k in range(len(operands))]
                exec(sample.op.source(f"x{i}", *names), {"xp": np, **dict(zip(names, operands, strict=True))})
            np.testing.assert_array_equal(out, expected)


@each_elementwise_sample
def test_an_elementwise_op_takes_a_number_for_an_operand(sample: Sample) -> None:
    arrays = testing.draw(sample, DType.F32)
    types = [testing.type_of(a) for a in arrays]
    for i, array in enumerate(arrays):
        if array.size == 0:
            continue
        scalar = array.ravel()[0]
        operands = [np.asarray(scalar) if k == i else a for k, a in enumerate(arrays)]
        result = sample.op.infer(
            *(types[k] if k != i else testing.type_of(operands[i]) for k in range(len(types)))
        )
        assert isinstance(result, TensorType)
        with np.errstate(all="ignore"):
            expected = testing.run(sample.op, operands, result)
            found = testing.run(
                sample.op, [scalar.item() if k == i else a for k, a in enumerate(operands)], result
            )
        # erf and pow take other ways for one number than for many, which may differ in the last digit
        np.testing.assert_allclose(found, expected, rtol=3e-7)


def test_each_kernel_belongs_to_an_op_and_each_op_finds_its_kernel() -> None:
    wanted = {op.kernel for op in OPS.values() if op.kernel}
    assert {name for name, _ in KERNELS} == wanted
    for name in wanted:
        assert find_kernel(name, "numpy")
        assert find_kernel(name, "cupy")


def test_check_op_finds_a_wrong_derivative() -> None:
    class Doubled(OPS["tanh"]):  # type: ignore[misc]
        """y = tanh(x).  Shapes: x[...] -> y[...].  Source: none."""

        def vjp(self, gy, y, x):  # type: ignore[no-untyped-def]
            return (2 * gy * (1 - y * y),)

    with pytest.raises(AssertionError, match="difference quotient"):
        testing.check_op(Doubled)
    testing.check_op(OPS["tanh"])
