"""Imports and consts: what the definitions of a file can see."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from graphspec.diagnostics import GraphSpecError, Span
from graphspec.diagnostics.catalogue import files as say
from graphspec.diagnostics.catalogue import names as say_names
from graphspec.ir import Scalar, Symbolic
from graphspec.lowering import expressions
from graphspec.lowering.context import POISON, Context, Failed, Frame, Namespace, fail
from graphspec.lowering.definitions import read_source
from graphspec.lowering.lookup import describe
from graphspec.lowering.ordering import in_order
from graphspec.syntax import ast
from graphspec.syntax.parser import parse


class Importer:
    """Reads the files that a file imports, each once, below the folder of the file asked for."""

    def __init__(self, ctx: Context, root: str | None) -> None:
        self._ctx = ctx
        self._root = os.path.realpath(root) if root is not None else None
        self._known: dict[str, Namespace] = {}

    def namespace(self, file: ast.File, folder: str | None, name: str, chain: tuple[str, ...]) -> Namespace:
        """The namespace of a parsed file; `chain` are the real paths of the files being imported."""
        definitions: dict[str, ast.Definition] = {}
        imports: dict[str, Namespace | None] = {}
        first: dict[str, Span] = {}
        for statement in file.statements:
            if isinstance(statement, ast.Definition):
                known = definitions.get(statement.name.text)
                if known is not None:
                    self._ctx.report(
                        [
                            say_names.duplicate_name(
                                statement.name.text, statement.name.span, known.name.span, ()
                            )
                        ]
                    )
                definitions.setdefault(statement.name.text, statement)
            elif isinstance(statement, ast.Import):
                alias = statement.name.text
                if alias in first:
                    self._ctx.report([say_names.duplicate_name(alias, statement.name.span, first[alias], ())])
                    continue
                first[alias] = statement.name.span
                imports[alias] = None
                with self._ctx.collecting():
                    imports[alias] = self._import(statement, folder, chain)
        return Namespace(name, definitions, {}, imports)

    def _import(self, statement: ast.Import, folder: str | None, chain: tuple[str, ...]) -> Namespace:
        written, blame = statement.path.value, statement.path.span
        if folder is None or self._root is None:
            fail(say.import_without_folder(written, blame))
        path = os.path.realpath(os.path.join(folder, written))
        if os.path.isabs(written) or "\0" in written or not path.startswith(self._root + os.sep):
            fail(say.import_outside_folder(written, blame))
        if path in chain:
            fail(
                say.import_cycle(
                    [os.path.relpath(p, self._root) for p in (*chain[chain.index(path) :], path)], blame
                )
            )
        if path in self._known:
            return self._known[path]
        try:
            file = parse(
                read_source(
                    path, os.path.normpath(os.path.join(os.path.dirname(blame.source.name), written)), blame
                )
            )
        except GraphSpecError as error:
            raise Failed(*error.diagnostics) from None
        space = self.namespace(file, os.path.dirname(path), statement.name.text, (*chain, path))
        read_consts(file, Frame(self._ctx, space, {}, values=None, owner=None), {})
        self._known[path] = space
        return space


def read_consts(file: ast.File, frame: Frame, sets: Mapping[str, Any]) -> None:
    """Evaluate the consts of a file into its namespace, in the order of their names."""
    consts = frame.home.consts
    assert isinstance(consts, dict)
    first: dict[str, ast.Const] = {}
    for statement in file.statements:
        if isinstance(statement, ast.Const):
            name = statement.name
            if name.text in first:
                places = name.span, first[name.text].name.span
                frame.ctx.report([say_names.duplicate_name(name.text, *places, ())])
            first.setdefault(name.text, statement)
    for statement in in_order(list(first.values()), frame):
        assert isinstance(statement, ast.Const)
        try:
            consts[statement.name.text] = _const(statement, frame, sets)
        except Failed as failure:
            frame.ctx.report(failure.diagnostics)
            consts[statement.name.text] = POISON
    for of_a_cycle in first:
        consts.setdefault(of_a_cycle, POISON)


def _const(statement: ast.Const, frame: Frame, sets: Mapping[str, Any]) -> Any:
    name = statement.name.text
    meaning = expressions.evaluate(statement.value, frame)
    if not expressions.is_static(meaning) or isinstance(meaning, Symbolic | Scalar):
        fail(say_names.const_not_static(name, describe(meaning), statement.value.span))
    return _as_set(name, meaning, sets[name], statement.span) if name in sets else meaning


def _as_set(name: str, written: Any, given: Any, span: Span) -> Any:
    """A const given from outside, of the kind that the file gives it."""
    given = tuple(given) if isinstance(given, list) else given
    kinds = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", tuple: "a list"}
    fits = (
        type(given) is type(written) or (isinstance(written, float) and type(given) is int) or written is None
    )
    if not fits:
        wanted = kinds.get(type(written), "a constant")
        fail(say_names.set_of_another_kind(name, wanted, repr(given), span))
    return float(given) if isinstance(written, float) else given
