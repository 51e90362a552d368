"""What the graph of a file does not say itself, and whoever prints or draws it wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from graphspec.ir import TensorType, Value


@dataclass(frozen=True, slots=True)
class Declaration:
    """An input of the graph: `word` is input, param, buffer or noise, `beginning` may be `~ normal()`."""

    word: str
    beginning: str = ""
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Dimension:
    """A dim of the file: its default, and its constraint as text."""

    default: int | None = None
    constraint: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """How an op or a block of the standard library is called.

    `required` and `optional` are its tensors; `statics` are the other parameters with their defaults,
    `UNKNOWN` where there is none, or none that is a plain value.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    statics: Mapping[str, Any]


UNKNOWN = object()


class Library(Protocol):
    """The definitions that a name means everywhere: those that the file does not define itself."""

    def op(self, name: str) -> Function | None:
        """How the op of that name is called; None where the library has no such op."""

    def block(self, name: str) -> Function | None:
        """How the block of that name is called; None where the library has no such block."""


class NoLibrary:
    """Nothing is known but the primitives: every definition is printed."""

    def op(self, name: str) -> Function | None:
        return None

    def block(self, name: str) -> Function | None:
        return None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a value was in a run: its type with numbers for dims, its Euclidean norm, its least and greatest
    element (None where it has no elements), and whether all of them are finite.
    """

    type: TensorType
    norm: float
    low: float | None
    high: float | None
    is_finite: bool


@dataclass(frozen=True, eq=False)
class Facts:
    """`results` says of outputs whether they are an output, a loss or the objective.

    `requested` are the outputs asked for: gradients, by the name of what they belong to.  `measured` says
    what values were in a run, if there was one.
    """

    declared: Mapping[str, Declaration] = field(default_factory=dict)
    results: Mapping[str, str] = field(default_factory=dict)
    dims: Mapping[str, Dimension] = field(default_factory=dict)
    library: Library = field(default_factory=NoLibrary)
    requested: frozenset[str] = frozenset()
    title: str = ""
    measured: Mapping[Value, Measured] = field(default_factory=dict)
