"""The dims of a file: symbols, their numbers, and what their constraints say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.diagnostics.catalogue import types as say
from graphspec.ir import Origin, Size, Symbolic, evaluate, symbol, symbols
from graphspec.lowering import expressions
from graphspec.lowering.context import Failed, Frame, fail
from graphspec.lowering.lookup import describe, find_name
from graphspec.lowering.module import Check, Dim, Module
from graphspec.syntax import ast
from graphspec.syntax.walk import walk


def read_dims(file: ast.File, frame: Frame) -> None:
    """Enter every dim: those declared, and those that a declaration's type mentions."""
    declared: dict[str, ast.Dim] = {}
    consts = {s.name.text: s for s in file.statements if isinstance(s, ast.Const)}
    for statement in file.statements:
        if isinstance(statement, ast.Dim):
            first = declared.get(statement.name.text) or consts.get(statement.name.text)
            if first is not None:
                frame.ctx.report(
                    [say_names.duplicate_name(statement.name.text, statement.name.span, first.name.span, ())]
                )
            declared.setdefault(statement.name.text, statement)
    mentioned = dict(_mentioned(file, frame, declared))
    divisors = {name: _divisor(name, d, frame) for name, d in declared.items()}
    frame.names.update({name: symbol(name, divisors.get(name, 1)) for name in (*declared, *mentioned)})
    _equate(declared, frame)
    frame.ctx.symbols = {name: frame.names[name] for name in (*declared, *mentioned)}
    for name, number in frame.ctx.numbers.items():
        _substitute(name, number, frame)
        frame.ctx.structural[name] = number
    for name in (*declared, *mentioned):
        with frame.ctx.collecting():
            _enter(name, declared.get(name), mentioned.get(name), frame)
    for name, dim in declared.items():
        with frame.ctx.collecting():
            _check_names(dim, frame)
            _check_number(name, dim, frame)


def _mentioned(file: ast.File, frame: Frame, declared: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The symbols created by being mentioned in the type of a declaration, with their first place."""
    seen: set[str] = set()
    for statement in file.statements:
        if not isinstance(statement, ast.Declare):
            continue
        for size in statement.type.shape.sizes:
            for part in walk(size) if not isinstance(size, ast.Ellipsis) else ():
                if isinstance(part, ast.Name) and "." not in part.path.text:
                    name = part.path.text
                    if name not in declared and name not in frame.home.consts and name not in seen:
                        seen.add(name)
                        yield name, part.span


def _conjuncts(expr: ast.Expr | None) -> Iterator[ast.Expr]:
    todo = [expr] if expr is not None else []
    while todo:
        part = todo.pop()
        if isinstance(part, ast.Binary) and part.op == "and":
            todo += [part.right, part.left]
        else:
            yield part


def _divisor(name: str, dim: ast.Dim, frame: Frame) -> int:
    """k of a constraint `name % k == 0`, else 1."""
    for part in _conjuncts(dim.constraint):
        match part:
            case ast.Binary(
                op="==",
                left=ast.Binary(op="%", left=ast.Name(path=ast.Path(text=text)), right=k),
                right=ast.Number(value=0),
            ) if text == name:
                number = (
                    frame.home.consts.get(k.path.text)
                    if isinstance(k, ast.Name)
                    else getattr(k, "value", None)
                )
                if isinstance(number, int) and number > 0:
                    return number
    return 1


def _equate(declared: Mapping[str, ast.Dim], frame: Frame) -> None:
    """`dim M where M == 2 * N`: M is 2*N from here on."""
    for name, dim in declared.items():
        for part in _conjuncts(dim.constraint):
            if not (isinstance(part, ast.Binary) and part.op == "=="):
                continue
            for one, other in ((part.left, part.right), (part.right, part.left)):
                if isinstance(one, ast.Name) and one.path.text == name:
                    with frame.ctx.collecting():
                        size = expressions.evaluate(other, frame)
                        whole = isinstance(size, int | Symbolic) and not isinstance(size, bool)
                        if whole and name not in symbols(size) and isinstance(frame.names[name], Symbolic):
                            _substitute(name, size, frame)
                    break


def _substitute(name: str, size: Size, frame: Frame) -> None:
    from graphspec.ir.sizes import substitute

    for other, known in frame.names.items():
        if isinstance(known, int | Symbolic):
            frame.names[other] = substitute(known, {name: size})


def _check_names(dim: ast.Dim, frame: Frame) -> None:
    """A constraint names dims and consts."""
    for part in walk(dim.constraint) if dim.constraint is not None else ():
        if isinstance(part, ast.Name):
            find_name(part.path, frame)


def _check_number(name: str, dim: ast.Dim, frame: Frame) -> None:
    """A dim that a constraint equates to a size has no other number than that."""
    entered = frame.ctx.dims.get(name)
    known = {n: d.default for n, d in frame.ctx.dims.items() if d.default is not None}
    if entered is None or entered.default is None or dim.constraint is None:
        return
    if entered.size == frame.names[name] and not symbols(entered.size) <= known.keys() - {name}:
        return
    if evaluate(entered.size, known) != entered.default:
        used = {n: known[n] for n in sorted({name, *symbols(entered.size)})}
        fail(say.constraint_broken(dim.constraint.span.text, used, dim.constraint.span))


def _enter(name: str, dim: ast.Dim | None, mention: Any, frame: Frame) -> None:
    span = dim.span if dim else mention
    default: int | None = None
    if dim is not None and dim.default is not None:
        meaning = expressions.evaluate(dim.default, frame)
        if isinstance(meaning, bool) or not isinstance(meaning, int) or meaning < 1:
            fail(say.dim_default(name, describe(meaning).removeprefix("the number "), dim.default.span))
        default = meaning
    given = frame.ctx.sets.get(name)
    if name in frame.ctx.sets:
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            fail(say.dim_default(name, repr(given), span))
        default = given
    constraints = (dim.constraint,) if dim is not None and dim.constraint is not None else ()
    size = frame.names[name]
    if isinstance(size, int) and default is None:
        default = size
    frame.ctx.dims[name] = Dim(
        name, size, default, name in frame.ctx.sets, Origin(span), constraints, dim.doc if dim else ""
    )


def check_constraints(module: Module, env: Mapping[str, int]) -> list[Diagnostic]:
    """The constraints that do not hold where the dims have these numbers."""
    numbers = {**{n: d.default for n, d in module.dims.items() if d.default is not None}, **env}
    for name, dim in module.dims.items():
        if symbols(dim.size) <= set(numbers) and name not in symbols(dim.size) and not dim.explicit:
            numbers[name] = evaluate(dim.size, numbers)
    scope: Frame = module.scope
    frame = replace(scope, names={**scope.names, **numbers})
    found: list[Diagnostic] = []
    for name, dim in module.dims.items():
        for constraint in dim.constraints:
            used = {e.path.text for e in walk(constraint) if isinstance(e, ast.Name)} & set(module.dims)
            if not used <= set(numbers):
                continue
            try:
                if not expressions.static_bool(constraint, frame):
                    values = {n: numbers[n] for n in sorted(used | {name})}
                    found.append(say.constraint_broken(constraint.span.text, values, constraint.span))
            except Failed as failure:
                found.extend(failure.diagnostics)
    return found


def check_equal(checks: Iterable[Check], env: Mapping[str, int]) -> list[Diagnostic]:
    """The sizes that had to turn out equal and did not."""
    found: list[Diagnostic] = []
    for check in checks:
        if (symbols(check.left) | symbols(check.right)) <= set(env):
            left, right = evaluate(check.left, env), evaluate(check.right, env)
            if not (left == right if check.relation == "==" else left <= right):
                span = check.origin.span if check.origin else None
                found.append(
                    say.sizes_turned_out(str(check.left), left, str(check.right), right, check.relation, span)
                )
    return found
