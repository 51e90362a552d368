"""How a program names and writes things as Python text, made safe: nothing of a spec is taken as code."""

from __future__ import annotations

import builtins
import keyword
import math
import re
from typing import Any

from graphspec.diagnostics import Span
from graphspec.ir import DType
from graphspec.runtime.plan import Slot, nbytes

#: what the text itself calls something
RESERVED = frozenset(
    {"block", "portion", "arena", "xp", "kernels", "inf", "nan", "run", "bind", "owned", "wrong"}
)
_COMMENT_WIDTH = 88


class Namer:
    """Python names for names of the spec, different for different ones: `conv1.weight` is `conv1_weight`."""

    def __init__(self) -> None:
        self._taken: set[str] = set(RESERVED)
        self._next: dict[str, int] = {}

    def name(self, text: str) -> str:
        """A new name, as close to `text` as can be."""
        base = re.sub(r"[^0-9A-Za-z_]", "_", text)
        if not base or base[0].isdigit() or keyword.iskeyword(base) or hasattr(builtins, base):
            base = f"_{base}"
        name = base
        while name in self._taken:
            self._next[base] = self._next.get(base, 1) + 1
            name = f"{base}_{self._next[base]}"
        self._taken.add(name)
        return name


def storage(slot: Slot) -> str:
    """An array in the arena."""
    end = slot.offset + nbytes(slot.type)
    dtype = slot.type.dtype.array_name
    return f'arena[{slot.offset}:{end}].view("{dtype}").reshape({text_of(slot.type.shape)})'


def number_text(number: int | float | bool, dtype: DType) -> str:
    """A number of a dtype as Python writes it; `inf` and `nan` are names in the program."""
    if dtype is DType.BOOL:
        return repr(bool(number))
    return repr(int(number)) if dtype.is_integer else text_of(float(number))


def text_of(value: Any) -> str:
    """An attribute as Python text."""
    if isinstance(value, DType):
        return repr(value.array_name)
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, tuple):
        return f"({', '.join(map(text_of, value))}{',' * (len(value) == 1)})"
    assert value is None or isinstance(value, bool | int | float | str), f"{value!r} has no text"
    return repr(value)


def comment_for(span: Span) -> str:
    """`# lenet.gspec:9: logits = image -> ...`, on one line whatever the name and the text are."""
    name, line = line_of(span)
    place = repr(f"{name}:{line}")[1:-1]
    text = repr(span.source.line(line).strip())[1:-1]
    comment = f"# {place}: {text}" if text else f"# {place}"
    return comment if len(comment) <= _COMMENT_WIDTH else f"{comment[: _COMMENT_WIDTH - 3]}..."


def line_of(span: Span) -> tuple[str, int]:
    return span.source.name, span.source.position(span.start)[0]
