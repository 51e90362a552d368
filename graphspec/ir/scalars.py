"""Real numbers computed from sizes: `1 / sqrt(I)` where `I` is a dim that is not known yet.

A `Number` is a plain `int` or `float` wherever it is known, a `Size` where it is integer arithmetic on
dims, else a `Scalar`: a small expression, evaluated in double precision when the dims are known.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from graphspec.ir.sizes import Symbolic, evaluate, symbols

Number: TypeAlias = "int | float | Symbolic | Scalar"


FUNCTIONS: dict[str, Callable[..., float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "neg": operator.neg,
    "abs": abs,
    "minimum": min,
    "maximum": max,
    "sqrt": math.sqrt,
    "exp": math.exp,
    "log": math.log,
    "log1p": math.log1p,
    "expm1": math.expm1,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "tanh": math.tanh,
    "atan2": math.atan2,
    "erf": math.erf,
    "erfc": math.erfc,
    "floor": math.floor,
    "ceil": math.ceil,
    "round": round,
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """`function(arguments)`, `function` a key of `FUNCTIONS`; `depth` counts those inside one another."""

    function: str
    arguments: tuple[Number, ...]
    depth: int = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        inner = (a.depth for a in self.arguments if isinstance(a, Scalar))
        object.__setattr__(self, "depth", 1 + max(inner, default=0))

    def __str__(self) -> str:
        texts = [str(a) for a in self.arguments]
        if len(texts) == 2 and not self.function.isidentifier():
            return f"({texts[0]} {self.function} {texts[1]})"
        return f"{self.function}({', '.join(texts)})"


def compute(function: str, *arguments: Number) -> Number:
    """`function(arguments)`: a number where the arguments are numbers, else a size or a `Scalar`.

    Raises ZeroDivisionError, ValueError or OverflowError where the function has no value.
    """
    if all(isinstance(a, int | float) for a in arguments):
        return FUNCTIONS[function](*arguments)
    if function in ("+", "-", "*", "//", "%", "neg") and all(
        isinstance(a, int | Symbolic) for a in arguments
    ):
        return FUNCTIONS[function](*arguments)
    if (
        function == "**"
        and isinstance(arguments[0], Symbolic)
        and isinstance(arguments[1], int)
        and arguments[1] >= 0
    ):
        return arguments[0] ** arguments[1]
    return Scalar(function, arguments)


def evaluate_number(number: Number, env: Mapping[str, int]) -> int | float:
    """The number that `number` is where the dims have the numbers of `env`."""
    if isinstance(number, Scalar):
        return FUNCTIONS[number.function](*(evaluate_number(a, env) for a in number.arguments))
    return evaluate(number, env) if isinstance(number, Symbolic) else number


def number_symbols(number: Number) -> frozenset[str]:
    """The names of the dims that a number depends on."""
    if isinstance(number, Scalar):
        return frozenset().union(*(number_symbols(a) for a in number.arguments))
    return symbols(number) if isinstance(number, Symbolic) else frozenset()
