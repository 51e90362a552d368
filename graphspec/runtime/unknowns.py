"""What dims are, from the shapes of arrays: bare dims bind, linear arithmetic is solved, the rest checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from graphspec.diagnostics import Diagnostic, Span
from graphspec.diagnostics.catalogue import data as say
from graphspec.ir import Size, Symbolic, TensorType, symbols
from graphspec.ir.sizes import Symbol, substitute


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number was found: "axis 0 of `image`"."""

    text: str
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class _Equation:
    """Axis `axis` of `name` is declared as `size` and is `found`."""

    name: str
    axis: int
    size: Size
    found: int
    span: Span | None

    @property
    def place(self) -> Place:
        return Place(f"axis {self.axis} of `{self.name}`", self.span)


def solve(
    expected: Mapping[str, TensorType],
    shapes: Mapping[str, tuple[int, ...]],
    *,
    known: Mapping[str, tuple[int, Place]],
    defaults: Mapping[str, int],
    spans: Mapping[str, Span],
) -> tuple[dict[str, int], list[Diagnostic]]:
    """The dims by name, and what is wrong with the shapes.

    `known` are fixed from outside; `defaults` are taken for what the shapes do not say.
    """
    solver = _Solver(expected, spans, dict(known))
    equations: list[_Equation] = []
    for name, shape in shapes.items():
        declared = expected[name]
        if len(shape) != declared.rank:
            have, need = _axes(len(shape)), _axes(declared.rank)
            solver.wrong_shape(name, shape, f"it has {have}, and needs {need}")
            continue
        for axis, (size, found) in enumerate(zip(declared.shape, shape, strict=True)):
            equations.append(_Equation(name, axis, size, found, spans.get(name)))
    # dims that stand alone first: then a contradiction names the places where they are read off
    equations.sort(key=lambda e: not isinstance(e.size, int) and _lone_symbol(e.size) is None)
    open_equations = equations
    while open_equations:
        left = [e for e in open_equations if not solver.use(e)]
        if len(left) == len(open_equations):
            break
        open_equations = left
    for name, number in defaults.items():
        solver.known.setdefault(name, (number, Place("its default")))
    for equation in open_equations:
        if not solver.use(equation):
            unknown = sorted(symbols(equation.size) - solver.known.keys())
            solver.errors.append(
                say.size_undetermined(
                    equation.name, equation.axis, str(equation.size), unknown, equation.span
                )
            )
    solver.report_shapes(shapes)
    return {name: number for name, (number, _) in solver.known.items()}, solver.errors


class _Solver:
    """The dims known so far, and the mistakes."""

    def __init__(
        self,
        expected: Mapping[str, TensorType],
        spans: Mapping[str, Span],
        known: dict[str, tuple[int, Place]],
    ) -> None:
        self.expected = expected
        self.spans = spans
        self.known = known
        self.errors: list[Diagnostic] = []
        self._mismatches: dict[str, list[str]] = {}

    def use(self, equation: _Equation) -> bool:
        """Check an equation, or solve it; False where neither can be done yet."""
        lone = _lone_symbol(equation.size)
        if lone is not None:
            self._bind(lone, equation)
            return True
        try:
            rest = substitute(equation.size, {name: number for name, (number, _) in self.known.items()})
        except ZeroDivisionError as error:
            self.errors.append(
                say.number_undefined(str(equation.size), str(error), self._numbers(equation), equation.span)
            )
            return True
        if isinstance(rest, int):
            if rest != equation.found:
                self._mismatch(equation, rest)
            return True
        linear = _linear(rest)
        if linear is None:
            return False
        name, factor, constant = linear
        number, left_over = divmod(equation.found - constant, factor)
        if left_over or number < 1:
            self._no_solution(equation, name)
        else:
            self.known[name] = number, equation.place
        return True

    def _bind(self, name: str, equation: _Equation) -> None:
        if name not in self.known:
            if equation.found < 1:
                self._no_solution(equation, name)
            else:
                self.known[name] = equation.found, equation.place
            return
        number, first = self.known[name]
        if number != equation.found:
            self.errors.append(
                say.dim_contradiction(
                    name,
                    equation.name,
                    equation.axis,
                    equation.found,
                    first.text,
                    number,
                    equation.span,
                    first.span,
                )
            )

    def _no_solution(self, equation: _Equation, name: str) -> None:
        size = str(equation.size)
        self.errors.append(
            say.size_without_solution(equation.name, equation.axis, size, name, equation.found, equation.span)
        )

    def _mismatch(self, equation: _Equation, number: int) -> None:
        size = str(equation.size)
        if isinstance(equation.size, Symbolic):
            size = f"{size} = {number} ({self._numbers(equation)})"
        reason = f"axis {equation.axis} must be {size}, and is {equation.found}"
        self._mismatches.setdefault(equation.name, []).append(reason)

    def _numbers(self, equation: _Equation) -> str:
        """What the dims of an equation are, and by what."""
        dims = [(name, *self.known[name]) for name in sorted(symbols(equation.size)) if name in self.known]
        return ", ".join(f"{name} = {number} by {place.text}" for name, number, place in dims)

    def wrong_shape(self, name: str, shape: tuple[int, ...], reason: str) -> None:
        self.errors.append(
            say.argument_shape(name, str(self.expected[name]), shape, reason, self.spans.get(name))
        )

    def report_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for name, reasons in self._mismatches.items():
            self.wrong_shape(name, shapes[name], "; ".join(reasons))


def _axes(count: int) -> str:
    return "no axes" if count == 0 else "1 axis" if count == 1 else f"{count} axes"


def _lone_symbol(size: Size) -> str | None:
    """The dim that a size is, where it is nothing but one."""
    linear = None if isinstance(size, int) else _linear(size)
    return linear[0] if linear and linear[1:] == (1, 0) else None


def _linear(size: Symbolic) -> tuple[str, int, int] | None:
    """(dim, factor, constant) where a size is `factor * dim + constant`."""
    found: tuple[str, int] | None = None
    constant = 0
    for monomial, factor in size.terms:
        if not monomial:
            constant = factor
            continue
        ((atom, power), *others) = monomial
        if others or power != 1 or not isinstance(atom, Symbol) or found is not None:
            return None
        found = atom.name, factor
    return (*found, constant) if found else None
