"""The TextMate grammar of `.gspec`, which VS Code and others colour by.

`python -m graphspec.syntax.textmate` rewrites `grammars/vscode/syntaxes/gspec.tmLanguage.json` after a change
of the words; a test compares the two.
"""

from __future__ import annotations

import json
import re
from typing import Any, TypeAlias

from graphspec.syntax import highlight
from graphspec.syntax.highlight import NAME, NUMBER, PATH, either
from graphspec.syntax.tables import folder

Rule: TypeAlias = "dict[str, Any]"

START = r"(?:^|(?<=\{))\s*"
"""Where a statement may start."""


def match(pattern: str, *scopes: str) -> Rule:
    """A rule that gives scopes to the groups of a pattern, or its one scope to all where it has no groups."""
    if not re.compile(pattern).groups:
        return {"match": pattern, "name": f"{scopes[0]}.gspec"}
    captures = {str(i): {"name": f"{scope}.gspec"} for i, scope in enumerate(scopes, 1)}
    return {"match": pattern, "captures": captures}


def grammar() -> Rule:
    """The grammar; its words are those of the tables."""
    defining, declaring = either(highlight.defining()), either(highlight.declaring())
    declared = rf"{START}({declaring})[ \t]+({PATH})(?=[ \t]*(?:[:=~\[,#]|as\b|$))"
    gradient = rf"{START}({either(highlight.gradients())})(?=[ \t]*\([^()]*\)[ \t]*{NAME}[ \t]*=)"
    statements = [
        match(r"^\s*(gspec)[ \t]+([0-9]+)\b", "keyword.control.header", "constant.numeric"),
        match(rf"{START}({defining})[ \t]+({NAME})", "storage.type", "entity.name.function"),
        match(declared, "storage.type", "variable.other.declaration"),
        match(rf"{START}({declaring})(?=[ \t]+[A-Za-z_*\"])", "storage.type"),
        match(rf"{START}({either(highlight.in_bodies())})(?![ \t]*(?:[=,:.]|$))", "keyword.control"),
        match(gradient, "storage.type"),
    ]
    sizes = {
        "begin": rf"{START}(dim)\b(?=[ \t]+[A-Za-z_])",
        "beginCaptures": {"1": {"name": "storage.type.gspec"}},
        "end": r"$",
        "patterns": [
            match(r"\bwhere\b(?=[ \t]+[A-Za-z_0-9(-])", "keyword.control"),
            {"include": "#expression"},
        ],
    }
    expression = [
        match(r"#.*$", "comment.line.number-sign"),
        match(r'"[^"\n]*"', "string.quoted.double"),
        match(rf"(?<![A-Za-z_0-9])(?<![A-Za-z_0-9]\.){NUMBER}", "constant.numeric"),
        match(rf"\b(as)[ \t]+({PATH})", "keyword.control", "entity.name.label"),
        match(rf"\b{either(highlight.control())}", "keyword.control"),
        match(rf"\b{either(highlight.constants())}", "constant.language"),
        match(rf"\b{either(highlight.logic())}", "keyword.operator.logical"),
        match(rf":[ \t]*({either(highlight.STATIC)})", "storage.type"),
        match(rf"\b{either(highlight.DTYPES)}(?![ \t]*[(.])", "storage.type"),
        match(rf"(->)[ \t]*({either(highlight.DTYPES)})", "keyword.operator.pipe", "storage.type"),
        match(rf"(->)[ \t]*({PATH})", "keyword.operator.pipe", "entity.name.function"),
        match(rf"\b{PATH}(?=[ \t]*\()", "entity.name.function"),
        match(rf"\b{either(highlight.KNOWN)}(?!\.)", "support.constant"),
        match(rf"\b{PATH}", "variable.other"),
        {"include": "#brackets"},
        match(r"->|\*\*|//|==|!=|<=|>=|\.\.\.?|[-+*/%@<>=~]", "keyword.operator"),
    ]
    brackets = {
        "begin": r"[(\[]",
        "end": r"[)\]]",
        "patterns": [
            match(rf"\b({NAME})[ \t]*(=)(?!=)", "variable.parameter", "keyword.operator"),
            match(rf"\b({NAME})[ \t]+(in)\b", "variable.other.declaration", "keyword.control"),
            {"include": "#expression"},
        ],
    }
    return {
        "$schema": "https://raw.githubusercontent.com/martinring/tmlanguage/master/tmlanguage.json",
        "name": "graphspec",
        "scopeName": "source.gspec",
        "fileTypes": ["gspec"],
        "patterns": [
            match(r"^\s*##(?!#).*$", "comment.line.documentation"),
            {"include": "#statements"},
            {"include": "#expression"},
        ],
        "repository": {
            "statements": {"patterns": [sizes, *statements]},
            "expression": {"patterns": expression},
            "brackets": brackets,
        },
    }


def text() -> str:
    """The grammar as its file has it."""
    return json.dumps(grammar(), indent=2) + "\n"


if __name__ == "__main__":
    path = folder() / "vscode" / "syntaxes" / "gspec.tmLanguage.json"
    path.write_text(text(), encoding="utf-8")
