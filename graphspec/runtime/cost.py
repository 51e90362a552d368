"""What the steps of a program cost: multiplications of products, and bytes that are read and written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from graphspec.ir import DType, Op, TensorType
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
    operands = [plan.types[value] for value in step.node.inputs]
    return Cost(flops(step.op, operands, step.types[0]), moved(step, plan), step.types[0].dtype)


def flops(op: Op, operands: Sequence[TensorType], result: TensorType) -> int:
    """Multiplications and additions of a product of matrices or a convolution; 0 for other ops.

    They are those of the definition: a kernel may do with fewer, as Winograd's does.
    """
    match op.name:
        case "matmul":
            return 2 * _size(result) * _number(operands[0].shape[-1])
        case "convolution":
            return 2 * _size(result) * _size(operands[1]) // max(1, _number(operands[1].shape[0]))
        case "convolution_input_adjoint":
            return 2 * _size(operands[0]) * _size(operands[1]) // max(1, _number(operands[1].shape[0]))
        case "convolution_weight_adjoint":
            return 2 * _size(operands[0]) * _size(result) // max(1, _number(result.shape[0]))
    return 0


def moved(step: Step, plan: Plan) -> int:
    """The bytes of the operands and results of a step, each once; none for a view.

    Of what is selected from, as many as are taken count.  Working storage does not.
    """
    if step.op.is_view:
        return 0
    written = sum(map(nbytes, step.types))
    read = [nbytes(plan.types[value]) for value in step.node.inputs]
    if step.op.is_selection:
        read[0] = min(read[0], written)
    return written + sum(read)


def seconds(step: Step, plan: Plan) -> float:
    """About how long a step takes on one core."""
    if step.op.is_view:
        return 0.0
    done = cost(step, plan)
    return CALL + done.flops / FLOPS + done.bytes / BYTES


def _size(type: TensorType) -> int:
    return _number(type.size)


def _number(size: object) -> int:
    assert isinstance(size, int), f"{size} is not known"
    return size
