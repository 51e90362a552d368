"""The source of some of our functions, with all of ours that they use, as text that needs numpy only."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue.plugins import plugin_failed

_PACKAGE = "graphspec."
_DEFINITIONS = (ast.FunctionDef, ast.ClassDef, ast.Assign, ast.AnnAssign)
_Imports: TypeAlias = "dict[tuple[str, str | None], None]"


@dataclass(frozen=True, slots=True)
class Bundle:
    """`imports` are lines, `text` the definitions after each other, `names` what they define."""

    imports: tuple[str, ...]
    text: str
    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Module:
    """What a module defines and imports at its top level; imports as (module, name there)."""

    lines: list[str]
    definitions: dict[str, ast.stmt]
    imports: dict[str, tuple[str, str | None]]


def bundle(functions: Iterable[Callable[..., Any]]) -> Bundle:
    """The functions and, before them, what they use.

    Our functions are given the array library as `xp`; in the text it is numpy, and they say `np`.
    """
    found: dict[tuple[str, str], str] = {}
    imports: _Imports = {}
    for function in functions:
        module, name = function.__module__, function.__name__
        try:
            _collect(module, name, found, imports)
        except (ImportError, KeyError, OSError, TypeError) as error:
            if f"{module}.".startswith(_PACKAGE):
                raise
            reason = "its source cannot be read; a program can hold functions of modules only"
            raise GraphSpecError(plugin_failed(name, module, "kernel", reason)) from error
    names = [name for _, name in found]
    assert len(set(names)) == len(names), f"two definitions of one name among {sorted(names)}"
    text = ""
    for definition in found.values():
        gap = "\n" if _is_alias(definition) and _is_alias(text.rpartition("\n\n")[2]) else "\n\n\n"
        text += gap * bool(text) + definition
    used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return Bundle(_import_lines(imports, used), text, frozenset(names))


def _import_lines(imports: Iterable[tuple[str, str | None]], used: set[str]) -> tuple[str, ...]:
    """The import statements of the names that are used; numpy is there anyway."""
    by_module: dict[str, list[str]] = {}
    for module, name in sorted(imports, key=str):
        if name in used:
            by_module.setdefault(module, []).append(str(name))
        elif name is None and module in used:
            by_module[module] = []
    return tuple(
        f"from {module} import {', '.join(names)}" if names else f"import {module}"
        for module, names in by_module.items()
    )


def _is_alias(text: str) -> bool:
    return ": TypeAlias = " in text.rpartition("\n")[2]


def _collect(
    module: str,
    name: str,
    found: dict[tuple[str, str], str],
    imports: _Imports,
    path: tuple[str, ...] = (),
) -> None:
    """Add a definition of a module, after those that it needs."""
    if (module, name) in found or name in path:
        return
    known = _read(module)
    statement = known.definitions[name]
    for used in _names_in(statement):
        if used in known.definitions:
            _collect(module, used, found, imports, (*path, name))
        elif used in known.imports:
            source, original = known.imports[used]
            if source.startswith(_PACKAGE) and original is not None:
                _collect(source, original, found, imports, (*path, name))
            else:
                imports[source, original] = None
    found[module, name] = _text(known.lines, statement)


@cache
def _read(module: str) -> _Module:
    text = inspect.getsource(importlib.import_module(module))
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, tuple[str, str | None]] = {}
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.ImportFrom):
            imports |= {a.asname or a.name: (str(statement.module), a.name) for a in statement.names}
        elif isinstance(statement, ast.Import):
            imports |= {a.asname or a.name: (a.name, None) for a in statement.names}
        elif isinstance(statement, _DEFINITIONS):
            definitions |= dict.fromkeys(_defined(statement), statement)
    return _Module(text.splitlines(), definitions, imports)


def _defined(statement: ast.stmt) -> list[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    assert isinstance(statement, ast.Assign | ast.AnnAssign)
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]


def _names_in(statement: ast.stmt) -> list[str]:
    """The names that a definition uses, in their order; not those of the decorators that we drop."""
    nodes = [child for child in ast.iter_child_nodes(statement) if not _is_registration(child)]
    names = [n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name)]
    return list(dict.fromkeys(names))


def _is_registration(node: ast.AST) -> bool:
    """Whether this is `@kernel(...)` or `@gs.kernel(...)`, which the text has no use for."""
    if not isinstance(node, ast.Call):
        return False
    return getattr(node.func, "id", "") == "kernel" or getattr(node.func, "attr", "") == "kernel"


def _text(lines: list[str], statement: ast.stmt) -> str:
    """A definition as it is written, with the comments right above it."""
    decorators = getattr(statement, "decorator_list", [])
    kept = [d for d in decorators if not _is_registration(d)]
    first = min([statement.lineno, *(d.lineno for d in kept)])
    top = min([statement.lineno, *(d.lineno for d in decorators)])
    above = top - 1
    while above and lines[above - 1].startswith("#"):
        above -= 1
    text = "\n".join([*lines[above : top - 1], *lines[first - 1 : statement.end_lineno]])
    text = re.sub(r"  # (noqa|type: ignore).*", "", text)
    text = re.sub(r"\bxp: Any,\s*|\bxp,\s+", "", text)
    return re.sub(r"\bxp\b", "np", text)
