"""Statements and expressions of the wrong form, or in the wrong place, each with the right one."""

from __future__ import annotations

from graphspec.diagnostics import Diagnostic, Edit, Fix, Label, Span
from graphspec.diagnostics.catalogue._register import diagnostic, finding
from graphspec.diagnostics.catalogue.syntax import after, replacing


@diagnostic()
def misplaced_statement(place: Span, what: str, why: str) -> Diagnostic:
    """A statement stands where its kind may not.

    `dim`, `input`, `const`, `output`, `loss`, `objective`, `init`, `import`, `block` and `op` stand in a
    file; `return`, `require`, `if` and `update` in a body; `param`, `buffer`, `noise` and `layer` in a file
    or a block, never in an op, which owns nothing; `gradient` and `surrogate` at the end of an op.

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
    """An operator follows a pipe.  `->` binds loosest, and its right side is one call: `a + b -> f` is `f(a
    + b)`.

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

    It is one of `int`, `float`, `bool` and `str`, or `int[]` and `int[2]` (a list of integers of any or of
    that length); a tensor argument has none.

        block pad(x, width: integer) { return x }

    is to be

        block pad(x, width: int) { return x }
    """
    return finding(
        f"`{word}` is not a kind of static argument",
        primary=Label(place),
        help=(
            "the kinds are int, float, bool, str, int[] and int[2]; a tensor argument is `x` or `x[N, D]`",
        ),
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
