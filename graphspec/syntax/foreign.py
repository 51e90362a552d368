"""Text that no terminal of the grammar matches, or that another language would read further (`1e-3f`, `+=`).

Each piece is reported; where its meaning is certain, the token that was meant goes to the parser in its
place, so that one mistake is one report.
"""

# ruff: noqa: RUF001 - the look-alike characters are what this module is about

from __future__ import annotations

import re
from collections.abc import Container

from graphspec.diagnostics import Edit
from graphspec.diagnostics.catalogue import reflexes, syntax
from graphspec.syntax.lexing import Lexer, Token

_TENSORS = "for tensors there are `logical_and`, `logical_or` and `logical_not`"

OPERATORS = {
    "^": ("POWER", "**", "a power is `**`"),
    ".^": ("POWER", "**", "a power is `**`"),
    ".*": ("STAR", "*", "`*` is elementwise, and `@` the matrix product"),
    "./": ("SLASH", "/", "`/` is elementwise"),
    "&&": ("AND", " and ", f"static values are joined with `and`; {_TENSORS}"),
    "||": ("OR", " or ", f"static values are joined with `or`; {_TENSORS}"),
    "!": ("NOT", "not ", f"a static value is negated with `not`; {_TENSORS}"),
    "|>": ("PIPE", "->", "a value is piped with `->`"),
    "===": ("COMPARE", "==", "values are compared with `==`"),
    "!==": ("COMPARE", "!=", "values are compared with `!=`"),
    "~=": ("COMPARE", "!=", "values are compared with `!=`"),
    "<>": ("COMPARE", "!=", "values are compared with `!=`"),
}
"""Operators of other languages: the terminal meant, its text, and what to say."""

UNCERTAIN = {
    "&": ("AND", f"static values are joined with `and`; {_TENSORS}"),
    "|": ("OR", f"static values are joined with `or`; {_TENSORS}"),
    "=>": ("COMPARE", "`->` pipes a value, `>=` compares"),
}
"""The same where the meaning is not certain enough for a fix."""

LOOK_ALIKES = {
    "→": ("PIPE", "->", "an arrow"),
    "⟶": ("PIPE", "->", "an arrow"),
    "➜": ("PIPE", "->", "an arrow"),
    "⇒": ("PIPE", "->", "an arrow"),
    "−": ("MINUS", "-", "a minus sign"),
    "–": ("MINUS", "-", "a dash"),
    "—": ("MINUS", "-", "a dash"),
    "‐": ("MINUS", "-", "a hyphen"),
    "×": ("STAR", "*", "a times sign"),
    "·": ("STAR", "*", "a middle dot"),
    "∗": ("STAR", "*", "an asterisk operator"),
    "⋅": ("STAR", "*", "a dot operator"),
    "÷": ("SLASH", "/", "a division sign"),
    "∕": ("SLASH", "/", "a division slash"),
    "≤": ("COMPARE", "<=", "less or equal"),
    "≥": ("COMPARE", ">=", "greater or equal"),
    "≠": ("COMPARE", "!=", "not equal"),
    "＝": ("EQUAL", "=", "a wide equals sign"),
    "，": ("COMMA", ",", "a wide comma"),
    "：": ("COLON", ":", "a wide colon"),
    "∶": ("COLON", ":", "a ratio sign"),
    "～": ("TILDE", "~", "a wide tilde"),
    "∼": ("TILDE", "~", "a tilde operator"),
    "…": ("ELLIPSIS", "...", "an ellipsis"),
    "²": ("POWER", " ** 2", "superscript two"),
    "³": ("POWER", " ** 3", "superscript three"),
    "π": ("FLOAT", "pi", "the Greek letter"),
    "∞": ("FLOAT", "inf", "an infinity sign"),
    "¬": ("NOT", "not ", "a negation sign"),
    "∧": ("AND", " and ", "a logical and"),
    "∨": ("OR", " or ", "a logical or"),
}
"""Characters that stand for one of the language's: the terminal meant, its text, what the character is."""

LITERALS = {"True": ("TRUE", "true"), "False": ("FALSE", "false"), "None": ("NONE", "none")}

_ASSIGNMENT = re.compile(r"(?://|\*\*|[-+*/%@])=(?!=)")
_OPERATOR = re.compile(r"\.[*/^]|&&|\|\||\|>|<>|~=|[=!]==|=>|[\^!&|]")
_NUMBER = re.compile(r"[0-9]*(?:\.[0-9]*)?[eE][-+]?[0-9]+\w*|[0-9]\w*(?:\.(?!\.)[0-9]*\w*)?|\.[0-9]\w*")
_DECIMAL = re.compile(r"([0-9][0-9_]*)?(\.[0-9_]*)?([eE][-+]?[0-9]+)?[fFlLuUdD]{0,2}")
_QUOTED = re.compile(r"'[^'\n]*'|[“„”][^“”\n]*[”“]|[‘‚’][^‘’\n]*[’‘]")
_BLANKS = re.compile(r"[^\S\n\r\t\f ]+|[\u200b-\u200f\u2028\u2029\u2060\ufeff]+")
_WORD = re.compile(r"\w+")
_REST = re.compile(r"[ \t]*(?=\r?\n|#|\Z)")
_LINE_BREAK = re.compile(r"\\[ \t]*\r?\n[ \t]*")


def foreign(lexer: Lexer, acceptable: Container[str]) -> Token | None:
    """Report the text at the lexer's position and go past it.

    The answer is the token meant; a token that no rule knows (`FOREIGN`) where that is not certain; or None,
    and then either the text is passed over or, with the position unmoved, it is no foreign text in this
    place.
    """
    start = lexer.position
    text = lexer.text
    character = text[start]
    if (match := _ASSIGNMENT.match(text, start)) is not None:
        return _assignment(lexer, match.group(), acceptable)
    if character.isascii() and (
        character.isdigit() or (character == "." and text[start + 1 : start + 2].isdigit())
    ):
        return _number(lexer, acceptable)
    if text.startswith("/*", start):
        _comment(lexer)
        return None
    for word, (type, meant) in LITERALS.items():
        if text.startswith(word, start):
            return _literal(lexer, word, type, meant, acceptable)
    if (match := _OPERATOR.match(text, start)) is not None:
        return _operator(lexer, match.group(), acceptable)
    if character in LOOK_ALIKES:
        return _look_alike(lexer, character)
    if (match := _QUOTED.match(text, start)) is not None:
        return _quoted(lexer, match.group())
    if character in "\"'“‘„‚":
        return _unterminated(lexer)
    if character == ";":
        return _semicolon(lexer)
    if character == "?":
        return _question(lexer)
    if (match := _LINE_BREAK.match(text, start)) is not None:
        join = lexer.span(len(text[:start].rstrip(" \t")), match.end())
        lexer.found.append(syntax.broken_line(lexer.span(start, start + 1), "\\", join))
        lexer.position = match.end()
        return None
    if (match := _BLANKS.match(text, start)) is not None:
        name = f"U+{ord(character):04X}"
        meant = " " if character.isspace() else ""
        lexer.found.append(syntax.look_alike_character(lexer.span(*match.span()), name, meant))
        lexer.position = match.end()
        return None
    return _unknown(lexer)


def _assignment(lexer: Lexer, text: str, acceptable: Container[str]) -> Token | None:
    """`+=`; but in `init layer4.*=zeros()` the `*` belongs to the pattern."""
    if text == "*=" and "STAR" in acceptable and "EQUAL" in acceptable:
        return None
    if text == "**=" and "POWER" in acceptable and "EQUAL" in acceptable:
        return None
    token = _take(lexer, "FOREIGN", len(text))
    lexer.found.append(reflexes.augmented_assignment(lexer.span(token.start, token.end)))
    return token


def _number(lexer: Lexer, acceptable: Container[str]) -> Token | None:
    """Suffixes, underscores, other bases, a bare point."""
    if "FLOAT" not in acceptable:
        return None
    match = _NUMBER.match(lexer.text, lexer.position)
    assert match is not None
    text = match.group()
    meant = _decimal(text)
    lexer.found.append(reflexes.foreign_number(lexer.span(*match.span()), meant))
    lexer.position = match.end()
    return Token("INT" if meant.isdigit() else "FLOAT", meant or "1.0", *match.span())


def _decimal(text: str) -> str:
    """The number as written here, or "" where it is not certain which is meant."""
    plain = text.replace("_", "")
    if re.fullmatch(r"0[xX][0-9a-fA-F]{1,15}|0[bB][01]{1,60}|0[oO][0-7]{1,20}", plain):
        return str(int(plain, 0))
    match = _DECIMAL.fullmatch(text)
    if match is None or text.endswith("_"):
        return ""
    whole, fraction, exponent = (part.replace("_", "") if part else "" for part in match.groups())
    if fraction:
        fraction = fraction if len(fraction) > 1 else ".0"
    return (whole or "0") + fraction + exponent


def _comment(lexer: Lexer) -> None:
    """`/* ... */`, with a fix where nothing follows it on its last line."""
    start = lexer.position
    end = lexer.text.find("*/", start, lexer.end)
    end = lexer.end if end < 0 else end + 2
    edits: tuple[Edit, ...] = ()
    if _REST.match(lexer.text, end):
        inner = lexer.text[start + 2 : end].removesuffix("*/")
        lines = [line.strip().lstrip("*").strip() for line in inner.split("\n")]
        edits = (Edit(lexer.span(start, end), "\n".join(f"# {line}".rstrip() for line in lines)),)
    lexer.found.append(reflexes.foreign_comment(lexer.span(start, start + 2), "/*", edits))
    lexer.position = end


def _literal(lexer: Lexer, word: str, type: str, meant: str, acceptable: Container[str]) -> Token | None:
    if type not in acceptable:
        return None
    token = _take(lexer, type, len(word), meant)
    lexer.found.append(reflexes.foreign_literal(lexer.span(token.start, token.end), meant))
    return token


def _operator(lexer: Lexer, text: str, acceptable: Container[str]) -> Token | None:
    if text == ".*" and "INT" in acceptable:
        return None
    if text in UNCERTAIN:
        type, why = UNCERTAIN[text]
        meant = ""
    else:
        type, meant, why = OPERATORS[text]
    token = _take(lexer, type, len(text), meant.strip() or "and")
    lexer.found.append(
        reflexes.foreign_operator(lexer.span(token.start, token.end), why, _spaced(lexer, token, meant))
    )
    return token


def _spaced(lexer: Lexer, token: Token, meant: str) -> str:
    """`meant` without a space where the text around has one already."""
    if meant.startswith(" ") and lexer.text[token.start - 1 : token.start].isspace():
        meant = meant[1:]
    if meant.endswith(" ") and lexer.text[token.end : token.end + 1].isspace():
        meant = meant[:-1]
    return meant


def _look_alike(lexer: Lexer, character: str) -> Token:
    type, meant, name = LOOK_ALIKES[character]
    token = _take(lexer, type, 1, {"FLOAT": "1.0"}.get(type, meant.strip()))
    text = _spaced(lexer, token, meant)
    lexer.found.append(syntax.look_alike_character(lexer.span(token.start, token.end), name, text))
    if character in "²³":
        lexer.pending = Token("INT", meant[-1], token.start, token.end)
        return token._replace(text="**")
    return token


def _quoted(lexer: Lexer, text: str) -> Token:
    token = _take(lexer, "STRING", len(text), f'"{text[1:-1]}"')
    place = lexer.span(token.start, token.end)
    if text[0] == "'":
        lexer.found.append(reflexes.single_quotes(place))
    else:
        lexer.found.append(syntax.look_alike_character(place, "curly quotes", f'"{text[1:-1]}"'))
    return token


def _unterminated(lexer: Lexer) -> Token:
    end = lexer.text.find("\n", lexer.position, lexer.end)
    end = lexer.end if end < 0 else end
    line = lexer.text[lexer.position : end].rstrip()
    token = _take(lexer, "STRING", len(line), f'"{line[1:]}"')
    lexer.found.append(syntax.unterminated_string(lexer.span(token.start, token.end)))
    return token


def _semicolon(lexer: Lexer) -> Token | None:
    """At the end of a line it goes; between statements a line ends; in a list of lists a row does."""
    start = lexer.position
    place = lexer.span(start, start + 1)
    if lexer.brackets and lexer.brackets[-1].type != "LBRACE":
        lexer.found.append(reflexes.semicolon(place, "rows are lists: `[[1, 2], [3, 4]]`", None))
        return _take(lexer, "COMMA", 1, ",")
    if _REST.match(lexer.text, start + 1):
        lexer.found.append(reflexes.semicolon(place, "remove the `;`", Edit(place, "")))
        lexer.position += 1
        return None
    line = lexer.text.rfind("\n", 0, start) + 1
    indent = re.match(r"[ \t]*", lexer.text[line:start])
    assert indent is not None
    spaces = re.compile(r";[ \t]*").match(lexer.text, start)
    assert spaces is not None
    edit = Edit(lexer.span(*spaces.span()), "\n" + indent.group())
    lexer.found.append(reflexes.semicolon(place, "begin a new line", edit))
    return _take(lexer, "_NL", 1, "\n")


def _question(lexer: Lexer) -> Token:
    """`c ? a : b`; with a fix where it is all that follows an `=` on a line."""
    token = _take(lexer, "FOREIGN", 1)
    line = lexer.text.rfind("\n", 0, token.start) + 1
    end = lexer.text.find("\n", token.end)
    text = lexer.text[line : end if end >= 0 else len(lexer.text)]
    match = re.fullmatch(
        r"([^=#]*[^=!<>#]=[ ]*)([^?#]+?)[ ]*\?[ ]*([^?:#]+?)[ ]*:[ ]*([^?:#]+?)[ \t\r]*", text
    )
    edit = None
    if match is not None and "->" not in text:
        place = lexer.span(line + match.start(2), line + match.end(4))
        edit = Edit(place, f"{match.group(3)} if {match.group(2)} else {match.group(4)}")
    lexer.found.append(reflexes.question_mark(lexer.span(token.start, token.end), edit))
    return token


def _unknown(lexer: Lexer) -> Token | None:
    """A word in other letters is taken for a name and reported once; any other character is passed over."""
    match = _WORD.match(lexer.text, lexer.position)
    if match is None:
        place = lexer.span(lexer.position, lexer.position + 1)
        lexer.found.append(syntax.unknown_character(place, ""))
        lexer.position += 1
        return None
    name = match.group()
    if all(d.primary is None or d.primary.span.text != name for d in lexer.found):
        why = "names are made of the letters a-z and A-Z, digits and `_`"
        lexer.found.append(syntax.unknown_character(lexer.span(*match.span()), why))
    return _take(lexer, "NAME", len(name))


def _take(lexer: Lexer, type: str, length: int, meant: str | None = None) -> Token:
    start = lexer.position
    lexer.position += length
    return Token(type, lexer.text[start : start + length] if meant is None else meant, start, start + length)
