"""What the steps of a program cost: multiplications of products, and bytes that are read and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphspec.ir import Input, Literal, Node, Op, TensorType, evaluate
from graphspec.runtime.plan import Plan, Step, nbytes

#: what a core does in a second: of products of matrices, and of bytes that pass through it; and a call
FLOPS, BYTES, CALL = 1e11, 2e10, 1e-6


def flops(op: Op, operands: Sequence[TensorType], result: TensorType) -> int:
    """Multiplications and additions of a product of matrices or a convolution; 0 for other ops."""
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
    """The bytes of the operands and results of a step; none for a view."""
    if step.op.is_view:
        return 0
    return sum(map(nbytes, step.types)) + sum(nbytes(plan.types[value]) for value in step.node.inputs)


def seconds(node: Node, env: Mapping[str, int]) -> float:
    """About how long a node takes on one core where the dims have these numbers."""
    if node.op.is_view or isinstance(node.op, Input | Literal):
        return 0.0
    operands = [_known(value.type, env) for value in node.inputs]
    results = [_known(type, env) for type in node.types]
    work = flops(node.op, operands, results[0])
    return CALL + work / FLOPS + sum(map(nbytes, (*operands, *results))) / BYTES


def _known(type: TensorType, env: Mapping[str, int]) -> TensorType:
    return type.with_shape(tuple(evaluate(size, env) for size in type.shape))


def _size(type: TensorType) -> int:
    return _number(type.size)


def _number(size: object) -> int:
    assert isinstance(size, int), f"{size} is not known"
    return size
