"""`grad` and `jvp` as nodes: placeholders that differentiation replaces by the graph they stand for."""

from __future__ import annotations

from graphspec.ir import Op, TensorType, TypeRuleError, op
from graphspec.ir.types import format_shape, same_shape


@op
class Grad(Op):
    """g_i[...] = sum_k v[k] * dy[k]/dx_i[...], the gradient of y, or of <v, y>, in each x_i.

    The inputs are `y, x_1, ..., x_n` and, if `has_cotangent`, `v`; there is one result for each x.
    Shapes: y[], x_i[...] -> g_i[...];  with a cotangent y[K...], v[K...].
    `allow_zero` gives zeros for an x that y does not depend on, which is otherwise an error.
    Source: Griewank & Walther, Evaluating Derivatives (2008), chapter 3 (reverse mode).
    """

    wrt: int
    has_cotangent: bool = False
    allow_zero: bool = False
    is_internal = True

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        y, *rest = inputs
        xs, cotangents = rest[: self.wrt], rest[self.wrt :]
        _require_float("grad", "the differentiated value", y)
        for x in xs:
            _require_float("grad", "the value to differentiate by", x)
        if cotangents:
            _require_like("grad", "the cotangent", cotangents[0], y)
        elif y.shape != ():
            raise TypeRuleError(
                f"`grad` needs a cotangent for a value that is not a scalar, and it is {y}",
                help=f"give `cotangent=` a value of type {y}, or differentiate `sum(...)` of it",
                id="gradient-of-tensor",
            )
        return tuple(xs)


@op
class Jvp(Op):
    """t[...] = sum_k dy[...]/dx[k] * v[k], the derivative of y when x moves along v.

    The inputs are `y, x, v`.  `allow_zero` gives zeros where y does not depend on x.
    Shapes: y[...], x[K...], v[K...] -> t[...].
    Source: Griewank & Walther, Evaluating Derivatives (2008), chapter 3 (forward mode).
    """

    allow_zero: bool = False
    is_internal = True

    def infer(self, y: TensorType, x: TensorType, v: TensorType) -> TensorType:
        _require_float("jvp", "the differentiated value", y)
        _require_float("jvp", "the value to differentiate by", x)
        _require_like("jvp", "the direction", v, x)
        return y


def _require_float(what: str, role: str, type: TensorType) -> None:
    if not type.dtype.is_float:
        raise TypeRuleError(
            f"`{what}` needs floating-point values, but {role} is {type}",
            help="integers and booleans have no derivative",
            id="dtype-mismatch",
        )


def _require_like(what: str, role: str, found: TensorType, wanted: TensorType) -> None:
    if found.dtype is not wanted.dtype:
        raise TypeRuleError(
            f"{role} of `{what}` must be {wanted.dtype} as the value it belongs to, but it is {found.dtype}",
            id="dtype-mismatch",
        )
    if not same_shape(found.shape, wanted.shape):
        raise TypeRuleError(
            f"{role} of `{what}` must have the shape of the value it belongs to, "
            f"{format_shape(wanted.shape)}, but it has {format_shape(found.shape)}"
        )
