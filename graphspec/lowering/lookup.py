"""Names: what a path means where it stands, and how meanings are described in messages."""

from __future__ import annotations

import math
from typing import Any

from graphspec.diagnostics import Span
from graphspec.diagnostics.catalogue import names as say
from graphspec.diagnostics.catalogue import types as say_types
from graphspec.diagnostics.catalogue._register import suggestions
from graphspec.ir import DType, Input, Scalar, Symbolic, Value
from graphspec.lowering.context import POISON, Failed, Frame, LayerRef, fail, join, lift
from graphspec.syntax import ast

LITERALS = {"inf": math.inf, "nan": math.nan, "pi": math.pi}


def find_name(path: ast.Path, frame: Frame) -> Any:
    """What a name used as a value means; raises Failed where it means nothing."""
    meaning = search(path.text, frame)
    if meaning is POISON:
        raise Failed
    if meaning is not MISSING:
        return meaning
    fail(_unknown(path, frame))


class _Missing:
    pass


MISSING = _Missing()


def search(text: str, frame: Frame) -> Any:
    """The meaning of a path in a frame, or MISSING."""
    if text in frame.names:
        return frame.names[text]
    if "." in text:
        for prefix in (frame.values, frame.owner):
            full = join(prefix, text)
            if full is not None and full in frame.ctx.values:
                return _seen(frame.ctx.values[full], frame)
        head, _, rest = text.partition(".")
        if head in frame.home.imports:
            imported = frame.home.imports[head]
            if imported is None:
                return POISON
            if rest in imported.consts:
                return imported.consts[rest]
        # a part of something that failed is as silent as the thing itself
        while head:
            if frame.names.get(head) is POISON:
                return POISON
            piece, _, rest = rest.partition(".")
            head = f"{head}.{piece}" if piece else ""
        return MISSING
    if text in frame.home.consts:
        return frame.home.consts[text]
    if text == "training":
        frame.ctx.mode_matters = True
        return frame.ctx.training
    if text in LITERALS:
        return LITERALS[text]
    try:
        dtype = DType(text)
    except ValueError:
        return MISSING
    return frame.ctx.float_dtype if dtype.is_float and frame.ctx.float_dtype else dtype


def known_names(frame: Frame) -> list[str]:
    """Every name that could be used as a value in a frame, for suggestions."""
    known = [n for n in frame.names if n]
    prefixes = {p for p in (frame.values, frame.owner) if p is not None}
    for full in frame.ctx.values:
        for prefix in prefixes:
            if not prefix:
                known.append(full)
            elif full.startswith(prefix + "."):
                known.append(full[len(prefix) + 1 :])
    for alias, space in frame.home.imports.items():
        known += [f"{alias}.{name}" for name in (space.consts if space else ())]
    return [*dict.fromkeys([*known, *frame.home.consts])]


def _unknown(path: ast.Path, frame: Frame) -> Any:
    from graphspec.lowering.definitions import function_exists

    text = path.text
    head, _, rest = text.partition(".")
    layer = frame.names.get(head)
    if isinstance(layer, LayerRef) and rest:
        applied = [join(frame.values, a) or a for a in frame.ctx.applications.get(layer.path, [])]
        known = [n for n in frame.ctx.values if any(n.startswith(f"{a}.") for a in applied)]
        uses = [n for n in known if n.endswith(f".{rest}")]
        close = suggestions(rest, [n.partition(".")[2] for n in known])
        guesses = uses or [n for n in known if close and n.endswith(f".{close[0]}")]
        return say.value_of_a_layer(text, head, guesses, bool(uses), path.span, frame.trace)
    outside = _in_the_file(text, frame)
    if outside is not None:
        return say.not_visible_in_a_body(text, path.span, outside, frame.trace)
    dtype = text.rpartition(".")[2]
    if dtype in say_types.FOREIGN_DTYPES and dtype not in known_names(frame):
        return say_types.unknown_dtype(text, path.span)
    if function_exists(text, frame):
        return say.function_as_value(text, path.span, frame.trace)
    # comparing names takes time: with so many mistakes the first ones get suggestions
    known = [*known_names(frame), *say_types.DTYPES] if frame.ctx.errors.met < 100 else []
    return say.unknown_name(text, known, path.span, frame.trace)


def _in_the_file(text: str, frame: Frame) -> Span | None:
    """Where the file has a name that a body of it does not see."""
    if frame.is_file or frame.home.is_std:
        return None
    dim = frame.ctx.dims.get(text)
    if dim is not None:
        return dim.origin.span if dim.origin else None
    return frame.ctx.places.get(text)


def describe(meaning: Any) -> str:
    """A meaning in words: "the number 3", "a list", "f32[N, 3]"."""
    match meaning:
        case None:
            return "none"
        case bool():
            return f"`{str(meaning).lower()}`"
        case int() | float() | Symbolic() | Scalar():
            return f"the number {meaning}"
        case str():
            return f'the string "{meaning}"'
        case Value():
            return f"a tensor {meaning.type}"
        case DType():
            return f"the dtype {meaning}"
        case LayerRef():
            return f"the layer `{meaning.path}`"
        case tuple():
            return "a list" if not any(isinstance(m, Value) for m in meaning) else f"{len(meaning)} tensors"
    return "that"


def _seen(value: Any, frame: Frame) -> Any:
    """A declared tensor as the body of a call sees it: a parameter of that body."""
    if isinstance(value, Value) and isinstance(value.node.op, Input):
        return lift(frame.body, value)
    return value
