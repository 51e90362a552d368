"""What the texts of options mean: names, pairs, sizes, rows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import typer


def split_names(texts: list[str] | None) -> list[str]:
    """`a,b` and a repeated option are the same: a list of names."""
    return [name.strip() for text in texts or [] for name in text.split(",") if name.strip()]


def read_sets(texts: list[str] | None) -> dict[str, Any]:
    """`NAME=VALUE`: numbers, `true`, `false` and lists as JSON has them, anything else is a string."""
    return {name: _read_value(value) for name, value in _pairs(texts, "--set", "VALUE")}


def read_files(texts: list[str] | None) -> dict[str, Path]:
    """`NAME=FILE` by name."""
    return {name: Path(value) for name, value in _pairs(texts, "--input", "FILE")}


def read_renames(texts: list[str] | None) -> dict[str, str]:
    """`OLD=NEW` by the old name; a new one that is empty leaves the old out."""
    found: dict[str, str] = {}
    for text in texts or []:
        old, equals, new = text.partition("=")
        if not (old and equals):
            raise typer.BadParameter(f"{text!r} is not OLD=NEW", param_hint="--rename")
        found[old] = new
    return found


def read_bytes(text: str | None) -> int | None:
    """`8GB`, `512 MiB`, `2e9`: a number of bytes."""
    if text is None:
        return None
    match = re.fullmatch(r"\s*([0-9.]+(?:e[0-9]+)?)\s*([kmgt]?)(i?)b?\s*", text, re.IGNORECASE)
    try:
        number = float(match[1]) if match else -1.0
    except ValueError:
        number = -1.0
    if match is None or not 0 <= number < 1e18:
        raise typer.BadParameter(f"{text!r} is no size, as 8GB or 512MiB are", param_hint="--max-memory")
    step = 1024 if match[3] else 1000
    return int(number * step ** " kmgt".index(match[2].lower() or " "))


def read_take(text: str | None) -> slice | None:
    """`A:B`, either end may be left out."""
    if text is None:
        return None
    start, colon, stop = text.partition(":")
    try:
        rows = slice(int(start) if start else None, int(stop) if stop else None)
    except ValueError:
        rows = None
    if rows is None or not colon:
        raise typer.BadParameter(f"{text!r} is not A:B with whole numbers, as in 0:100", param_hint="--take")
    return rows


def as_written(rows: slice) -> str:
    """`A:B` again."""
    return ":".join("" if end is None else str(end) for end in (rows.start, rows.stop))


def read_part(text: str | None, option: str) -> slice | list[int] | None:
    """`A:B` (either end may be left out), a number, or numbers with commas."""
    if text is None:
        return None
    try:
        if ":" in text:
            start, _, stop = text.partition(":")
            return slice(int(start) if start else None, int(stop) if stop else None)
        return [int(number) for number in text.split(",")]
    except ValueError:
        reason = f"{text!r} is neither A:B, as in 0:100, nor whole numbers, as in 3 or 0,2,5"
        raise typer.BadParameter(reason, param_hint=option) from None


def _pairs(texts: list[str] | None, option: str, what: str) -> list[tuple[str, str]]:
    pairs = []
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise typer.BadParameter(f"{text!r} is not NAME={what}", param_hint=option)
        pairs.append((name, value))
    return pairs


def _read_value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return text if value is None or isinstance(value, dict) else value
