"""What text means: statements, expressions, names, documentation, and the place of each part."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from graphspec.diagnostics import GraphSpecError, Source
from graphspec.syntax import ast, parse, parse_expression
from graphspec.syntax.walk import children, extent, left_spine, walk

CASES = sorted((Path(__file__).parent / "cases").glob("*.gspec"))


def read(text: str) -> ast.File:
    return parse(Source("test.gspec", f"gspec 1\n{dedent(text)}"))


def only(text: str) -> ast.Statement:
    (statement,) = read(text).statements
    return statement


def expr(text: str) -> ast.Expr:
    return parse_expression(Source("expression", text))


def shown(e: ast.Expr) -> str:
    """The expression with every operation in parentheses."""
    match e:
        case ast.Binary():
            return f"({shown(e.left)} {e.op} {shown(e.right)})"
        case ast.Unary():
            return f"({e.op} {shown(e.operand)})"
        case ast.Conditional():
            return f"({shown(e.then)} if {shown(e.condition)} else {shown(e.otherwise)})"
        case ast.Call():
            inner = [] if e.piped is None else [shown(e.piped) + " ->"]
            for a in e.arguments:
                assert not isinstance(a.value, ast.Range)
                inner.append((f"{a.name.text}=" if a.name else "") + shown(a.value))
            return f"{e.function.text}({' '.join(inner)})" + (f" as {e.label.text}" if e.label else "")
        case ast.Index():
            return f"{shown(e.operand)}[{len(e.indices)}]"
        case ast.Tuple():
            return "(" + ", ".join(map(shown, e.items)) + ",)"
        case ast.IsNone():
            return f"({shown(e.operand)} is {'not ' if e.negated else ''}none)"
        case _:
            return e.span.text


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_each_case_parses_and_every_span_holds_its_part(path: Path):
    source = Source(path.name, path.read_text(encoding="utf-8"))
    file = parse(source)
    assert file.statements
    ends = 0
    for statement in file.statements:
        assert statement.span.start >= ends, "statements do not overlap"
        ends = statement.span.end
        text = statement.span.text
        assert text == text.strip()
        first = text.split(maxsplit=1)[0]
        match statement:
            case ast.Declare() | ast.Result() | ast.Definition():
                assert first == statement.kind
                assert (
                    statement.name if isinstance(statement, ast.Definition) else statement.path
                ).text in text
            case ast.Assign():
                assert text.startswith(statement.targets[0].path.text)
                assert text.endswith((statement.value.span.text, ")"))
            case ast.Init() | ast.Layer() | ast.Const() | ast.Import():
                assert first == type(statement).__name__.lower()


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a + b * c ** -d", "(a + (b * (c ** (- d))))"),
        ("-a ** 2", "(- (a ** 2))"),
        ("a - b - c", "((a - b) - c)"),
        ("a ** b ** c", "(a ** (b ** c))"),
        ("a @ b / c // d % e", "((((a @ b) / c) // d) % e)"),
        ("a + b < c * d", "((a + b) < (c * d))"),
        ("not a == b and c or d", "(((not (a == b)) and c) or d)"),
        ("a if b else c if d else e", "(a if b else (c if d else e))"),
        ("a or b if c and d else e", "((a or b) if (c and d) else e)"),
        ("a + b -> f", "f((a + b) ->)"),
        ("a -> f -> g(k=1) as h", "g(f(a ->) -> k=1) as h"),
        ("(a, b) -> f", "f((a, b,) ->)"),
        ("f(x) as y + 1", "(f(x) as y + 1)"),
        ("f(x) as y ** 2", "(f(x) as y ** 2)"),
        ("-f(x) as y", "(- f(x) as y)"),
        ("f(x)[0][1, :]", "f(x)[1][2]"),
        ("f(a -> g, k=b -> h)", "f(g(a ->) k=h(b ->))"),
        ("a is none", "(a is none)"),
        ("a is not none and b", "((a is not none) and b)"),
        ("(a)", "a"),
        ("(a,)", "(a,)"),
        ("a if b else c -> f", "f((a if b else c) ->)"),
        ("a orb", "error"),
        ("a < b < c", "error"),
        ("a -> f + 1", "error"),
        ("a as b", "error"),
    ],
)
def test_precedence(text: str, meaning: str):
    try:
        assert shown(expr(text)) == meaning
    except GraphSpecError:
        assert meaning == "error"


def test_numbers_and_other_literals():
    items = expr('[1, 2.5, 1e3, 0.5e-3, true, false, none, "a # b"]')
    assert isinstance(items, ast.List)
    values = [getattr(item, "value", None) for item in items.items]
    assert values == [1, 2.5, 1000.0, 0.0005, True, False, None, "a # b"]
    assert isinstance(items.items[0], ast.Number)
    assert isinstance(items.items[6], ast.NoneLiteral)
    assert [type(getattr(item, "value", None)) for item in items.items[:3]] == [int, float, float]


def test_indices():
    index = expr("y[1, :, 2:5, ::2, ..., -1, none, i]")
    assert isinstance(index, ast.Index)
    kinds = [type(i).__name__ for i in index.indices]
    assert kinds == ["Number", "Slice", "Slice", "Slice", "Ellipsis", "Unary", "NoneLiteral", "Name"]


def test_a_dotted_path_may_have_numbers_and_a_range_is_no_fraction():
    label = expr("f(x) as downsample.0.1")
    assert isinstance(label, ast.Call)
    assert label.label is not None
    assert label.label.text == "downsample.0.1"
    call = expr("each(e in 0..E // 2, f(x))")
    assert isinstance(call, ast.Call)
    steps = call.arguments[0].value
    assert isinstance(steps, ast.Range)
    assert (steps.name.text, steps.start.span.text, steps.stop.span.text) == ("e", "0", "E // 2")


def test_words_of_statements_are_names_elsewhere():
    assign = only("y = input(loss, where=where(init), init=layer.in.op)")
    assert isinstance(assign, ast.Assign)
    assert shown(assign.value) == "input(loss where=where(init) init=layer.in.op)"


def test_a_stage_without_parentheses_is_bare():
    call = expr("x -> f() -> g")
    assert isinstance(call, ast.Call)
    assert call.bare
    assert isinstance(call.piped, ast.Call)
    assert not call.piped.bare


def test_the_span_of_a_piped_call_is_the_stage_and_its_extent_the_pipe():
    text = "(a, b) -> concat(axis=0) as both -> relu"
    call = expr(text)
    assert isinstance(call, ast.Call)
    assert isinstance(call.piped, ast.Call)
    assert call.piped.span.text == "concat(axis=0) as both"
    assert call.span.text == "relu"
    assert extent(call).text == text


def test_an_operand_in_parentheses_lies_within_the_span_of_its_operation():
    e = expr("(a + b) * c")
    assert isinstance(e, ast.Binary)
    assert e.span.text == "(a + b) * c"
    assert e.left.span.text == "a + b"
    assert e.op_span.text == "*"


def test_declarations():
    declare = only("param enc.0.weight: f32[2 * N, ...] as weight ~ normal(std=0.02)")
    assert isinstance(declare, ast.Declare)
    assert (declare.kind, declare.path.text) == ("param", "enc.0.weight")
    assert declare.type.dtype is not None
    assert (declare.type.dtype.text, declare.type.shape.span.text) == ("f32", "[2 * N, ...]")
    assert declare.public is not None
    assert declare.public.text == "weight"
    assert declare.start is not None
    assert declare.start.drawn
    assert declare.start.value.span.text == "normal(std=0.02)"
    plain = only("input x: f32[]")
    assert isinstance(plain, ast.Declare)
    assert plain.type.shape.sizes == ()
    assert plain.start is None
    given = only('input x: i64[N] = file("a.npz", "x")')
    assert isinstance(given, ast.Declare)
    assert given.start is not None
    assert not given.start.drawn


def test_a_dim_statement_gives_one_dim_for_each_symbol():
    dims = read("## Sizes.\ndim N = 3, C where C % 8 == 0, D = 4 where D > N\n").statements
    assert [d.span.text for d in dims] == ["N = 3", "C where C % 8 == 0", "D = 4 where D > N"]
    assert all(isinstance(d, ast.Dim) for d in dims)


def test_results():
    for text, kind, has_type, has_value in [
        ("output y", "output", False, False),
        ("output y: [N] = x", "output", True, True),
        ("loss l = x", "loss", False, True),
        ("objective total: f32[] = x", "objective", True, True),
    ]:
        result = only(text)
        assert isinstance(result, ast.Result)
        assert (result.kind, result.type is not None, result.value is not None) == (kind, has_type, has_value)


def test_init_patterns():
    for pattern in ["h.*.proj.weight", "**.conv*.weight", "layer4.*", "a.0.w*e.weight"]:
        init = only(f"init {pattern} ~ normal()")
        assert isinstance(init, ast.Init)
        assert init.pattern.text == pattern
    init = only("init layer4.*=zeros()")
    assert isinstance(init, ast.Init)
    assert (init.pattern.text, init.start.drawn) == ("layer4.*", False)


def test_definitions():
    block = only(
        """
        block b(x[..., I], w[O] = none, k: int = 3, size: int[2] = k,
                axes: int[] = [0], mode: str = "a") -> [N], [] {
          if k == 1 { return x } else if k == 2 { return w } else { return x, w }
        }
        """
    )
    assert isinstance(block, ast.Definition)
    tensors = [p for p in block.parameters if isinstance(p, ast.TensorParameter)]
    statics = [p for p in block.parameters if isinstance(p, ast.StaticParameter)]
    assert [p.name.text for p in tensors] == ["x", "w"]
    assert [(p.name.text, p.word, p.count) for p in statics] == [
        ("k", "int", None), ("size", "int", 2), ("axes", "int", 0), ("mode", "str", None),
    ]  # fmt: skip
    assert block.results is not None
    assert [r.span.text for r in block.results] == ["[N]", "[]"]
    (branch,) = block.body
    assert isinstance(branch, ast.If)
    assert isinstance(branch.otherwise[0], ast.If)
    assert isinstance(branch.otherwise[0].otherwise[0], ast.Return)


def test_an_op_with_a_value_and_gradient_lines():
    op = only("op f(x, s) -> [...] = x * s {\n  gradient(dy) x = s * dy\n  surrogate(dy) s = dy\n}")
    assert isinstance(op, ast.Definition)
    assert op.value is not None
    assert op.value.span.text == "x * s"
    first, second = op.body
    assert isinstance(first, ast.Gradient)
    assert isinstance(second, ast.Gradient)
    assert (first.surrogate, second.surrogate) == (False, True)
    assert [c.text for c in first.cotangents] == ["dy"]
    assert first.argument.text == "x"


def test_documentation_goes_to_the_file_and_to_the_statement_below():
    file = parse(
        Source(
            "t",
            "## before\ngspec 1\n## under\n## it\n\n"
            "## of x\n## too\ninput x: f32[]\n# no\n## of N\n\ndim N\ndim M",
        )
    )
    assert file.doc == "before\nunder\nit"
    assert [getattr(s, "doc", None) for s in file.statements] == ["of x\ntoo", "of N", ""]


def test_lines_go_on_in_brackets_and_before_an_arrow():
    file = read("y = f(\n  a,  # one\n\n  b,\n)\n\n   # between\n  -> g\n\nz = [\n1\n]")
    assert len(file.statements) == 2


def test_line_ends_of_windows_and_a_byte_order_mark():
    file = parse(Source("t", "\ufeffgspec 1\r\n\r\n## doc\r\ninput x: f32[3]\r\ny = x\r\n  -> f\r\n"))
    assert [s.span.text for s in file.statements] == ["input x: f32[3]", "y = x\r\n  -> f"]
    assert getattr(file.statements[0], "doc", "") == "doc"


def test_walking_meets_every_expression_once_and_in_order():
    e = expr("f(a + 1, k=[b, (c,)])[d:, e] -> g(i in 0..n, x if p else q)".replace("g(i", "each(i"))
    names = [part.path.text for part in walk(e) if isinstance(part, ast.Name)]
    assert names == ["a", "b", "c", "d", "e", "n", "x", "p", "q"]
    assert [shown(part) for part in left_spine(expr("a + b + c"))] == ["a", "(a + b)", "((a + b) + c)"]
    assert children(expr("1")) == []


def test_an_expression_on_its_own_has_places_in_its_own_source():
    e = expr("sum(score)")
    assert (e.span.source.name, e.span.text) == ("expression", "sum(score)")
    with pytest.raises(GraphSpecError) as caught:
        expr("sum(score")
    assert [d.id for d in caught.value.diagnostics] == ["unclosed-bracket"]
    with pytest.raises(GraphSpecError):
        expr("")
