"""Indexing: `y[1, :, 2:5]`, `y[..., -1]`, `table[ids]`, `a[:, none]`, and elements of static lists."""

from __future__ import annotations

from typing import Any

from graphspec.diagnostics.catalogue import types as say
from graphspec.ir import DType, Scalar, Size, Symbolic, TypeRuleError, Value, apply, made_at, primitive
from graphspec.ir.sizes import Symbol
from graphspec.lowering import blame, expressions
from graphspec.lowering.context import Frame, fail
from graphspec.lowering.lookup import describe
from graphspec.lowering.module import Check
from graphspec.syntax import ast


def index(meaning: Any, expr: ast.Index, frame: Frame) -> Any:
    """`meaning[indices]`."""
    if isinstance(meaning, Value):
        return _index_tensor(meaning, expr, frame)
    if isinstance(meaning, tuple):
        return _index_list(meaning, expr, frame)
    fail(say.cannot_index(describe(meaning), expr.operand.span, frame.trace))


def _index_list(items: tuple[Any, ...], expr: ast.Index, frame: Frame) -> Any:
    if len(expr.indices) != 1 or isinstance(expr.indices[0], ast.Ellipsis):
        fail(say.cannot_index("a list with several indices", expr.span, frame.trace))
    (written,) = expr.indices
    if isinstance(written, ast.Slice):
        bounds = [
            None if part is None else _whole(part, frame)
            for part in (written.start, written.stop, written.step)
        ]
        return items[slice(*bounds)]
    position = _whole(written, frame)
    if not -len(items) <= position < len(items):
        what = f"a list of {len(items)}"
        fail(say.static_index_out_of_range(position, len(items), what, written.span, (), frame.trace))
    return items[position]


def _whole(expr: ast.Expr | ast.Ellipsis, frame: Frame) -> int:
    assert not isinstance(expr, ast.Ellipsis)
    meaning = expressions.evaluate(expr, frame)
    if isinstance(meaning, bool) or not isinstance(meaning, int | Symbolic):
        fail(say.index_not_an_integer(describe(meaning), expr.span, frame.trace))
    return int(frame.ctx.number(meaning, expr.span, frame))


def _index_tensor(x: Value, expr: ast.Index, frame: Frame) -> Value:
    """Static integers and slices first, then new axes, then the index nodes."""
    entries = _entries(x, expr, frame)
    origin = frame.origin(expr.span)
    with made_at(origin):
        try:
            return _apply(x, entries, expr, frame)
        except TypeRuleError as error:
            operands = [(x, expr.operand.span)] + [(e, w.span) for e, w in entries if isinstance(e, Value)]
            fail(blame.type_rule_failed(error, expr.span, operands, frame))


def _entries(x: Value, expr: ast.Index, frame: Frame) -> list[tuple[Any, Any]]:
    """One (meaning, written) per index, with `...` spelled out as full slices."""
    read: list[tuple[Any, Any]] = []
    for written in expr.indices:
        if isinstance(written, ast.Ellipsis | ast.Slice):
            read.append((written, written))
            continue
        meaning = expressions.evaluate(written, frame)
        integer = isinstance(meaning, int | Symbolic) and not isinstance(meaning, bool)
        if isinstance(meaning, Value) and not meaning.dtype.is_integer:
            fail(say.index_not_an_integer(describe(meaning), written.span, frame.trace))
        if not (meaning is None or integer or isinstance(meaning, Value)):
            fail(say.index_not_an_integer(describe(meaning), written.span, frame.trace))
        read.append((meaning, written))
    dots = [i for i, (meaning, _) in enumerate(read) if isinstance(meaning, ast.Ellipsis)]
    if len(dots) > 1:
        fail(say.two_ellipses(read[dots[1]][1].span, frame.trace))
    used = sum(1 for meaning, _ in read if meaning is not None and not isinstance(meaning, ast.Ellipsis))
    if used > len(x.shape):
        made = blame.operand_labels([(x, expr.operand.span)], expr.span)
        fail(say.too_many_indices(used, str(x.type), expr.span, made, frame.trace))
    full = [(ast.Slice(None, None, None, expr.span), expr)] * (len(x.shape) - used)
    at = dots[0] if dots else len(read)
    return read[:at] + full + read[at + 1 :]


def _apply(x: Value, entries: list[tuple[Any, Any]], expr: ast.Index, frame: Frame) -> Value:
    starts: list[Size] = []
    stops: list[Size] = []
    steps: list[int] = []
    shape: list[Size] = []  # after slicing, with picked axes dropped and new axes put in
    nodes: list[tuple[int, Value]] = []  # (axis in `shape`, index)
    axis = 0
    for meaning, written in entries:
        if meaning is None:
            shape.append(1)
            continue
        size: Size = x.shape[axis]
        start: Size
        stop: Size
        axis += 1
        if isinstance(meaning, Value):
            nodes.append((len(shape), meaning))
            start, stop, step = 0, size, 1
        elif isinstance(meaning, ast.Slice):
            start, stop, step = _bounds(meaning, size, frame)
        else:
            start = _position(meaning, size, written, x, axis - 1, expr, frame)
            starts.append(start)
            stops.append(start + 1)
            steps.append(1)
            continue
        starts.append(start)
        stops.append(stop)
        steps.append(step)
        shape.append((stop - start + step - 1) // step)
    y = x
    if (tuple(starts), tuple(stops), tuple(steps)) != ((0,) * axis, x.shape, (1,) * axis):
        y = apply(primitive("slice", tuple(starts), tuple(stops), tuple(steps)), y)
    if tuple(shape) != y.shape:
        y = apply(primitive("reshape", tuple(shape)), y)
    if not nodes:
        return y
    axes = [at for at, _ in nodes]
    if axes != list(range(axes[0], axes[0] + len(axes))):
        fail(say.index_nodes_apart(expr.span, frame.trace))
    return apply(primitive("gather", axes[0]), y, *(value for _, value in nodes))


def _bounds(written: ast.Slice, size: Size, frame: Frame) -> tuple[Size, Size, int]:
    """Start, stop and step as sizes within the axis, as Python's slices: clipped, negatives from the end."""
    step = 1 if written.step is None else _whole(written.step, frame)
    if step <= 0:
        assert written.step is not None
        fail(say.slice_step_not_positive(step, written.step.span, frame.trace))
    start = _edge(written.start, size, 0, frame)
    stop = _edge(written.stop, size, size, frame)
    gap = stop - start
    if isinstance(gap, int) and gap < 0:
        stop = start
    return start, stop, step


def _edge(expr: ast.Expr | None, size: Size, default: Size, frame: Frame) -> Size:
    if expr is None:
        return default
    meaning = expressions.evaluate(expr, frame)
    if isinstance(meaning, bool | Scalar) or not isinstance(meaning, int | Symbolic):
        fail(say.index_not_an_integer(describe(meaning), expr.span, frame.trace))
    if isinstance(meaning, int) and meaning < 0:
        meaning = meaning + size
        if isinstance(meaning, int) and meaning < 0:
            return 0
        return meaning
    over = meaning - size
    if isinstance(over, int):
        return size if over > 0 else meaning
    if _is_negative(over - 1):
        return meaning
    frame.ctx.checks.append(Check(meaning, size, frame.origin(expr.span), "<="))
    return meaning


def _is_negative(size: Size) -> bool:
    """Whether a size is negative for all numbers of its dims, which are 1 or more."""
    if isinstance(size, int):
        return size < 0
    plain = all(isinstance(atom, Symbol) for monomial, _ in size.terms for atom, _ in monomial)
    falls = all(factor < 0 for monomial, factor in size.terms if monomial)
    return plain and falls and sum(factor for _, factor in size.terms) < 0


def _position(
    meaning: Any, size: Size, written: Any, x: Value, axis: int, expr: ast.Index, frame: Frame
) -> Size:
    """A static integer as a place on an axis; out of range is an error where it can be told."""
    place = meaning + size if isinstance(meaning, int) and meaning < 0 else meaning
    over = place - size
    if (isinstance(place, int) and place < 0) or (isinstance(over, int) and over >= 0):
        what = f"axis {axis} of {x.type}"
        made = blame.operand_labels([(x, expr.operand.span)], expr.span)
        fail(say.static_index_out_of_range(meaning, size, what, written.span, made, frame.trace))
    if not _is_negative(over):
        frame.ctx.checks.append(Check(place + 1, size, frame.origin(written.span), "<="))
    return place


__all__ = ["DType", "index"]
