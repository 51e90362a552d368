"""What a file says of the graphs made from it, for those who print and draw them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from graphspec.ir import Literal, Symbolic, Value
from graphspec.ir.sizes import Symbol
from graphspec.lifting.facts import UNKNOWN, Declaration, Dimension, Facts, Function
from graphspec.lifting.spelling import number_text, static_text
from graphspec.lowering.definitions import standard_library
from graphspec.lowering.module import Declared, Dim, Draw, Given, Module
from graphspec.lowering.signatures import Parameter, of_definition
from graphspec.ops.samplers import SAMPLERS
from graphspec.syntax import ast


class StandardLibrary:
    """The library as a file sees it, whose own definitions come first."""

    def __init__(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden

    def op(self, name: str) -> Function | None:
        """How the op of that name is called."""
        return None if name in self._hidden else _function(name, "op")

    def block(self, name: str) -> Function | None:
        """How the block of that name is called."""
        return None if name in self._hidden else _function(name, "block")


@cache
def _function(name: str, kind: str) -> Function | None:
    known = standard_library().definitions
    if name not in known or known[name].kind != kind:
        return None
    parameters = of_definition(known[name]).parameters
    return Function(
        tuple(p.name for p in parameters if p.is_tensor and p.is_required),
        tuple(p.name for p in parameters if p.is_tensor and not p.is_required),
        {p.name: _default(p) for p in parameters if not p.is_tensor},
    )


def _default(parameter: Parameter) -> Any:
    """The default of a static parameter where it is a plain value."""
    match parameter.default:
        case ast.Number() | ast.String() | ast.Boolean():
            value = parameter.default.value
            return float(value) if parameter.word == "float" else value
        case ast.Unary(op="-", operand=ast.Number(value=number)):
            return -float(number) if parameter.word == "float" else -number
        case ast.NoneLiteral():
            return None
    return UNKNOWN


def facts_of(module: Module, title: str = "") -> Facts:
    """What a file says of the graphs made from it."""
    return Facts(
        {name: Declaration(d.kind, _beginning(d), d.doc) for name, d in module.declared.items()},
        {result.name: result.kind for result in module.results.values()},
        {name: _dimension(dim) for name, dim in module.dims.items()},
        StandardLibrary(frozenset(module.scope.home.definitions)),
        title=title,
    )


def _beginning(declared: Declared) -> str:
    """`~ normal(std=0.02)`; nothing for data files, which lie beside the original."""
    match declared.start:
        case Draw(sampler=name, arguments=arguments):
            return f"~ {_sampler(name, dict(arguments))}"
        case Given(value=value) if (number := _constant(value)) is not None:
            return f"= {number}"
    return ""


def _sampler(name: str, arguments: Mapping[str, Any]) -> str:
    """`uniform(-0.5, 0.5)`, `randint(10)`, `normal(std=0.02)`: without what is the default anyway."""
    signature = SAMPLERS[name]
    defaults = {p.name: p.default for p in signature.parameters}
    texts = {n: _argument(value) for n, value in arguments.items()}
    shown = {n: text for n, text in texts.items() if arguments[n] != defaults[n]}
    first = next(iter(defaults))
    if set(shown) == {signature.lone}:
        return f"{name}({', '.join(shown.values())})"
    if first in shown and len(defaults) == 2:
        return f"{name}({', '.join(texts.values())})"
    return f"{name}({', '.join(f'{n}={text}' for n, text in shown.items())})"


def _argument(value: Any) -> str:
    return static_text(value) if isinstance(value, str) else number_text(value).text


def _constant(value: Value) -> str | None:
    """`zeros()`, `ones()` or a number, for a tensor that is the same everywhere."""
    node = value.node
    inner = node.inputs[0].node if node.op.name == "broadcast_to" else node
    if not isinstance(inner.op, Literal):
        return None
    text = number_text(inner.op.value).text
    return {"0": "zeros()", "1": "ones()"}.get(text, text)


def _dimension(dim: Dim) -> Dimension:
    """The default, and the constraint that sizes are divisible, which types rely on."""
    divisors = [
        atom.divisor
        for monomial, _ in (dim.size.terms if isinstance(dim.size, Symbolic) else ())
        for atom, _ in monomial
        if isinstance(atom, Symbol) and atom.name == dim.name and atom.divisor > 1
    ]
    constraint = f"{dim.name} % {divisors[0]} == 0" if divisors else ""
    return Dimension(dim.default, constraint)
