"""Text that is not a `.gspec` file: what was expected, brackets, lines, the header, and where statements may stand."""

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

        input image: f32[N 3]

    needs a comma between the sizes:

        input image: f32[N, 3]
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

    Names are made of the letters a-z and A-Z, digits and `_`, and do not start with a digit; other characters may
    stand in strings and comments only.

        α = 0.5

    is to be

        alpha = 0.5
    """
    shown = place.text if place.text.isprintable() else f"U+{ord(place.text[0]):04X}"
    return finding(f"`{shown}` is not part of the language", primary=Label(place), help=(why,) if why else ())


@diagnostic()
def look_alike_character(place: Span, name: str, meant: str) -> Diagnostic:
    """A character that looks like one of the language's, as editors and web pages like to put in its place.

        y = x → relu
        z = a − b

    is to be

        y = x -> relu
        z = a - b
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

    Where infinity is meant, it is called `inf`.
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
    """A `(`, `[` or `{` that is never closed.  The first mark is the bracket, the second where it was noticed.

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
def nested_too_deep(place: Span, limit: int) -> Diagnostic:
    """Brackets in brackets, or an expression in an expression, beyond any use.

    Long chains are fine (`a + b + c ...`, `x -> f -> g ...`); what is limited is depth.  Give the inner parts names:

        inner = f(g(h(x)))
        y = p(q(inner))
    """
    return finding(
        "this is nested too deep",
        primary=Label(place, f"more than {limit} levels"),
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
    """The file holds no statement, not even the header `gspec 1`."""
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


# ---------------------------------------------------------------- statements


@diagnostic()
def misplaced_statement(place: Span, what: str, why: str) -> Diagnostic:
    """A statement stands where its kind may not.

    `dim`, `input`, `const`, `output`, `loss`, `objective`, `init`, `import`, `block` and `op` stand in a file;
    `return`, `require`, `if` and `update` in a body; `param`, `buffer`, `noise` and `layer` in a file or a block, never
    in an op, which owns nothing; `gradient` and `surrogate` at the end of an op.

        op scale(x) {
          param w[1] = ones()
          return w * x
        }

    is to be

        block scale(x) {
          param w[1] = ones()
          return w * x
        }
    """
    return finding(f"{what} cannot stand here", primary=Label(place), help=(why,))


@diagnostic()
def misplaced_gradient(place: Span, why: str, other: Span | None = None) -> Diagnostic:
    """The lines of a hand-written gradient stand together at the end of an op's body, outside of any `if`.

        op square(x) {
          gradient(dy) x = 2 * x * dy
          return x * x
        }

    is to be

        op square(x) {
          return x * x
          gradient(dy) x = 2 * x * dy
        }
    """
    secondary = (Label(other, "a gradient line"),) if other else ()
    return finding(why, primary=Label(place), secondary=secondary)


@diagnostic()
def statement_word_as_name(word: Span, form: str) -> Diagnostic:
    """A word that begins a statement is used as the name of a value at the start of a line.

    Elsewhere these words are free (`init`, `loss`, `layer`, ... may be arguments and labels).

        loss = cross_entropy(logits, label)

    is to be

        loss nll = cross_entropy(logits, label)
    """
    return finding(
        f"`{word.text}` begins a statement here, and a name is missing after it",
        primary=Label(word),
        help=(f"write `{form}`, or give the value another name",),
    )


@diagnostic()
def unnamed_value(place: Span, help: str) -> Diagnostic:
    """An expression stands alone; a statement gives a name to a value, or declares one.

        image -> relu

    is to be

        h = image -> relu
    """
    return finding("this value has no name, so nothing could use it", primary=Label(place), help=(help,))


@diagnostic()
def operator_after_pipe(place: Span, edits: tuple[Edit, ...]) -> Diagnostic:
    """An operator follows a pipe.  `->` binds loosest, and its right side is one call: `a + b -> f` is `f(a + b)`.

        y = x -> linear(3) as fc + 1

    is to be

        y = (x -> linear(3) as fc) + 1
    """
    return finding(
        f"`->` binds looser than `{place.text}`, and takes one call on its right",
        primary=Label(place),
        help=() if edits else ("put the pipe in parentheses",),
        fixes=(Fix("put the pipe in parentheses", edits),) if edits else (),
    )


@diagnostic()
def label_without_call(place: Span) -> Diagnostic:
    """`as` names a call, the last one before it; here something else stands before it.

        y = (a + b) as total

    is to be

        total = a + b
    """
    return finding(
        "`as` names a call, and no call ends here",
        primary=Label(place),
        help=("a value is named by `name = ...` on a line of its own",),
    )


@diagnostic()
def missing_type(place: Span, word: str, name: str) -> Diagnostic:
    """A declaration does not say its type.

        param weight = zeros()

    is to be

        param weight: f32[10] = zeros()
    """
    return finding(
        f"`{word} {name}` needs a type: a dtype and sizes",
        primary=Label(place),
        help=(f"for instance `{word} {name}: f32[N, 3]`",),
    )


@diagnostic()
def missing_colon(previous: Span, following: Span) -> Diagnostic:
    """The colon before a type is missing.

        input x f32[N, 3]

    is to be

        input x: f32[N, 3]
    """
    return finding(
        f"a `:` is missing before the type `{following.text}`",
        primary=Label(following),
        fixes=replacing(f"write `{previous.text}:`", after(previous), ":"),
    )


@diagnostic()
def missing_dtype(place: Span, word: str, name: str) -> Diagnostic:
    """A declaration in a file does not say its dtype.  In a block, the first tensor argument gives it.

        param weight[5, 3]

    is to be

        param weight: f32[5, 3]
    """
    return finding(
        f"`{word} {name}` needs a dtype: f16, f32, f64, i32, i64 or bool",
        primary=Label(place),
        help=(f"for instance `{word} {name}: f32{place.text.lstrip(': ')}`",),
    )


@diagnostic()
def type_without_sizes(place: Span, known: bool) -> Diagnostic:
    """A type has a dtype and sizes, also where there are none: `f32[]` is a scalar.

        input weight: f32

    is to be

        input weight: f32[]
    """
    if not known:
        return finding(
            f"a type stands here, and `{place.text}` is none",
            primary=Label(place),
            help=("a type is sizes in brackets, `[N, D]`, with a dtype before them or not",),
        )
    return finding(
        f"the type `{place.text}` has no sizes",
        primary=Label(place),
        help=(f"a scalar is `{place.text}[]`; sizes stand in brackets, as in `{place.text}[N, 3]`",),
    )


@diagnostic()
def wrong_order(place: Span, what: str, before: str) -> Diagnostic:
    """The parts of a statement stand in the wrong order.

        input x ~ normal(): f32[N, 3]
        dim C where C % 8 == 0 = 64

    is to be

        input x: f32[N, 3] ~ normal()
        dim C = 64 where C % 8 == 0
    """
    return finding(f"{what} stands before {before}", primary=Label(place))


@diagnostic()
def import_form(place: Span, fix: str = "") -> Diagnostic:
    """An import names a file, in quotes, and the name that its definitions go by here.

        import resnet

    is to be

        import "blocks/resnet.gspec" as resnet

    There are no packages to import: the standard library is always there.
    """
    return finding(
        'an import is `import "blocks/resnet.gspec" as resnet`',
        primary=Label(place),
        fixes=replacing(f"add `{fix.strip()}`", after(place), fix) if fix else (),
    )


@diagnostic()
def block_without_body(place: Span) -> Diagnostic:
    """A block has a body in braces; only an op may be one expression.

        block twice(x) = linear(x, 3) as fc

    is to be

        block twice(x) { return linear(x, 3) as fc }
    """
    return finding(
        "a block has a body in braces",
        primary=Label(place),
        help=("write `{ return ... }`; only an `op` may be `= expression`",),
    )


@diagnostic()
def typed_argument(place: Span, fixed: str) -> Diagnostic:
    """A tensor argument carries sizes, never a dtype: blocks and ops take every dtype.

        block double(x: f32[N, D]) { return 2 * x }

    is to be

        block double(x[N, D]) { return 2 * x }
    """
    return finding(
        "a tensor argument has no dtype",
        primary=Label(place),
        fixes=replacing(f"write `{fixed}`", place, fixed),
    )


@diagnostic()
def unknown_argument_word(place: Span, word: str) -> Diagnostic:
    """The word after the colon of an argument says what kind of static value it is.

    It is one of `int`, `float`, `bool` and `str`, or `int[]` and `int[2]` (a list of integers of any or of that length);
    a tensor argument has none.

        block pad(x, width: integer) { return x }

    is to be

        block pad(x, width: int) { return x }
    """
    return finding(
        f"`{word}` is not a kind of static argument",
        primary=Label(place),
        help=("the kinds are int, float, bool, str, int[] and int[2]; a tensor argument is `x` or `x[N, D]`",),
    )


@diagnostic()
def misplaced_range(place: Span) -> Diagnostic:
    """`i in a..b` stands first in the calls of `repeat` and `each`, and nowhere else.

        y = sum(i in 0..3, f(x))

    is to be

        y = sum(each(i in 0..3, f(x)))
    """
    return finding(
        "a range can only be the first argument of `repeat` or `each`",
        primary=Label(place),
    )


@diagnostic()
def chained_comparison(second: Span, first: Span, middle: Span) -> Diagnostic:
    """Comparisons are not chained.

        require 0 <= p <= 1, "`p` is a probability"

    is to be

        require 0 <= p and p <= 1, "`p` is a probability"
    """
    return finding(
        "comparisons are not chained",
        primary=Label(second, "the second comparison"),
        secondary=(Label(first, "the first"),),
        fixes=replacing(
            f"write `... {first.text} {middle.text} and {middle.text} {second.text} ...`",
            Span(second.source, second.start, second.start),
            f"and {middle.text} ",
        ),
    )
