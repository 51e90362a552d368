from __future__ import annotations
from graphspec.syntax.parser import parse_definition
def index(text: str) -> dict[str, tuple[int, int]]:
    return {}
