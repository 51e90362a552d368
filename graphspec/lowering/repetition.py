"""Many of one kind: `repeat`, `each` and `fold` are unrolled, each step under a name of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from graphspec.diagnostics import Span
from graphspec.diagnostics.catalogue import definitions as say
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.ir import FUNCTIONS, Value, apply, made_at, primitive
from graphspec.lowering import bodies, calls, expressions
from graphspec.lowering.context import Frame, fail, join
from graphspec.lowering.lookup import describe
from graphspec.syntax import ast
from graphspec.syntax.walk import extent, left_spine


def repeat(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> Value:
    """`x -> repeat(4, block(...)) as stage`: a chain of calls with new weights each, `stage.0` ..."""
    if piped is None or len(piped[0]) != 1:
        fail(say.repeat_needs_a_value(calls.stage_span(expr), frame.trace))
    variable, steps, body = _parts(expr, frame)
    stage = _as_call(body, frame)
    ((value,), span) = piped
    for i in steps:
        value = _step(stage, ((value,), span), variable, i, label, frame)
        value = expressions.expect_tensor(value, stage.span, frame)
        span = stage.span
    return value  # type: ignore[no-any-return]  # as it came in, or expected above


def each(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> tuple[Any, ...]:
    """`each(e in 0..E, expert(x)) as experts`: a list of values."""
    if piped is not None:
        fail(say.each_takes_no_piped_value(calls.stage_span(expr), frame.trace))
    variable, steps, body = _parts(expr, frame)
    return tuple(
        expressions.expect_tensor(_step(body, None, variable, i, label, frame), body.span, frame)
        for i in steps
    )


def _parts(expr: ast.Call, frame: Frame) -> tuple[ast.Path | None, range, ast.Expr]:
    arguments = expr.arguments
    if len(arguments) != 2 or any(a.name for a in arguments) or isinstance(arguments[1].value, ast.Range):
        fail(say.repeat_form(expr.function.text, calls.stage_span(expr), frame.trace))
    how, body = arguments[0].value, arguments[1].value
    if isinstance(how, ast.Range):
        return how.name, range(_whole(how.start, frame), _whole(how.stop, frame)), body
    return None, range(_whole(how, frame)), body


def _whole(expr: ast.Expr, frame: Frame) -> int:
    meaning = expressions.evaluate(expr, frame)
    if not expressions.is_number(meaning):
        fail(say.count_not_an_integer(describe(meaning), expr.span, frame.trace))
    number = frame.ctx.number(meaning, expr.span, frame)
    if not isinstance(number, int) or number < 0:
        fail(say.count_not_an_integer(describe(number), expr.span, frame.trace))
    if number > 100_000:
        fail(say.too_many_steps(number, expr.span, frame.trace))
    return number


def _as_call(body: ast.Expr, frame: Frame) -> ast.Call:
    if isinstance(body, ast.Call):
        return body
    if isinstance(body, ast.Name):
        return ast.Call(body.path, (), None, None, True, body.span)
    fail(say.repeat_needs_a_call(body.span, frame.trace))


def _step(
    body: ast.Expr, piped: Any, variable: ast.Path | None, i: int, label: str | None, frame: Frame
) -> Any:
    """One step: a bare call is named `label.i` itself, names inside any other hang below `label.i`."""
    frame.ctx.spend(body.span)
    name = f"{label}.{i}" if label else None
    names = dict(frame.names)
    if variable is not None:
        if variable.text in names:
            fail(say_names.duplicate_name(variable.text, variable.span, None, frame.trace))
        names[variable.text] = i
    inner = replace(frame, names=names, token=(frame.token, i), is_file=False)
    if isinstance(body, ast.Call) and body.label is None and body.piped is None:
        if name is None:
            inner.noise, inner.statement = join(frame.noise, f"{frame.statement or 'repeat'}.{i}") or "", ""
        result = calls.call(body, piped, inner, None, label=name)
    else:
        below = name or f"{frame.statement or 'repeat'}.{i}"
        inner.noise, inner.statement = join(frame.noise, below) or "", ""
        inner.values = join(frame.values, name) if name else None
        inner.owner = join(frame.owner, name) if name else None
        inner.anonymous = frame.anonymous if name else frame.anonymous or ("repeat", body.span)
        result = _chain(body, piped, inner) if piped is not None else expressions.evaluate(body, inner)
    if name and isinstance(result, Value):
        bodies.register(name, result, body.span, frame)
    return result


def _chain(body: ast.Expr, piped: Any, frame: Frame) -> Any:
    """`linear(20) as fc -> relu` on a piped value, which the first call of the chain receives."""
    first, *links = left_spine(body)
    if not all(isinstance(part, ast.Call) for part in (first, *links)):
        fail(say.repeat_needs_a_call(extent(body), frame.trace))
    meaning, span = piped
    for call in (first, *links):
        result = calls.call(call, (meaning, span), frame, None)  # type: ignore[arg-type]  # all are calls, see above
        meaning, span = result if isinstance(result, tuple) else (result,), call.span
    return result


def fold(expr: ast.Call, piped: Any, frame: Frame, label: str | None) -> tuple[Value, ...]:
    """`h, c, ys = fold(cell, each=x, axis=1, start=(h0, c0)) as rnn`: a cell run along an axis.

    `cell` takes (carried..., step input) and returns (carried..., collected); so does `fold`, with the
    collected ones stacked along the axis.
    """
    own = calls.stage_span(expr)
    given = {a.name.text: a for a in expr.arguments if a.name}
    cells = [a for a in expr.arguments if a.name is None]
    if (
        piped is not None
        or len(cells) != 1
        or set(given) != {"each", "axis", "start"}
        or isinstance(cells[0].value, ast.Range)
    ):
        fail(say.fold_form(own, frame.trace))
    cell = _as_call(cells[0].value, frame)
    xs = expressions.expect_tensor(_value(given["each"], frame), given["each"].span, frame)
    axis = expressions.evaluate(given["axis"].value, frame)  # type: ignore[arg-type]  # given, with a value
    if not isinstance(axis, int) or not -len(xs.shape) <= axis < len(xs.shape):
        fail(say.fold_axis(describe(axis), str(xs.type), given["axis"].span, frame.trace))
    axis %= len(xs.shape)
    start = _value(given["start"], frame)
    carried = tuple(
        expressions.expect_tensor(s, given["start"].span, frame)
        for s in (start if isinstance(start, tuple) else (start,))
    )
    length = int(frame.ctx.number(xs.shape[axis], given["each"].span, frame))
    collected: list[Value] = []
    for t in range(length):
        with made_at(frame.origin(own)):
            x = _at(xs, axis, t)
        results = _step(cell, ((*carried, x), own), None, t, label, frame)
        results = results if isinstance(results, tuple) else (results,)
        if len(results) != len(carried) + 1:
            fail(say.fold_results(len(carried), len(results), cell.span, frame.trace))
        for position, (before, after) in enumerate(zip(carried, results, strict=False)):
            if before.type != after.type:
                fail(say.fold_carried(position, str(before.type), str(after.type), cell.span, frame.trace))
        carried = results[:-1]
        collected.append(results[-1])
    if not collected:
        fail(say.fold_empty(own, frame.trace))
    with made_at(frame.origin(own)):
        return (*carried, FUNCTIONS["stack"](*collected, axis=axis))


def _value(argument: ast.Argument, frame: Frame) -> Any:
    assert not isinstance(argument.value, ast.Range)
    return expressions.evaluate(argument.value, frame)


def _at(x: Value, axis: int, place: int) -> Value:
    """x[..., place, ...] on one axis."""
    rank = len(x.shape)
    starts = tuple(place if a == axis else 0 for a in range(rank))
    stops = tuple(place + 1 if a == axis else x.shape[a] for a in range(rank))
    row = apply(primitive("slice", starts, stops, (1,) * rank), x)
    return apply(primitive("reshape", x.shape[:axis] + x.shape[axis + 1 :]), row)


__all__ = ["Span", "each", "fold", "repeat"]
