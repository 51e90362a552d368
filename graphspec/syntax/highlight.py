"""What editors colour: the words of the grammar, by kind, for the Pygments lexer and the TextMate grammar."""

from __future__ import annotations

from graphspec.syntax.tables import RESERVED, load

DTYPES = ("bool", "f16", "f32", "f64", "i32", "i64")
"""The dtypes; the grammar leaves them to later phases, as any other name before a shape."""

STATIC = ("bool", "float", "int", "str")
"""The words of static arguments, `width: int`."""

KNOWN = ("inf", "nan", "pi", "training")
"""Names that have a value everywhere."""

NAME = r"[A-Za-z_][A-Za-z_0-9]*"
PATH = rf"{NAME}(?:\.(?:{NAME}|[0-9]+))*"
NUMBER = r"[0-9]+(?:\.[0-9]+(?:[eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)?(?![A-Za-z_0-9])"

_CONSTANTS = ("TRUE", "FALSE", "NONE")
_LOGIC = ("AND", "OR", "NOT", "IS")
_DEFINING = ("BLOCK", "OP")
_IN_BODIES = ("RETURN", "REQUIRE")
_GRADIENTS = ("GRADIENT", "SURROGATE")
_INSIDE = ("WHERE", "IN", "GSPEC")


def words(*terminals: str) -> tuple[str, ...]:
    """The words of some terminals."""
    return tuple(word for word, terminal in sorted(load().words.items()) if terminal in terminals)


def constants() -> tuple[str, ...]:
    return words(*_CONSTANTS)


def logic() -> tuple[str, ...]:
    """Operators that are words."""
    return words(*_LOGIC)


def control() -> tuple[str, ...]:
    """Reserved words that are neither constants nor operators: `as`, `if`, `else`."""
    return words(*(set(RESERVED) - {*_CONSTANTS, *_LOGIC}))


def defining() -> tuple[str, ...]:
    """Words before the name of a block or an op."""
    return words(*_DEFINING)


def in_bodies() -> tuple[str, ...]:
    """Words of statements that go on with an expression."""
    return words(*_IN_BODIES)


def gradients() -> tuple[str, ...]:
    """Words before the cotangents of a hand-written derivative."""
    return words(*_GRADIENTS)


def declaring() -> tuple[str, ...]:
    """All other words of statements: they go on with a name, a pattern or a string."""
    others = {*RESERVED, *_DEFINING, *_IN_BODIES, *_GRADIENTS, *_INSIDE}
    return words(*(terminal for terminal in load().words.values() if terminal not in others))


def either(choices: tuple[str, ...]) -> str:
    """A regular expression for one of some words."""
    return rf"(?:{'|'.join(choices)})\b"
