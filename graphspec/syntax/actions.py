"""From productions to abstract syntax: one method for each rule of the grammar, called as the parser reduces.

Nothing recurses: a node is built when its parts are there, so a chain of ten thousand `+` or `->` is no
deeper than one.  What a method finds wrong goes to `found`; it still returns a node, so that reading goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

from graphspec.diagnostics import Diagnostic, Source, Span
from graphspec.syntax import ast
from graphspec.syntax.lexing import Token

Parts = list[Any]

WORDS = ("int", "float", "bool", "str")


MOST = 2**63 - 1
"""The largest integer a spec can say: i64's."""


@dataclass(frozen=True, slots=True)
class Header:
    """`gspec 1`."""

    version: int
    span: Span


def _doc(lines: list[str]) -> str:
    """Documentation without its `##`, one string."""
    return "\n".join(line[2:].strip() for line in lines)


class Actions:
    """The actions for one source; each takes the kept parts of a production and its place."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.found: list[Diagnostic] = []

    def span_of(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    def path_of(self, token: Token) -> ast.Path:
        return ast.Path(token.text, self.span_of(token))

    def joined(self, span: Span) -> ast.Path:
        """A dotted name or pattern, whose parts must touch."""
        text = span.text
        whole = "".join(text.split())
        if whole == text:
            return ast.Path(text, span)
        from graphspec.diagnostics.catalogue.syntax import spaced_name

        self.found.append(spaced_name(span, whole))
        return ast.Path(whole, span)

    # ---------------------------------------------------------------- the file

    def on_start(self, parts: Parts, span: Span) -> ast.File:
        """Documentation right under the header, or before it, is the file's; other the next statement's."""
        header = next(i for i, part in enumerate(parts) if isinstance(part, Header))
        docs = [part.text for part in parts[:header]]
        line = self.source.position(parts[header].span.end)[0]
        rest = parts[header + 1 :]
        while rest and isinstance(rest[0], Token) and self.source.position(rest[0].start)[0] == line + 1:
            docs.append(rest.pop(0).text)
            line += 1
        return ast.File(self.source, parts[header].version, self.documented(rest), doc=_doc(docs), span=span)

    def documented(self, parts: Parts) -> tuple[Any, ...]:
        """The statements among `parts`, each with the `##` lines above it."""
        statements: list[Any] = []
        docs: list[str] = []
        for part in parts:
            if isinstance(part, Token):
                docs.append(part.text)
                continue
            for statement in part if isinstance(part, list) else [part]:
                documented = docs and hasattr(statement, "doc")
                statements.append(replace(statement, doc=_doc(docs)) if documented else statement)
            docs = []
        return tuple(statements)

    def on_expression(self, parts: Parts, span: Span) -> ast.Expr:
        value: ast.Expr = parts[0]
        return value

    def on_definition(self, parts: Parts, span: Span) -> ast.Definition:
        (definition,) = self.documented(parts)
        assert isinstance(definition, ast.Definition)
        return definition

    def on_header(self, parts: Parts, span: Span) -> Header:
        return Header(int(parts[1].text), span)

    # ---------------------------------------------------------------- declarations

    def on_dim(self, parts: Parts, span: Span) -> list[ast.Dim]:
        return parts[1:]

    def on_dim_item(self, parts: Parts, span: Span) -> ast.Dim:
        name, default, _, constraint = parts
        return ast.Dim(self.path_of(name), default, constraint, span)

    def on_input(self, parts: Parts, span: Span) -> ast.Declare:
        word, path, type, start = parts
        return ast.Declare(word.text, path, type, None, start, span)

    def on_param(self, parts: Parts, span: Span) -> ast.Declare:
        word, path, type, public, start = parts
        return ast.Declare(word.text, path, type, public, start, span)

    on_buffer = on_param
    on_noise = on_param

    def on_bare_type(self, parts: Parts, span: Span) -> ast.Type:
        return ast.Type(None, parts[0], span)

    def on_public(self, parts: Parts, span: Span) -> ast.Path:
        path: ast.Path = parts[1]
        return path

    def on_drawn(self, parts: Parts, span: Span) -> ast.Start:
        return ast.Start(True, parts[0], span)

    def on_given(self, parts: Parts, span: Span) -> ast.Start:
        return ast.Start(False, parts[0], span)

    def on_const(self, parts: Parts, span: Span) -> ast.Const:
        return ast.Const(self.path_of(parts[1]), parts[2], span)

    def on_output(self, parts: Parts, span: Span) -> ast.Result:
        word, path, type, value = parts
        return ast.Result(word.text, path, type, value, span)

    on_loss = on_output
    on_objective = on_output

    def on_init(self, parts: Parts, span: Span) -> ast.Init:
        return ast.Init(parts[1], parts[2], span)

    def on_pattern(self, parts: Parts, span: Span) -> ast.Path:
        return self.joined(span)

    def on_layer(self, parts: Parts, span: Span) -> ast.Layer:
        return ast.Layer(parts[1], parts[2], span)

    def on_import_(self, parts: Parts, span: Span) -> ast.Import:
        return ast.Import(
            ast.String(parts[1].text[1:-1], self.span_of(parts[1])), self.path_of(parts[3]), span
        )

    def on_assign(self, parts: Parts, span: Span) -> ast.Assign:
        return ast.Assign(tuple(parts[:-1]), parts[-1], span)

    def on_target(self, parts: Parts, span: Span) -> ast.Target:
        return ast.Target(parts[0], parts[1], span)

    # ---------------------------------------------------------------- blocks and ops

    def on_block(self, parts: Parts, span: Span) -> ast.Definition:
        word, name, parameters, results, body = parts
        return ast.Definition(word.text, self.path_of(name), parameters, results, None, body, span)

    def on_op(self, parts: Parts, span: Span) -> ast.Definition:
        word, name, parameters, results, *rest = parts
        value, body = (rest[0].value, rest[1] or ()) if len(rest) == 2 else (None, rest[0])
        return ast.Definition(word.text, self.path_of(name), parameters, results, value, body, span)

    def on_parameters(self, parts: Parts, span: Span) -> tuple[ast.Parameter, ...]:
        return tuple(part for part in parts if part is not None)

    def on_tensor_parameter(self, parts: Parts, span: Span) -> ast.TensorParameter:
        name, shape, default = parts
        return ast.TensorParameter(self.path_of(name), shape, default, span)

    def on_static_parameter(self, parts: Parts, span: Span) -> ast.Parameter:
        name, word, shape, default = parts
        count = None
        if shape is not None:
            sizes = shape.sizes
            if len(sizes) == 1 and isinstance(sizes[0], ast.Number) and isinstance(sizes[0].value, int):
                count = sizes[0].value
            elif not sizes:
                count = 0
        if (
            word.text not in WORDS
            or (shape is not None and count is None)
            or (count is not None and word.text == "str")
        ):
            from graphspec.diagnostics.catalogue.statements import typed_argument, unknown_argument_word

            if shape is not None and word.text not in WORDS:
                fixed = f"{name.text}{shape.span.text}"
                self.found.append(typed_argument(Span(self.source, name.start, shape.span.end), fixed))
            else:
                place = Span(self.source, word.start, shape.span.end if shape else word.end)
                self.found.append(unknown_argument_word(place, place.text))
            return ast.TensorParameter(self.path_of(name), shape, default, span)
        return ast.StaticParameter(self.path_of(name), word.text, count, default, span)

    def on_result(self, parts: Parts, span: Span) -> tuple[ast.Type, ...]:
        return tuple(parts[1:])

    def on_body(self, parts: Parts, span: Span) -> tuple[ast.Statement, ...]:
        return self.documented(parts)

    def on_return_(self, parts: Parts, span: Span) -> ast.Return:
        return ast.Return(tuple(parts[1:]), span)

    def on_require(self, parts: Parts, span: Span) -> ast.Require:
        return ast.Require(parts[1], parts[2].text[1:-1], span)

    def on_update(self, parts: Parts, span: Span) -> ast.Update:
        return ast.Update(parts[1], parts[2], span)

    def on_gradient(self, parts: Parts, span: Span) -> ast.Gradient:
        word, cotangents, argument, value = parts
        return ast.Gradient(word.type == "SURROGATE", cotangents, self.path_of(argument), value, span)

    def on_cotangents(self, parts: Parts, span: Span) -> tuple[ast.Path, ...]:
        return tuple(self.path_of(part) for part in parts)

    def on_if_(self, parts: Parts, span: Span) -> ast.If:
        _, condition, then, _, otherwise = parts
        if isinstance(otherwise, ast.If):
            otherwise = (otherwise,)
        return ast.If(condition, then, otherwise or (), span)

    # ---------------------------------------------------------------- types

    def on_type(self, parts: Parts, span: Span) -> ast.Type:
        return ast.Type(parts[0], parts[1], span)

    def on_shape(self, parts: Parts, span: Span) -> ast.Shape:
        return ast.Shape(tuple(part for part in parts if part is not None), span)

    def on_ellipsis(self, parts: Parts, span: Span) -> ast.Ellipsis:
        return ast.Ellipsis(span)

    # ---------------------------------------------------------------- calls

    def on_pipe(self, parts: Parts, span: Span) -> ast.Call:
        value, _, stage = parts
        return ast.Call(stage.function, stage.arguments, stage.label, value, stage.bare, stage.span)

    def on_stage(self, parts: Parts, span: Span) -> ast.Call:
        path, arguments, _, label = parts
        self.check_ranges(path, arguments or ())
        return ast.Call(path, arguments or (), label, None, arguments is None, span)

    def on_call(self, parts: Parts, span: Span) -> ast.Call:
        self.check_ranges(*parts)
        return ast.Call(parts[0], parts[1], None, None, False, span)

    def check_ranges(self, function: ast.Path, arguments: tuple[ast.Argument, ...]) -> None:
        """`i in a..b` stands first in `repeat` and `each`, nowhere else."""
        for i, argument in enumerate(arguments):
            if isinstance(argument.value, ast.Range) and (i > 0 or function.text not in ("repeat", "each")):
                from graphspec.diagnostics.catalogue.statements import misplaced_range

                self.found.append(misplaced_range(argument.span))

    def on_labelled(self, parts: Parts, span: Span) -> ast.Call:
        call, _, label = parts
        return ast.Call(call.function, call.arguments, label, None, False, span)

    def on_arguments(self, parts: Parts, span: Span) -> tuple[ast.Argument, ...]:
        return tuple([part for part in parts if part is not None])

    def on_positional(self, parts: Parts, span: Span) -> ast.Argument:
        return ast.Argument(parts[0], None, span)

    def on_keyword(self, parts: Parts, span: Span) -> ast.Argument:
        return ast.Argument(parts[1], self.path_of(parts[0]), span)

    def on_range(self, parts: Parts, span: Span) -> ast.Argument:
        name, _, start, stop = parts
        return ast.Argument(ast.Range(self.path_of(name), start, stop, span), None, span)

    # ---------------------------------------------------------------- other expressions

    def on_choose(self, parts: Parts, span: Span) -> ast.Conditional:
        then, _, condition, _, otherwise = parts
        return ast.Conditional(then, condition, otherwise, span)

    def on_binary(self, parts: Parts, span: Span) -> ast.Binary:
        left, operator, right = parts
        return ast.Binary(operator.text, left, right, span, self.span_of(operator))

    def on_unary(self, parts: Parts, span: Span) -> ast.Unary:
        return ast.Unary(parts[0].text, parts[1], span)

    def on_is_none(self, parts: Parts, span: Span) -> ast.IsNone:
        return ast.IsNone(parts[0], parts[2].type == "NOT", span)

    def on_indexed(self, parts: Parts, span: Span) -> ast.Index:
        return ast.Index(parts[0], tuple(parts[1:]), span)

    def on_slice(self, parts: Parts, span: Span) -> ast.Slice:
        start, stop, step = parts
        return ast.Slice(start, stop, step, span)

    def on_tuple(self, parts: Parts, span: Span) -> ast.Tuple:
        return ast.Tuple(tuple(parts), span)

    def on_list(self, parts: Parts, span: Span) -> ast.List:
        return ast.List(tuple(part for part in parts if part is not None), span)

    def on_value(self, parts: Parts, span: Span) -> ast.Name:
        return ast.Name(parts[0], span)

    def on_integer(self, parts: Parts, span: Span) -> ast.Number:
        text = parts[0].text
        if len(text) <= 19 and (value := int(text)) <= MOST:
            return ast.Number(value, text, span)
        return self.too_large(text, span)

    def on_float(self, parts: Parts, span: Span) -> ast.Number:
        text = parts[0].text
        value = float(text)
        return ast.Number(value, text, span) if isfinite(value) else self.too_large(text, span)

    def too_large(self, text: str, span: Span) -> ast.Number:
        from graphspec.diagnostics.catalogue.syntax import number_too_large

        self.found.append(number_too_large(span))
        return ast.Number(1, text, span)

    def on_string(self, parts: Parts, span: Span) -> ast.String:
        return ast.String(parts[0].text[1:-1], span)

    def on_boolean(self, parts: Parts, span: Span) -> ast.Boolean:
        return ast.Boolean(parts[0].type == "TRUE", span)

    def on_none(self, parts: Parts, span: Span) -> ast.NoneLiteral:
        return ast.NoneLiteral(span)

    def on_path(self, parts: Parts, span: Span) -> ast.Path:
        return ast.Path(parts[0].text, span) if len(parts) == 1 else self.joined(span)

    def on_name(self, parts: Parts, span: Span) -> ast.Path:
        return self.path_of(parts[0])
