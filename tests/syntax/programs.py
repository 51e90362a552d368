"""Random `.gspec` programs for properties of the formatter: every construct, with comments in every place."""

from __future__ import annotations

from hypothesis import strategies as st

NAMES = ["x", "y", "loss", "conv1.weight", "stage.2", "input", "a_rather_long_name_of_a_value", "op", "h"]
TARGETS = ["x", "y", "stage.2", "a_rather_long_name_of_a_value", "h"]
WORDS = ["x", "y", "width", "dim", "gradient", "a_rather_long_argument", "where"]
NUMBERS = ["0", "1", "64", "007", "0.50", "1e-3", "2.50E+03", "0.10000000149011612", "12345678.0"]
STRINGS = ['"mean"', '"a # b -> c"', '"' + "long " * 12 + '"']
COMMENTS = ["# a", "#b", "## -> c", "### banner", "#", "#! d", "# (e [", "##", '# "f', "# " + "long " * 18]
BREAK = "\n"


def joined(*strategies):
    """The tokens of several strategies after each other; plain text is one token."""
    made = [st.just([s]) if isinstance(s, str) else s for s in strategies]
    return st.tuples(*made).map(lambda parts: [token for part in parts for token in part])


def one(texts):
    return st.sampled_from(texts).map(lambda text: [text])


def optional(strategy):
    return st.one_of(st.just([]), strategy)


def listed(item, *, least=0, most=4, trailing=False):
    """Items with commas between them, and perhaps one behind."""

    def tokens(drawn):
        items, comma = drawn
        found = [token for i in items for token in (*i, ",")][:-1]
        return [*found, ","] if comma and items else found

    comma = st.booleans() if trailing else st.just(False)
    return st.tuples(st.lists(item, min_size=least, max_size=most), comma).map(tokens)


name, word = one(NAMES), one(WORDS)
number, string = one(NUMBERS), one(STRINGS)
atom = st.one_of(name, name, number, number, string, one(["true", "false", "none"]))


def _argument(conditional, expr):
    return st.one_of(expr, joined(word, "=", expr))


def _grow(expr):
    """Expressions one level deeper; everything that is not plainly an operand gets parentheses."""
    group = joined("(", expr, ")")
    operand = st.one_of(atom, atom, group)
    arguments = joined("(", listed(_argument(expr, expr), trailing=True), ")")
    call = joined(name, arguments)
    labelled = joined(call, "as", name)
    index = st.one_of(
        expr,
        one(["..."]),
        joined(optional(operand), ":", optional(operand)),
        joined(":", ":", operand),
    )
    power = joined(operand, "**", operand)
    factor = st.one_of(operand, power, joined("-", operand))
    product = joined(operand, one(["*", "/", "//", "%", "@"]), factor)
    total = joined(product, one(["+", "-"]), st.one_of(product, operand, call))
    comparison = joined(st.one_of(total, operand), one(["==", "<", ">="]), operand)
    logic = joined(comparison, one(["and", "or"]), st.one_of(operand, comparison, joined("not", operand)))
    stage = joined(name, optional(arguments), optional(joined("as", name)))
    pipe = st.lists(joined("->", stage), min_size=1, max_size=4).map(lambda s: [t for one in s for t in one])
    loop = joined(one(["repeat", "each"]), "(", "i", "in", "0", "..", operand, ",", call, ")")
    return st.one_of(
        call, labelled, power, product, total, comparison, logic, group,
        joined("-", operand), joined(operand, "is", "none"), joined(operand, "is", "not", "none"),
        joined(st.one_of(operand, total), "if", logic, "else", st.one_of(operand, call)),
        joined(operand, "if", operand, "else", operand, "if", operand, "else", operand),
        joined("(", listed(expr, least=2, trailing=True), ")"), joined("(", expr, ",", ")"),
        joined("[", listed(expr, most=6, trailing=True), "]"), joined("[", listed(number, most=40), "]"),
        joined(name, "[", listed(index, least=1), "]"), joined(call, "[", listed(index, least=1), "]"),
        joined(st.one_of(operand, total, call), pipe), loop,
    )  # fmt: skip


expression = st.recursive(atom, _grow, max_leaves=10)
conditional = joined("(", expression, ")")
shape = joined("[", listed(st.one_of(number.filter(lambda n: n[0].isdigit()), word, one(["..."]))), "]")
dtype = one(["f32", "i64"])
kind = joined(dtype, shape)
sampler = joined("~", one(["normal", "uniform"]), "(", listed(joined(word, "=", expression)), ")")
beginning = st.one_of(sampler, joined("=", expression))
default = optional(joined("=", conditional))
parameter = st.one_of(
    joined(word, optional(shape), default),
    joined(word, ":", one(["int", "float"]), optional(joined("[", "2", "]")), default),
)
target = joined(one(TARGETS), optional(joined(":", shape)))
assignment = joined(listed(target, least=1, most=2), "=", expression)


def _in_braces(statement):
    """A body: statements on their lines, or one on one line."""
    several = st.lists(statement, max_size=3).map(lambda s: [BREAK, *(t for one in s for t in (*one, BREAK))])
    return joined("{", st.one_of(several, optional(statement)), "}")


simple = st.one_of(
    assignment,
    joined("return", listed(expression, least=1, most=3)),
    joined("require", conditional, ",", string),
    joined("param", one(["weight"]), shape, optional(joined("as", name)), optional(beginning)),
    joined("update", name, "=", expression),
)


def _branch(statement):
    body = _in_braces(statement)
    otherwise = st.one_of(body, joined("if", conditional, body))
    return joined("if", conditional, body, optional(joined("else", otherwise)))


inner = st.one_of(simple, simple, _branch(simple))
gradient = joined("gradient", "(", "dy", ")", word, "=", expression)
parameters = joined("(", listed(parameter, trailing=True), ")")
results = optional(joined("->", listed(st.one_of(kind, shape), least=1, most=2)))
definition = st.one_of(
    joined("block", word, parameters, results, _in_braces(inner)),
    joined("op", word, parameters, results, "=", expression, optional(_in_braces(gradient))),
)
size = joined(word, optional(joined("=", number)), optional(joined("where", conditional)))
dims = listed(size, least=1, most=3)
statement = st.one_of(
    assignment, assignment, definition, definition,
    joined("dim", dims),
    joined("input", name, ":", kind, optional(beginning)),
    joined("const", word, "=", expression),
    joined(one(["output", "loss"]), name, "=", expression),
    joined("init", one(["h.*.weight", "**"]), beginning),
    joined("layer", name, "=", expression),
    joined("import", '"a/b.gspec"', "as", word),
)  # fmt: skip
statements = st.lists(statement, max_size=5)


@st.composite
def programs(draw):
    """A text that parses but for where statements may stand; comments may be wherever a newline may."""
    random = draw(st.randoms(use_true_random=False))
    often = draw(st.sampled_from([0.0, 0.03, 0.3]))

    def comment():
        return random.choice(COMMENTS)

    def lines(documented=True):
        """Line breaks between statements, with blank lines and comments, which may be documentation."""
        found = "\n" * random.choice([1, 1, 1, 2, 3])
        if random.random() < often:
            found = f"{random.choice(['', ' ', '     '])}{comment()}{found}"
        while random.random() < often:
            line = comment() if documented or random.random() < 0.5 else "# only"
            found += f"{' ' * random.randrange(4)}{line}" + "\n" * random.choice([1, 2, 3])
        return found + " " * random.randrange(4)

    def space(inside, piped):
        """What stands between two tokens: space, and where newlines mean nothing, lines and comments."""
        if not (inside or piped) or random.random() > max(often, 0.05):
            return random.choice([" ", " ", "  ", "\t"])
        found = random.choice(["\n", f" {comment()}\n"])
        while random.random() < often:
            line = comment()
            if not inside and line.startswith("##") and not line.startswith("###"):
                line = "#"  # documentation cannot stand there
            found += f"{' ' * random.randrange(4)}{line}\n"
        return found + " " * random.randrange(4)

    text = lines().lstrip("\n ") if often else ""
    text += "gspec 1" + lines()
    for tokens in draw(statements):
        brackets: list[str] = []
        for i, token in enumerate(tokens):
            if token == BREAK:
                text += lines()
                continue
            if i:
                inside = bool(brackets) and brackets[-1] != "{"
                text += space(inside, token == "->") if tokens[i - 1] != BREAK else ""
            if token in ("(", "[", "{"):
                brackets.append(token)
            elif token in (")", "]", "}"):
                brackets.pop()
            text += token
        text += lines()
    return text
