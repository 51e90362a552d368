"""Tensor types: a dtype and a shape of symbolic sizes."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from graphspec.ir.sizes import Size, evaluate, product, relation, same, symbols


class DType(enum.Enum):
    """The element types of the language, by their names in it."""

    BOOL = "bool"
    I32 = "i32"
    I64 = "i64"
    F16 = "f16"
    F32 = "f32"
    F64 = "f64"

    is_float: bool
    is_integer: bool
    itemsize: int  # bytes per element
    array_name: str  # the dtype's name in numpy and cupy: `float32`

    def __init__(self, name: str) -> None:
        self.is_float = name[0] == "f"
        self.is_integer = name[0] == "i"
        self.itemsize = 1 if name == "bool" else int(name[1:]) // 8
        self.array_name = name if name == "bool" else f"{'float' if self.is_float else 'int'}{name[1:]}"

    __hash__ = object.__hash__  # each is one object; the hash of enums is a call

    def __str__(self) -> str:
        return str(self.value)


@dataclass(frozen=True)
class TensorType:
    """`f32[N, 3]`; a shape `()` is a scalar."""

    dtype: DType
    shape: tuple[Size, ...] = ()

    @property
    def rank(self) -> int:
        return len(self.shape)

    @cached_property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @cached_property
    def symbols(self) -> frozenset[str]:
        return frozenset().union(*map(symbols, self.shape))

    def with_shape(self, shape: tuple[Size, ...]) -> TensorType:
        return TensorType(self.dtype, shape)

    def at(self, env: Mapping[str, int]) -> TensorType:
        """The type with its dims being these numbers."""
        return self.with_shape(tuple([evaluate(size, env) for size in self.shape]))

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


class TypeRuleError(Exception):
    """An op's refusal of its operands, as a plain sentence; whoever built the node adds the places.

    `help` is the remedy, where the op knows one; `id` the catalogue's name of the mistake.
    """

    def __init__(self, message: str, *, help: str = "", id: str = "shape-mismatch") -> None:
        super().__init__(message)
        self.message = message
        self.help = help
        self.id = id


def format_shape(shape: tuple[Size, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def same_shape(a: tuple[Size, ...], b: tuple[Size, ...]) -> bool:
    """Whether two shapes agree in rank and in every size (see `sizes.same`)."""
    return len(a) == len(b) and all(map(same, a, b))


def broadcast(*shapes: tuple[Size, ...]) -> tuple[Size, ...]:
    """The shape that numpy's broadcasting gives; a symbol never broadcasts as 1.

    Raises TypeRuleError where two sizes differ, and where values of different rank sharing a symbol
    would grow it into an outer product: `[N]` with `[N, 1]` is `[N, N]`, hardly ever meant.
    """
    result: tuple[Size, ...] = ()
    for shape in shapes:
        result = _broadcast(result, shape)
    return result


def _broadcast(a: tuple[Size, ...], b: tuple[Size, ...]) -> tuple[Size, ...]:
    if a == b or not b:
        return a
    if not a:
        return b
    rank = max(len(a), len(b))
    wide_a, wide_b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    out: list[Size] = []
    for axis, (p, q) in enumerate(zip(wide_a, wide_b, strict=True)):
        if p == 1 or q == 1:
            out.append(q if p == 1 else p)
        elif same(p, q):
            out.append(p)
        else:
            raise TypeRuleError(
                f"shapes {format_shape(a)} and {format_shape(b)} do not broadcast: "
                f"on axis {axis - rank} the sizes are {p} and {q}",
                help=_alignment_help(a, b),
            )
    if len(a) != len(b):
        for grown in _grown_twice(wide_a, wide_b):
            raise TypeRuleError(
                f"shapes {format_shape(a)} and {format_shape(b)} would broadcast to an outer product "
                f"{format_shape(tuple(out))}, with {grown} twice",
                help=_alignment_help(a, b)
                or f"write the new axis out if it is meant: [1, {grown}] with [{grown}, 1]",
                id="outer-product",
            )
    return tuple(out)


def _grown_twice(a: tuple[Size, ...], b: tuple[Size, ...]) -> list[Size]:
    """The symbolic sizes that stand on different axes of two shapes, broadcast on each of them."""
    only_a = [p for p, q in zip(a, b, strict=True) if q == 1 and p != 1 and symbols(p)]
    only_b = [q for p, q in zip(a, b, strict=True) if p == 1 and q != 1 and symbols(q)]
    return [p for p in only_a if any(relation(p, q) == "equal" for q in only_b)]


def _alignment_help(a: tuple[Size, ...], b: tuple[Size, ...]) -> str:
    """The likely remedy where a short shape aligns with the long one from the left or without a 1."""
    short, long = (a, b) if len(a) < len(b) else (b, a)
    if len(short) == len(long) or not short:
        return ""
    squeezed = tuple(s for s in long if s != 1)
    if same_shape(squeezed, short) and len(squeezed) < len(long):
        axis = next(i for i, s in enumerate(long) if s == 1)
        return f"`squeeze(..., axis={axis})` gives {format_shape(squeezed)}"
    if same_shape(long[: len(short)], short):
        padded = short + (1,) * (len(long) - len(short))
        return f"`reshape(..., {format_shape(padded)})` puts the sizes on the first axes"
    return ""
