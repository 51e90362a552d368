"""What the steps of a program cost: multiplications of products, and bytes that are read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphspec.ir import DType, Input, Literal, Node, Op, TensorType
from graphspec.runtime.plan import Plan, Step, nbytes

#: what a core does in a second: of products of matrices, and of bytes that pass through it; and a call
FLOPS, BYTES, CALL = 1e11, 2e10, 1e-6
#: multiplications of one matrix by another from which on OpenBLAS uses its threads (interface/gemm.c)
SHARED = 1 << 18
#: the ops that are products of matrices
PRODUCTS = ("matmul", "product_in_order")


@dataclass(frozen=True, slots=True)
class Cost:
    """What a step does: FLOPs of products in a dtype, and bytes of what it reads and writes."""

    flops: int
    bytes: int
    dtype: DType


def cost(step: Step, plan: Plan) -> Cost:
    """What a step does; nothing for a view."""
    return _cost(step.op, [plan.types[value] for value in step.node.inputs], step.types)


def seconds(node: Node, env: Mapping[str, int]) -> float:
    """About how long a node takes on one core where the dims have these numbers."""
    if node.op.is_view or isinstance(node.op, Input | Literal):
        return 0.0
    operands = [value.type.at(env) for value in node.inputs]
    done = _cost(node.op, operands, [type.at(env) for type in node.types])
    return CALL + done.flops / FLOPS + done.bytes / BYTES


def is_shared_by_blas(node: Node, env: Mapping[str, int]) -> bool:
    """Whether a node is products of matrices each so large that the BLAS uses its threads for it.

    All rows of a stack times one matrix are one product; an outer product is written rather than multiplied.
    """
    if node.op.name not in PRODUCTS:
        return False
    left, right = (value.type.at(env) for value in node.inputs)
    if right.rank > 2:
        left, right = (t.with_shape(t.shape[-2:]) for t in (left, right))
    inner, columns = _number(left.shape[-1]), _number(right.shape[-1]) if right.rank > 1 else 1
    return inner > 1 and _size(left) * columns > SHARED


def flops(op: Op, operands: Sequence[TensorType], result: TensorType) -> int:
    """Multiplications and additions of a product of matrices or a convolution; 0 for other ops.

    They are those of the definition: a kernel may do with fewer, as Winograd's does.
    """
    if op.name in PRODUCTS:
        return 2 * _size(result) * _number(operands[0].shape[-1])
    match op.name:
        case "convolution" | "convolution_epilogue":
            return 2 * _size(result) * _size(operands[1]) // max(1, _number(operands[1].shape[0]))
        case "convolution_input_adjoint":
            return 2 * _size(operands[0]) * _size(operands[1]) // max(1, _number(operands[1].shape[0]))
        case "convolution_weight_adjoint":
            return 2 * _size(operands[0]) * _size(result) // max(1, _number(result.shape[0]))
    return 0


def moved(op: Op, operands: Sequence[TensorType], results: Sequence[TensorType]) -> int:
    """The bytes of the operands and results of an op, each once; none for a view.

    Of what is selected from, as many as are taken count.  Working storage does not.
    """
    if op.is_view:
        return 0
    written = sum(map(nbytes, results))
    read = [nbytes(type) for type in operands]
    if op.is_selection:
        read[0] = min(read[0], written)
    return written + sum(read)


def _cost(op: Op, operands: Sequence[TensorType], results: Sequence[TensorType]) -> Cost:
    return Cost(flops(op, operands, results[0]), moved(op, operands, results), results[0].dtype)


def _size(type: TensorType) -> int:
    return _number(type.size)


def _number(size: object) -> int:
    assert isinstance(size, int), f"{size} is not known"
    return size
