"""The state of one lowering: what is being built, and the frames in which bodies are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, TypeAlias

from graphspec.diagnostics import Diagnostic, Span
from graphspec.diagnostics.catalogue.definitions import nested_deeper_than_read, too_much_to_unroll
from graphspec.diagnostics.catalogue.types import size_needed
from graphspec.ir import DType, Input, Number, Origin, Scalar, Size, Symbolic, Value, apply
from graphspec.ir.scalars import evaluate_number, number_symbols
from graphspec.lowering.module import Check, Declared, Dim, Result
from graphspec.syntax import ast

#: levels of nesting: each takes up to eight of the thousand calls that Python allows by default
MAX_DEPTH = 100

#: steps and applications in one file: a network of so many layers would not be written so
MOST_WORK = 100_000


class Failed(Exception):  # noqa: N818  (control flow, never shown)
    """An expression that has no meaning; its diagnostics, none where another error caused it."""

    def __init__(self, *diagnostics: Diagnostic) -> None:
        super().__init__(*diagnostics)
        self.diagnostics = diagnostics


Trace: TypeAlias = "tuple[tuple[str, Span], ...]"


class Exhausted(Exception):  # noqa: N818  (control flow, never shown)
    """A file that unrolls to more than is real; the whole lowering stops."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic)
        self.diagnostic = diagnostic


class Poison:
    """What a name stands for whose statement failed: using it is silent."""

    def __repr__(self) -> str:
        return "<failed>"


POISON = Poison()


@dataclass(frozen=True, eq=False)
class Namespace:
    """The definitions and consts of one file: what a body written in it can see.

    `imports` are other namespaces by their `as` names, None where the import failed.  `is_std` marks
    the standard library, whose bodies see only itself and whose locals are private.
    """

    name: str
    definitions: Mapping[str, ast.Definition]
    consts: Mapping[str, Any]
    imports: Mapping[str, Namespace | None]
    is_std: bool = False


@dataclass(frozen=True, eq=False)
class LayerRef:
    """`layer enc = encoder(width=64)`: one set of weights, not applied yet."""

    path: str
    owner: str | None
    definition: ast.Definition
    home: Namespace
    statics: Mapping[str, tuple[Any, Span]]
    span: Span


@dataclass(eq=False)
class BodyBuilder:
    """A call's body while it is read: declarations inside become parameters of the body."""

    outer: BodyBuilder | None
    lifted: dict[Value, Value] = field(default_factory=dict)
    updates: dict[str, Value] = field(default_factory=dict)


def lift(body: BodyBuilder | None, value: Value) -> Value:
    """A declared tensor as it is seen inside a call's body: a parameter of that body."""
    if body is None:
        return value
    if value not in body.lifted:
        assert isinstance(value.node.op, Input)
        lift(body.outer, value)
        body.lifted[value] = apply(Input(value.node.op.label, value.type))
    return body.lifted[value]


def updates_of(frame: Frame) -> dict[str, Value]:
    """The new values of buffers, as far as a frame has got."""
    return frame.body.updates if frame.body is not None else frame.ctx.updates


def current(declared: Value, frame: Frame) -> Value:
    """A declared tensor as a frame sees it; a buffer that an earlier application of its layer has updated
    is that new value.
    """
    assert isinstance(declared.node.op, Input)
    updated = updates_of(frame).get(declared.node.op.label)
    return lift(frame.body, declared) if updated is None else updated


class Errors:
    """Errors in the order in which they were met; one mistake in a block that is used twice is one error.

    `met` counts the repeated ones too.
    """

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self.met = 0
        self._known: set[tuple[str, Span | None, str]] = set()

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        for d in diagnostics:
            self.met += 1
            while d.trace and d.primary and d.trace[0][1] == d.primary.span:
                d = replace(d, trace=d.trace[1:])  # the call is marked already
            # the place of a mistake inside a definition says all; elsewhere one place may have several
            key = (d.id, d.primary.span if d.primary else None, "" if d.trace else d.message)
            if key not in self._known:
                self._known.add(key)
                self.found.append(d)


@dataclass(eq=False)
class Context:
    """What one lowering has found so far.

    `values` are the names that may be asked for, `places` where they were given, `tokens` which
    declaration made which parameter, `bodies` the bodies of calls by definition, statics and types.
    """

    training: bool
    float_dtype: DType | None
    sets: Mapping[str, Any]
    values: dict[str, Value | Poison] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    declared: dict[str, Declared] = field(default_factory=dict)
    tokens: dict[str, object] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    updates: dict[str, Value] = field(default_factory=dict)
    dims: dict[str, Dim] = field(default_factory=dict)
    structural: dict[str, int] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    #: the checks of expressions that were given from outside, by their text
    late: dict[str, tuple[Check, ...]] = field(default_factory=dict)
    errors: Errors = field(default_factory=Errors)
    bodies: dict[Any, Any] = field(default_factory=dict)
    mode_matters: bool = False
    #: how many expressions and definitions are being read inside one another
    depth: int = 0
    #: how many steps of repetitions and applications of blocks were read
    work: int = 0
    folder: str | None = None
    #: the definitions that were read, by identity, and the names lost to syntax errors
    read: set[int] = field(default_factory=set)
    broken: frozenset[str] = frozenset()
    #: the values that apply a layer, by the layer's path
    applications: dict[str, list[str]] = field(default_factory=dict)
    #: the names that were offered to calls without one
    offered: dict[Span, str] = field(default_factory=dict)
    #: structural dims that stand for their numbers throughout, and all dims without that
    numbers: Mapping[str, int] = field(default_factory=dict)
    symbols: dict[str, Size] = field(default_factory=dict)

    def report(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.errors.add(diagnostics)

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """What fails inside is reported, and the reading goes on after."""
        try:
            yield
        except Failed as failure:
            self.report(failure.diagnostics)

    def spend(self, place: Span) -> None:
        """Count one step or application, of which there may be many but not any number."""
        self.work += 1
        if self.work > MOST_WORK:
            raise Exhausted(too_much_to_unroll(MOST_WORK, place))

    def enter(self, place: Span, trace: Trace) -> None:
        """One level of nesting more, until `leave`."""
        if self.depth >= MAX_DEPTH:
            fail(nested_deeper_than_read(MAX_DEPTH, place, trace))
        self.depth += 1

    def leave(self) -> None:
        self.depth -= 1

    @contextmanager
    def apart(self) -> Iterator[Errors]:
        """Errors met inside are kept apart, for whoever asks to say what becomes of them."""
        before, self.errors = self.errors, Errors()
        try:
            yield self.errors
        finally:
            self.errors = before

    def number(self, number: Number, why: Span, frame: Frame) -> int | float:
        """The number that a size must be because it decides the graph; its dims become structural."""
        if not isinstance(number, Symbolic | Scalar):
            return number
        for name in sorted(number_symbols(number)):
            if name not in self.structural:
                dim = self.dims.get(name)
                if dim is None or dim.default is None:
                    fail(size_needed(name, why, dim.origin.span if dim and dim.origin else None, frame.trace))
                self.structural[name] = dim.default
        return evaluate_number(number, self.structural)


@dataclass(eq=False)
class Frame:
    """One reading of a body (or of the file): its names and where its own names will hang.

    `values` is the dotted prefix of value names ("" in the file, None where they are private);
    `owner` that of parameters (None where no name was given: then nothing can be owned, and
    `anonymous` is the call to blame); `noise` that of noise, which belongs to the application, and
    hangs on the statement where no name was given.
    """

    ctx: Context
    home: Namespace
    names: dict[str, Any]
    values: str | None
    owner: str | None
    trace: tuple[tuple[str, Span], ...] = ()
    definition: ast.Definition | None = None
    body: BodyBuilder | None = None
    anonymous: tuple[str, Span] | None = None
    ellipsis: tuple[Size, ...] | None = None
    dtype: DType | None = None
    is_file: bool = False
    stack: tuple[ast.Definition, ...] = ()
    #: the innermost place in the user's own text, blamed for what goes wrong inside std
    site: Span | None = None
    token: object = None
    noise: str = ""
    statement: str = ""
    #: the buffers that this reading has updated
    updated: set[str] = field(default_factory=set)

    def origin(self, span: Span) -> Origin:
        return Origin(self.site, self.trace) if self.home.is_std and self.site else Origin(span, self.trace)


def join(prefix: str | None, name: str) -> str | None:
    """`prefix.name`; None where the prefix is None."""
    if prefix is None:
        return None
    return f"{prefix}.{name}" if prefix else name


def fail(diagnostic: Diagnostic) -> NoReturn:
    raise Failed(diagnostic)
