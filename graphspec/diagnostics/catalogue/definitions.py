"""Diagnostics about definitions and calls, declarations, repetition, imports and the files themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from graphspec.diagnostics.catalogue._register import diagnostic, finding, suggestions
from graphspec.diagnostics.model import Diagnostic, Edit, Fix, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]

# ---------------------------------------------------------------- calls


@diagnostic()
def unknown_function(
    name: str,
    here: str | None,
    known: Iterable[str],
    place: Span,
    edits: tuple[Edit, ...],
    rewritten: str,
    help: str,
    trace: Trace,
) -> Diagnostic:
    """A function is called that is neither a layer, a definition of the file or its imports, nor of std.

    `graphspec ops` lists the functions.  Names of other frameworks are pointed to the ones here:
    `Conv2d` is `conv2d`, `cat` is `concat`, `view` is `reshape`, `add(a, b)` is `a + b`.
    """
    if here is None:
        close = suggestions(name, known)
        label = f"did you mean `{close[0]}`?" if close else "`graphspec ops` lists the functions"
        edits = (Edit(place, close[0]),) if close else ()
    else:
        label = f"here {here}" if " " in here else f"here `{here}`"
    is_name = len(edits) == 1 and edits[0].span == place
    fixes = (Fix(label if is_name else f"write `{rewritten}`", edits),) if edits else ()
    return finding(
        f"unknown function `{name}`",
        primary=Label(place, label),
        help=(help,) if help else (),
        fixes=fixes,
        trace=trace,
    )


@diagnostic()
def value_is_not_a_function(name: str, place: Span, made: Span | None, trace: Trace) -> Diagnostic:
    """A value is called.  `f(...)` applies layers, blocks and ops; `x[...]` indexes."""
    secondary = (Label(made, "made here"),) if made is not None else ()
    return finding(
        f"`{name}` is a value and cannot be called", primary=Label(place), secondary=secondary, trace=trace
    )


@diagnostic()
def unknown_argument(
    name: str, function: str, known: Sequence[str], place: Span, trace: Trace, here: str | None = None
) -> Diagnostic:
    """A keyword that the function does not take.  Argument names are PyTorch's functional ones, with
    numpy's `axis` and `keepdims`.

        y = softmax(x, dim=1)       # wrong
        y = softmax(x, axis=1)      # right
    """
    close = [here] if here else suggestions(name, known)
    label = (f"here `{here}`" if here else f"did you mean `{close[0]}`?") if close else ""
    fixes = (Fix(label, (Edit(place, close[0]),)),) if close else ()
    listed = ", ".join(f"`{k}`" for k in known)
    return finding(
        f"`{function}` has no argument `{name}`",
        primary=Label(place, label),
        help=(f"it takes {listed}",) if listed and not close else (),
        fixes=fixes,
        trace=trace,
    )


@diagnostic()
def missing_argument(function: str, name: str, signature: str, place: Span, trace: Trace) -> Diagnostic:
    """A call lacks an argument that has no default."""
    return finding(
        f"`{function}` needs `{name}`",
        primary=Label(place),
        help=(f"its arguments: `{signature}`",),
        trace=trace,
    )


@diagnostic()
def too_many_positional(
    function: str, signature: str, free: Sequence[str], places: Sequence[Span], trace: Trace
) -> Diagnostic:
    """More positional arguments than a function takes: the tensors and one static argument (the size) are
    positional, the rest is named.

        y = conv2d(x, 6, 5)                     # wrong: 5 of what?
        y = conv2d(x, 6, kernel_size=5)         # right
    """
    named = [f"{name}={place.text}" for name, place in zip(free, places, strict=False)]
    edits = tuple(
        Edit(Span(p.source, p.start, p.start), f"{name}=") for name, p in zip(free, places, strict=False)
    )
    fits = len(named) == len(places)
    return finding(
        f"`{function}` takes no further positional argument",
        primary=Label(places[0], f"name it: `{named[0]}`" if named else ""),
        help=(f"its arguments: `{signature}`",),
        fixes=(Fix(f"write `{', '.join(named)}`", edits),) if fits else (),
        trace=trace,
    )


@diagnostic()
def list_without_brackets(function: str, name: str, place: Span, trace: Trace) -> Diagnostic:
    """The numbers of a list argument stand one by one; a list has brackets.

    y = reshape(x, N, -1)           # wrong
    y = reshape(x, [N, -1])         # right
    """
    edits = (
        Edit(Span(place.source, place.start, place.start), "["),
        Edit(Span(place.source, place.end, place.end), "]"),
    )
    return finding(
        f"`{name}` of `{function}` is a list",
        primary=Label(place),
        fixes=(Fix(f"write `[{place.text}]`", edits),),
        trace=trace,
    )


@diagnostic()
def too_many_tensors(
    function: str, signature: str, optional: Sequence[str], place: Span, trace: Trace
) -> Diagnostic:
    """More tensors than a function takes; an optional one is named."""
    start = Span(place.source, place.start, place.start)
    fixes = (
        (Fix(f"write `{optional[0]}={place.text}`", (Edit(start, f"{optional[0]}="),)),) if optional else ()
    )
    return finding(
        f"`{function}` takes no further tensor" + (" by position" if optional else ""),
        primary=Label(place),
        help=(f"its arguments: `{signature}`",),
        fixes=fixes,
        trace=trace,
    )


@diagnostic()
def nothing_to_join(function: str, place: Span, trace: Trace) -> Diagnostic:
    """A list without elements, as `each(e in 0..0, ...)` is, has no sum and no shape to stack or join."""
    return finding(
        f"`{function}` needs at least one tensor, and this list is empty", primary=Label(place), trace=trace
    )


@diagnostic()
def argument_twice(name: str, place: Span, first: Span, trace: Trace) -> Diagnostic:
    """An argument is given twice."""
    return finding(
        f"`{name}` is given twice", primary=Label(place), secondary=(Label(first, "first"),), trace=trace
    )


@diagnostic()
def argument_kind(function: str, name: str, word: str, found: str, place: Span, trace: Trace) -> Diagnostic:
    """A static argument of another kind than the definition asks for."""
    words = {
        "int": "an integer",
        "size": "an integer",
        "float": "a number",
        "bool": "true or false",
        "str": "a string",
    }
    return finding(
        f"`{name}` of `{function}` is {words.get(word, f'a {word}')}, not {found}",
        primary=Label(place),
        trace=trace,
    )


@diagnostic()
def string_without_quotes(function: str, name: str, word: str, place: Span, trace: Trace) -> Diagnostic:
    """A word is given for a string argument.

    y = mse_loss(x, t, reduction=sum)               # wrong
    y = mse_loss(x, t, reduction="sum")             # right
    """
    label = f'write `"{word}"`'
    return finding(
        f"`{name}` of `{function}` is a string",
        primary=Label(place, label),
        fixes=(Fix(label, (Edit(place, f'"{word}"'),)),),
        trace=trace,
    )


@diagnostic()
def wrong_count(name: str, wanted: int, found: int, place: Span, trace: Trace) -> Diagnostic:
    """A list argument with another number of elements than the definition asks for."""
    return finding(f"`{name}` takes {wanted} numbers, not {found}", primary=Label(place), trace=trace)


@diagnostic()
def fixed_by_layer(name: str, layer: str, place: Span, fixed: Span, trace: Trace) -> Diagnostic:
    """An application of a layer gives an argument that the layer's declaration has given already."""
    return finding(
        f"`{name}` is fixed by `layer {layer}`",
        primary=Label(place),
        secondary=(Label(fixed, "given here"),),
        trace=trace,
    )


# ---------------------------------------------------------------- bodies


@diagnostic()
def requirement_failed(
    message: str, condition: Span, values: Sequence[str], call: Span | None, trace: Trace
) -> Diagnostic:
    """A `require` of a definition does not hold for this call."""
    notes = (f"here {', '.join(values)}",) if values else ()
    if call is None:
        return finding(message, primary=Label(condition), notes=notes, trace=trace)
    secondary = (Label(condition, "required here"),)
    return finding(message, primary=Label(call), secondary=secondary, notes=notes, trace=trace)


@diagnostic()
def no_return(name: str, place: Span, trace: Trace) -> Diagnostic:
    """The path that the static conditions choose through a body ends without `return`."""
    return finding(f"`{name}` returns nothing on this path", primary=Label(place), trace=trace)


@diagnostic()
def wrong_number_of_results(declared: int, returned: int, place: Span, trace: Trace) -> Diagnostic:
    """A body returns another number of results than its head declares."""
    return finding(
        f"{declared} results are declared and {returned} returned", primary=Label(place), trace=trace
    )


@diagnostic()
def recursive_definition(name: str, place: Span, defined: Span, trace: Trace) -> Diagnostic:
    """A definition uses itself.  Repetition is written with `repeat`, `each` or `fold`."""
    return finding(
        f"`{name}` uses itself",
        primary=Label(place),
        secondary=(Label(defined, "defined here"),) if not defined.source.name.startswith("std/") else (),
        trace=trace,
    )


@diagnostic()
def nested_deeper_than_read(limit: int, place: Span, trace: Trace) -> Diagnostic:
    """Expressions and definitions stand inside one another to a depth that no network has.

    Chains (`x -> f -> g`, `a + b + c`, `repeat`) may be as long as you like.
    """
    return finding(f"this is nested more than {limit} deep", primary=Label(place), trace=trace[:3])


@diagnostic()
def op_owns_nothing(owner: str, kind: str, name: str, place: Span, trace: Trace) -> Diagnostic:
    """An `op` uses a block that has parameters, buffers or noise; only a `block` may own something.

    op affine(x) = linear(x, 3)                             # wrong
    block affine(x) { return linear(x, 3) as fc }           # right
    """
    kinds = {"param": "weights", "buffer": "state"}
    return finding(
        f"`{name}` is an op, which owns nothing, and `{owner}` owns {kinds.get(kind, kind)}",
        primary=Label(place),
        help=(f"make it a block: `block {name}(...) {{ ... }}`",),
        trace=trace,
    )


@diagnostic()
def tensor_default(name: str, place: Span, trace: Trace) -> Diagnostic:
    """The default of a tensor argument is `none`; a number is a static argument (`k: float = 1.0`)."""
    return finding(
        f"the default of the tensor `{name}` can only be `none`", primary=Label(place), trace=trace
    )


@diagnostic()
def update_of_no_buffer(name: str, place: Span, trace: Trace) -> Diagnostic:
    """`update` names something that is no buffer of this block."""
    return finding(f"`{name}` is no buffer of this block", primary=Label(place), trace=trace)


# ---------------------------------------------------------------- hand-written gradients


@diagnostic()
def gradient_of_no_argument(name: str, arguments: Sequence[str], place: Span, trace: Trace) -> Diagnostic:
    """A `gradient` line names something that is no argument of the op."""
    close = suggestions(name, arguments)
    label = f"did you mean `{close[0]}`?" if close else f"its arguments are {', '.join(arguments)}"
    return finding(f"`{name}` is no argument of this op", primary=Label(place, label), trace=trace)


@diagnostic()
def gradient_of_integers(name: str, type: str, place: Span, trace: Trace) -> Diagnostic:
    """A `gradient` line for an argument of integers or booleans, which have no derivative."""
    return finding(f"`{name}` is {type} and has no gradient", primary=Label(place), trace=trace)


@diagnostic()
def gradient_twice(name: str, place: Span, first: Span, trace: Trace) -> Diagnostic:
    """Two `gradient` lines for one argument."""
    return finding(
        f"the gradient of `{name}` is written twice",
        primary=Label(place),
        secondary=(Label(first, "first written here"),),
        trace=trace,
    )


@diagnostic()
def wrong_number_of_cotangents(results: int, written: int, place: Span, trace: Trace) -> Diagnostic:
    """A `gradient` line names one cotangent per result: `gradient(dr, dt) a = ...` for two."""
    return finding(
        f"the op has {results} results, and this line {written} cotangents", primary=Label(place), trace=trace
    )


@diagnostic()
def gradient_type(name: str, wanted: str, found: str, place: Span, trace: Trace) -> Diagnostic:
    """A hand-written gradient has its argument's type; only what broadcasting added is summed away."""
    return finding(
        f"the gradient of `{name}` is {wanted}, and this is {found}", primary=Label(place), trace=trace
    )


@diagnostic()
def gradient_of_a_constant(place: Span, trace: Trace) -> Diagnostic:
    """`grad(y, x)` and `jvp(y, x, v)` take a tensor x of the graph, or several in parentheses."""
    return finding(
        "a gradient is taken with respect to a tensor of the graph", primary=Label(place), trace=trace
    )


# ---------------------------------------------------------------- layers and repetition


@diagnostic()
def layer_form(name: str, place: Span, trace: Trace) -> Diagnostic:
    """`layer enc = encoder(width=64)`: one call of a block, without its tensors."""
    return finding(
        f"`layer {name}` is one call of a block without its tensors",
        primary=Label(place),
        help=(f"for instance `layer {name} = linear(64)`",),
        trace=trace,
    )


@diagnostic()
def layer_of_an_op(name: str, place: Span, trace: Trace) -> Diagnostic:
    """A `layer` is made of a block; an op owns no weights to share."""
    return finding(f"`{name}` owns no weights: apply it directly", primary=Label(place), trace=trace)


@diagnostic()
def layer_with_a_tensor(name: str, layer: str, place: Span, trace: Trace) -> Diagnostic:
    """A `layer` is declared without its tensors; they are given where it is applied."""
    return finding(
        f"the tensor `{name}` is given where the layer is applied: `{layer}(...)`",
        primary=Label(place),
        trace=trace,
    )


@diagnostic()
def repeat_form(name: str, place: Span, trace: Trace) -> Diagnostic:
    """`repeat(4, block(...))`, `repeat(i in 0..4, block(...))`, `each(e in 0..E, expert(x))`."""
    return finding(
        f"`{name}` takes a count, or `i in 0..n`, and what is repeated",
        primary=Label(place),
        help=(f"for instance `{name}(i in 0..4, block(x, width=64))`",),
        trace=trace,
    )


@diagnostic()
def repeat_needs_a_value(place: Span, trace: Trace) -> Diagnostic:
    """`repeat` chains a call on the value piped into it: `x -> repeat(4, block(...))`."""
    return finding(
        "`repeat` needs one value piped into it", primary=Label(place, "`x -> repeat(...)`"), trace=trace
    )


@diagnostic()
def repeat_needs_a_call(place: Span, trace: Trace) -> Diagnostic:
    """What `repeat` and `fold` repeat is a call that lacks its piped value, a layer or a function."""
    return finding("what is repeated is a call, a layer or a function", primary=Label(place), trace=trace)


@diagnostic()
def each_takes_no_piped_value(place: Span, trace: Trace) -> Diagnostic:
    """`each` names its tensors inside: `each(e in 0..E, expert(x))`."""
    return finding("nothing is piped into `each`", primary=Label(place), trace=trace)


@diagnostic()
def count_not_an_integer(what: str, place: Span, trace: Trace) -> Diagnostic:
    """The bounds of a repetition are integers, known before arrays exist."""
    return finding(f"the number of repetitions is an integer, not {what}", primary=Label(place), trace=trace)


@diagnostic()
def too_many_steps(count: int, place: Span, trace: Trace) -> Diagnostic:
    """Repetitions are unrolled; more than 100,000 steps are refused."""
    return finding(f"{count} repetitions are more than 100000", primary=Label(place), trace=trace)


@diagnostic()
def too_much_to_unroll(limit: int, place: Span) -> Diagnostic:
    """Repetitions in repetitions, or blocks that use blocks twice each, unroll to more steps than any
    network has.
    """
    return finding(
        f"the file unrolls to more than {limit} applications", primary=Label(place, "reached here")
    )


@diagnostic()
def fold_form(place: Span, trace: Trace) -> Diagnostic:
    """`h, c, ys = fold(cell, each=x, axis=1, start=(h0, c0)) as rnn`."""
    return finding(
        "`fold` takes a cell, `each=`, `axis=` and `start=`",
        primary=Label(place),
        help=("for instance `h, ys = fold(cell, each=x, axis=1, start=h0) as rnn`",),
        trace=trace,
    )


@diagnostic()
def fold_axis(what: str, type: str, place: Span, trace: Trace) -> Diagnostic:
    """`axis` of `fold` is an axis of the tensor that it runs along."""
    return finding(f"`axis` is {what}, and `each` is {type}", primary=Label(place), trace=trace)


@diagnostic()
def fold_results(carried: int, found: int, place: Span, trace: Trace) -> Diagnostic:
    """A cell returns what it carries on, and one value that is collected."""
    return finding(
        f"the cell returns {found} value{'s' * (found > 1)} where {carried + 1} are needed: "
        f"{carried} carried on and 1 collected",
        primary=Label(place),
        trace=trace,
    )


@diagnostic()
def fold_carried(position: int, before: str, after: str, place: Span, trace: Trace) -> Diagnostic:
    """What a cell carries on keeps its type from step to step."""
    return finding(
        f"carried value {position} is {before} before a step and {after} after it",
        primary=Label(place),
        trace=trace,
    )


@diagnostic()
def fold_empty(place: Span, trace: Trace) -> Diagnostic:
    """`fold` along an axis of size 0 collects nothing."""
    return finding("`fold` runs along an axis of size 0", primary=Label(place), trace=trace)


@diagnostic()
def expression_owns(names: Sequence[str], place: Span) -> Diagnostic:
    """An expression of `--of` uses the model's values; it can make no weights of its own."""
    return finding(f"an expression can own nothing, and this would own `{names[0]}`", primary=Label(place))


# ---------------------------------------------------------------- declarations


@diagnostic()
def unknown_sampler(
    name: str, here: str | None, known: Sequence[str], place: Span, trace: Trace
) -> Diagnostic:
    """What stands behind `~` is a sampler, which says how a tensor is drawn.

    A fixed value stands behind `=`: `param bias: f32[3] = zeros()`.
    """
    close = [here] if here else suggestions(name, known)
    label = f"here `{here}`" if here else f"did you mean `{close[0]}`?" if close else ""
    return finding(
        f"`{name}` is no sampler",
        primary=Label(place, label),
        help=() if close else (f"the samplers are {', '.join(known)}", "a fixed value stands behind `=`"),
        fixes=(Fix(label, (Edit(place, close[0]),)),) if close else (),
        trace=trace,
    )


@diagnostic()
def sampler_dtype(
    name: str, type: str, allowed: Sequence[str], fitting: Sequence[str], place: Span, trace: Trace
) -> Diagnostic:
    """A sampler is used for a dtype that it does not draw: `randint` draws integers, `normal` floats."""
    words = {"float": "floating-point numbers", "integer": "integers", "bool": "booleans"}
    return finding(
        f"`{name}` draws {' or '.join(words[a] for a in allowed)}, and this is {type}",
        primary=Label(place, f"for {type} there is {', '.join(f'`{f}`' for f in fitting)}"),
        trace=trace,
    )


@diagnostic()
def sampler_rank(name: str, rank: int, type: str, place: Span, trace: Trace) -> Diagnostic:
    """A sampler computes its spread from the fans of a weight, which has at least two axes."""
    return finding(
        f"`{name}` needs a weight of rank {rank} or more, not {type}", primary=Label(place), trace=trace
    )


@diagnostic()
def unknown_choice(name: str, given: str, choices: Sequence[str], place: Span, trace: Trace) -> Diagnostic:
    """A word that an argument does not take."""
    listed = ", ".join(f'"{c}"' for c in choices)
    return finding(f'`{name}` is one of {listed}, not "{given}"', primary=Label(place), trace=trace)


@diagnostic()
def start_needs_an_input(name: str, place: Span, trace: Trace) -> Diagnostic:
    """An initial value is computed from constants only, not from inputs or other parameters."""
    return finding(
        f"an initial value depends on no input, and this one on `{name}`", primary=Label(place), trace=trace
    )


@diagnostic()
def file_outside_input(place: Span, trace: Trace) -> Diagnostic:
    """`file(...)` is the default data of an input: `input x: f32[N] = file("data/x.npz", "x")`."""
    return finding("`file` stands behind `=` of an input only", primary=Label(place), trace=trace)


@diagnostic()
def file_form(place: Span, trace: Trace) -> Diagnostic:
    """`file("data/iris.npz", "measurements")`: a path in quotes, and the array's name in an archive."""
    return finding(
        "`file` takes a path and an array's name, both in quotes", primary=Label(place), trace=trace
    )


@diagnostic()
def file_without_folder(path: str, place: Span, trace: Trace) -> Diagnostic:
    """A text that is no file has no folder for its data; give `gs.loads` a `base`."""
    return finding(
        f'"{path}" is relative to the spec\'s folder, and this text has none',
        primary=Label(place),
        trace=trace,
    )


@diagnostic()
def file_outside_folder(path: str, place: Span, trace: Trace) -> Diagnostic:
    """Data files of a spec lie below its own folder."""
    return finding(f'"{path}" is not below the spec\'s folder', primary=Label(place), trace=trace)
