"""Habits of other languages (PyTorch, Keras, Torch7, Python, C, Matlab), and what is written here instead."""

from __future__ import annotations

from graphspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from graphspec.diagnostics.catalogue._register import diagnostic, finding
from graphspec.diagnostics.catalogue.syntax import replacing


@diagnostic()
def foreign_operator(place: Span, meaning: str, meant: str) -> Diagnostic:
    """An operator of another language.  There is one spelling for each thing.

        y = x ^ 2
        ok = a && !b
        z = a .* b

    is to be

        y = x ** 2
        ok = a and not b
        z = a * b

    `and`, `or` and `not` are for static values; for tensors there are `logical_and`, `logical_or`,
    `logical_not`.
    """
    fixes = replacing(f"write `{meant.strip()}`", place, meant) if meant else ()
    return finding(f"`{place.text}` is not an operator here; {meaning}", primary=Label(place), fixes=fixes)


@diagnostic()
def foreign_literal(place: Span, meant: str) -> Diagnostic:
    """Python's constants; here they are words in lower case.

        const bias = True

    is to be

        const bias = true
    """
    return finding(
        f"`{place.text}` is written `{meant}` here",
        primary=Label(place),
        fixes=replacing(f"write `{meant}`", place, meant),
    )


@diagnostic()
def foreign_number(place: Span, meant: str) -> Diagnostic:
    """A number written as in another language.

    A number is digits, with an optional fraction and exponent: `64`, `0.5`, `1e-3`.  No suffix, no
    underscores, no other base, and a digit on both sides of the point.

        const rate = 1e-3f
        const half = .5

    is to be

        const rate = 1e-3
        const half = 0.5
    """
    if meant:
        return finding(
            f"`{place.text}` is written `{meant}` here",
            primary=Label(place),
            fixes=replacing(f"write `{meant}`", place, meant),
        )
    return finding(
        f"`{place.text}` is neither a number nor a name",
        primary=Label(place),
        help=("a product is written with `*`, and a name does not start with a digit",),
    )


@diagnostic()
def single_quotes(place: Span) -> Diagnostic:
    """Strings stand in double quotes.

        y = gelu(x, approximate='tanh')

    is to be

        y = gelu(x, approximate="tanh")
    """
    inner = place.text[1:-1]
    fixes = replacing(f'write `"{inner}"`', place, f'"{inner}"') if '"' not in inner else ()
    return finding('strings stand in `"`', primary=Label(place), fixes=fixes)


@diagnostic()
def foreign_comment(place: Span, opener: str, edits: tuple[Edit, ...]) -> Diagnostic:
    """A comment in the style of another language; here it starts with `#`, and documentation with `##`.

        // the first layer
        h = linear(x, 3) -- three classes

    is to be

        # the first layer
        h = linear(x, 3) # three classes
    """
    fixes = (Fix("write `##`" if opener == '"""' else "write `#`", edits),) if edits else ()
    what = "documentation is written in `##` lines above" if opener == '"""' else "comments start with `#`"
    return finding(f"{what}, not with `{opener}`", primary=Label(place), fixes=fixes)


@diagnostic()
def semicolon(place: Span, how: str, edit: Edit | None) -> Diagnostic:
    """Statements end with their line, without `;`.

        h = relu(x);
        a = 1; b = 2

    is to be

        h = relu(x)
        a = 1
        b = 2
    """
    return finding(
        "statements end with their line, not with `;`",
        primary=Label(place),
        help=() if edit else (how,),
        fixes=(Fix(how, (edit,)),) if edit else (),
    )


@diagnostic()
def method_call(place: Span, edit: Edit | None) -> Diagnostic:
    """A method call as in Torch7 (Lua); here a value is piped into a function.

        y = x:relu()

    is to be

        y = x -> relu()
    """
    return finding(
        "values have no methods; a value is piped into a function with `->`",
        primary=Label(place),
        fixes=(Fix("write `->`", (edit,)),) if edit else (),
    )


@diagnostic()
def called_call(place: Span, edits: tuple[Edit, ...]) -> Diagnostic:
    """The result of a call is called, as in Keras, `nn.Module` and nngraph.

    Here one call has both, the tensors first; or the tensor is piped into the call.

        h = linear(64)(x)

    is to be

        h = linear(x, 64)

    A layer that is used more than once is declared: `layer enc = encoder(width=64)`, then `enc(left)`,
    `enc(right)`.
    """
    return finding(
        "the result of a call is not called again",
        primary=Label(place),
        help=("tensors come first in the one call, `linear(x, 64)`, or are piped, `x -> linear(64)`",),
        fixes=(Fix("move the tensors into the call", edits),) if edits else (),
    )


@diagnostic()
def braces_literal(place: Span, edits: tuple[Edit, ...]) -> Diagnostic:
    """Braces hold bodies only: there are no dictionaries, sets or tables.

        const widths = {64, 128}

    is to be

        const widths = [64, 128]
    """
    return finding(
        "braces hold the bodies of blocks, ops and `if`; a list stands in `[ ]`",
        primary=Label(place),
        fixes=(Fix("write `[` and `]`", edits),) if edits else (),
    )


@diagnostic()
def question_mark(place: Span, edit: Edit | None) -> Diagnostic:
    """The conditional of C; here it is Python's.

        skip = same ? x : downsample(x)

    is to be

        skip = x if same else downsample(x)
    """
    return finding(
        "a conditional is written `a if condition else b`",
        primary=Label(place),
        fixes=(Fix(f"write `{edit.text}`", (edit,)),) if edit else (),
    )


@diagnostic()
def augmented_assignment(place: Span) -> Diagnostic:
    """A name is bound once: a file describes a graph, not steps that change variables.

        h = relu(x)
        h += x

    is to be

        a = relu(x)
        h = a + x

    What a block keeps between calls is a buffer, changed by `update running_mean = ...`.
    """
    operator = place.text[:-1]
    return finding(
        f"`{place.text}` would bind a name again, and a name is bound once",
        primary=Label(place),
        help=(f"give the result a name of its own: `c = a {operator} b`",),
    )


@diagnostic()
def assignment_to_part(place: Span) -> Diagnostic:
    """An element of a value is assigned to; values never change.

        y[0] = 1

    A changed copy is made by `where`, `concat` or `stack`, and gets a name of its own:

        z = where(arange(N) == 0, 1, y)
    """
    return finding(
        "a value cannot be changed in part",
        primary=Label(place),
        help=("make a new value with `where`, `concat` or `stack`, and name it",),
    )


@diagnostic()
def assignment_sign(place: Span, meant: str) -> Diagnostic:
    """Another language's sign between a name and its value; here it is `=`.

        y := relu(x)
        z <- tanh(x)

    is to be

        y = relu(x)
        z = tanh(x)
    """
    return finding(
        f"a value is named with `{meant}`, not `{place.text}`",
        primary=Label(place),
        fixes=replacing(f"write `{meant}`", place, meant),
    )


@diagnostic()
def equals_in_condition(place: Span) -> Diagnostic:
    """`=` stands where values are compared.

        if reduction = "none" { return y }

    is to be

        if reduction == "none" { return y }
    """
    return finding(
        "values are compared with `==`",
        primary=Label(place),
        fixes=replacing("write `==`", place, "=="),
    )


@diagnostic()
def equals_before_type(place: Span) -> Diagnostic:
    """`=` stands before a type; a type follows a colon.

        input x = f32[N, 3]

    is to be

        input x: f32[N, 3]
    """
    return finding(
        "a type follows `:`; `=` is for a value",
        primary=Label(place),
        fixes=replacing("write `:`", Span(place.source, _before(place), place.end), ":"),
    )


def _before(place: Span) -> int:
    """The start of the spaces before `place`."""
    text = place.source.text[: place.start]
    return len(text.rstrip(" \t"))


@diagnostic()
def type_in_parentheses(place: Span, edits: tuple[Edit, ...]) -> Diagnostic:
    """The sizes of a type stand in brackets.

        input x: f32(N, 3)

    is to be

        input x: f32[N, 3]
    """
    return finding(
        "the sizes of a type stand in `[ ]`",
        primary=Label(place),
        fixes=(Fix("write `[` and `]`", edits),) if edits else (),
    )


@diagnostic()
def parenthesised_targets(place: Span, edits: tuple[Edit, ...]) -> Diagnostic:
    """The names of several results stand without parentheses.

        (mu, logvar) = encoder(x)

    is to be

        mu, logvar = encoder(x)
    """
    return finding(
        "names before `=` stand without parentheses",
        primary=Label(place),
        fixes=(Fix("remove the parentheses", edits),),
    )


@diagnostic()
def body_without_braces(place: Span) -> Diagnostic:
    """The body of a block, an op or an `if` stands in braces, not behind a colon or `then`.

        block twice(x):
          return 2 * x

    is to be

        block twice(x) {
          return 2 * x
        }
    """
    return finding("a body stands in `{ }`", primary=Label(place))


@diagnostic()
def foreign_else_if(place: Span) -> Diagnostic:
    """`elif`, `elseif`; here two words.

        if c { return a } elif d { return b }

    is to be

        if c { return a } else if d { return b }
    """
    return finding(
        f"`{place.text}` is written `else if`",
        primary=Label(place),
        fixes=replacing("write `else if`", place, "else if"),
    )


@diagnostic()
def foreign_statement(place: Span, help: str, fix: Fix | None = None) -> Diagnostic:
    """A statement of a programming language; a `.gspec` file declares a graph and runs nothing.

    | there | here |
    |---|---|
    | `def f(x): return ...` | `op f(x) = ...`, or a `block` if it owns weights |
    | `class Net(nn.Module): ...` | a `block`, or the file itself |
    | `let y = ...`, `local y = ...` | `y = ...` |
    | `for i in range(4): x = f(x)` | `x -> repeat(4, f())` |
    | `[f(x) for e in range(4)]` | `each(e in 0..4, f(x))` |
    | `import torch` | nothing: the standard library is there |
    | `assert c, "..."` | `require c, "..."` in a body |
    | `with torch.no_grad(): ...` | `stop_gradient(x)` |
    | `loss.backward()` | `grad(loss, x)`, or `graphspec grad FILE --wrt NAME` |
    """
    return finding(
        f"`{place.text}` is not a statement of this language",
        primary=Label(place),
        help=(help,),
        fixes=(fix,) if fix else (),
    )
