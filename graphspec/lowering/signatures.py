"""What a function of the language takes: one shape for definitions and for primitives."""

from __future__ import annotations

import functools
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import graphspec.ops  # noqa: F401  (fills the registry of primitives)
from graphspec.ir import FUNCTIONS, OPS, Call, DType, Value
from graphspec.syntax import ast

REQUIRED = object()

#: the op that each operator means for tensors; these have no other spelling
OPERATORS = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "div",
    "//": "floor_div",
    "%": "mod",
    "**": "pow",
    "@": "matmul",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
}

NO_FUNCTIONS = frozenset({*OPERATORS.values(), "neg", Call.name})


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: a tensor, or a static value of `word`.

    `word` is "tensor", or int, float, bool, str, dtype, size (an integer that may be symbolic), "any";
    `count` is None for a plain value, 0 for a list, n for a list of n.  `default` is REQUIRED, an
    expression of the language (definitions) or a plain value (primitives).
    """

    name: str
    word: str
    count: int | None = None
    default: Any = REQUIRED
    variadic: bool = False
    shape: ast.Shape | None = None

    @property
    def is_tensor(self) -> bool:
        return self.word == "tensor"

    @property
    def is_required(self) -> bool:
        return self.default is REQUIRED


@dataclass(frozen=True, slots=True)
class Signature:
    """The parameters of a function, tensors first in the order in which positional arguments fill them."""

    name: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(_show, self.parameters))})"


def _show(p: Parameter) -> str:
    if p.is_tensor:
        text = f"*{p.name}" if p.variadic else p.name + (p.shape.span.text if p.shape else "")
        return text if p.is_required else f"{text} = none"
    brackets = "" if p.count is None else f"[{p.count or ''}]"
    text = f"{p.name}: {p.word}{brackets}"
    if p.is_required:
        return text
    default = p.default.span.text if hasattr(p.default, "span") else str(p.default).lower()
    return f"{text} = {default}"


def of_definition(definition: ast.Definition) -> Signature:
    """The signature of a block or an op written in the language."""
    read: list[Parameter] = []
    for p in definition.parameters:
        default = REQUIRED if p.default is None else p.default
        if isinstance(p, ast.TensorParameter):
            read.append(Parameter(p.name.text, "tensor", None, default, shape=p.shape))
        else:
            read.append(Parameter(p.name.text, p.word, p.count, default))
    return Signature(definition.name.text, tuple(read))


@functools.cache
def of_primitive(name: str) -> Signature:
    """The signature of a primitive or of a function of `ops`: that of its Python constructor."""
    make = constructor(name)
    if name in OPS and "make" not in OPS[name].__dict__ and not _inherits_make(name):
        return _of_plain_op(name)
    hints = typing.get_type_hints(make)
    read: list[Parameter] = []
    for p in inspect.signature(make).parameters.values():
        default = REQUIRED if p.default is p.empty else p.default
        word, count = _word(hints.get(p.name, Any))
        read.append(Parameter(p.name.rstrip("_"), word, count, default, variadic=p.kind is p.VAR_POSITIONAL))
    return Signature(name, tuple(read))


def _inherits_make(name: str) -> bool:
    from graphspec.ir import Op

    return OPS[name].make.__func__ is not Op.make.__func__  # type: ignore[attr-defined]  # methods of classes


def _of_plain_op(name: str) -> Signature:
    """Without a `make` of its own: tensors are the type rule's parameters, statics the fields."""
    import dataclasses

    rule = inspect.signature(OPS[name].infer)
    tensors = [
        Parameter(p.name, "tensor", variadic=p.kind is p.VAR_POSITIONAL)
        for p in list(rule.parameters.values())[1:]
    ]
    hints = typing.get_type_hints(OPS[name])
    statics = []
    for f in dataclasses.fields(OPS[name]):
        word, count = _word(hints[f.name])
        default = REQUIRED if f.default is dataclasses.MISSING else f.default
        statics.append(Parameter(f.name, word, count, default))
    return Signature(name, (*tensors, *statics))


def constructor(name: str) -> Callable[..., Any]:
    return FUNCTIONS[name] if name in FUNCTIONS else OPS[name].make


def _word(hint: Any) -> tuple[str, int | None]:
    """The language's word for a Python annotation."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        rest = [a for a in arguments if a is not type(None)]
        if Value in rest:
            return "tensor", None
        lists = [
            a
            for a in rest
            if typing.get_origin(a) in (tuple, list)
            or (typing.get_origin(a) is not None and _word(a)[1] is not None)
        ]
        if lists:
            return _word(lists[0])[0], 0
        words = {_word(a)[0] for a in rest}
        return (words.pop() if len(words) == 1 else "size" if words <= {"int", "size"} else "any"), None
    if hint is Value:
        return "tensor", None
    if origin in (tuple, list) or getattr(origin, "__name__", "") == "Sequence":
        inner, _ = _word(arguments[0])
        fixed = origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis)
        return inner, len(arguments) if fixed else 0
    if hint is DType:
        return "dtype", None
    named = {int: "int", float: "float", bool: "bool", str: "str"}.get(hint)
    if named:
        return named, None
    return ("size" if getattr(hint, "__name__", "") == "Symbolic" else "any"), None


def is_primitive(name: str) -> bool:
    """Whether the language has a primitive function of that name."""
    return name in FUNCTIONS or (name in OPS and not OPS[name].is_internal and name not in NO_FUNCTIONS)


def primitives() -> tuple[str, ...]:
    """The functions of the language that are not written in it."""
    return (*filter(is_primitive, OPS), *FUNCTIONS)
