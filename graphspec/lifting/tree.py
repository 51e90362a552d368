"""The abstract syntax of a file as a tree of lines: what the parser hands on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from graphspec.diagnostics import Source, Span
from graphspec.syntax import ast
from graphspec.syntax.walk import left_spine


@dataclass(frozen=True, slots=True)
class _Link:
    """A stage of `x -> f -> g`, an index or an operand, apart from what stands on its left."""

    node: ast.Expr


def print_tree(file: ast.File) -> str:
    """A line for each node: what it is, what it says itself, and indented below what it consists of.

    What leans to the left (`a + b + c`, `x -> f -> g`, `y[0][1]`) stands side by side, as long as it is:
    so the tree is as deep as brackets are.
    """
    lines: list[str] = []
    todo: list[tuple[int, str, Any]] = [(0, "", file)]
    while todo:
        depth, role, node = todo.pop()
        parts = list(_parts(node))
        own = [f"{name}={_word(value)}" for name, value in parts if not _has_parts(value)]
        text = " ".join([_kind(node), *own])
        lines.append(f"{'  ' * depth}{role}: {text}" if role else f"{'  ' * depth}{text}")
        inner = [(name, value) for name, value in parts if _has_parts(value)]
        todo += [(depth + 1, name, value) for name, value in reversed(list(_each(inner)))]
    return "\n".join(lines) + "\n"


def _parts(node: Any) -> Iterator[tuple[str, Any]]:
    """What a node holds, by name; without places, and what is not there."""
    if isinstance(node, ast.Binary | ast.Call | ast.Index) and len(spine := left_spine(node)) > 1:
        yield "first", spine[0]
        for link in spine[1:]:
            yield "then", _Link(link)
        return
    apart = {"left", "piped", "operand"} if isinstance(node, _Link) else {"text"}
    inner = node.node if isinstance(node, _Link) else node
    for field in fields(inner) if is_dataclass(inner) else ():
        value = getattr(inner, field.name)
        is_there = value not in (None, False, (), "", frozenset()) and not isinstance(value, Span | Source)
        if is_there and field.name not in apart:
            yield field.name, value


def _each(parts: list[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    """The elements of tuples one by one."""
    for name, value in parts:
        if isinstance(value, tuple):
            yield from ((name, item) for item in value)
        else:
            yield name, value


def _has_parts(value: Any) -> bool:
    """Whether a value gets lines of its own, and is no word of the line of its node."""
    if isinstance(value, tuple):
        return any(map(_has_parts, value))
    return is_dataclass(value) and not isinstance(value, ast.Path)


def _kind(node: Any) -> str:
    return (
        type(node.node if isinstance(node, _Link) else node).__name__ if is_dataclass(node) else _word(node)
    )


def _word(value: Any) -> str:
    match value:
        case ast.Path():
            return value.text
        case bool():
            return str(value).lower()
        case str():
            return value if value and " " not in value and "\n" not in value else repr(value)
        case tuple():
            return f"[{', '.join(map(_word, value))}]"
    return str(value)
