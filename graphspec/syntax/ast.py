"""The abstract syntax of `.gspec`: what a file says, with the place of each part, and nothing inferred.

Paths (`enc.embed.weight`) are single strings with dots; `as` names are `label`s of calls.

Depth is bounded but for the left: `a + b + c ...`, `x -> f -> g ...` and `y[0][0]...` may have thousands of
parts, each node holding the one before as `left`, `piped` or `operand`.  Whoever walks expressions goes down
that side in a loop (`left_spine` and `walk` in graphspec/syntax/walk.py) and may recurse on the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar, dataclass_transform

from graphspec.diagnostics import Source, Span

T = TypeVar("T")


class Syntax:
    """What all parts of the tree share: equal where all their parts and places are."""

    __slots__: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._parts() == other._parts()

    def __hash__(self) -> int:
        return hash((type(self), self._parts()))

    def __repr__(self) -> str:
        shown = zip(self.__slots__, self._parts(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={part!r}' for name, part in shown)})"

    def _parts(self) -> tuple[object, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)


@dataclass_transform(frozen_default=True, eq_default=True, field_specifiers=(field,))
def syntax(cls: type[T]) -> type[T]:
    """A dataclass with slots, frozen for whoever checks types: at run time that would double its cost.

    `Syntax` has the methods that dataclass would compile for each class.
    """
    return dataclass(slots=True, eq=False, repr=False)(cls)


@syntax
class Path(Syntax):
    """A dotted name as written: `conv1`, `enc.embed.weight`, `stage.2`."""

    text: str
    span: Span


# ---------------------------------------------------------------- expressions


@syntax
class Name(Syntax):
    """A name used as a value."""

    path: Path
    span: Span


@syntax
class Number(Syntax):
    """An integer or a float literal; `text` is as written."""

    value: int | float
    text: str
    span: Span


@syntax
class String(Syntax):
    value: str
    span: Span


@syntax
class Boolean(Syntax):
    value: bool
    span: Span


@syntax
class NoneLiteral(Syntax):
    span: Span


@syntax
class Unary(Syntax):
    """`-x` or `not x`; `op` is "-" or "not"."""

    op: str
    operand: Expr
    span: Span


@syntax
class Binary(Syntax):
    """`op` is one of + - * / // % @ ** == != < <= > >= and or."""

    op: str
    left: Expr
    right: Expr
    span: Span
    op_span: Span


@syntax
class Conditional(Syntax):
    """`then if condition else otherwise`, decided before arrays exist."""

    then: Expr
    condition: Expr
    otherwise: Expr
    span: Span


@syntax
class IsNone(Syntax):
    """`operand is none`, or `operand is not none` when negated."""

    operand: Expr
    negated: bool
    span: Span


@syntax
class Range(Syntax):
    """`name in start..stop`, half open; only as the first argument of `repeat` and `each`."""

    name: Path
    start: Expr
    stop: Expr
    span: Span


@syntax
class Argument(Syntax):
    """One argument of a call; `name` where it is given by keyword."""

    value: Expr | Range
    name: Path | None
    span: Span


@syntax
class Call(Syntax):
    """`function(arguments) as label`.

    `piped` is the value on the left of `->`, if any (a `Tuple` there fills the first arguments);
    `bare` says that the stage was written without parentheses (`x -> relu`).  `span` covers function,
    arguments and label, not the piped value: the smallest place to blame.
    """

    function: Path
    arguments: tuple[Argument, ...]
    label: Path | None
    piped: Expr | None
    bare: bool
    span: Span


@syntax
class Slice(Syntax):
    start: Expr | None
    stop: Expr | None
    step: Expr | None
    span: Span


@syntax
class Ellipsis(Syntax):
    """`...` in an index, a type or a pattern."""

    span: Span


@syntax
class Index(Syntax):
    """`operand[indices]`; an index is an expression, a slice, `...` or `none` (a new axis)."""

    operand: Expr
    indices: tuple[Expr | Slice | Ellipsis, ...]
    span: Span


@syntax
class Tuple(Syntax):
    items: tuple[Expr, ...]
    span: Span


@syntax
class List(Syntax):
    items: tuple[Expr, ...]
    span: Span


Expr: TypeAlias = (
    Name
    | Number
    | String
    | Boolean
    | NoneLiteral
    | Unary
    | Binary
    | Conditional
    | IsNone
    | Call
    | Index
    | Tuple
    | List
)


# ---------------------------------------------------------------- types


@syntax
class Shape(Syntax):
    """`[N, 3, ...]`: sizes are expressions, at most one `...`."""

    sizes: tuple[Expr | Ellipsis, ...]
    span: Span


@syntax
class Type(Syntax):
    """`f32[N, 3]`, or `[N, 3]` where the dtype is left open."""

    dtype: Path | None
    shape: Shape
    span: Span


# ---------------------------------------------------------------- statements


@syntax
class Dim(Syntax):
    """One item of a `dim` statement: `N = 100 where N % 2 == 0`."""

    name: Path
    default: Expr | None
    constraint: Expr | None
    span: Span
    doc: str = ""


@syntax
class Start(Syntax):
    """How a tensor begins: `~ normal(std=0.02)` (drawn) or `= zeros()` (given)."""

    drawn: bool
    value: Expr
    span: Span


@syntax
class Declare(Syntax):
    """A declaration of a tensor, by `kind`.

    In a file the type has a dtype; in a block it may be only a shape.  `public` is the `as` name.
    """

    kind: Literal["input", "param", "buffer", "noise"]
    path: Path
    type: Type
    public: Path | None
    start: Start | None
    span: Span
    doc: str = ""


@syntax
class Const(Syntax):
    name: Path
    value: Expr
    span: Span
    doc: str = ""


@syntax
class Result(Syntax):
    """`output`, `loss` or `objective`, by `kind`; an `output` may name an existing value only."""

    kind: str
    path: Path
    type: Type | None
    value: Expr | None
    span: Span
    doc: str = ""


@syntax
class Init(Syntax):
    """`init h.*.weight ~ normal(std=0.02)`."""

    pattern: Path
    start: Start
    span: Span
    doc: str = ""


@syntax
class Layer(Syntax):
    """`layer enc = encoder(width=64)`."""

    path: Path
    value: Expr
    span: Span
    doc: str = ""


@syntax
class Import(Syntax):
    path: String
    name: Path
    span: Span


@syntax
class Target(Syntax):
    path: Path
    type: Type | None
    span: Span


@syntax
class Assign(Syntax):
    targets: tuple[Target, ...]
    value: Expr
    span: Span
    doc: str = ""


@syntax
class Return(Syntax):
    values: tuple[Expr, ...]
    span: Span


@syntax
class Require(Syntax):
    condition: Expr
    message: str
    span: Span


@syntax
class Update(Syntax):
    """`update running_mean = ...`, in a block."""

    path: Path
    value: Expr
    span: Span


@syntax
class Gradient(Syntax):
    """`gradient(dy) x = ...` or `surrogate(dy) x = ...`."""

    surrogate: bool
    cotangents: tuple[Path, ...]
    argument: Path
    value: Expr
    span: Span


@syntax
class If(Syntax):
    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    span: Span


@syntax
class TensorParameter(Syntax):
    """`x`, `x[..., I]`, or with `= none` an optional one."""

    name: Path
    shape: Shape | None
    default: Expr | None
    span: Span


@syntax
class StaticParameter(Syntax):
    """`width: int = 64`; `word` is int, float, bool or str.

    `count` is None for a plain value, 0 for `int[]` and n for `int[n]`.
    """

    name: Path
    word: str
    count: int | None
    default: Expr | None
    span: Span


Parameter: TypeAlias = TensorParameter | StaticParameter


@syntax
class Definition(Syntax):
    """A `block` or an `op`, by `kind`.

    `value` is the expression after `=` of a one-line op; `body` the braced statements (after `=`
    gradient lines only).
    """

    kind: str
    name: Path
    parameters: tuple[Parameter, ...]
    results: tuple[Type, ...] | None
    value: Expr | None
    body: tuple[Statement, ...]
    span: Span
    doc: str = ""


Statement: TypeAlias = (
    Dim
    | Declare
    | Const
    | Result
    | Init
    | Layer
    | Import
    | Assign
    | Return
    | Require
    | Update
    | Gradient
    | If
    | Definition
)


@syntax
class File(Syntax):
    """A whole `.gspec` file; `dim A, B` gives one `Dim` each.

    `broken` are the names that stood in statements lost to syntax errors: not knowing them is no second
    error.
    """

    source: Source
    version: int
    statements: tuple[Statement, ...]
    doc: str = ""
    broken: frozenset[str] = frozenset()
    span: Span = field(kw_only=True)
