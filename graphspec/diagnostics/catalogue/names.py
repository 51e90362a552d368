"""Diagnostics about names: unknown, given twice, not visible, missing, unused."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphspec.diagnostics.catalogue._register import diagnostic, finding, suggestions
from graphspec.diagnostics.model import Diagnostic, Edit, Fix, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]


@diagnostic()
def unknown_name(name: str, known: Iterable[str], place: Span, trace: Trace) -> Diagnostic:
    """A name is used that nothing in scope has.

    Names are made by declarations, by `name = ...` and by `... as name`; nothing but a size symbol is
    created by being mentioned.

        y = relu(h1)        # wrong, where the value is called `h`
    """
    close = suggestions(name, known)
    label = f"did you mean `{close[0]}`?" if close else "not known here"
    fixes = (Fix(label, (Edit(place, close[0]),)),) if close else ()
    others = [f"`{c}`" for c in close[1:] if not c.startswith(f"{close[0]}.")]
    more = (f"similar names: {', '.join(others)}",) if others else ()
    return finding(f"unknown name `{name}`", primary=Label(place, label), help=more, fixes=fixes, trace=trace)


@diagnostic()
def duplicate_name(name: str, place: Span, first: Span | None, trace: Trace) -> Diagnostic:
    """A name is given twice.  No name is ever rebound: each stands for one value.

        h = relu(x)
        h = relu(h)         # wrong; call it `h2`, or write `x -> relu -> relu`

    A layer that is applied twice on purpose is declared once: `layer enc = encoder(64)`.
    """
    secondary = (Label(first, "first given here"),) if first is not None and first != place else ()
    return finding(
        f"`{name}` is given twice", primary=Label(place, "given again"), secondary=secondary, trace=trace
    )


@diagnostic()
def needs_a_name(what: str, kind: str, offered: str, place: Span, trace: Trace) -> Diagnostic:
    """A call that owns weights has no name, so its parameters cannot be asked for, saved or loaded.

    y = linear(x, 3) / 2                # wrong: what would `weight` be called?
    y = (linear(x, 3) as fc) / 2        # right: `fc.weight`, `fc.bias`
    """
    kinds = {"param": "weights", "buffer": "state", "noise": "noise"}
    end = Span(place.source, place.end, place.end)
    return finding(
        f"this call of `{what}` owns {kinds.get(kind, kind)} and needs a name",
        primary=Label(place, f"name it: `as {offered}`"),
        fixes=(Fix(f"name it: `as {offered}`", (Edit(end, f" as {offered}"),)),),
        trace=trace,
    )


@diagnostic()
def value_of_a_layer(
    name: str, layer: str, uses: Sequence[str], exact: bool, place: Span, trace: Trace
) -> Diagnostic:
    """A value is asked of a layer, but values belong to its applications.

    layer enc = encoder(64)
    a = enc(left)
    b = enc(right)
    y = enc.embed       # wrong: `a.embed` or `b.embed`?
    """
    shown = " or ".join(f"`{u}`" for u in uses[:4])
    if not uses:
        label = f"no application of `{layer}` makes it"
    else:
        label = f"one of its applications: {shown}" if exact else f"did you mean {shown}?"
    fixes = (Fix(f"write `{uses[0]}`", (Edit(place, uses[0]),)),) if len(uses) == 1 else ()
    return finding(
        f"`{name}` is no value: `{layer}` is a layer, and values belong to its applications",
        primary=Label(place, label),
        fixes=fixes,
        trace=trace,
    )


@diagnostic()
def layer_is_not_a_value(layer: str, place: Span, trace: Trace) -> Diagnostic:
    """A layer is used as a value; it is a set of weights, and becomes values by being applied: `enc(x)`."""
    return finding(
        f"`{layer}` is a layer, not a value", primary=Label(place, f"apply it: `{layer}(...)`"), trace=trace
    )


@diagnostic()
def not_visible_in_a_body(name: str, place: Span, outside: Span, trace: Trace) -> Diagnostic:
    """A block or an op uses a value of the file.  Bodies see their arguments and the file's consts only,
    so that they mean the same wherever they are used.

        block scaled(x) { return x * scale }             # wrong, where `scale` is a value of the file
        block scaled(x, scale) { return x * scale }      # right
    """
    return finding(
        f"`{name}` is a value of the file, which a body does not see",
        primary=Label(place, "add an argument for it"),
        secondary=(Label(outside, "the file's value"),),
        trace=trace,
    )


@diagnostic()
def function_as_value(name: str, place: Span, trace: Trace) -> Diagnostic:
    """A function is used as a value.  `f(...)` finds functions; elsewhere a name is a value."""
    return finding(
        f"`{name}` is a function, not a value", primary=Label(place, f"call it: `{name}(...)`"), trace=trace
    )


@diagnostic()
def cycle(steps: Sequence[tuple[str, Span]], trace: Trace) -> Diagnostic:
    """Values depend on each other in a circle.  The graph of names has no cycles.

    a = b + 1
    b = a * 2           # wrong
    """
    names = [name for name, _ in steps]
    if len(steps) == 1:
        return finding(
            f"`{names[0]}` depends on itself", primary=Label(steps[0][1], f"needs `{names[0]}`"), trace=trace
        )
    shown = names if len(names) < 8 else [*names[:3], "...", *names[-3:]]
    ring = " needs ".join(f"`{name}`" for name in [names[-1], *shown]).replace("`...`", "...")
    (name, place), rest = steps[0], steps[1:]
    return finding(
        f"names that need one another in a circle: {ring}",
        primary=Label(place, f"needs `{name}`"),
        secondary=tuple(Label(span, f"needs `{n}`") for n, span in rest[:12]),
        trace=trace,
    )


@diagnostic()
def const_not_static(name: str, what: str, place: Span) -> Diagnostic:
    """A const is a number, a boolean, a string or a list of these, known before any array exists."""
    return finding(
        f"`const {name}` is {what}, not a constant", primary=Label(place, "write `name = ...` for a value")
    )


@diagnostic()
def unknown_set(name: str, known: Iterable[str]) -> Diagnostic:
    """`--set` (or `consts=`, `dims=`) names a const or dim that the file does not have."""
    known = list(known)
    close = suggestions(name, known)
    listed = ", ".join(f"`{k}`" for k in known) or "none"
    return finding(
        f"the file has no const or dim `{name}`",
        help=(f"did you mean `{close[0]}`?",) if close else (f"it has: {listed}",),
    )


@diagnostic()
def set_of_another_kind(name: str, wanted: str, given: str, place: Span) -> Diagnostic:
    """`--set` gives a const a value of another kind than the file does."""
    return finding(
        f"`{name}` is {wanted}, and {given} was given for it", primary=Label(place, "declared here")
    )


@diagnostic()
def init_matches_nothing(pattern: str, known: Iterable[str], place: Span) -> Diagnostic:
    """An `init` line matches no parameter.  `*` stays within a dot, `**` crosses dots."""
    close = suggestions(pattern, known)
    hint = (f"did you mean `{close[0]}`?",) if close else ()
    return finding(f"`{pattern}` matches no parameter", primary=Label(place), help=hint)


@diagnostic()
def second_objective(name: str, first: str, place: Span, other: Span) -> Diagnostic:
    """A file has one `objective`; other sums of losses can be asked for with `--of`."""
    return finding(
        f"`{name}` would be a second objective beside `{first}`",
        primary=Label(place),
        secondary=(Label(other, "the first"),),
    )


@diagnostic("warning")
def unused_declaration(kind: str, name: str, place: Span) -> Diagnostic:
    """An input, a parameter, noise or a layer is declared, and no output or loss depends on it."""
    return finding(f"{kind} `{name}` is used by no output or loss", primary=Label(place))


@diagnostic("warning")
def unmentioned(kind: str, name: str, place: Span) -> Diagnostic:
    """A const, a dim or an import that nothing in the file names."""
    return finding(f"{kind} `{name}` is used nowhere", primary=Label(place))


@diagnostic("warning")
def unused_argument(name: str, definition: str, place: Span) -> Diagnostic:
    """A block or an op takes an argument that its body never names."""
    return finding(f"`{definition}` does not use its argument `{name}`", primary=Label(place))


@diagnostic("warning")
def leads_nowhere(name: str, place: Span, definition: str = "") -> Diagnostic:
    """A value is computed, and no output or loss depends on it."""
    if definition:
        return finding(f"`{name}` leads nowhere: nothing in `{definition}` uses it", primary=Label(place))
    return finding(
        f"`{name}` leads nowhere: no output or loss depends on it",
        primary=Label(place),
        help=(f"declare `output {name}` if it is a result",),
    )


@diagnostic("warning")
def no_result(place: Span) -> Diagnostic:
    """A file without an `output`, `loss` or `objective`: values can only be asked for with `--of`."""
    return finding("the file declares no `output`, `loss` or `objective`")
