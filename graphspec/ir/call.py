"""Calls: an application of a definition of the language, kept whole with its typed body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from graphspec.ir.op import Op, Origin, Value, op
from graphspec.ir.types import TensorType, TypeRuleError


@dataclass(frozen=True, eq=False)
class HandGradient:
    """A hand-written derivative: the cotangent of one argument from arguments and cotangents.

    `value` is computed from the body's `parameters` and from `cotangents`, one `Input` per result.
    A surrogate is deliberately another derivative, which gradcheck reports and does not fail.  `origin` is
    the line that says it.
    """

    value: Value
    cotangents: tuple[Value, ...]
    surrogate: bool
    origin: Origin | None = None


@dataclass(frozen=True, eq=False)
class Body:
    """What a call computes: results from parameters (`Input` nodes, in the order of the call's inputs).

    `gradients` holds hand-written derivatives by argument position; the others are derived.
    `adjoints` is a cache of the bodies of its derivative, by what they compute.
    """

    parameters: tuple[Value, ...]
    results: tuple[Value, ...]
    gradients: Mapping[int, HandGradient] = field(default_factory=dict)
    adjoints: dict[Any, Body] = field(default_factory=dict, repr=False)


@op
class Call(Op):
    """`definition(inputs; statics)`.  Equal where definition, statics and body are the same.

    The body is shared by all calls of a definition with the same statics and argument types.
    """

    definition: str
    statics: tuple[tuple[str, Any], ...]
    body: Body
    is_internal = True

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expected = tuple(p.type for p in self.body.parameters)
        if inputs != expected:
            raise TypeRuleError(f"`{self.definition}` was made for {expected}, not for {inputs}")
        return tuple(r.type for r in self.body.results)
