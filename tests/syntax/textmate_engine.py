"""A small TextMate engine, as editors have one: line by line, the earliest match, the first of several rules.

It knows what the grammar of `.gspec` uses: `match`, `captures`, `begin`, `end`, `beginCaptures`, `include`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Rule = dict[str, Any]


def scopes(grammar: Rule, text: str) -> list[tuple[int, str, str]]:
    """The coloured pieces of a text: (offset, piece, scope)."""
    found: list[tuple[int, str, str]] = []
    stack: list[Rule] = [grammar]
    offset = 0
    for line in text.split("\n"):
        position = 0
        while position <= len(line):
            end = re.compile(stack[-1].get("end", r"\b\B")).search(line, position)
            best, chosen = end, stack[-1]
            for rule in _rules(grammar, stack[-1]["patterns"]):
                match = re.compile(rule.get("match") or rule["begin"]).search(line, position)
                if match is not None and (best is None or match.start() < best.start()):
                    best, chosen = match, rule
            if best is None:
                break
            if best is end:
                stack.pop()
            else:
                assert best.end() > best.start(), f"{chosen} matches nothing"
                _colour(found, offset, best, chosen)
                if "begin" in chosen:
                    stack.append(chosen)
            if best.end() == position == len(line):
                break
            position = best.end()
        offset += len(line) + 1
    return found


def _rules(grammar: Rule, patterns: list[Rule]) -> Iterator[Rule]:
    for rule in patterns:
        if "include" not in rule:
            yield rule
            continue
        inner = grammar["repository"][rule["include"].removeprefix("#")]
        if "begin" in inner:
            yield inner
        else:
            yield from _rules(grammar, inner["patterns"])


def _colour(found: list[tuple[int, str, str]], offset: int, match: re.Match[str], rule: Rule) -> None:
    captures = rule.get("captures") or rule.get("beginCaptures") or {}
    if "name" in rule:
        found.append((offset + match.start(), match.group(), rule["name"]))
    for number, capture in captures.items():
        if match.group(int(number)) is not None:
            found.append((offset + match.start(int(number)), match.group(int(number)), capture["name"]))
