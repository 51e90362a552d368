"""The functions of the language, each with the text that documents it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from graphspec.ir import FUNCTIONS, OPS
from graphspec.lowering import plugins
from graphspec.lowering.calls import FORMS
from graphspec.lowering.definitions import StandardLibrary, standard_library
from graphspec.lowering.signatures import is_primitive, of_primitive
from graphspec.ops.samplers import SAMPLERS


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language: its kind, and its definition or its documentation."""

    name: str
    kind: str
    text: str


def reference() -> dict[str, Function]:
    """Every function that a spec may call, and every sampler, by name; those that packages offer too."""
    plugins.load()
    library = standard_library().definitions
    assert isinstance(library, StandardLibrary)
    found = [Function(name, "definition", library.text(name).strip()) for name in library]
    found += [_primitive(name, made) for name, made in {**OPS, **FUNCTIONS}.items() if is_primitive(name)]
    found += [Function(name, "form", inspect.getdoc(form) or "") for name, form in FORMS.items()]
    found += [Function(s.name, "sampler", f"{s.doc}\n\n{s}") for s in SAMPLERS.values()]
    return {f.name: f for f in sorted(found, key=lambda f: f.name)}


def _primitive(name: str, made: Any) -> Function:
    return Function(name, "primitive", f"{inspect.getdoc(made) or ''}\n\n{of_primitive(name)}")
