"""What can be wrong with a derivative: operations that have none, gradients that cannot arrive."""

from __future__ import annotations

from collections.abc import Sequence

from graphspec.diagnostics.catalogue._register import diagnostic, finding
from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]


@diagnostic()
def no_derivative(
    op: str, requested: Sequence[str], definitions: Sequence[str], place: Span | None, trace: Trace
) -> Diagnostic:
    """An operation on the way from the objective to what is asked for has no derivative.

    `requested` are the names whose gradients would flow through it.  Where the value is to count as
    constant, write `stop_gradient(...)` around it; where another derivative is meant, put it into an
    op of its own with a `gradient` or `surrogate` line.
    """
    names = ", ".join(f"`{name}`" for name in requested)
    needed = f"the gradient with respect to {names}" if requested else "the gradient"
    inside = "".join(f", in `{definition}`" for definition in definitions)
    return finding(
        f"`{op}`{inside} has no derivative, and {needed} would have to flow through it",
        primary=Label(place, "has no derivative") if place else None,
        help=(
            "`stop_gradient(...)` makes it a constant",
            "an op with a `gradient` or `surrogate` line says what its derivative is",
        ),
        trace=trace,
    )


@diagnostic()
def unreachable_gradient(
    what: str,
    y: str,
    x: str,
    *,
    place: Span | None,
    made: Span | None,
    end: Span | None,
    ends_in: str,
    trace: Trace,
) -> Diagnostic:
    """`grad(y, x)` or `jvp(y, x, v)` where y does not depend on x, or on no way that carries a gradient.

    The gradient would be zero everywhere, which is hardly ever meant.  A gradient does not pass
    through comparisons, integers, `argmax` or `stop_gradient`; `ends_in` is the last operation before y
    at which a way from x ends, where there is one.
    """
    labels: list[Label] = []
    if end is not None:
        labels.append(Label(end, f"the gradient ends here, at `{ends_in}`"))
    if made is not None:
        labels.append(Label(made, f"{x} is made here"))
    through = f"every way leads through an operation like `{ends_in}`, which passes no gradient"
    reason = through if ends_in else f"{y} is not computed from {x}"
    return finding(
        f"`{what}`: {y} does not depend on {x}: {reason}",
        primary=Label(place, "this derivative is zero everywhere") if place else None,
        secondary=tuple(labels),
        trace=trace,
    )
