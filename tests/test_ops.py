"""What must hold of every primitive, on each of its samples: a new op meets all of this unasked."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.ir import FUNCTIONS, OPS, DType, Op, Sample, reachable
from graphspec.ops.contraction import ProductInOrder
from graphspec.ops.convolution import ConvolutionEpilogue, ConvolutionInputAdjoint
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
    testing.check_precision(sample)


@each_sample
def test_operands_may_be_laid_out_in_any_way(sample: Sample) -> None:
    testing.check_layouts(sample)


@each_elementwise_sample
def test_an_elementwise_op_may_overwrite_an_operand(sample: Sample) -> None:
    testing.check_overwriting(sample)


@each_elementwise_sample
def test_an_elementwise_op_takes_a_number_for_an_operand(sample: Sample) -> None:
    testing.check_numbers(sample)


@each_sample
def test_a_box_of_the_result_needs_what_the_op_says(sample: Sample) -> None:
    testing.check_boxes(sample)


def test_each_kernel_belongs_to_an_op_and_each_op_finds_its_kernel() -> None:
    wanted = {op.kernel for op in OPS.values() if op.kernel}
    made = {ProductInOrder.kernel, ConvolutionEpilogue.kernel}  # after differentiation, for numpy
    assert {name for name, _ in KERNELS} == wanted | made
    for name in wanted:
        assert find_kernel(name, "numpy")
        assert find_kernel(name, "cupy")


def test_ops_are_equal_where_all_their_attributes_are() -> None:
    for op in (*OPS.values(), ProductInOrder, ConvolutionEpilogue):
        assert (op.__eq__, op.__hash__, op.__repr__) == (Op.__eq__, Op.__hash__, Op.__repr__), op
    slides = (2, 2), (0, 0), (1, 1), 1
    assert ConvolutionInputAdjoint(*slides, (7, 7)) != ConvolutionInputAdjoint(*slides, (8, 8))
    assert ConvolutionInputAdjoint(*slides, (7, 7)) == ConvolutionInputAdjoint(*slides, (7, 7))


def test_check_op_finds_a_wrong_derivative() -> None:
    class Doubled(OPS["tanh"]):
        """y = tanh(x).  Shapes: x[...] -> y[...].  Source: none."""

        def vjp(self, gy, y, x):
            return (2 * gy * (1 - y * y),)

    with pytest.raises(AssertionError, match="difference quotient"):
        testing.check_op(Doubled)
    testing.check_op(OPS["tanh"])
