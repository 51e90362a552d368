"""What the steps of a program cost: multiplications of products, and bytes that are read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphspec.ir import DType, Input, Literal, Node, Op, TensorType
from graphspec.runtime.plan import Plan, Step, nbytes

#: what a core does in a second: of products of matrices, and of bytes that pass through it; and a call
FLOPS, BYTES, CALL = 1e11, 2e10, 1e-6


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


def flops(op: Op, operands: Sequence[TensorType], result: TensorType) -> int:
    """Multiplications and additions of a product of matrices or a convolution; 0 for other ops.

    They are those of the definition: a kernel may do with fewer, as Winograd's does.
    """
    match op.name:
        case "matmul" | "product_in_order":
            return 2 * _size(result) * _number(operands[0].shape[-1])
        case "convolution":
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
