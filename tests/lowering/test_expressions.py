"""Expressions: how they bind, what is static, indexing, sizes, dtypes of literals, gradients as nodes."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.lowering.lower import check_sizes
from tests.lowering.lowered import X, ids, lower, number, refused, type_of

V = np.array([1.0, -2.0, 3.0, 0.5])
VECTOR = "input v: f64[4] ~ normal()\n"


def value(expression: str, **inputs: object) -> object:
    """An expression of the vector v and the consts k = 3 and l = [2, 5]."""
    module = lower(VECTOR + "const k = 3\nconst l = [2, 5]\noutput y = v\n")
    return number(module, expression, v=V, **inputs)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("-v ** 2", -(V**2)),
        ("2 ** -v", 2.0**-V),
        ("v - v * 2 + 1", V - V * 2 + 1),
        ("v / 2 / 2", V / 4),
        ("v // 2 % 2", V // 2 % 2),
        ("abs(v) ** 2 ** 0.5", np.abs(V) ** (2**0.5)),
        ("v + v -> abs", np.abs(V + V)),
        ("abs(v) -> sqrt -> maximum(1.0)", np.maximum(np.sqrt(np.abs(V)), 1)),
        ("(v, 2 * v) -> maximum", np.maximum(V, 2 * V)),
        ("v -> where(v > 0, 0)", None),
        ("v @ v", V @ V),
        ("v > 0", V > 0),
        ("v if k == 3 and not k > 3 else -v", V),
        ("v if k < 3 or l[1] == 2 else -v", -V),
        ("v * (1 if true else 0) if false else -v", -V),
        ("(v -> neg)", None),
        ("sum(v) / size(v)", V.mean()),
        ("v * minimum(k, 2) * sqrt(4)", V * 4),
        ("v * pi * 0 + inf", V + np.inf),
        ("v * l[0] + l[-1] + shape(v)[0]", V * 2 + 5 + 4),
        ("v if l == [2, 5] else -v", V),
        ("v if dtype(v) == f64 else -v", V),
        ("v * rank(v)", V),
        ("v * (7 // 2) * (-7 // 2) * (7 % 3)", V * 3 * -4 * 1),
    ],
)
def test_expressions_bind_and_compute(expression: str, expected: object):
    if expected is None:  # `neg` has a sign only, and `where` takes its condition first
        with pytest.raises(Exception, match=r"unknown-function|dtype-mismatch"):
            value(expression)
    else:
        np.testing.assert_allclose(value(expression), expected, rtol=1e-15)


def test_a_piped_value_fills_the_first_argument_and_a_tuple_the_first_ones():
    module = lower(X + "op f(a, b, k: float = 1.0) = a - k * b\noutput y = x\n")
    ones, twos = np.ones((2, 4)), 2 * np.ones((2, 4))
    assert np.all(number(module, "x -> f(2 * x, k=3.0)", {"N": 2}, x=ones) == ones - 3 * twos)
    assert np.all(number(module, "(2 * x, x) -> f", {"N": 2}, x=ones) == twos - ones)


# ---------------------------------------------------------------- indexing

M = np.arange(60.0).reshape(3, 4, 5)
MATRICES = "input m: f64[3, 4, 5] ~ normal()\ninput i: i64[2] ~ randint(3)\ninput j: i64[2] ~ randint(4)\n"
ROWS, COLUMNS = np.array([2, 0]), np.array([1, 3])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("m[1]", M[1]),
        ("m[1, :, 2:5]", M[1, :, 2:5]),
        ("m[..., -1]", M[..., -1]),
        ("m[0, ..., 1]", M[0, ..., 1]),
        ("m[:, none]", M[:, None]),
        ("m[..., none]", M[..., None]),
        ("m[none, 1, none, 2]", M[None, 1, None, 2]),
        ("m[1:-1, ::2, -3:]", M[1:-1, ::2, -3:]),
        ("m[1:9, 3:1]", M[1:9, 3:1]),
        ("m[i]", M[ROWS]),
        ("m[:, j]", M[:, COLUMNS]),
        ("m[i, j]", M[ROWS, COLUMNS]),
        ("m[i, j, 0]", M[ROWS, COLUMNS, 0]),
        ("m[i, 0]", M[:, 0][ROWS]),
        ("m[1, j, 1:3]", M[1, COLUMNS, 1:3]),
        ("m[:, i[:, none], j]", M[:, ROWS[:, None], COLUMNS]),
        ("m[0][1][2]", M[0, 1, 2]),
    ],
)
def test_indexing_reads_as_numpy(expression: str, expected: np.ndarray):
    module = lower(MATRICES + "output y = m\noutput z = i + j\n")
    found = number(module, expression, m=M, i=ROWS, j=COLUMNS)
    np.testing.assert_array_equal(found, expected)
    assert type_of(module, expression) == f"f64[{', '.join(map(str, expected.shape))}]"


def test_slices_of_symbolic_sizes_have_symbolic_sizes():
    module = lower("dim N where N >= 4\ninput x: f32[N, 4] ~ normal()\noutput y = x\n")
    assert type_of(module, "x[1:]") == "f32[N - 1, 4]"
    assert type_of(module, "x[:N // 2]") == "f32[N // 2, 4]"
    assert type_of(module, "x[-2:]") == "f32[2, 4]"
    assert type_of(module, "x[N - 1]") == "f32[4]"
    assert type_of(module, "x[::2]") == "f32[(N + 1) // 2, 4]"


def test_a_bound_that_only_numbers_can_compare_is_a_check():
    module = lower(X + "output y = x[0:3]\n")
    assert [(str(c.left), str(c.right), c.relation) for c in module.checks] == [("3", "N", "<=")]
    assert not module.warnings


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    ("sizes", "other"),
    [
        ("[N, 2 * M]", "[N, M + M]"),
        ("[N * M]", "[M * N]"),
        ("[(N + 1) * (N - 1)]", "[N ** 2 - 1]"),
        ("[N * M // M]", "[N]"),
        ("[(4 * N + 2) // 2]", "[2 * N + 1]"),
    ],
)
def test_equal_arithmetic_is_equal(sizes: str, other: str):
    module = lower(
        f"dim N, M\ninput a: f32{sizes} ~ normal()\ninput b: f32{other} ~ normal()\noutput y = a + b\n"
    )
    assert not module.checks


@pytest.mark.parametrize(
    ("one", "other"), [("N", "M"), ("N", "3"), ("2 * N", "N"), ("N + 1", "N"), ("N * M", "N")]
)
def test_different_sizes_are_an_error(one: str, other: str):
    inputs = f"input a: f32[2, {one}] ~ normal()\ninput b: f32[2, {other}] ~ normal()\n"
    assert ids(f"dim N, M\n{inputs}output y = a + b\n") == ["shape-mismatch"]


def test_what_cannot_be_told_is_a_check_and_a_note():
    module = lower("input a: f32[N] ~ normal()\ninput b: f32[N // 2 * 2] ~ normal()\noutput y = a + b\n")
    assert [(str(c.left), str(c.right)) for c in module.checks] == [("N", "2*(N // 2)")]
    assert [(w.id, w.severity) for w in module.warnings] == [("cannot-tell-sizes", "note")]


def test_a_divisor_settles_it():
    text = "input a: f32[N] ~ normal()\ninput b: f32[N // 8 * 8] ~ normal()\noutput y = a + b\n"
    assert not lower("const k = 8\ndim N where N % k == 0\n" + text).checks
    assert lower("dim N where N % 4 == 0\n" + text).checks


def test_an_equality_makes_two_symbols_one():
    text = "input a: f32[N, 3] ~ normal()\ninput b: f32[M, 3] ~ normal()\noutput y = a + b\n"
    assert ids(text) == ["shape-mismatch"]
    assert type_of(lower("dim N, M where M == N\n" + text), "y") == "f32[N, 3]"
    twice = "input c: f32[N, 3] ~ normal()\noutput z = concat(a, c, axis=0) + b\n"
    assert (
        type_of(lower("dim M where 2 * N == M\ndim N\n" + text.replace("output y = a + b\n", twice)), "z")
        == "f32[2*N, 3]"
    )


def test_a_symbol_never_broadcasts_as_1():
    inputs = "input a: f32[N, 3] ~ normal()\ninput b: f32[1, 3] ~ normal()\ninput c: f32[M] ~ normal()\n"
    assert type_of(lower(inputs + "output y = a + b + sum(c)\n"), "y") == "f32[N, 3]"
    assert ids(inputs + "output y = a + b + c\n") == ["shape-mismatch"]


def test_written_out_axes_make_pairs():
    module = lower("input a: f32[N] ~ normal()\noutput y = a[none, :] - a[:, none]\n")
    assert type_of(module, "y") == "f32[N, N]"
    assert ids("input a: f32[N] ~ normal()\ninput b: f32[N, 1] ~ normal()\noutput y = a - b\n") == [
        "outer-product"
    ]


def test_sizes_in_expressions_are_values():
    module = lower(X + "output y = sum(x) / N\n")
    assert number(module, "y", {"N": 5}, x=np.ones((5, 4), "f")) == 4


# ---------------------------------------------------------------- dtypes


@pytest.mark.parametrize("dtype", ["i32", "i64", "f16", "f32", "f64"])
def test_number_literals_take_the_dtype_of_the_tensor(dtype: str):
    module = lower(
        f'input a: {dtype}[3] = file("a.npy")\noutput y = a + 1\noutput z = 3 - maximum(a, 2)\n', base="/tmp"
    )
    assert type_of(module, "y") == type_of(module, "z") == f"{dtype}[3]"


def test_a_scalar_of_numbers_alone_is_f32_or_what_is_asked_for():
    assert type_of(lower("y = 3 * 2\noutput y\noutput z = 2.5\n"), "y") == "f32[]"
    assert type_of(lower("output z = 2.5\n", dtype="f64"), "z") == "f64[]"
    assert type_of(lower("output z = 2 < 3\n"), "z") == "bool[]"


def test_the_dtype_from_outside_holds_for_everything_floating():
    text = (
        X + "input i: i64[N] ~ randint(9)\nbuffer b: f32[4] = zeros()\nh: f32[N, 3] = x -> linear(3) as fc\n"
    )
    module = lower(text + "output y = h + cast(i, f32)[:, none]\noutput z = x + b\n", dtype="f64")
    assert {str(d.value.dtype) for d in module.declared.values()} == {"f64", "i64"}
    assert type_of(module, "y") == "f64[N, 3]"


@pytest.mark.parametrize(
    "expression",
    ["d + x", "where(x > 0, x, d)", "concat(x, d, axis=0)", "x @ transpose(d)", "mse_loss(x, d)"],
)
def test_dtypes_never_mix_silently(expression: str):
    assert "dtype-mismatch" in ids(X + f"input d: f64[N, 4] ~ normal()\noutput y = {expression}\n")


# ---------------------------------------------------------------- gradients


def test_gradients_are_nodes():
    module = lower(
        VECTOR + "input w: f64[4] ~ normal()\nl = sum(v * w ** 2)\ng = grad(l, v)\n"
        "a, b = grad(l, (v, w))\nc = grad(v * w, w, cotangent=v)\nd = jvp(v * w, v, w)\n"
        "output y = g + a + b + c + d\n"
    )
    assert {type_of(module, n) for n in "gabcd"} == {"f64[4]"}


def test_stop_gradient_is_a_function():
    assert type_of(lower(VECTOR + "output y = v * stop_gradient(v)\n"), "y") == "f64[4]"


# ---------------------------------------------------------------- errors of one run


def test_every_operand_and_argument_is_looked_at():
    text = X + "output y = a + b * 2 -> gleu(k=d) -> sum(dim=1)\n"
    found = refused(text)
    assert [(d.id, d.primary.span.text) for d in found if d.primary] == [
        ("unknown-name", "a"),
        ("unknown-name", "b"),
        ("unknown-function", "gleu"),
        ("unknown-name", "d"),
        ("unknown-argument", "dim"),
    ]


def test_the_sizes_of_an_expression_from_outside_are_checked_where_it_is_asked_for():
    module = lower(X + "output y = 2 * x\n")
    for expression in ("y[0:9]", "y[8]", "y + x[:N // 2 + N // 3]"):
        type_of(module, expression)
        assert [d.id for d in check_sizes(module, {"N": 5}, [expression])] == ["sizes-turned-out"]
    assert not check_sizes(module, {"N": 5})
    assert not check_sizes(module, {"N": 9}, ["y[0:9]"])
