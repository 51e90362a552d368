"""What can be wrong with gradients of single examples: which axis is the batch, examples that are coupled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from graphspec.diagnostics.catalogue._register import diagnostic, finding, suggestions
from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]

_HOW = {
    "meets": "a value of each example meets one that is computed from several examples",
    "pairs": "each example is paired with others",
    "indexes": "examples are taken by their place in the batch, and an example alone has no place",
}
_SHORT = {
    "meets": "one example meets several",
    "pairs": "pairs of examples",
    "indexes": "taken by their place",
}


@diagnostic()
def coupled_examples(
    batch: str,
    op: str,
    how: Literal["meets", "pairs", "indexes"],
    towards: str,
    *,
    place: Span | None,
    together: Span | None,
    trace: Trace,
) -> Diagnostic:
    """The gradient of each example is asked for, but the examples of a batch depend on one another.

    What is computed from several examples (a mean over the batch, the statistics of `batch_norm` in train
    mode, softmax along the batch) meets a value of each example; or each is paired with every other (a
    product of the batch with itself); or examples are picked by their place.  An example then has no
    gradient of its own.  `towards` is the named value in whose computation that happens.

    Reductions at the end, such as the mean in a loss, are no obstacle.  `stop_gradient` does not help: the
    value itself would be another one for an example alone.
    """
    labels = (Label(together, "here examples are taken together"),) if together and together != place else ()
    inside = f", on the way to `{towards}`" if towards else ""
    return finding(
        f"the examples of the batch `{batch}` are not independent: at `{op}`{inside}, {_HOW[how]}",
        primary=Label(place, _SHORT[how]) if place else None,
        secondary=labels,
        help=("in eval mode `batch_norm` uses its running statistics",)
        if place and "batch_norm" in place.text
        else (),
        trace=trace,
    )


@diagnostic()
def batch_not_an_axis(name: str, type: str, batch: str, place: Span | None) -> Diagnostic:
    """An input cannot be cut into examples: the batch symbol stands in its type, but not as one axis.

    In `f32[N, N]` or `f32[2 * N]` no part belongs to a single example.
    """
    return finding(
        f"`{name}`, which is {type}, cannot be cut into examples: `{batch}` is not one of its axes",
        primary=Label(place, f"`{batch}` does not stand for one axis here") if place else None,
        help=(f"declare it with an axis that is just `{batch}`",),
    )


@diagnostic()
def no_batch(objective: str, inputs: Mapping[str, str]) -> Diagnostic:
    """Gradients of single examples are asked for, but no input has a batch.

    The batch is the symbol that leads the inputs which the objective uses: `input x: f32[N, 3]`.
    """
    listed = ", ".join(f"`{name}: {type}`" for name, type in inputs.items())
    return finding(
        f"`{objective}` uses no input whose first axis is a symbol, so there are no examples",
        notes=(f"it uses {listed}",) if listed else (),
        help=("write the batch as a symbol: `input x: f32[N, 3]`",),
    )


@diagnostic()
def several_batches(objective: str, batches: Mapping[str, Sequence[str]]) -> Diagnostic:
    """Gradients of single examples are asked for, and several symbols lead the inputs.

    Say which of them is the batch: `--batch N`, in Python `batch="N"`.
    """
    notes = [f"`{batch}` leads {', '.join(f'`{n}`' for n in names)}" for batch, names in batches.items()]
    return finding(
        f"the batch of `{objective}` may be any of {', '.join(f'`{b}`' for b in batches)}",
        notes=tuple(notes),
        help=(f"`--batch {next(iter(batches))}`, in Python `batch={next(iter(batches))!r}`",),
    )


@diagnostic()
def unknown_batch(batch: str, objective: str, known: Sequence[str]) -> Diagnostic:
    """The batch that is named is no symbol in the types of what the objective uses."""
    close = suggestions(batch, known) or list(known)
    return finding(
        f"nothing that `{objective}` uses has an axis `{batch}`",
        help=(f"did you mean {' or '.join(f'`{name}`' for name in close)}?",) if close else (),
    )


@diagnostic()
def no_example_alone(batch: str, reason: str, *, place: Span | None, trace: Trace) -> Diagnostic:
    """The spec cannot be computed on one example alone: with the batch set to 1 a type rule refuses."""
    return finding(
        f"with `{batch}` = 1 this cannot be computed: {reason}",
        primary=Label(place, f"for `{batch}` = 1: {reason}") if place else None,
        trace=trace,
    )


@diagnostic()
def needless_batch(batch: str) -> Diagnostic:
    """A batch is named, but gradients of single examples are not asked for: without them it means nothing."""
    return finding(
        f"`{batch}` is named as the batch, but the gradient of all examples together is asked for",
        help=("`--per-example` (in Python `per_example=True`) asks for the gradient of every example",),
    )


@diagnostic()
def no_chunks(chunk: int) -> Diagnostic:
    """Something is to be computed in chunks of the batch that is not, or in chunks of no examples.

    Gradients of single examples, their norms, and Jacobians are computed in chunks, of at least one.
    """
    if chunk < 1:
        return finding(f"a chunk has at least one example, not {chunk}")
    return finding(
        "only gradients of single examples and Jacobians are computed in chunks",
        help=("`--per-example` (in Python `per_example=True`) asks for the gradient of every example",),
    )


@diagnostic()
def no_batching_rule(op: str, place: Span | None, trace: Trace) -> Diagnostic:
    """Gradients of single examples and Jacobians need batching rules; a primitive of an extension has none.

    Its class is to define `batch` and, for gradients of single examples, `alignment`.
    """
    return finding(
        f"`{op}` has no batching rule",
        primary=Label(place, "cannot be computed for many at once") if place else None,
        trace=trace,
    )


@diagnostic()
def one_jacobian(objectives: Sequence[str], names: Sequence[str]) -> Diagnostic:
    """A Jacobian is asked for of several values, or by several names: it is that of one value by one name.

    `@params` and patterns select several names; ask for each by itself.
    """
    what = f"of {', '.join(f'`{o}`' for o in objectives)}" if len(objectives) > 1 else ""
    by = f"with respect to {', '.join(f'`{n}`' for n in names)}" if len(names) != 1 else ""
    return finding(
        f"a Jacobian is that of one value with respect to one name, not {' '.join(filter(None, (what, by)))}",
        help=("ask for each by itself",),
    )


@diagnostic()
def jacobian_differs(
    of: str, wrt: str, wrong: int, size: int, place: tuple[int, int], found: float, expected: float
) -> Diagnostic:
    """`graphspec jacobian --check`: the Jacobian is not what differences say, by more than their own error.

    Either a hand-written derivative is wrong, which `graphspec gradcheck` leads back to its line, or the
    point lies at a kink, where a derivative is one side's and differences are the mean of both.
    """
    row, column = place
    return finding(
        f"the Jacobian of `{of}` with respect to `{wrt}` differs from differences "
        f"in {wrong} of {size} elements: in row {row}, column {column} it is {found:.9g}, not {expected:.9g}",
        help=("`graphspec gradcheck` says which operation is wrong, or that this is a kink",),
    )


@diagnostic()
def jacobian_part(part: str, what: str, size: int, wrong: str) -> Diagnostic:
    """The rows or columns that are asked for of a Jacobian do not exist.

    A row is an element of the value, a column one of what it is differentiated by, counted in row-major
    order from 0.
    """
    return finding(
        f"`{part}` asks for {wrong}, but `{what}` has {size} element{'s' if size != 1 else ''}",
        help=(f"they are counted from 0 to {size - 1}",) if size else (),
    )


@diagnostic()
def empty_jacobian_part(part: str, asked: str) -> Diagnostic:
    """No rows or no columns are asked for of a Jacobian: an empty list, or `A:B` where A is not below B."""
    return finding(
        f"`{part}` asks for nothing: `{asked}` has no element",
        help=("`A:B` begins with A and ends before B; numbering starts at 0",),
    )
