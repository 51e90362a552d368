"""Diagnostics about types: shapes, sizes, dtypes, static values, indices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphspec.diagnostics.catalogue._register import diagnostic, finding, suggestions
from graphspec.diagnostics.model import Diagnostic, Edit, Fix, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]
DTYPES = ("bool", "i32", "i64", "f16", "f32", "f64")

#: dtypes of other frameworks, by the name they have here
FOREIGN_DTYPES = {
    "float": "f32", "float32": "f32", "float64": "f64", "double": "f64", "half": "f16", "float16": "f16",
    "int": "i64", "int64": "i64", "long": "i64", "int32": "i32", "boolean": "bool", "bool_": "bool",
}  # fmt: skip


def type_rule(
    id: str,
    message: str,
    place: Span,
    operands: tuple[Label, ...],
    help: tuple[str, ...],
    fixes: tuple[Fix, ...],
    trace: Trace,
) -> Diagnostic:
    """An op's refusal of its operands, under the id that the op gives it."""
    makers = {
        "dtype-mismatch": dtype_mismatch,
        "outer-product": outer_product,
        "gradient-of-tensor": gradient_of_tensor,
    }
    refusal = finding(message, primary=Label(place), secondary=operands, help=help, fixes=fixes, trace=trace)
    return makers.get(id, shape_mismatch)(refusal)


@diagnostic()
def shape_mismatch(refusal: Diagnostic) -> Diagnostic:
    """The shapes of two values do not fit together, or an op does not take a value of this shape.

    Two symbols, or a symbol and a number, are different sizes unless a constraint equates them
    (`dim M where M == N`); a symbol never broadcasts as 1.  The places where the operands were made are
    shown with their types.
    """
    return refusal


@diagnostic()
def gradient_of_tensor(refusal: Diagnostic) -> Diagnostic:
    """`grad(y, x)` of a y that is not a scalar: each element of y has a gradient of its own.

    A cotangent weighs them, one number for each element; `sum(y)` weighs all of them alike.

    g = grad(y, x, cotangent=v)
    """
    return refusal


@diagnostic()
def dtype_mismatch(refusal: Diagnostic) -> Diagnostic:
    """Values of different dtypes meet, or an op does not take this dtype.  Dtypes never mix silently.

    y = x + cast(counts, f32)
    """
    return refusal


@diagnostic()
def outer_product(refusal: Diagnostic) -> Diagnostic:
    """Values of different rank would broadcast so that one size stands twice in the result.

    `f32[N] - f32[N, 1]` is `f32[N, N]` by numpy's rules, and hardly ever meant.  Written-out axes
    (`f32[1, N] - f32[N, 1]`: masks, pairs) are.
    """
    return refusal


@diagnostic()
def pattern_mismatch(
    function: str,
    pattern: str,
    type: str,
    why: str,
    is_number: bool,
    place: Span,
    made: tuple[Label, ...],
    trace: Trace,
) -> Diagnostic:
    """An argument does not have the shape that the pattern in the definition asks for.

    A pattern `x[N, C, H, W]` binds its names to the argument's sizes; a name that is bound already, and
    any arithmetic, must agree.
    """
    what = "a number" if is_number else type
    return finding(
        f"`{function}` needs `{pattern}`, but this is {what}: {why}",
        primary=Label(place, f"this is {what}"),
        secondary=made,
        help=(f"the tensor comes first: `x -> {function}(...)`",) if is_number else (),
        trace=trace,
    )


@diagnostic()
def annotation_mismatch(
    what: str, found: str, written: str, at: Span, place: Span, trace: Trace
) -> Diagnostic:
    """A value does not have the type that is written beside its name."""
    secondary = (Label(place, f"this is {found}"),) if place != at else ()
    return finding(f"{what} is {found}, not {written}", primary=Label(at), secondary=secondary, trace=trace)


@diagnostic()
def shared_parameter_conflict(
    name: str, first_type: str, type: str, place: Span, first: Span | None, trace: Trace
) -> Diagnostic:
    """A layer is applied to inputs for which its weights would need different shapes."""
    secondary = (Label(first, f"made here as {first_type}"),) if first is not None and first != place else ()
    return finding(
        f"`{name}` is {first_type}, but this application needs it as {type}",
        primary=Label(place),
        secondary=secondary,
        trace=trace,
    )


@diagnostic()
def size_needed(name: str, place: Span, declared: Span | None, trace: Trace) -> Diagnostic:
    """A dim decides the graph (it bounds a repetition, or stands in a condition), so it needs a number.

    dim E = 4
    experts = each(e in 0..E, expert(x)) as experts
    """
    return finding(
        f"`{name}` decides the graph here and needs a number",
        primary=Label(place),
        secondary=(Label(declared, "no default"),) if declared is not None else (),
        help=(f"give it one: `dim {name} = 4`, or `--set {name}=4`",),
        trace=trace,
    )


@diagnostic()
def unknown_dtype(name: str, place: Span) -> Diagnostic:
    """A type begins with a word that is no dtype.  The dtypes are bool, i32, i64, f16, f32 and f64."""
    bare = name.rpartition(".")[2]  # `np.float32`, `torch.long`
    here = FOREIGN_DTYPES.get(bare) or next(iter(suggestions(bare, DTYPES)), None)
    label = f"here `{here}`" if bare in FOREIGN_DTYPES else f"did you mean `{here}`?" if here else ""
    return finding(
        f"`{name}` is no dtype",
        primary=Label(place, label),
        help=() if here else (f"the dtypes are {', '.join(DTYPES)}",),
        fixes=(Fix(label, (Edit(place, here),)),) if here else (),
    )


@diagnostic()
def not_a_size(what: str, divides: bool, place: Span, trace: Trace) -> Diagnostic:
    """A size is an integer, a const or static integer, a dim, or integer arithmetic on these."""
    return finding(
        f"a size is an integer or a dim, not {what}",
        primary=Label(place),
        help=("`//` divides integers",) if divides else (),
        trace=trace,
    )


@diagnostic()
def size_is_a_tensor(place: Span, trace: Trace) -> Diagnostic:
    """A type is written with a tensor as a size; sizes are known before any array exists."""
    return finding("a size cannot be a tensor", primary=Label(place), trace=trace)


@diagnostic()
def negative_size(size: int, place: Span, trace: Trace) -> Diagnostic:
    """A size is negative."""
    return finding(f"a size cannot be {size}", primary=Label(place), trace=trace)


@diagnostic()
def dim_default(name: str, what: str, place: Span) -> Diagnostic:
    """The number of a dim is an integer from 1.  `where` relates a dim to others."""
    relates = any(c.isalpha() for c in what.replace("inf", "").replace("nan", ""))
    return finding(
        f"the number of `dim {name}` is an integer from 1, not {what}",
        primary=Label(place),
        help=(f"`dim {name} where {name} == ...` relates it to other dims",) if relates else (),
    )


@diagnostic()
def constraint_broken(constraint: str, values: Mapping[str, int], place: Span) -> Diagnostic:
    """The numbers of the dims break a constraint of the file."""
    shown = ", ".join(f"{n} = {v}" for n, v in values.items())
    return finding(f"the constraint `{constraint}` does not hold for {shown}", primary=Label(place))


@diagnostic()
def sizes_turned_out(left: str, a: int, right: str, b: int, relation: str, place: Span | None) -> Diagnostic:
    """Two sizes that could not be told apart by their symbols turned out not to fit."""
    one = left if left == str(a) else f"`{left}` = {a}"
    other = right if right == str(b) else f"`{right}` = {b}"
    words = "equal" if relation == "==" else "be at most"
    return finding(
        f"{one} has to {words} {other}",
        primary=Label(place) if place is not None else None,
    )


@diagnostic("note")
def cannot_tell_sizes(left: str, right: str, place: Span | None) -> Diagnostic:
    """Two sizes are arithmetic over the same dims, and whether they agree depends on the numbers.

    They are compared when the numbers are known.  A constraint can settle it before:

        dim N where N % 2 == 0          # then `N // 2 * 2` is `N`
    """
    return finding(
        f"whether `{left}` and `{right}` are equal is checked once the sizes are known",
        primary=Label(place) if place is not None else None,
    )


@diagnostic()
def ellipsis_not_bound(place: Span, trace: Trace) -> Diagnostic:
    """`...` in a type stands for what the `...` of the body's patterns matched, and no pattern has one."""
    return finding(
        "`...` stands for nothing here: no argument's pattern has one", primary=Label(place), trace=trace
    )


@diagnostic()
def condition_not_static(type: str, place: Span, trace: Trace) -> Diagnostic:
    """A condition is decided before arrays exist; choices by elements are `where(cond, a, b)`."""
    return finding(
        f"a condition is decided before arrays exist, and this is a tensor {type}",
        primary=Label(place),
        help=(
            "for tensors write `where(condition, a, b)`, `logical_and(a, b)`, `logical_or`, `logical_not`",
        ),
        trace=trace,
    )


@diagnostic()
def not_a_condition(what: str, place: Span, trace: Trace) -> Diagnostic:
    """A condition is true or false; numbers are compared explicitly (`n > 0`)."""
    return finding(f"a condition is true or false, not {what}", primary=Label(place), trace=trace)


@diagnostic()
def not_a_number(what: str, operator: str, place: Span, trace: Trace) -> Diagnostic:
    """An operator is used on something that is neither a number nor a tensor."""
    takes = "tensors" if operator == "@" else "numbers and tensors"
    return finding(f"`{operator}` takes {takes}, not {what}", primary=Label(place), trace=trace)


@diagnostic()
def not_a_tensor(what: str, place: Span, trace: Trace) -> Diagnostic:
    """A tensor is needed, and this is something else."""
    return finding(f"a tensor is needed here, and this is {what}", primary=Label(place), trace=trace)


@diagnostic()
def none_in_arithmetic(place: Span, operator: Span, trace: Trace) -> Diagnostic:
    """Whether an optional argument is given is asked with `is none` and `is not none`."""
    meant = "is" if operator.text == "==" else "is not"
    label = f"write `{meant} none`"
    return finding(
        f"`{operator.text}` does not compare with none",
        primary=Label(place, label),
        fixes=(Fix(label, (Edit(operator, meant),)),),
        trace=trace,
    )


@diagnostic()
def no_static_value(text: str, why: str, place: Span, trace: Trace) -> Diagnostic:
    """Arithmetic on static numbers has no result: a division by zero, a root of a negative number."""
    return finding(f"`{text}` has no value: {why}", primary=Label(place), trace=trace)


@diagnostic()
def literal_does_not_fit(number: str, dtype: str, place: Span, trace: Trace) -> Diagnostic:
    """A number takes the dtype of the tensor it meets; a fraction is no integer, a number no bool."""
    return finding(
        f"the number {number} cannot be {dtype}, the dtype of the tensor it meets",
        primary=Label(place),
        help=("write `cast(x, f32)` on the tensor to compute in floating point",),
        trace=trace,
    )


@diagnostic()
def several_results(count: int, place: Span, trace: Trace) -> Diagnostic:
    """A call with several results is used as one value."""
    return finding(
        f"this has {count} results where one value is needed",
        primary=Label(place),
        help=(f"name them: `{', '.join('abcdefgh'[: min(count, 8)])} = ...`",),
        trace=trace,
    )


@diagnostic()
def cannot_unpack(targets: int, what: str, place: Span, trace: Trace) -> Diagnostic:
    """The names on the left are not as many as the results on the right."""
    return finding(
        f"{targets} names stand on the left, and the right side is {what}", primary=Label(place), trace=trace
    )


@diagnostic()
def loss_not_scalar(kind: str, name: str, type: str, place: Span) -> Diagnostic:
    """A loss is a scalar.  Say how the elements are reduced: `mean(...)`, `sum(...)`."""
    label = "reduce it: `mean(...)` or `sum(...)`"
    fix = Fix(
        label,
        (
            Edit(Span(place.source, place.start, place.start), "mean("),
            Edit(Span(place.source, place.end, place.end), ")"),
        ),
    )
    return finding(
        f"{'an' if kind == 'objective' else 'a'} {kind} is a scalar, and `{name}` is {type}",
        primary=Label(place, label),
        fixes=(fix,),
    )


@diagnostic()
def loss_not_floating(kind: str, name: str, type: str, place: Span) -> Diagnostic:
    """A loss is differentiated, so it is a floating-point number."""
    article = "an" if kind == "objective" else "a"
    return finding(
        f"{article} {kind} is a floating-point number, and `{name}` is {type}", primary=Label(place)
    )


@diagnostic()
def cannot_index(what: str, place: Span, trace: Trace) -> Diagnostic:
    """Only tensors and static lists have elements."""
    return finding(f"{what} cannot be indexed", primary=Label(place), trace=trace)


@diagnostic()
def index_not_an_integer(what: str, place: Span, trace: Trace) -> Diagnostic:
    """An index is a static integer, a slice of them, `...`, `none` (a new axis) or an integer tensor."""
    return finding(f"an index is an integer, not {what}", primary=Label(place), trace=trace)


@diagnostic()
def static_index_out_of_range(
    index: Any, size: Any, what: str, place: Span, made: tuple[Label, ...], trace: Trace
) -> Diagnostic:
    """A static index lies outside its axis.  Indices start at 0; negative ones count from the end."""
    return finding(
        f"index {index} is outside of {what}",
        primary=Label(place, f"the last index is {size - 1}"),
        secondary=made,
        trace=trace,
    )


@diagnostic()
def too_many_indices(count: int, type: str, place: Span, made: tuple[Label, ...], trace: Trace) -> Diagnostic:
    """More indices than the tensor has axes."""
    return finding(f"{count} indices for a tensor {type}", primary=Label(place), secondary=made, trace=trace)


@diagnostic()
def two_ellipses(place: Span, trace: Trace) -> Diagnostic:
    """An index, a type or a pattern has one `...` at most; it stands for all axes that are not mentioned."""
    return finding("`...` stands twice here", primary=Label(place), trace=trace)


@diagnostic()
def slice_step_not_positive(step: int, place: Span, trace: Trace) -> Diagnostic:
    """The step of a slice is 1 or more; `flip(x, axis=0)` turns an axis round."""
    return finding(
        f"the step of a slice cannot be {step}",
        primary=Label(place),
        help=("`flip(x, axis=0)` reverses",),
        trace=trace,
    )


@diagnostic()
def index_nodes_apart(place: Span, trace: Trace) -> Diagnostic:
    """Integer tensors in an index must stand together; their common shape takes the place of their axes."""
    return finding(
        "the integer tensors of an index must stand together",
        primary=Label(place),
        help=("move the axes together with `transpose` first",),
        trace=trace,
    )
