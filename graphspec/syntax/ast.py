"""The abstract syntax of `.gspec`: what a file says, with the place of each part, and nothing inferred.

Paths (`enc.embed.weight`) are single strings with dots; `as` names are `label`s of calls.

Depth is bounded but for the left: `a + b + c ...`, `x -> f -> g ...` and `y[0][0]...` may have thousands of
parts, each node holding the one before as `left`, `piped` or `operand`.  Whoever walks expressions goes down
that side in a loop (`left_spine` and `walk` in graphspec/syntax/walk.py) and may recurse on the others.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from graphspec.diagnostics import Source, Span


@dataclass(frozen=True, slots=True)
class Path:
    """A dotted name as written: `conv1`, `enc.embed.weight`, `stage.2`."""

    text: str
    span: Span


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True, slots=True)
class Name:
    """A name used as a value."""

    path: Path
    span: Span


@dataclass(frozen=True, slots=True)
class Number:
    """An integer or a float literal; `text` is as written."""

    value: int | float
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Boolean:
    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class NoneLiteral:
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`; `op` is "-" or "not"."""

    op: str
    operand: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`op` is one of + - * / // % @ ** == != < <= > >= and or."""

    op: str
    left: Expr
    right: Expr
    span: Span
    op_span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    """`then if condition else otherwise`, decided before arrays exist."""

    then: Expr
    condition: Expr
    otherwise: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class IsNone:
    """`operand is none`, or `operand is not none` when negated."""

    operand: Expr
    negated: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Range:
    """`name in start..stop`, half open; only as the first argument of `repeat` and `each`."""

    name: Path
    start: Expr
    stop: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call; `name` where it is given by keyword."""

    value: Expr | Range
    name: Path | None
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
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


@dataclass(frozen=True, slots=True)
class Slice:
    start: Expr | None
    stop: Expr | None
    step: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class Ellipsis:
    """`...` in an index, a type or a pattern."""

    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    """`operand[indices]`; an index is an expression, a slice, `...` or `none` (a new axis)."""

    operand: Expr
    indices: tuple[Expr | Slice | Ellipsis, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class List:
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


@dataclass(frozen=True, slots=True)
class Shape:
    """`[N, 3, ...]`: sizes are expressions, at most one `...`."""

    sizes: tuple[Expr | Ellipsis, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Type:
    """`f32[N, 3]`, or `[N, 3]` where the dtype is left open."""

    dtype: Path | None
    shape: Shape
    span: Span


# ---------------------------------------------------------------- statements


@dataclass(frozen=True, slots=True)
class Dim:
    """One item of a `dim` statement: `N = 100 where N % 2 == 0`."""

    name: Path
    default: Expr | None
    constraint: Expr | None
    span: Span
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Start:
    """How a tensor begins: `~ normal(std=0.02)` (drawn) or `= zeros()` (given)."""

    drawn: bool
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Declare:
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


@dataclass(frozen=True, slots=True)
class Const:
    name: Path
    value: Expr
    span: Span
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """`output`, `loss` or `objective`, by `kind`; an `output` may name an existing value only."""

    kind: str
    path: Path
    type: Type | None
    value: Expr | None
    span: Span
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Init:
    """`init h.*.weight ~ normal(std=0.02)`."""

    pattern: Path
    start: Start
    span: Span
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """`layer enc = encoder(width=64)`."""

    path: Path
    value: Expr
    span: Span
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Import:
    path: String
    name: Path
    span: Span


@dataclass(frozen=True, slots=True)
class Target:
    path: Path
    type: Type | None
    span: Span


@dataclass(frozen=True, slots=True)
class Assign:
    targets: tuple[Target, ...]
    value: Expr
    span: Span
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Return:
    values: tuple[Expr, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Require:
    condition: Expr
    message: str
    span: Span


@dataclass(frozen=True, slots=True)
class Update:
    """`update running_mean = ...`, in a block."""

    path: Path
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class Gradient:
    """`gradient(dy) x = ...` or `surrogate(dy) x = ...`."""

    surrogate: bool
    cotangents: tuple[Path, ...]
    argument: Path
    value: Expr
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    condition: Expr
    then: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class TensorParameter:
    """`x`, `x[..., I]`, or with `= none` an optional one."""

    name: Path
    shape: Shape | None
    default: Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class StaticParameter:
    """`width: int = 64`; `word` is int, float, bool or str.

    `count` is None for a plain value, 0 for `int[]` and n for `int[n]`.
    """

    name: Path
    word: str
    count: int | None
    default: Expr | None
    span: Span


Parameter: TypeAlias = TensorParameter | StaticParameter


@dataclass(frozen=True, slots=True)
class Definition:
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


@dataclass(frozen=True, slots=True)
class File:
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
