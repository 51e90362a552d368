"""What checks find: numbers that are not finite, derivatives that are wrong or undefined at a point."""

from __future__ import annotations

from collections.abc import Sequence

from graphspec.diagnostics.catalogue._register import diagnostic, finding, suggestions
from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]


def _listed(names: Sequence[str], limit: int = 6) -> str:
    """`a`, `b` and `c`; what is beyond the limit is counted."""
    shown = list(names)
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _are_not_finite(results: Sequence[str]) -> str:
    return f"{_listed(results)} {'is' if len(results) == 1 else 'are'} not finite"


def _label(span: Span | None, text: str = "") -> Label | None:
    return Label(span, text) if span else None


# --- numbers that are not finite ------------------------------------------------------------------------


@diagnostic()
def not_finite(
    op: str,
    made: str,
    results: Sequence[str],
    *,
    from_finite: bool,
    backward: bool,
    elements: Sequence[str],
    operands: Sequence[str],
    place: Span | None,
    later: tuple[str, Span] | None,
    trace: Trace,
) -> Diagnostic:
    """A result is infinite or NaN, and this is the step that first made such a number of finite ones.

    From the result the way leads back over values that are not finite; among the steps on it that made
    NaN or infinities from finite operands, this is the first that ran.  It may belong to the derivative
    ("in the backward pass"): then the place is that of the operation that was differentiated.  Infinities
    that are absorbed again, such as the -inf of a mask under a softmax, are not reported; where NaN is
    made of an infinity that the spec itself writes, the step that made the NaN is named.

    The usual causes: `log(0)`, `1 / 0`, `exp` of a large number, `sqrt` and `norm` differentiated at 0,
    a row of a mask that leaves nothing.  A `where` does not protect the gradient of the branch that is
    not taken: choose the operand (`log(where(x > 0, x, 1))`), not the result.
    """
    when = "in the backward pass, " if backward else ""
    of = "finite operands" if from_finite else "infinities among its operands"
    return finding(
        f"{when}`{op}` makes {made} from {of}, and {_are_not_finite(results)}",
        primary=_label(place, elements[0]),
        secondary=(Label(later[1], f"`{later[0]}` makes NaN of it"),) if later else (),
        notes=(*(f"also {element}" for element in elements[1:]), *operands),
        trace=trace,
    )


@diagnostic()
def data_not_finite(
    name: str, type: str, made: str, elements: Sequence[str], results: Sequence[str], place: Span | None
) -> Diagnostic:
    """A result is infinite or NaN because numbers that were given are: data, parameters or cotangents."""
    return finding(
        f"`{name}` was given with {made}, and {_are_not_finite(results)}",
        primary=_label(place, type),
        notes=(f"as {type}: {', '.join(elements)}",),
    )


@diagnostic()
def number_not_finite(number: str, results: Sequence[str], place: Span | None) -> Diagnostic:
    """A result is infinite or NaN because the spec says so: it writes `inf` or `nan`, or a number that is."""
    return finding(
        f"the spec writes {number}, and {_are_not_finite(results)}",
        primary=_label(place, number),
    )


# --- derivatives ----------------------------------------------------------------------------------------


@diagnostic()
def gradient_wrong(
    op: str,
    argument: str,
    numbers: tuple[float, float, float],
    factor: float | None,
    *,
    order: int,
    module: str,
    element: str,
    place: Span | None,
) -> Diagnostic:
    """A hand-written derivative is not the derivative of what its op computes.

    It was compared with finite differences of the op by itself, in double precision, at operands that the
    model has and at random ones near them.  `numbers` are the symmetric relative error, and the two
    derivatives along the random direction (or by the element) where they differ most.  Where another
    derivative is meant, as for a straight-through estimator, the line begins with `surrogate`.
    """
    error, analytic, numeric = numbers
    derivative = "derivative" if order == 1 else "second derivative"
    who = f"`{op}` of the module `{module}`" if module else f"`{op}`"
    return finding(
        f"the {derivative} of {who} in `{argument}` is wrong: relative error {error:.2g}",
        primary=_label(place, _multiple(factor) or f"gives {analytic:.6g}, and differences {numeric:.6g}"),
        notes=_compared(analytic, numeric, factor, element),
        help=()
        if module
        else ("`surrogate(...)` instead of `gradient(...)` says that another derivative is meant",),
    )


@diagnostic()
def gradient_disagrees(
    name: str,
    objective: str,
    numbers: tuple[float, float, float],
    factor: float | None,
    *,
    element: str,
    place: Span | None,
) -> Diagnostic:
    """The gradient of the objective does not agree with finite differences, in double precision.

    No hand-written derivative of the spec is wrong by itself.  If the spec uses an operation that is not
    part of graphspec, its derivative may be; else this is a bug in graphspec, which please report.
    """
    error, analytic, numeric = numbers
    return finding(
        f"the gradient of {_quoted(objective)} by `{name}` is wrong: relative error {error:.2g}",
        primary=_label(place, _multiple(factor)),
        notes=_compared(analytic, numeric, factor, element),
    )


@diagnostic("warning")
def gradient_at_kink(
    names: Sequence[str],
    op: str,
    element: str,
    count: int,
    sides: tuple[float, float],
    place: Span | None,
) -> Diagnostic:
    """At the point of a gradient check the objective has no derivative: it bends or jumps there.

    `relu` at 0, `abs` at 0, a tie in `max`.  The gradient that graphspec gives is then one of several that
    are right (the reference says which), and finite differences, which take the mean of both sides, tell
    nothing; so the gradient was compared at a random point close by.  `sides` are the slopes before and
    after, along the direction that met the kink.
    """
    before, after = sides
    where = f"`{op}` has a kink" if op else "the objective has a kink"
    moving = f"{_listed([f'`{name}`' for name in names])} {'move' if len(names) > 1 else 'moves'}"
    others = f", and {count - 1} more element{'s' * (count > 2)}" if count > 1 else ""
    return finding(
        f"{where} at this point, as {moving}",
        primary=_label(place, f"{element}{others}" if element else ""),
        notes=(
            f"slope {before:.6g} on one side and {after:.6g} on the other; compared at a point beside it",
        ),
    )


@diagnostic()
def op_not_applied(name: str, known: Sequence[str]) -> Diagnostic:
    """`gradcheck --op` names an operation that the objective does not use."""
    return finding(
        f"the objective does not use `{name}`",
        notes=(f"it uses {_listed([f'`{k}`' for k in known], 20)}",) if known else (),
        help=tuple(f"did you mean `{close}`?" for close in suggestions(name, known, 1)),
    )


@diagnostic()
def nothing_to_check() -> Diagnostic:
    """A gradient check found neither a parameter or floating input that the objective depends on, nor a
    hand-written derivative.
    """
    return finding(
        "there is no derivative to check", help=("`--wrt NAME` and `--op NAME` ask for certain ones",)
    )


def _quoted(objective: str) -> str:
    return objective if "`" in objective else f"`{objective}`"


def _multiple(factor: float | None) -> str:
    """`this is 2 times the derivative`; nothing where it is no multiple."""
    if factor is None:
        return ""
    if factor == 0:
        return "this is 0"
    return (
        "this is the derivative with the wrong sign"
        if abs(factor + 1) < 1e-5
        else f"this is {factor:.4g} times the derivative"
    )


def _compared(analytic: float, numeric: float, factor: float | None, element: str) -> tuple[str, ...]:
    where = f"by the element {element}" if element else "along a random direction"
    return (f"{where} it gives {analytic:.9g}, and finite differences give {numeric:.9g}",)
