"""Text that is not a `.gspec` file: tokens, brackets, lines, the header, the form and place of statements."""

from __future__ import annotations

from graphspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from graphspec.diagnostics.catalogue._register import diagnostic, finding


def replacing(message: str, place: Span, text: str) -> tuple[Fix, ...]:
    """One fix with one edit."""
    return (Fix(message, (Edit(place, text),)),)


def after(place: Span) -> Span:
    """The empty place behind `place`."""
    return Span(place.source, place.end, place.end)


# ---------------------------------------------------------------- tokens


@diagnostic()
def unexpected_token(place: Span, found: str, expected: str, help: str = "") -> Diagnostic:
    """A statement goes on in a way that the language does not know.

    The mark shows the first thing that cannot stand where it stands; the message says what could.

        y = relu(x) if training

    lacks the other half of the conditional:

        y = relu(x) if training else x
    """
    return finding(f"expected {expected}, found {found}", primary=Label(place), help=(help,) if help else ())


@diagnostic()
def missing_comma(previous: Span, following: Span) -> Diagnostic:
    """Two arguments, sizes or elements stand side by side without a comma.

        h = conv2d(image, 6 kernel_size=5)

    is to be

        h = conv2d(image, 6, kernel_size=5)
    """
    return finding(
        f"a comma is missing before `{following.text}`",
        primary=Label(following),
        fixes=replacing(f"write `{previous.text}, {following.text}`", after(previous), ","),
    )


@diagnostic()
def unknown_character(place: Span, why: str) -> Diagnostic:
    """A character that no part of the language uses.

    Names are made of the letters a-z and A-Z, digits and `_`, and do not start with a digit; other
    characters may stand in strings and comments only.

        café = 0.5

    is to be

        cafe = 0.5
    """
    shown = place.text if place.text.isprintable() else f"U+{ord(place.text[0]):04X}"
    return finding(f"`{shown}` is not part of the language", primary=Label(place), help=(why,) if why else ())


@diagnostic()
def look_alike_character(place: Span, name: str, meant: str) -> Diagnostic:
    """A character that looks like one of the language's, as editors and web pages like to put in its place.

        y = x → relu
        z = a · b

    is to be

        y = x -> relu
        z = a * b
    """
    if meant.strip():
        message = f"`{place.text}` ({name}) is written `{meant.strip()}` here"
        repair = f"write `{meant.strip()}`"
    else:
        message, repair = f"there is an invisible character here ({name})", "remove it"
        repair = "write a plain space" if meant else repair
    return finding(message, primary=Label(place), fixes=replacing(repair, place, meant))


@diagnostic()
def unterminated_string(place: Span) -> Diagnostic:
    """A string that does not end on its line.

        const mode = "same

    is to be

        const mode = "same"

    A string holds any characters but `"` and line ends; there are no escapes.
    """
    quote = place.text[0]
    return finding(
        f"this string has no closing `{quote}`",
        primary=Label(place),
        help=("a string ends on the line where it begins",),
    )


@diagnostic()
def number_too_large(place: Span) -> Diagnostic:
    """A number that no dtype holds: an integer above 2**63 - 1, or a float above the range of f64.

        const big = 1e999

    Where infinity is meant, it has a name:

        const big = inf
    """
    whole = place.text.isdigit()
    limit = "2**63 - 1, the largest i64" if whole else "the range of f64"
    help = () if whole else ("infinity is written `inf`",)
    return finding(f"this number is beyond {limit}", primary=Label(place), help=help)


@diagnostic()
def spaced_name(place: Span, joined: str) -> Diagnostic:
    """A dotted name or pattern with spaces in it.

        output stage . 2

    is to be

        output stage.2
    """
    return finding(
        "a dotted name is written without spaces",
        primary=Label(place),
        fixes=replacing(f"write `{joined}`", place, joined),
    )


# ---------------------------------------------------------------- brackets


@diagnostic()
def unclosed_bracket(opener: Span, noticed: Span | None) -> Diagnostic:
    """A `(`, `[` or `{` that is never closed.  The first mark is the bracket, the second where it was
    noticed.

        h = conv2d(image, 6, kernel_size=5
        loss nll = cross_entropy(h, label)

    is to be

        h = conv2d(image, 6, kernel_size=5)
        loss nll = cross_entropy(h, label)
    """
    secondary = () if noticed is None else (Label(noticed, "noticed here"),)
    return finding(f"this `{opener.text}` is never closed", primary=Label(opener), secondary=secondary)


@diagnostic()
def unmatched_bracket(closer: Span) -> Diagnostic:
    """A `)`, `]` or `}` that closes nothing.

        y = relu(x))

    is to be

        y = relu(x)
    """
    return finding(
        f"this `{closer.text}` closes nothing",
        primary=Label(closer),
        fixes=replacing(f"remove the `{closer.text}`", closer, ""),
    )


@diagnostic()
def nested_too_deep(place: Span) -> Diagnostic:
    """Brackets in brackets, or an expression in an expression, beyond any use.

    Long chains are fine (`a + b + c ...`, `x -> f -> g ...`); what is limited is depth.  Give the inner
    parts names:

        inner = f(g(h(x)))
        y = p(q(inner))
    """
    return finding(
        "this is nested too deep",
        primary=Label(place),
        help=("give inner parts names of their own",),
    )


# ---------------------------------------------------------------- lines


@diagnostic()
def broken_line(place: Span, operator: str, join: Span | None) -> Diagnostic:
    """An expression is broken over two lines where a line ends the statement.

    A statement goes on in the next line inside `(` and `[`, and when the next line starts with `->`.

        total = nll +
          0.1 * penalty

    is to be one line, or

        total = (nll +
          0.1 * penalty)
    """
    return finding(
        f"a line cannot break at `{operator}` outside of brackets",
        primary=Label(place),
        help=("a statement goes on inside `(` and `[`, and when the next line starts with `->`",),
        fixes=replacing("join the lines", join, " ") if join else (),
    )


@diagnostic()
def arrow_at_line_end(arrow: Span, gap: Span | None) -> Diagnostic:
    """`->` stands at the end of a line; it belongs at the start of the next.

        y = image ->
          conv2d(6, kernel_size=5) as conv1 ->
          relu

    is to be

        y = image
          -> conv2d(6, kernel_size=5) as conv1
          -> relu
    """
    return finding(
        "a line that goes on starts with `->`; it does not end with it",
        primary=Label(arrow),
        fixes=() if gap is None else replacing(
            "move the `->` to the next line", gap, gap.text.replace("->", "", 1).lstrip(" ") + "-> "
        ),
    )  # fmt: skip


@diagnostic()
def else_on_new_line(word: Span, gap: Span) -> Diagnostic:
    """`else` stands on a line of its own; it belongs behind the `}` that it follows.

        if bias {
          return y + b
        }
        else {
          return y
        }

    is to be

        if bias {
          return y + b
        } else {
          return y
        }
    """
    return finding(
        "`else` stands on the line of the `}` before it",
        primary=Label(word),
        fixes=replacing("write `} else`", gap, " "),
    )


@diagnostic()
def two_statements_on_a_line(following: Span, gap: Span, indent: str) -> Diagnostic:
    """A second statement begins on the line of the first.

        a = relu(x) b = tanh(x)

    is to be

        a = relu(x)
        b = tanh(x)
    """
    return finding(
        f"the statement before `{following.text}` is complete, and a line holds one statement",
        primary=Label(following),
        fixes=replacing(f"begin a new line before `{following.text}`", gap, f"\n{indent}"),
    )


# ---------------------------------------------------------------- the header


@diagnostic()
def empty_file(place: Span) -> Diagnostic:
    """The file holds no statement, not even the header.

    The smallest file that computes something:

        gspec 1
        input x: f32[3]
        output y = 2 * x
    """
    return finding(
        f"`{place.source.name}` is empty",
        help=("the smallest file is `gspec 1`, an input and an output",),
    )


@diagnostic()
def missing_header(first: Span, version: int) -> Diagnostic:
    """The first statement of a file is its header: the word `gspec` and the version of the language.

    gspec 1
    input x: f32[3]
    """
    start = Span(first.source, first.start, first.start)
    return finding(
        f"the file does not start with its header, `gspec {version}`",
        primary=Label(first, "the first statement"),
        fixes=replacing(f"insert `gspec {version}` above", start, f"gspec {version}\n"),
    )


@diagnostic()
def malformed_header(place: Span, version: int) -> Diagnostic:
    """The header is the word `gspec` and the version of the language, an integer, and nothing else.

        gspec 1.0

    is to be

        gspec 1
    """
    return finding(
        f"the header is `gspec {version}`",
        primary=Label(place),
        fixes=replacing(f"write `gspec {version}`", place, f"gspec {version}"),
    )


@diagnostic()
def newer_version(place: Span, version: int) -> Diagnostic:
    """The file is written in a version of the language that this graphspec does not know.

    Install a newer graphspec, or rewrite the file in the version that this one reads.
    """
    return finding(
        f"the file is in version {place.text if len(place.text) < 10 else 'beyond'} of the language, "
        f"but this graphspec reads version {version}",
        primary=Label(place),
        help=("a newer graphspec may read it",),
    )
