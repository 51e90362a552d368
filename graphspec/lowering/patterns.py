"""Patterns over dotted names: `*` stays within a segment, `**` crosses dots."""

from __future__ import annotations

import functools
import re


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*|\*)", pattern)
    return re.compile("".join({"**": ".*", "*": r"[^.]*"}.get(p, re.escape(p)) for p in pieces))


def is_pattern(text: str) -> bool:
    return "*" in text


def matches(pattern: str, name: str) -> bool:
    """Whether a name is one that the pattern describes."""
    return compiled(pattern).fullmatch(name) is not None
