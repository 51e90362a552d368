"""Nodes as expressions of the language: numbers, operators, indexing, calls with their static arguments."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphspec.ir import DType, Literal, Node, Number, Op, Scalar, Size, Symbolic, TensorType
from graphspec.ops.derivatives import Grad
from graphspec.ops.shape import BroadcastTo, Embed, Slice

# how tightly an expression binds, loosest first
COMPARISON, SUM, PRODUCT, UNARY, POWER, ATOM = range(6)

_LEVELS = {"+": SUM, "-": SUM, "*": PRODUCT, "/": PRODUCT, "//": PRODUCT, "%": PRODUCT, "@": PRODUCT}


@dataclass(frozen=True, slots=True)
class Text:
    """An expression: its text, how tightly it binds, and how many operations are in it."""

    text: str
    level: int = ATOM
    weight: int = 0

    def within(self, least: int) -> str:
        """The text as an operand of something that needs at least this level."""
        return f"({self.text})" if self.level < least else self.text

    def after_operator(self, least: int) -> str:
        """The text on the right of an operator, where a leading minus is confusing."""
        return f"({self.text})" if self.text.startswith("-") else self.within(least)


_OPERATOR = re.compile(r"(\*\*|//|[*%])")
SizeText = Callable[[Size], Text]


def size_text(size: Size) -> Text:
    """A size as integer arithmetic."""
    text = str(size)
    if isinstance(size, int) or text.isidentifier():
        return Text(text, UNARY if text.startswith("-") else ATOM)
    text = _OPERATOR.sub(r" \1 ", text)
    return Text(text, SUM if " + " in text or " - " in text or text.startswith("-") else PRODUCT)


def number_text(number: Number | bool, size: SizeText = size_text) -> Text:
    """A number where it stands for a tensor: it takes the dtype of the others, so 2.0 is written 2."""
    match number:
        case bool():
            return Text(str(number).lower())
        case Symbolic():
            return size(number)
        case Scalar():
            return _scalar_text(number, size)
        case float() if math.isinf(number) or math.isnan(number):
            return Text("-inf", UNARY) if number == -math.inf else Text(str(number))
        case float() if (
            number == int(number) and abs(number) < 1e15 and math.copysign(1, number) * number >= 0
        ):
            whole = "-0.0" if number == 0 and math.copysign(1, number) < 0 else str(int(number))
            return Text(whole, UNARY if whole.startswith("-") else ATOM)
    text = repr(number)
    return Text(text, UNARY if text.startswith("-") else ATOM)


def _scalar_text(scalar: Scalar, size: SizeText) -> Text:
    parts = [number_text(a, size) for a in scalar.arguments]
    if scalar.function == "neg":
        return Text(f"-{parts[0].after_operator(UNARY)}", UNARY)
    if len(parts) == 2 and not scalar.function.isidentifier():
        return infix(scalar.function, *parts)
    return Text(f"{scalar.function}({', '.join(p.text for p in parts)})")


def static_text(value: Any, size: SizeText = size_text) -> str:
    """A static argument: `[1, 2]`, `true`, `"mean"`, `none`, `f32`, `0.1`."""
    match value:
        case None:
            return "none"
        case str():
            return f'"{value}"'
        case tuple() | list():
            return f"[{', '.join(static_text(item, size) for item in value)}]"
        case DType():
            return str(value)
    return number_text(value, size).text


def shape_text(shape: Sequence[Size], size: SizeText = size_text) -> str:
    """`[N, 3]`."""
    return f"[{', '.join(size(s).text for s in shape)}]"


def type_text(type: TensorType, size: SizeText = size_text) -> str:
    """`f32[N, 3]`."""
    return f"{type.dtype}{shape_text(type.shape, size)}"


def infix(operator: str, left: Text, right: Text) -> Text:
    """`left operator right`, with the parentheses that it needs."""
    weight = 1 + left.weight + right.weight
    if operator == "**":
        return Text(f"{left.within(ATOM)} ** {right.within(UNARY)}", POWER, weight)
    level = _LEVELS.get(operator, COMPARISON)
    if level == COMPARISON:
        return Text(f"{left.within(SUM)} {operator} {right.within(SUM)}", level, weight)
    return Text(f"{left.within(level)} {operator} {right.after_operator(level + 1)}", level, weight)


def call(function: str, positional: Sequence[Text], named: Mapping[str, str]) -> Text:
    """`function(a, b, name=value)`."""
    arguments = [p.text for p in positional] + [f"{name}={value}" for name, value in named.items()]
    return Text(f"{function}({', '.join(arguments)})", ATOM, 1 + sum(p.weight for p in positional))


def indexed(x: Text, entries: Sequence[str]) -> Text:
    """`x[1, :, 2:5]`; full slices at the end are left out."""
    kept = list(entries)
    while kept and kept[-1] == ":":
        kept.pop()
    return Text(f"{x.within(ATOM)}[{', '.join(kept)}]", ATOM, x.weight + 1) if kept else x


def constant(number: Number | bool, type: TensorType, size: SizeText) -> Text:
    """A tensor with one number everywhere, as an expression that says its dtype."""
    named = {} if type.dtype is DType.F32 else {"dtype": str(type.dtype)}
    plain = int(number) if isinstance(number, bool) else number
    shape = Text(shape_text(type.shape, size))
    if type.shape and plain in (0, 1) and math.copysign(1, plain) > 0:
        return call("ones" if plain else "zeros", [shape], named)
    return call("full", [shape], {"value": number_text(plain, size).text, **named})


def primitive(node: Node, operands: Sequence[Text], size: SizeText = size_text) -> Text:
    """A node of a primitive, given the texts of its operands."""
    op = node.op
    operator = getattr(op, "operator", "")
    if operator and not operator.isidentifier():
        return infix(operator, *operands)
    match op.name:
        case "matmul":
            return infix("@", *operands)
        case "neg":
            return Text(f"-{operands[0].after_operator(UNARY)}", UNARY, operands[0].weight + 1)
        case "slice":
            assert isinstance(op, Slice)
            return indexed(operands[0], slices(op, node.inputs[0].shape, size))
        case "gather":
            x, *indices = operands
            entries = [":"] * op.attributes()["axis"] + [i.text for i in indices]
            return Text(indexed(x, entries).text, ATOM, 1 + sum(o.weight for o in operands))
        case "grad":
            assert isinstance(op, Grad)
            return _grad(op, operands)
    if isinstance(op, BroadcastTo) and isinstance(node.inputs[0].node.op, Literal):
        return constant(node.inputs[0].node.op.value, node.types[0], size)
    if isinstance(op, Embed) and set(op.steps) <= {1} and (pad := _padding(op, node.inputs[0].shape)):
        named = {} if op.value == 0 else {"value": number_text(op.value).text}
        return call("pad", [*operands, Text(static_text(pad))], named)
    first, named = _statics(op, [v.type for v in node.inputs], size)
    return call(op.name, [*operands, *first], named)


def is_function_call(node: Node) -> bool:
    """Whether a node is written `f(...)`, so that a name for it also names its arguments (`fc1.x`)."""
    if node.op.name in ("matmul", "neg", "slice", "gather", "grad", "tap"):
        return False
    operator = getattr(node.op, "operator", "f")
    return not operator or operator.isidentifier()


def argument_names(kind: type[Op]) -> list[str]:
    """The names of a primitive's operands; those of which there may be any number have none."""
    own = _makes_itself(kind)
    fields = {f.name for f in dataclasses.fields(kind)}
    parameters = inspect.signature(kind.make if own else kind.infer).parameters.values()
    plain = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    return [name for name in plain if name not in fields and name != "self"]


def slices(op: Slice, shape: Sequence[Size], size: SizeText) -> list[str]:
    """What a slice writes for each axis."""
    entries: list[str] = []
    for start, stop, step, whole in zip(op.starts, op.stops, op.steps, shape, strict=True):
        low = "" if start == 0 else size(start).text
        high = "" if stop == whole else size(stop).text
        entries.append(f"{low}:{high}" + (f":{step}" if step != 1 else ""))
    return entries


def picked(op: Slice, before: Sequence[Size], after: Sequence[Size], size: SizeText) -> list[str] | None:
    """A slice whose axes of size 1 are dropped by a reshape to `after`, as indices: `x[1, :, 2:5]`.

    None where the reshape does something else.
    """
    entries = slices(op, before, size)
    left = list(after)
    for axis, (start, stop, whole) in enumerate(zip(op.starts, op.stops, before, strict=True)):
        length = stop - start if op.steps[axis] == 1 else None
        if length == 1 and (whole != 1 or not left or left[0] != 1):
            entries[axis] = size(start).text
            continue
        if not left or (length is not None and left[0] != length):
            return None
        left.pop(0)
    return None if left else entries


def _grad(op: Grad, operands: Sequence[Text]) -> Text:
    y, *rest = operands
    xs = rest[: op.wrt]
    x = xs[0] if op.wrt == 1 else Text(f"({', '.join(x.text for x in xs)})")
    return call("grad", [y, x], {"cotangent": rest[-1].text} if op.has_cotangent else {})


def _padding(op: Embed, shape: Sequence[Size]) -> list[Size]:
    """The argument of `pad`, from the last axis to the first that is padded; empty if sizes are not known."""
    amounts: list[Size] = []
    for whole, start, length in reversed(list(zip(op.shape, op.starts, shape, strict=True))):
        amounts += [start, whole - start - length]
    while len(amounts) > 2 and amounts[-2:] == [0, 0]:
        del amounts[-2:]
    return amounts if all(isinstance(a, int) for a in amounts) else []


#: statics that stand without their name
_POSITIONAL = {"shape", "dtype", "axes"}
#: pairs for two axes that may be written as one number
_PAIRS = {"kernel_size", "stride", "padding", "dilation"}
_REQUIRED = object()


def _statics(op: Op, types: Sequence[TensorType], size: SizeText) -> tuple[list[Text], dict[str, str]]:
    """The static arguments of a primitive that differ from their defaults: positional ones, then named."""
    values = op.attributes()
    first: list[Text] = []
    named: dict[str, str] = {}
    for position, (name, default) in enumerate(_defaults(type(op)).items()):
        value = values[name]
        if _is_default(name, value, default, values, types):
            continue
        text = static_text(value[0] if _is_pair(name, value) else value, size)
        if isinstance(value, tuple) and name == "axis" and len(value) == 1:
            text = static_text(value[0], size)
        if position == 0 and (name in _POSITIONAL or not types):
            first.append(Text(text))
        else:
            named[name] = text
    return first, named


def _makes_itself(kind: type[Op]) -> bool:
    """Whether a primitive has a constructor of its own, with a signature of its own."""
    return inspect.getattr_static(kind, "make") is not inspect.getattr_static(Op, "make")


def _defaults(kind: type[Op]) -> dict[str, Any]:
    """The static parameters of a primitive's constructor with their defaults."""
    if not _makes_itself(kind):
        fields = dataclasses.fields(kind)
        return {f.name: _REQUIRED if f.default is dataclasses.MISSING else f.default for f in fields}
    names = {f.name for f in dataclasses.fields(kind)}
    parameters = inspect.signature(kind.make).parameters.values()
    return {p.name: _REQUIRED if p.default is p.empty else p.default for p in parameters if p.name in names}


def _is_pair(name: str, value: Any) -> bool:
    return name in _PAIRS and isinstance(value, tuple) and len(set(value)) == 1


def _is_default(
    name: str, value: Any, default: Any, values: Mapping[str, Any], types: Sequence[TensorType]
) -> bool:
    if default is None:  # what stands for None depends on the operands
        rank = types[0].rank if types else 0
        every = tuple(range(rank))
        meant = {"axis": every, "axes": (*every[:-2], *every[:-3:-1]), "stride": values.get("kernel_size")}
        return bool(value == meant.get(name))
    if isinstance(default, int) and isinstance(value, tuple):
        return value == (default,) * len(value)
    return bool(value == default and type(value) is type(default))
