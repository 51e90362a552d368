"""Text that no terminal of the grammar matches."""

from __future__ import annotations

from collections.abc import Container

from graphspec.diagnostics.catalogue import syntax as catalogue
from graphspec.syntax.lexing import Lexer, Token


def foreign(lexer: Lexer, acceptable: Container[str]) -> Token | None:
    """Report the text at the lexer's position and pass over it; None."""
    from graphspec.syntax.lexing import master_patterns

    if master_patterns()[1].match(lexer.text, lexer.position) is None:
        lexer.found.append(
            catalogue.unexpected_token(lexer.span(lexer.position, lexer.position + 1), "character", [])
        )
        lexer.position += 1
    return None
