from __future__ import annotations

from graphspec.diagnostics.catalogue import syntax as catalogue
from graphspec.syntax.automaton import Repair, Trouble


def doctor(trouble: Trouble) -> Repair:
    return Repair(catalogue.unexpected_token(trouble.span_of(trouble.token), trouble.token.type, sorted(trouble.accepted)))
