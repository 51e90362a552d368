"""What `--cotangent` says: ones, one file, or a file for each objective."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer


def read_cotangents(texts: Sequence[str] | None, objectives: Sequence[str]) -> Any:
    """The cotangents of the objectives: "ones", or arrays by objective; None where nothing is said.

    An archive (.npz, .safetensors) has them by the objectives' names, which may themselves hold an `=`.
    """
    from graphspec.diagnostics import GraphSpecError
    from graphspec.diagnostics.catalogue.requests import cotangents_by_name
    from graphspec.runtime.data import read_array
    from graphspec.runtime.parameters import read_arrays

    if not texts:
        return None
    if list(texts) == ["ones"]:
        return "ones"
    pairs = [_split(text, objectives) for text in texts]
    if len(texts) == 1 and not pairs[0][0]:
        path = Path(texts[0])
        return {objectives[0]: read_array(path)} if len(objectives) == 1 else read_arrays(path)
    for name, file in pairs:
        if not name or file == "ones":
            raise typer.BadParameter("of several, each is NAME=FILE", param_hint="--cotangent")
    wrong = [name for name, _ in pairs if name not in objectives]
    if wrong:
        raise GraphSpecError(cotangents_by_name(objectives, wrong))
    return {name: read_array(Path(file)) for name, file in pairs}


def _split(text: str, objectives: Sequence[str]) -> tuple[str, str]:
    """The objective and the file of `NAME=FILE`; a file alone has no objective."""
    for name in sorted(objectives, key=len, reverse=True):
        if text.startswith(f"{name}="):
            return name, text[len(name) + 1 :]
    name, _, file = text.partition("=")
    return (name, file) if file and not Path(text).exists() else ("", text)
