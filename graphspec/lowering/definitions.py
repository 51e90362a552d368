"""Where definitions are found: in the file itself, in its imports, in the standard library."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from importlib import resources

from graphspec.diagnostics import Diagnostic, GraphSpecError, Source, Span
from graphspec.diagnostics.catalogue import files as say
from graphspec.lowering import plugins, signatures
from graphspec.lowering.context import Failed, Frame, LayerRef, Namespace
from graphspec.lowering.signatures import primitives
from graphspec.syntax import ast
from graphspec.syntax.index import index
from graphspec.syntax.parser import parse_definition


class LibrarySource(Source):
    """A text of the standard library, whose lines are no user's to mend."""


class StandardLibrary(Mapping[str, ast.Definition]):
    """The definitions of `graphspec/std`: found by a line scan, parsed when used."""

    def __init__(self) -> None:
        self._places: dict[str, tuple[Source, int, int]] = {}
        self._parsed: dict[str, ast.Definition] = {}
        for entry in sorted(resources.files("graphspec").joinpath("std").iterdir(), key=lambda e: e.name):
            if entry.name.endswith(".gspec"):
                source = LibrarySource(f"std/{entry.name}", entry.read_text("utf-8"))
                for name, (start, end) in index(source.text).items():
                    assert name not in self._places, f"std defines {name} twice"
                    self._places[name] = (source, start, end)

    def __getitem__(self, name: str) -> ast.Definition:
        if name not in self._parsed:
            self._parsed[name] = parse_definition(*self._places[name])
        return self._parsed[name]

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def text(self, name: str) -> str:
        """The definition as it is written, with its documentation."""
        source, start, end = self._places[name]
        return source.text[start:end]


@functools.cache
def standard_library() -> Namespace:
    return Namespace("", StandardLibrary(), {}, {}, is_std=True)


def find(name: str, frame: Frame) -> tuple[ast.Definition, Namespace] | None:
    """The definition that a function's name means in a frame, and the namespace that its body sees."""
    head, _, rest = name.partition(".")
    if rest and head in frame.home.imports:
        imported = frame.home.imports[head]
        if imported is None:
            raise Failed
        return (imported.definitions[rest], imported) if rest in imported.definitions else None
    if name in frame.home.definitions:
        return frame.home.definitions[name], frame.home
    std = standard_library()
    return (std.definitions[name], std) if name in std.definitions else None


def is_primitive(name: str) -> bool:
    """Whether a function of that name is no definition: one of graphspec's, or one that a package offers."""
    return signatures.is_primitive(name) or (plugins.load() and signatures.is_primitive(name))


def function_exists(name: str, frame: Frame) -> bool:
    return find(name, frame) is not None or is_primitive(name)


def function_names(frame: Frame) -> list[str]:
    """Every function that could be called in a frame, for suggestions."""
    from graphspec.lowering.calls import FORMS

    layers = [n for n, m in frame.names.items() if isinstance(m, LayerRef)]
    imported = [
        f"{alias}.{name}"
        for alias, space in frame.home.imports.items()
        if space
        for name in space.definitions
    ]
    return [
        *layers,
        *frame.home.definitions,
        *imported,
        *standard_library().definitions,
        *primitives(),
        *FORMS,
    ]


def read_source(path: str, shown: str, blame: Span | None = None) -> Source:
    """The text of a spec; what cannot be read is a diagnostic."""
    return Source(shown, _read(path, shown, blame))


#: about fifty thousand lines, which are compiled in half a minute
MAX_BYTES = 2 * 2**20


def _read(path: str, shown: str, blame: Span | None) -> str:
    def refuse(found: Diagnostic) -> GraphSpecError:
        return GraphSpecError(found)

    if os.path.isdir(path):
        raise refuse(say.spec_is_a_directory(shown, blame))
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)  # a device says that it is empty, and never ends
        if len(data) > MAX_BYTES:
            raise refuse(say.spec_too_large(shown, MAX_BYTES, blame))
    except FileNotFoundError:
        raise refuse(say.spec_not_found(shown, _neighbours(path), blame)) from None
    except (OSError, ValueError) as error:
        raise refuse(say.spec_unreadable(shown, getattr(error, "strerror", str(error)), blame)) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise refuse(say.not_utf8(shown, line, blame)) from None


def _neighbours(path: str) -> list[str]:
    folder = os.path.dirname(path) or "."
    try:
        return sorted(n for n in os.listdir(folder) if n.endswith(".gspec"))
    except OSError:
        return []


__all__ = [
    "StandardLibrary",
    "find",
    "function_exists",
    "function_names",
    "is_primitive",
    "read_source",
    "standard_library",
]
