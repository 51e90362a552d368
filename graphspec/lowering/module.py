"""What lowering makes of a file: its values by name, its declarations, its results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from graphspec.diagnostics import Diagnostic
from graphspec.ir import Graph, Number, Origin, Size, TensorType, Value

Kind = Literal["input", "param", "buffer", "noise"]


@dataclass(frozen=True, slots=True)
class Draw:
    """`~ normal(std=0.02)`: a sampler of `ops.samplers` with all its arguments."""

    sampler: str
    arguments: tuple[tuple[str, Number], ...] = ()


@dataclass(frozen=True, slots=True)
class Given:
    """`= zeros()`: a value that depends on no input."""

    value: Value


@dataclass(frozen=True, slots=True)
class DataFile:
    """`= file("data/iris.npz", "x")`: an existing path and the array's name in it (None for .npy)."""

    path: str
    key: str | None


@dataclass(frozen=True, slots=True)
class Declared:
    """An input, a parameter, a buffer or noise: the `Input` node's value and how it begins.

    `type` is that of the value, but for dims that decide the graph: they are symbols in it also where
    the value has their numbers, so that data can give them others.
    """

    name: str
    kind: Kind
    value: Value
    start: Draw | Given | DataFile | None
    origin: Origin | None
    doc: str = ""
    type: TensorType = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Dim:
    """A dim of the file.

    `size` is what the name stands for (another size where a constraint equates them), `default` the
    number after `=`, or the one set from outside (then `explicit`).
    """

    name: str
    size: Size
    default: int | None
    explicit: bool
    origin: Origin | None
    constraints: tuple[Any, ...] = ()
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """An `output`, `loss` or `objective` of the file."""

    name: str
    kind: Literal["output", "loss", "objective"]
    value: Value
    origin: Origin | None
    doc: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """Two sizes of one place that must turn out equal (or, with "<=", in order)."""

    left: Size
    right: Size
    origin: Origin | None
    relation: Literal["==", "<="] = "=="


@dataclass(frozen=True, eq=False)
class Module:
    """A lowered file.

    `values` holds every name that may be asked for: declarations, values, losses, `conv1.x`, steps of
    repetitions.  `updates` are the new values of buffers (train mode).  `structural` are the dims whose
    numbers decided the graph.  `mode_matters` tells whether the graph depends on `training`.
    `scope` is lowering's own (for `--of` expressions).
    """

    name: str
    values: Mapping[str, Value]
    declared: Mapping[str, Declared]
    results: Mapping[str, Result]
    updates: Mapping[str, Value]
    dims: Mapping[str, Dim]
    consts: Mapping[str, Any]
    structural: Mapping[str, int]
    checks: tuple[Check, ...]
    warnings: tuple[Diagnostic, ...]
    mode_matters: bool
    scope: Any = field(repr=False)
    doc: str = ""

    def graph(self, outputs: Mapping[str, Value] | None = None) -> Graph:
        """The whole graph, with every name."""
        return Graph(
            {r.name: r.value for r in self.results.values()} if outputs is None else outputs, self.values
        )
