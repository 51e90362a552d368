"""Symbolic sizes: integer polynomials over the file's dims, with floor division and remainder.

A `Size` is a plain `int` wherever it is known, else a `Symbolic` in normal form, so that equal
polynomials are equal objects: `(N + 1) * 2 == 2 * N + 2`.  Symbols stand for integers >= 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias


@dataclass(frozen=True, slots=True)
class Symbol:
    """A dim.  `divisor` is what a constraint `dim C where C % 8 == 0` says divides it."""

    name: str
    divisor: int = 1

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Quotient:
    """`top // bottom` or `top % bottom` where neither could be carried out."""

    op: Literal["//", "%"]
    top: Size
    bottom: Size

    def __str__(self) -> str:
        return f"{_bracket(self.top)} {self.op} {_bracket(self.bottom)}"


Atom: TypeAlias = "Symbol | Quotient"
Monomial: TypeAlias = "tuple[tuple[Atom, int], ...]"  # atoms with powers, sorted by their text


@dataclass(frozen=True)
class Symbolic:
    """A polynomial that is not a constant: monomials with non-zero integer coefficients, sorted."""

    terms: tuple[tuple[Monomial, int], ...]

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The names of the dims in it."""
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom, _power in monomial:
                found |= {atom.name} if isinstance(atom, Symbol) else symbols(atom.top) | symbols(atom.bottom)
        return frozenset(found)

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    def __hash__(self) -> int:
        return self._hash

    def __add__(self, other: Size) -> Size:
        if not isinstance(other, int | Symbolic):
            return NotImplemented
        total = dict(self.terms)
        for monomial, factor in _terms(other):
            total[monomial] = total.get(monomial, 0) + factor
        return _normal(total)

    __radd__ = __add__

    def __neg__(self) -> Size:
        return self * -1

    def __sub__(self, other: Size) -> Size:
        return self + other * -1

    def __rsub__(self, other: int) -> Size:
        return self * -1 + other

    def __mul__(self, other: Size) -> Size:
        if not isinstance(other, int | Symbolic):
            return NotImplemented
        total: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                powers: dict[Atom, int] = dict(left)
                for atom, power in right:
                    powers[atom] = powers.get(atom, 0) + power
                monomial = tuple(sorted(powers.items(), key=_by_text))
                total[monomial] = total.get(monomial, 0) + a * b
        return _normal(total)

    __rmul__ = __mul__

    def __pow__(self, power: int) -> Size:
        result: Size = 1
        for _ in range(power):
            result = self * result
        return result

    def __floordiv__(self, other: Size) -> Size:
        return _divide(self, other)[0]

    def __rfloordiv__(self, other: int) -> Size:
        return _divide(other, self)[0]

    def __mod__(self, other: Size) -> Size:
        return _divide(self, other)[1]

    def __rmod__(self, other: int) -> Size:
        return _divide(other, self)[1]

    def __str__(self) -> str:
        parts: list[str] = []
        for monomial, factor in sorted(
            self.terms, key=lambda t: (not t[0], -sum(p for _, p in t[0]), _text(t[0]))
        ):
            if len(monomial) == 1 and abs(factor) == 1 and monomial[0][1] == 1:
                text = str(monomial[0][0])
            else:
                text = "*".join(
                    [str(abs(factor))] * (abs(factor) != 1 or not monomial)
                    + [_text(monomial)] * bool(monomial)
                )
            sign = "-" if factor < 0 else "+"
            parts.append(f"{sign} {text}" if parts else text if sign == "+" else f"-{text}")
        return " ".join(parts)

    __repr__ = __str__


Size: TypeAlias = int | Symbolic


def symbol(name: str, divisor: int = 1) -> Size:
    """The size that the dim `name` stands for."""
    return Symbolic(((((Symbol(name, divisor), 1),), 1),))


def symbols(size: Size) -> frozenset[str]:
    """The names of the dims in a size."""
    return frozenset() if isinstance(size, int) else size.symbols


def evaluate(size: Size, env: Mapping[str, int]) -> int:
    """The number that `size` is where the dims have the numbers of `env`."""
    if isinstance(size, int):
        return size
    total = 0
    for monomial, factor in size.terms:
        for atom, power in monomial:
            factor *= _evaluate_atom(atom, env) ** power
        total += factor
    return total


def substitute(size: Size, env: Mapping[str, Size]) -> Size:
    """`size` with dims replaced by other sizes."""
    if isinstance(size, int) or size.symbols.isdisjoint(env):
        return size
    total: Size = 0
    for monomial, factor in size.terms:
        term: Size = factor
        for atom, power in monomial:
            if isinstance(atom, Symbol):
                value = env.get(atom.name, symbol(atom.name, atom.divisor))
            else:
                top, bottom = substitute(atom.top, env), substitute(atom.bottom, env)
                value = top // bottom if atom.op == "//" else top % bottom
            term = term * value**power
        total = total + term
    return total


def relation(a: Size, b: Size) -> Literal["equal", "different", "unknown"]:
    """Whether two sizes are the same.

    Two symbols, or a symbol and a number, are different: a constraint that equates them has already
    replaced one by the other.  `unknown` exists only for arithmetic over the same symbols.
    """
    if a == b:
        return "equal"
    gap = a - b
    if isinstance(gap, int):
        return "equal" if gap == 0 else "different"
    if symbols(a) != symbols(b):
        return "different"
    plain = all(isinstance(atom, Symbol) for monomial, _ in gap.terms for atom, _ in monomial)
    one_sign = len({factor > 0 for _, factor in gap.terms}) == 1
    return "different" if plain and one_sign else "unknown"


_ASSUMED: ContextVar[list[tuple[Size, Size]] | None] = ContextVar("assumed", default=None)


@contextmanager
def collect_assumptions() -> Iterator[list[tuple[Size, Size]]]:
    """Collect the pairs of sizes that `same` could not tell apart: checks for when sizes are known."""
    pairs: list[tuple[Size, Size]] = []
    token = _ASSUMED.set(pairs)
    try:
        yield pairs
    finally:
        _ASSUMED.reset(token)


def same(a: Size, b: Size) -> bool:
    """Whether two sizes agree; what cannot be told yet counts as agreeing and is noted as a check."""
    answer = relation(a, b)
    if answer == "unknown" and (pairs := _ASSUMED.get()) is not None:
        pairs.append((a, b))
    return answer != "different"


def surely_at_least(size: Size, other: Size) -> bool:
    """Whether `size >= other` for all numbers that the dims may have; False where that cannot be told."""
    least = 0
    for monomial, factor in _terms(size - other):
        # a product of dims is 1 or more, one with a quotient 0 or more
        if monomial and factor < 0:
            return False
        least += factor if all(isinstance(atom, Symbol) for atom, _ in monomial) else 0
    return least >= 0


def product(sizes: tuple[Size, ...]) -> Size:
    """The number of elements of a shape."""
    total: Size = 1
    for size in sizes:
        total = size * total if isinstance(size, Symbolic) else total * size
    return total


def _terms(size: Size) -> tuple[tuple[Monomial, int], ...]:
    return (((), size),) if isinstance(size, int) else size.terms


def _by_text(item: tuple[Atom, int]) -> str:
    return str(item[0])


def _text(monomial: Monomial) -> str:
    # a quotient is bracketed in every product, powers are written out
    atoms = [
        (f"({a})" if isinstance(a, Quotient) else str(a)) + (f"**{p}" if p > 1 else "") for a, p in monomial
    ]
    return "*".join(atoms)


def _bracket(size: Size) -> str:
    text = str(size)
    return text if text.isalnum() else f"({text})"


def _evaluate_atom(atom: Atom, env: Mapping[str, int]) -> int:
    if isinstance(atom, Symbol):
        return env[atom.name]
    top, bottom = evaluate(atom.top, env), evaluate(atom.bottom, env)
    return top // bottom if atom.op == "//" else top % bottom


def _normal(total: dict[Monomial, int]) -> Size:
    """The size with these coefficients; `k * (C // k)` is `C` where `k` divides `C` by declaration."""
    merged: dict[Monomial, int] = {}
    for monomial, factor in total.items():
        if factor:
            monomial, factor = _cancel(monomial, factor)
            merged[monomial] = merged.get(monomial, 0) + factor
    kept = {m: f for m, f in merged.items() if f}
    if not kept:
        return 0
    if set(kept) == {()}:
        return kept[()]
    return Symbolic(tuple(sorted(kept.items(), key=lambda t: _text(t[0]))))


def _cancel(monomial: Monomial, factor: int) -> tuple[Monomial, int]:
    for position, (atom, power) in enumerate(monomial):
        if not isinstance(atom, Quotient) or atom.op != "//" or not isinstance(atom.bottom, int):
            continue
        if (
            power == 1
            and factor % atom.bottom == 0
            and _divides(atom.bottom, atom.top)
            and isinstance(atom.top, Symbolic)
        ):
            rest = Symbolic(((monomial[:position] + monomial[position + 1 :], factor // atom.bottom),))
            restored = atom.top * (rest if rest.terms[0][0] else rest.terms[0][1])
            assert isinstance(restored, Symbolic)
            if len(restored.terms) == 1:
                return restored.terms[0]
    return monomial, factor


def _divides(number: int, size: Size) -> bool:
    """Whether `number` surely divides `size`."""
    if isinstance(size, int):
        return size % number == 0
    for monomial, factor in size.terms:
        known = factor
        for atom, power in monomial:
            if isinstance(atom, Symbol):
                known *= atom.divisor**power
        if known % number:
            return False
    return True


def _divide(top: Size, bottom: Size) -> tuple[Size, Size]:
    """`(top // bottom, top % bottom)`, carried out as far as it goes."""
    if isinstance(bottom, int):
        if bottom == 0:
            raise ZeroDivisionError("a size is divided by zero")
        if isinstance(top, int):
            return divmod(top, bottom)
        if bottom == 1:
            return top, 0
        # c*m // b = (c // b)*m for each term that b divides; the rest stays under the division
        whole: Size = 0
        rest: Size = 0
        for monomial, factor in top.terms:
            share, left = divmod(factor, bottom)
            if left and monomial and len(monomial) == 1 and _divides(bottom, Symbolic(((monomial, factor),))):
                whole = whole + _atom(Quotient("//", Symbolic(((monomial, factor),)), bottom))
                continue
            whole = whole + _monomial(monomial, share)
            rest = rest + _monomial(monomial, left)
        if isinstance(rest, int):
            return whole + rest // bottom, rest % bottom
        return whole + _atom(Quotient("//", rest, bottom)), _atom(Quotient("%", rest, bottom))
    if isinstance(top, Symbolic):
        ratio = _exact(top, bottom)
        if ratio is not None:
            return ratio, 0
    if top == 0:
        return 0, 0
    return _atom(Quotient("//", top, bottom)), _atom(Quotient("%", top, bottom))


def _exact(top: Symbolic, bottom: Symbolic) -> Size | None:
    """`top / bottom` where bottom is a single monomial that divides each term of top."""
    if len(bottom.terms) != 1:
        return 1 if top == bottom else None
    (below, divisor), result = bottom.terms[0], 0
    total: Size = result
    for monomial, factor in top.terms:
        powers = dict(monomial)
        for atom, power in below:
            powers[atom] = powers.get(atom, 0) - power
        if factor % divisor or min(powers.values()) < 0:
            return None
        kept = tuple((a, p) for a, p in powers.items() if p)
        total = total + _monomial(kept, factor // divisor)
    return total


def _atom(atom: Atom) -> Size:
    return Symbolic(((((atom, 1),), 1),))


def _monomial(monomial: Monomial, factor: int) -> Size:
    return _normal({monomial: factor})
