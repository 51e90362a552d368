"""What declarations begin with: which of them are wanted, and the drawing of their samplers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from graphspec.diagnostics import Diagnostic, GraphSpecError, Label, Span
from graphspec.diagnostics.catalogue import requests as say
from graphspec.diagnostics.catalogue.data import out_of_memory
from graphspec.ir import TensorType, evaluate, evaluate_number
from graphspec.ir.scalars import number_symbols
from graphspec.lowering.module import Declared, Draw, Module
from graphspec.requests import span_of

Array: TypeAlias = Any
Sizes: TypeAlias = Mapping[str, int]


def choose(module: Module, names: Iterable[str] | None, kinds: Sequence[str]) -> list[str]:
    """The declarations of these names, else those of these kinds."""
    if names is None:
        return [d.name for d in module.declared.values() if d.kind in kinds]
    wanted = list(names)
    known = [d.name for d in module.declared.values() if d.kind in kinds]
    wrong = [name for name in wanted if name not in known]
    if wrong:
        raise GraphSpecError(_not_chosen(module, name, known, kinds) for name in wrong)
    return wanted


def _not_chosen(module: Module, name: str, known: list[str], kinds: Sequence[str]) -> Diagnostic:
    """Why a name is not among those known."""
    if name not in module.values:
        return say.unknown_target(name, known)
    declared = module.declared.get(name)
    return say.another_kind(name, declared.kind if declared else "value", kinds)


def check_starts(declared: list[Declared]) -> None:
    """That each declaration says how it begins."""
    missing = [d for d in declared if d.start is None]
    if missing:
        types = [str(d.value.type) for d in missing]
        raise GraphSpecError(
            say.no_sampler([d.name for d in missing], types, [span_of_declaration(d) for d in missing])
        )


def draw_start(declared: Declared, sizes: Sizes, seed: int, backend: str) -> Array:
    """A declaration's own sampler, in its own stream of the seed."""
    from graphspec.runtime import memory
    from graphspec.runtime.backends import backend as find_backend
    from graphspec.runtime.random import draw

    assert isinstance(declared.start, Draw)
    shape, bytes_needed = size_of_start(declared, sizes)
    memory.check(bytes_needed, backend=backend)
    where = find_backend(backend)
    try:
        return draw(
            declared.start.sampler,
            {name: evaluate_number(number, sizes) for name, number in declared.start.arguments},
            shape,
            declared.value.type.dtype,
            seed,
            declared.name,
            xp=where.xp,
            span=span_of_declaration(declared),
        )
    except MemoryError:
        raise GraphSpecError(out_of_memory(bytes_needed, where.device)) from None


def size_of_start(declared: Declared, sizes: Sizes) -> tuple[list[int], int]:
    """The shape of what is drawn, and its bytes.  Raises GraphSpecError where a dim is not known."""
    from graphspec.runtime.plan import check_rank

    assert isinstance(declared.start, Draw)
    type: TensorType = declared.value.type
    check_rank(type, span_of_declaration(declared))
    needed = type.symbols.union(*(number_symbols(number) for _, number in declared.start.arguments))
    for name in sorted(needed - sizes.keys()):
        raise GraphSpecError(say.size_not_known(name, span_of_declaration(declared)))
    shape = [evaluate(size, sizes) for size in type.shape]
    return shape, math.prod(shape) * type.dtype.itemsize


def span_of_declaration(declared: Declared) -> Span | None:
    """Where it stands, or the value that it names."""
    return declared.origin.span if declared.origin else span_of(declared.value)


def placed_at(error: GraphSpecError, span: Span | None) -> GraphSpecError:
    """The error, with a place where it has none."""
    label = Label(span, "named here") if span else None
    placed = (replace(d, primary=d.primary or label) for d in error.diagnostics)
    return GraphSpecError(placed, error.exit_code)
