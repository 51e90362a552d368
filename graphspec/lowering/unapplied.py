"""Definitions that the file never applies: their names are checked all the same.

Types come with arguments, so that shapes are not looked at; but a name that nothing has, or a keyword that
a function does not take, is wrong for any argument.
"""

from __future__ import annotations

from collections.abc import Iterator

from graphspec.lowering import calls, reflexes
from graphspec.lowering.context import POISON, Frame, fail
from graphspec.lowering.lookup import find_name
from graphspec.lowering.ordering import writes
from graphspec.lowering.unused import flat
from graphspec.syntax import ast
from graphspec.syntax.walk import walk


def check_unapplied(file: ast.File, frame: Frame) -> None:
    """Report the unknown names, functions and keywords in definitions of the file that nothing has read."""
    for definition in file.statements:
        if isinstance(definition, ast.Definition) and id(definition) not in frame.ctx.read:
            _check(definition, frame)


def _check(definition: ast.Definition, frame: Frame) -> None:
    known = {*_arguments(definition), *_locals(definition.body), *frame.ctx.broken, "training"}
    inner = Frame(
        frame.ctx,
        frame.home,
        dict.fromkeys(known, POISON),
        values=None,
        owner=None,
        definition=definition,
        stack=(definition,),
    )
    for expr in _expressions(definition):
        for part in walk(expr):
            with frame.ctx.collecting():
                if isinstance(part, ast.Name) and part.path.text.partition(".")[0] not in known:
                    find_name(part.path, inner)
                elif isinstance(part, ast.Call) and part.function.text not in known:
                    _check_call(part, inner)


def _check_call(expr: ast.Call, frame: Frame) -> None:
    taken = calls.parameters_of(expr, frame)
    if taken is None:
        return
    for argument in expr.arguments:
        if argument.name is not None and argument.name.text not in taken:
            fail(reflexes.unknown_argument(argument, expr.function.text, taken, frame))


def _arguments(definition: ast.Definition) -> Iterator[str]:
    """The names that a call binds: arguments, and the sizes in patterns and in the types of results."""
    shapes = [p.shape for p in definition.parameters if isinstance(p, ast.TensorParameter)]
    shapes += [type.shape for type in definition.results or ()]
    yield from (p.name.text for p in definition.parameters)
    for shape in shapes:
        yield from (s.path.text for s in (shape.sizes if shape else ()) if isinstance(s, ast.Name))


def _locals(body: tuple[ast.Statement, ...]) -> Iterator[str]:
    """The names that a body makes on any of its paths, by their first part."""
    for statement in flat(body):
        yield from (name.partition(".")[0] for name in writes(statement))
        if isinstance(statement, ast.Return):
            made = [ast.Assign((), value, statement.span) for value in statement.values]
            yield from (name.partition(".")[0] for assign in made for name in writes(assign))
        if isinstance(statement, ast.Gradient):
            yield from (cotangent.text for cotangent in statement.cotangents)
    for expr in _of_body(body):
        for part in walk(expr):
            if isinstance(part, ast.Call):
                yield from (a.value.name.text for a in part.arguments if isinstance(a.value, ast.Range))


def _expressions(definition: ast.Definition) -> Iterator[ast.Expr]:
    yield from (p.default for p in definition.parameters if p.default is not None)
    if definition.value is not None:
        yield definition.value
    yield from _of_body(definition.body)


def _of_body(body: tuple[ast.Statement, ...]) -> Iterator[ast.Expr]:
    """The expressions of a body; samplers behind `~` are no functions, and only their arguments count."""
    for statement in flat(body):
        match statement:
            case ast.Assign() | ast.Update() | ast.Gradient() | ast.Layer():
                yield statement.value
            case ast.Return():
                yield from statement.values
            case ast.Require() | ast.If():
                yield statement.condition
            case ast.Declare():
                yield from (s for s in statement.type.shape.sizes if not isinstance(s, ast.Ellipsis))
                start = statement.start
                if start is not None and start.drawn and isinstance(start.value, ast.Call):
                    yield from (a.value for a in start.value.arguments if not isinstance(a.value, ast.Range))
                elif start is not None:
                    yield start.value
