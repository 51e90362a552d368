"""What type rules share: which dtypes an op takes, how axes are written, sentences for refusals."""

from __future__ import annotations

from collections.abc import Sequence

from graphspec.ir import DType, TensorType, TypeRuleError, broadcast

WRONG_DTYPE = "dtype-mismatch"


def require_float(what: str, *types: TensorType) -> DType:
    """The common dtype of operands that must be floating-point numbers."""
    for type in types:
        if not type.dtype.is_float:
            raise TypeRuleError(
                f"`{what}` needs floating-point numbers, not {type.dtype}",
                help="`cast(..., f32)` converts",
                id=WRONG_DTYPE,
            )
    return require_one_dtype(what, *types)


def require_number(what: str, *types: TensorType) -> DType:
    """The common dtype of operands that must be integers or floating-point numbers."""
    for type in types:
        if type.dtype is DType.BOOL:
            raise TypeRuleError(
                f"`{what}` needs numbers, not bool",
                help="`cast(..., f32)` makes 1 of true and 0 of false",
                id=WRONG_DTYPE,
            )
    return require_one_dtype(what, *types)


def require_bool(what: str, *types: TensorType) -> DType:
    """The dtype of operands that must be booleans."""
    for type in types:
        if type.dtype is not DType.BOOL:
            raise TypeRuleError(
                f"`{what}` needs booleans, not {type.dtype}", help="`x != 0` makes one", id=WRONG_DTYPE
            )
    return DType.BOOL


def require_integer(what: str, role: str, *types: TensorType) -> None:
    """Refuse indices that are not integers."""
    for type in types:
        if not type.dtype.is_integer:
            raise TypeRuleError(
                f"`{what}` needs integers as {role}, not {type.dtype}",
                help="`cast(..., i64)` converts",
                id=WRONG_DTYPE,
            )


def require_one_dtype(what: str, *types: TensorType) -> DType:
    """The dtype that all operands have: dtypes never mix silently."""
    first = types[0].dtype
    for type in types[1:]:
        if type.dtype is not first:
            wide = max(first, type.dtype, key=_breadth)
            raise TypeRuleError(
                f"`{what}` needs operands of one dtype, but they are {first} and {type.dtype}",
                help=f"`cast(..., {wide})` converts the other operand",
                id=WRONG_DTYPE,
            )
    return first


def _breadth(dtype: DType) -> tuple[bool, int]:
    return dtype.is_float, dtype.itemsize


def require_rank(what: str, role: str, type: TensorType, rank: int, layout: str) -> None:
    """Refuse an operand whose number of axes is not `rank`."""
    if type.rank != rank:
        raise TypeRuleError(f"`{what}` needs {role}{layout}, with {rank} axes, but it is {type}")


def elementwise(what: str, *types: TensorType) -> TensorType:
    """The type of an elementwise result: one dtype, shapes broadcast as numpy does."""
    first = types[0]
    if all([t is first for t in types]):  # noqa: C419  (a list: this runs for every node)
        return first
    dtype, shape = require_one_dtype(what, *types), broadcast(*[t.shape for t in types])
    return next((t for t in types if t.shape == shape), None) or TensorType(dtype, shape)


def normal_axis(what: str, axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        axes = "no axes" if rank == 0 else "1 axis" if rank == 1 else f"{rank} axes"
        raise TypeRuleError(f"`{what}` was asked for axis {axis} of a tensor with {axes}")
    return axis % rank


def normal_axes(what: str, axis: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front, sorted, each once; None means all."""
    if axis is None:
        return tuple(range(rank))
    axes = [normal_axis(what, a, rank) for a in ([axis] if isinstance(axis, int) else axis)]
    if len(set(axes)) < len(axes):
        raise TypeRuleError(f"`{what}` was given an axis twice: {list(axes)}")
    return tuple(sorted(axes))


def pair(what: str, role: str, value: int | Sequence[int]) -> tuple[int, int]:
    """A number for both spatial axes, or one for each."""
    values = (value,) if isinstance(value, int) else tuple(value)
    if len(values) not in (1, 2):
        raise TypeRuleError(f"`{role}` of `{what}` needs one or two numbers, not {len(values)}")
    return values[0], values[-1]
