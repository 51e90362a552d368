"""Forms of the language that are no functions of tensors: `grad`, `jvp`, `rank`, `shape`, `size`, `dtype`."""

from __future__ import annotations

from typing import Any, NoReturn

from graphspec.diagnostics import Span
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.ir import Node, TypeRuleError, Value, made_at
from graphspec.ir.sizes import product
from graphspec.lowering import blame, calls, expressions
from graphspec.lowering.context import Frame, fail
from graphspec.lowering.signatures import Parameter, Signature
from graphspec.ops.derivatives import Grad, Jvp
from graphspec.ops.rules import normal_axes
from graphspec.syntax import ast

GRAD = Signature(
    "grad",
    (Parameter("y", "tensor"), Parameter("x", "tensor"), Parameter("cotangent", "tensor", default=None)),
)
JVP = Signature("jvp", (Parameter("y", "tensor"), Parameter("x", "tensor"), Parameter("v", "tensor")))
SIZE = Signature("size", (Parameter("x", "tensor"), Parameter("axis", "int", 0, default=None)))
OF_A_TENSOR = (Parameter("x", "tensor"),)
AXES = Parameter("axis", "int", 0, None)
SIZE = Signature("size", (*OF_A_TENSOR, AXES))


def grad(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> Any:
    """`grad(y, x)`, `grad(y, (x, t))`, `grad(y, x, cotangent=v)`."""
    bound = calls.bind(GRAD, expr, piped, frame)
    y = expressions.expect_tensor(bound["y"].meaning, bound["y"].span, frame)
    many = calls.is_value_list(bound["x"].meaning)
    xs = bound["x"].meaning if many else (_variable(bound["x"], frame),)
    operands = [(y, bound["y"].span), *((x, bound["x"].span) for x in xs)]
    has_cotangent = "cotangent" in bound and bound["cotangent"].meaning is not None
    if has_cotangent:
        given = bound["cotangent"]
        operands.append((expressions.as_tensor(given.meaning, y.dtype, given.span, frame), given.span))
    values = _node(Grad(len(xs), has_cotangent), operands, calls.stage_span(expr), frame)
    return values if many else values[0]


def jvp(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> Value:
    """`jvp(y, x, v)`: the derivative of y along v."""
    bound = calls.bind(JVP, expr, piped, frame)
    y = expressions.expect_tensor(bound["y"].meaning, bound["y"].span, frame)
    x = _variable(bound["x"], frame)
    v = expressions.as_tensor(bound["v"].meaning, x.dtype, bound["v"].span, frame)
    operands = [(y, bound["y"].span), (x, bound["x"].span), (v, bound["v"].span)]
    return _node(Jvp(), operands, calls.stage_span(expr), frame)[0]


def _variable(given: calls.Given, frame: Frame) -> Value:
    if not isinstance(given.meaning, Value):
        fail(say.gradient_of_a_constant(given.span, frame.trace))
    return given.meaning


def _node(op: Any, operands: list[tuple[Value, Span]], span: Span, frame: Frame) -> tuple[Value, ...]:
    with made_at(frame.origin(span)):
        try:
            return Node(op, tuple(value for value, _ in operands)).values
        except TypeRuleError as error:
            fail(blame.type_rule_failed(error, span, operands, frame))


def rank(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> int:
    return len(_tensor(expr, piped, frame).shape)


def shape(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> tuple[Any, ...]:
    return _tensor(expr, piped, frame).shape


def size(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> Any:
    """The number of elements of a tensor, or of each of its parts along the axes `axis`."""
    bound = calls.bind(SIZE, expr, piped, frame)
    x = expressions.expect_tensor(bound["x"].meaning, bound["x"].span, frame)
    axes = calls.static_argument(AXES, bound["axis"], "size", frame) if "axis" in bound else None
    try:
        return product(tuple(x.shape[a] for a in normal_axes("size", axes, len(x.shape))))
    except TypeRuleError as error:
        fail(blame.type_rule_failed(error, calls.stage_span(expr), [(x, bound["x"].span)], frame))


def dtype(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> Any:
    return _tensor(expr, piped, frame).dtype


def _tensor(expr: ast.Call, piped: Any, frame: Frame) -> Value:
    given = calls.bind(Signature(expr.function.text, OF_A_TENSOR), expr, piped, frame)["x"]
    return expressions.expect_tensor(given.meaning, given.span, frame)


def misplaced_file(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> NoReturn:
    fail(say.file_outside_input(calls.stage_span(expr), frame.trace))
