"""What can be wrong with a request: names that are asked for, objectives, cotangents, options."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from graphspec.diagnostics.catalogue._register import diagnostic, finding
from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Span


def _listed(names: Iterable[str], limit: int = 12) -> str:
    """`a`, `b` and `c`; what is beyond the limit is counted."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > limit:
        quoted = [*quoted[:limit], f"{len(quoted) - limit} more"]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _with_article(kind: str) -> str:
    """`an input`, `a parameter`."""
    word = {"param": "parameter"}.get(kind, kind)
    return f"an {word}" if word == "input" else word if word == "noise" else f"a {word}"


def _suggestion(name: str, known: Iterable[str]) -> tuple[str, ...]:
    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return (f"did you mean {_listed(close).replace(' and ', ' or ')}?",) if close else ()


def _label(span: Span | None, text: str) -> Label | None:
    return Label(span, text) if span else None


@diagnostic()
def unknown_target(name: str, known: Sequence[str]) -> Diagnostic:
    """A gradient is asked for with respect to a name that the spec does not have.

    Every parameter, input and named value may be asked for: `conv1.weight`, `image`, `fc1`, and
    `fc1.x` for the tensor argument `x` of the call named `fc1`.  `graphspec show SPEC --names` lists
    all of them.
    """
    return finding(
        f"nothing is called `{name}`",
        help=_suggestion(name, known) or ("`graphspec show SPEC --names` lists every name",),
    )


@diagnostic()
def empty_request(what: str) -> Diagnostic:
    """The gradient with respect to nothing is asked for (an empty `--wrt` or `wrt=[]`), or a value without
    a name (an empty `--of`).
    """
    example = "`@params`, every parameter" if what == "wrt" else "the name of a value, or an expression"
    return finding(f"`{what}` names nothing", help=(f"for example {example}",))


@diagnostic()
def another_kind(name: str, kind: str, wanted: Sequence[str]) -> Diagnostic:
    """A name is of another kind than what is drawn or read: inputs are drawn by their samplers (`--draw`),
    parameters and buffers by their initialisers, or they come from a file (`--params`).
    """
    return finding(f"`{name}` is {_with_article(kind)}, not {' or '.join(map(_with_article, wanted))}")


@diagnostic()
def not_one_value(text: str, count: int) -> Diagnostic:
    """An expression that is asked for has several results; a request is for one value.

    Name its results in the spec (`mu, var = moments(x)`) and ask for these.
    """
    return finding(f"`{text}` has {count} results, and one is wanted")


@diagnostic()
def nothing_matches(pattern: str, examples: Sequence[str]) -> Diagnostic:
    """A pattern or a role selects nothing.

    A pattern (`conv*.weight`) is matched against the names of parameters; `*` stays within one dot
    segment, `**` crosses dots.  The roles are `@params` and `@inputs`.
    """
    notes = (f"the parameters are {_listed(examples)}",) if examples else ("the spec has no parameters",)
    return finding(f"`{pattern}` matches no parameter", notes=notes)


@diagnostic()
def unknown_role(name: str) -> Diagnostic:
    """A role, written with `@`, is neither `@params` nor `@inputs`."""
    return finding(f"there is no role `{name}`", help=("the roles are `@params` and `@inputs`",))


@diagnostic()
def not_reached(name: str, objective: str, target: Span | None, end: Span | None, where: str) -> Diagnostic:
    """The objective does not depend on what the gradient is asked for, or not differentiably.

    The message shows where the path ends: at a result that is not the objective, or at an operation
    that passes no gradient (a comparison, an integer, `stop_gradient`).  Where zeros are wanted all the
    same, `--allow-zero` (in Python `allow_zero=True`) gives them.
    """
    place = _label(end, "the path ends here")
    begin = _label(target, f"`{name}` is made here")
    if place is None:
        place, begin = begin, None
    elif target == end:
        begin = None
    return finding(
        f"the gradient of `{objective}` does not reach `{name}`: {where}",
        primary=place,
        secondary=(begin,) if begin else (),
        help=("`--allow-zero` (in Python `allow_zero=True`) gives zeros",),
    )


@diagnostic()
def nothing_reached(pattern: str, objective: str, matched: Sequence[str]) -> Diagnostic:
    """A pattern or role matches tensors, but the objective depends on none of them."""
    return finding(
        f"`{objective}` depends on nothing that `{pattern}` selects",
        notes=(f"it selects {_listed(matched)}",),
    )


@diagnostic("note")
def targets_left_out(pattern: str, objective: str, names: Sequence[str]) -> Diagnostic:
    """Some tensors that a pattern or role selects have no gradient, and are left out of the result.

    Integers have none, and neither has what the objective does not depend on.  Asked for by their exact
    names they are an error.
    """
    return finding(
        f"`{pattern}` leaves out {_listed(names)}: the gradient of `{objective}` does not reach there"
    )


@diagnostic()
def not_differentiable(name: str, type: str, span: Span | None) -> Diagnostic:
    """A gradient is asked for with respect to integers or booleans, which have none."""
    return finding(f"`{name}` is {type}: only floating values have gradients", primary=_label(span, type))


@diagnostic()
def objective_not_floating(name: str, type: str, span: Span | None) -> Diagnostic:
    """The gradient of integers or booleans is asked for: they do not vary continuously."""
    return finding(
        f"`{name}` is {type}: only floating values can be differentiated", primary=_label(span, type)
    )


@diagnostic()
def no_objective() -> Diagnostic:
    """The spec declares no loss and no output, so it does not say what to differentiate."""
    return finding(
        "the spec declares no loss, objective or output",
        help=("name an expression: `--of 'sum(y)'` (in Python `of=\"sum(y)\"`)",),
    )


@diagnostic()
def several_objectives(kind: str, names: Sequence[str], spans: Sequence[Span | None]) -> Diagnostic:
    """The spec has several losses (or, without a loss, several outputs), and neither the spec nor the
    request says which of them is differentiated.

    Declare `objective total = a + 0.1 * b` in the spec, or ask for one with `--of NAME`.
    """
    places = [Label(span, kind) for span in spans if span]
    total = f"or declare `objective total = {' + '.join(names)}`, with weights as you like"
    return finding(
        f"the spec has several {kind}{'es' if kind == 'loss' else 's'} and no objective: {_listed(names)}",
        primary=places[0] if places else None,
        secondary=tuple(places[1:]),
        help=(f'ask for one: `--of {names[0]}` (in Python `of="{names[0]}"`)', *([total] * (kind == "loss"))),
    )


@diagnostic()
def cotangent_needed(name: str, type: str, span: Span | None) -> Diagnostic:
    """The gradient of something that is not a scalar needs a cotangent: one number for each element.

    The result is then the sum over the elements of cotangent times gradient (the product of the
    cotangent with the Jacobian).  `sum(y)` as the objective is the cotangent of ones.
    """
    return finding(
        f"`{name}` is {type}, not a scalar: its gradient needs a cotangent of that shape",
        primary=_label(span, type),
        help=(
            f"`--of 'sum({name})'` differentiates the sum of its elements",
            "`--cotangent FILE` or `--cotangent ones` (in Python `cotangent=`) weighs them",
        ),
    )


@diagnostic()
def cotangents_by_name(names: Sequence[str], given: Sequence[str]) -> Diagnostic:
    """With several objectives, cotangents are a mapping from objective to array, one for each of them
    that is not a scalar; no other names may stand in it.
    """
    found = f"a mapping of {_listed(given)}" if given else "one array"
    return finding(
        f"the cotangents of {_listed(names)} are given as {found}", help=("give a mapping by objective",)
    )


@diagnostic()
def size_not_known(name: str, span: Span | None) -> Diagnostic:
    """A dim has no default, and nothing that was given says how large it is."""
    return finding(
        f"nothing says how large `{name}` is",
        primary=_label(span, f"`{name}` is needed here"),
        help=(f'give data that have it, or `--set {name}=NUMBER` (in Python `dims={{"{name}": NUMBER}}`)',),
    )


@diagnostic()
def not_a_mapping(place: str, found: str) -> Diagnostic:
    """Parameters and inputs are given as mappings from name to array, in this order."""
    return finding(f"`{place}` must be a mapping from name to array, and is a `{found}`")


@diagnostic()
def argument_in_wrong_place(
    names: Sequence[str], kind: str, place: str, expected: Sequence[str]
) -> Diagnostic:
    """Parameters are given among the inputs, or inputs among the parameters.

    The order is `model.grad(params, inputs, ...)`: first parameters and buffers, then inputs and noise.
    """
    return finding(
        f"`{place}` has {_listed(names)}, but `{names[0]}` is {_with_article(kind)}",
        notes=(f"`{place}` takes " + (", ".join(expected) or "nothing: the spec has none"),),
        help=("the order is (params, inputs)",),
    )


@diagnostic()
def nothing_to_take() -> Diagnostic:
    """`--take A:B` takes rows of data from files, but no data were given whose first axis is a dim.

    How many examples are drawn is said by `--set N=NUMBER`.
    """
    return finding(
        "`--take` takes rows of data, and there are none",
        help=("drawn inputs have a size: `--set N=NUMBER`",),
    )


@diagnostic()
def nothing_taken(take: str, name: str, rows: int) -> Diagnostic:
    """`--take A:B` chooses no row of the data: they have fewer than A, or A is not below B."""
    return finding(
        f"`--take {take}` takes none of the {rows} rows of `{name}`",
        help=("`A:B` begins with row A and ends before row B; numbering starts at 0",),
    )


@diagnostic("note")
def extra_arrays(path: str, names: Sequence[str]) -> Diagnostic:
    """A file has arrays that the spec does not declare; they are not used."""
    return finding(f"`{path}` has {_listed(names)}, which the spec does not declare")


@diagnostic()
def no_sampler(names: Sequence[str], types: Sequence[str], spans: Sequence[Span | None]) -> Diagnostic:
    """An input is to be drawn, but its declaration does not say how.

    Write a sampler after its type (`input x: f32[N, 3] ~ normal()`), or give data.
    """
    places = [Label(span, "no `~ sampler`") for span in spans if span]
    given = " and ".join(f"`--input {name}=FILE.npy`" for name in names)
    return finding(
        f"{_listed(names)} cannot be drawn: the declaration has no sampler",
        primary=places[0] if places else None,
        secondary=tuple(places[1:]),
        help=(f"add one, as in `input {names[0]}: {types[0]} ~ normal()`", f"or give data: {given}"),
    )


@diagnostic()
def unknown_optimisation(name: str, known: Sequence[str]) -> Diagnostic:
    """What is to be left out (in Python `without=("threads",)`) is not an optimisation.

    `simplify=False`, on the command line `--no-opt`, leaves out all of them.
    """
    return finding(
        f"there is no optimisation `{name}`",
        notes=(f"they are {_listed(known, limit=len(known))}",),
        help=_suggestion(name, known),
    )


@diagnostic("note")
def inputs_drawn(names: Sequence[str], seed: int) -> Diagnostic:
    """Inputs were drawn by their samplers, from the seed that is shown.

    This happens on the command line when no data are given at all, or by `--draw NAME`.
    """
    return finding(f"no data: {_listed(names)} drawn by sampler, seed {seed}")


@diagnostic("note")
def parameters_drawn(count: int, seed: int) -> Diagnostic:
    """No parameters were given, so they were drawn by their initialisers, from the seed that is shown."""
    return finding(f"no --params: {count} tensors initialised, seed {seed}")


@diagnostic("note")
def mode_matters(mode: str) -> Diagnostic:
    """The graph depends on the mode: dropout and batch normalisation differ in training.

    `--mode train` (in Python `mode="train"`) builds the one for training; the default is `eval`.
    """
    return finding(f"the graph depends on the mode, which is {mode}")


@diagnostic()
def plotting_unavailable() -> Diagnostic:
    """`--plot` draws with matplotlib, which is not installed: it is an extra, as nothing else needs it."""
    return finding(
        "plots are drawn with matplotlib, which is not installed",
        help=('install it with `pip install "graphspec[plot]"`',),
    )


@diagnostic()
def plot_format_unknown(path: str, known: Sequence[str]) -> Diagnostic:
    """The name of the file for `--plot` does not end in one of the formats that can be drawn."""
    return finding(
        f"`{path}` is no name of a plot", help=(f"it ends in {_listed(known).replace(' and ', ' or ')}",)
    )


@diagnostic()
def unknown_diagnostic(name: str, known: Sequence[str]) -> Diagnostic:
    """`graphspec explain` was asked for a diagnostic that does not exist."""
    return finding(
        f"no diagnostic is called `{name}`",
        help=_suggestion(name, known) or ("`graphspec explain` lists all of them",),
    )


@diagnostic()
def unknown_operation(name: str, known: Sequence[str]) -> Diagnostic:
    """`graphspec ops` was asked for an operation that neither is a primitive nor in the standard library."""
    return finding(
        f"no operation is called `{name}`",
        help=_suggestion(name, known) or ("`graphspec ops` lists all of them",),
    )
