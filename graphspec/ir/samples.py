"""Operands from which the tests of an op are generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from graphspec.ir.op import Op


@dataclass(frozen=True, slots=True)
class Box:
    """An operand: numbers drawn evenly from [low, high), or `values` as they stand.

    `kind` is "float" (tested in f32 and f64), "int" or "bool".
    """

    shape: tuple[int, ...] = ()
    low: float = -2.0
    high: float = 2.0
    kind: str = "float"
    values: Any = None


@dataclass(frozen=True, slots=True)
class Sample:
    """An op with its attributes, and its operands."""

    op: Op
    inputs: tuple[Box, ...]
    #: finite differences make sense here (no kink within the box)
    differentiable: bool = True
