"""What checks find: numbers that are not finite, derivatives that are wrong or undefined at a point."""

from __future__ import annotations

from collections.abc import Sequence

from graphspec.diagnostics.catalogue._register import diagnostic, finding
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
