"""Terminals in the words of people: what was expected, and what was found."""

from __future__ import annotations

from graphspec.syntax.lexing import Token

NAMED = {
    "COMMA": "`,`",
    "COLON": "`:`",
    "EQUAL": "`=`",
    "TILDE": "`~`",
    "DOT": "`.`",
    "LPAR": "`(`",
    "RPAR": "`)`",
    "LSQB": "`[`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "PIPE": "`->`",
    "RANGE": "`..`",
    "ELLIPSIS": "`...`",
    "STRING": "a string in quotes",
    "INT": "an integer",
    "FLOAT": "a number",
    "NAME": "a name",
    "_NL": "the end of the line",
    "$END": "the end of the line",
    "DOC": "documentation",
}

STATEMENT_WORDS = {
    "DIM", "INPUT", "PARAM", "BUFFER", "NOISE", "CONST", "OUTPUT", "LOSS", "OBJECTIVE", "INIT", "LAYER",
    "IMPORT", "BLOCK", "OP", "RETURN", "REQUIRE", "UPDATE", "GRADIENT", "SURROGATE",
}  # fmt: skip
EXPRESSION = {"NAME", "INT", "FLOAT", "STRING", "TRUE", "FALSE", "NONE", "LPAR", "LSQB", "MINUS", "NOT"}
BINARY = {
    "PLUS", "MINUS", "STAR", "SLASH", "FLOOR", "PERCENT", "AT", "POWER", "COMPARE", "AND", "OR", "IS", "IF",
}  # fmt: skip
OPERATOR = BINARY | {"PIPE", "AS"}


def expected(accepted: frozenset[str]) -> str:
    """What could stand in a place, most telling first: "`,` or `)`", "an expression"."""
    rest = set(accepted)
    phrases = []
    statement = len(rest & STATEMENT_WORDS) > 3
    if statement:
        phrases.append("a statement")
        rest -= STATEMENT_WORDS | EXPRESSION | {"IF", "DOC", "_NL", "$END"}
    elif {"INT", "STRING", "LPAR"} <= rest:
        phrases.append("an expression")
        rest -= EXPRESSION
    operators = rest & OPERATOR
    if {"PLUS", "STAR"} <= operators:
        rest -= OPERATOR | {"LPAR", "LSQB", "DOT"}
    if rest - OPERATOR and operators - {"PIPE", "AS"}:
        rest -= OPERATOR
    if rest - {"DOT"}:
        rest -= {"DOT"}
    if {"_NL", "$END"} & rest:
        rest -= {"_NL", "$END"}
        phrases.append(NAMED["_NL"])
    order = list(NAMED)
    words = sorted(rest, key=lambda t: (order.index(t) if t in NAMED else len(order), t))
    phrases = [NAMED.get(type, f"`{type.lower()}`") for type in words] + phrases
    if not phrases:
        phrases = ["an operator"] if operators else ["nothing more"]
    phrases = phrases[:5]
    return phrases[0] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} or {phrases[-1]}"


def found(token: Token) -> str:
    """A token as a message names it."""
    match token.type:
        case "_NL":
            return "the end of the line"
        case "$END":
            return "the end of the text"
        case "STRING":
            return "a string"
        case "PIPE":
            return "`->`"
        case "DOC":
            return "documentation"
        case _:
            return f"`{token.text}`"
