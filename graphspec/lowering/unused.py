"""What a file says and nothing uses: a warning each, since a forgotten line is usually a mistake."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from graphspec.diagnostics import Diagnostic
from graphspec.diagnostics.catalogue import names as say
from graphspec.ir import Value, reachable
from graphspec.lowering.context import Frame, LayerRef
from graphspec.lowering.ordering import reads
from graphspec.syntax import ast
from graphspec.syntax.walk import walk


def unused(file: ast.File, frame: Frame) -> tuple[Diagnostic, ...]:
    """Warnings in the order of the text."""
    named = {name for statement in file.statements for name in _mentioned_by(statement)}
    found = [*_statements(file, frame), *_mentions(file, named), *_values(file, frame, named)]
    for definition in _definitions(file):
        found += _inside(definition, file)
    return tuple(sorted(found, key=lambda d: d.primary.span.start if d.primary else -1))


def _definitions(file: ast.File) -> list[ast.Definition]:
    return [s for s in file.statements if isinstance(s, ast.Definition)]


def _statements(file: ast.File, frame: Frame) -> Iterator[Diagnostic]:
    """A file that computes something and declares no result."""
    computes = any(isinstance(s, ast.Declare | ast.Assign) for s in file.statements)
    if computes and not frame.ctx.results:
        first = next(s for s in file.statements if isinstance(s, ast.Declare | ast.Assign))
        yield say.no_result(first.span)


def _values(file: ast.File, frame: Frame, named: set[str]) -> Iterator[Diagnostic]:
    """Values, tensors and layers of the file on which no result depends; `named` are the names used in it."""
    ctx = frame.ctx
    if not ctx.results:
        return
    live = set(reachable([*(r.value for r in ctx.results.values()), *ctx.updates.values()]))
    for statement in file.statements:
        match statement:
            case ast.Declare():
                name = (statement.public or statement.path).text
                if ctx.declared[name].value.node not in live:
                    yield say.unused_declaration(statement.kind, name, statement.path.span)
            case ast.Layer():
                name = statement.path.text
                if isinstance(frame.names.get(name), LayerRef) and name not in named:
                    yield say.unused_declaration("layer", name, statement.path.span)
            case ast.Assign():
                first = statement.targets[0].path
                values = {t.path.text: frame.names.get(t.path.text) for t in statement.targets}
                if not any(v.node in live if isinstance(v, Value) else n in named for n, v in values.items()):
                    yield say.leads_nowhere(first.text, first.span)


def _mentions(file: ast.File, named: set[str]) -> Iterator[Diagnostic]:
    """Consts, dims and imports that no statement names."""
    heads = {name.partition(".")[0] for name in named}
    for statement in file.statements:
        if isinstance(statement, ast.Const | ast.Dim) and statement.name.text not in named:
            kind = "const" if isinstance(statement, ast.Const) else "dim"
            yield say.unmentioned(kind, statement.name.text, statement.name.span)
        elif isinstance(statement, ast.Import) and statement.name.text not in heads:
            yield say.unmentioned("import", statement.name.text, statement.name.span)


def _inside(definition: ast.Definition, file: ast.File) -> Iterator[Diagnostic]:
    """Arguments and locals of a definition that its body never names.

    A value of a block may be meant for the file, which names it with a path: `rnn.3.gate`.
    """
    named = set(_mentioned_by(definition))
    heads = {name.partition(".")[0] for name in named}
    paths = {name for s in file.statements if s is not definition for name in _mentioned_by(s) if "." in name}
    for parameter in definition.parameters:
        name = parameter.name.text
        shape = getattr(parameter, "shape", None)
        bound = [s.path.text for s in shape.sizes if isinstance(s, ast.Name)] if shape else []
        if name not in named and not any(size in named for size in bound):
            yield say.unused_argument(name, definition.name.text, parameter.name.span)
    for made in _locals(definition.body):
        used = [
            p
            for p in made
            if p.text.partition(".")[0] in heads or any(q.endswith(f".{p.text}") for q in paths)
        ]
        if not used:
            yield say.leads_nowhere(made[0].text, made[0].span, definition.name.text)


def _locals(body: Iterable[ast.Statement]) -> Iterator[list[ast.Path]]:
    """The names that the statements of a body make, in all of its branches."""
    for statement in flat(body):
        match statement:
            case ast.Assign():
                yield [target.path for target in statement.targets]
            case ast.Declare() | ast.Layer():
                yield [statement.path]


def flat(body: Iterable[ast.Statement]) -> Iterator[ast.Statement]:
    """The statements of a body and of all its branches."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from flat(chain(statement.then, statement.otherwise))


def _mentioned_by(statement: ast.Statement) -> Iterator[str]:
    """Every name that a statement uses, as a value, a size, or a function."""
    match statement:
        case ast.Definition():
            for parameter in statement.parameters:
                if parameter.default is not None:
                    yield from _names(parameter.default)
            for type in statement.results or ():
                yield from _names_of_type(type)
            if statement.value is not None:
                yield from _names(statement.value)
            for inner in flat(statement.body):
                yield from _mentioned_by(inner)
        case ast.If():
            yield from _names(statement.condition)
        case ast.Return():
            yield from chain.from_iterable(map(_names, statement.values))
        case ast.Gradient() | ast.Const():
            yield from _names(statement.value)
        case ast.Init():
            yield from _names(statement.start.value)
        case ast.Dim():
            yield from chain.from_iterable(_names(e) for e in (statement.default, statement.constraint) if e)
        case _:
            yield from (read.name for read in reads(statement))


def _names(expr: ast.Expr) -> Iterator[str]:
    for part in walk(expr):
        if isinstance(part, ast.Name):
            yield part.path.text
        elif isinstance(part, ast.Call):
            yield part.function.text


def _names_of_type(type: ast.Type) -> Iterator[str]:
    for size in type.shape.sizes:
        if not isinstance(size, ast.Ellipsis):
            yield from _names(size)
