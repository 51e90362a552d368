"""Declarations: how tensors begin, dims and their constraints, consts, initialisers by pattern."""

from __future__ import annotations

from pathlib import Path

import pytest

from graphspec.lowering.lower import check_sizes
from graphspec.lowering.module import DataFile, Draw, Given
from tests.lowering.lowered import X, ids, lower, names, number, type_of


def test_a_tensor_begins_by_a_sampler_a_value_a_file_or_not_at_all(tmp_path: Path):
    module = lower(
        "input a: f32[3] ~ uniform(-1, 1)\ninput b: i64[3] ~ randint(10)\ninput c: i64[3] ~ randint(2, 10)\n"
        'input d: f32[3] = file("data/d.npz", "d")\ninput e: f32[3] = file("e.npy")\ninput f: f32[3]\n'
        "param g: f32[3] ~ normal(std=0.02)\nparam h: f32[3] = ones()\nparam i: f32[3] = 2 * sqrt(3)\n"
        "output y = a + d + e + f + g + h + i + cast(b + c, f32)\n",
        base=str(tmp_path),
    )
    starts = {name: d.start for name, d in module.declared.items()}
    assert starts["a"] == Draw("uniform", (("low", -1.0), ("high", 1.0)))
    assert starts["b"] == Draw("randint", (("low", 0), ("high", 10)))
    assert starts["c"] == Draw("randint", (("low", 2), ("high", 10)))
    assert starts["d"] == DataFile(str(tmp_path / "data" / "d.npz"), "d")
    assert starts["e"] == DataFile(str(tmp_path / "e.npy"), None)
    assert starts["f"] is None
    assert starts["g"] == Draw("normal", (("mean", 0.0), ("std", 0.02)))
    assert isinstance(starts["h"], Given)
    assert isinstance(starts["i"], Given)
    assert str(starts["i"].value.type) == "f32[3]"


def test_the_arguments_of_a_sampler_may_depend_on_sizes():
    module = lower(X + "output y = x -> linear(3)\n")
    start = module.declared["y.weight"].start
    assert isinstance(start, Draw)
    assert start == Draw("uniform", (("low", -0.5), ("high", 0.5)))


def test_tensors_of_a_block_take_the_dtype_of_its_first_floating_argument():
    block = (
        "block b(i, x[..., D]) {\n"
        "  param w[D] = ones()\n  buffer n: i64[] = zeros()\n  noise u[...] ~ normal()\n"
        "  return x * w + cast(n + i, dtype(x)) + u[..., none]\n}\n"
    )
    text = "input x: f64[N, 4] ~ normal()\ninput i: i64[] ~ randint(3)\n"
    module = lower(text + block + "output y = b(i, x)\n")
    assert [str(module.values[f"y.{n}"].type) for n in "wnu"] == ["f64[4]", "i64[]", "f64[N]"]
    only_integers = "block e(i) {\n  param w[3] ~ normal()\n  return w[i]\n}\n"
    assert (
        type_of(lower(text + only_integers + "h = e(i)\noutput y = h + 0 * sum(cast(x, f32))\n"), "h.w")
        == "f32[3]"
    )


# ---------------------------------------------------------------- dims


def test_a_size_symbol_is_made_by_being_mentioned():
    module = lower("input x: f32[N, 2 * K] ~ normal()\noutput y = x\n")
    assert list(module.dims) == ["N", "K"]
    assert module.dims["N"].default is None


def test_a_dim_has_a_default_a_constraint_or_both_in_any_order():
    module = lower(
        "dim N = 8 where N % 2 == 0, M where M > N and M < 100\ninput x: f32[N, M] ~ normal()\noutput y = x\n"
    )
    assert {n: d.default for n, d in module.dims.items()} == {"N": 8, "M": None}
    assert not check_sizes(module, {"N": 8, "M": 9})
    assert [d.id for d in check_sizes(module, {"N": 7, "M": 7})] == ["constraint-broken", "constraint-broken"]


def test_a_dim_from_outside_wins_over_its_default():
    module = lower("dim N = 8\ninput x: f32[N] ~ normal()\noutput y = x\n", sets={"N": 5})
    assert (module.dims["N"].default, module.dims["N"].explicit) == (5, True)


def test_sizes_that_had_to_be_equal_are_compared_when_numbers_are_known():
    module = lower("input a: f32[N] ~ normal()\ninput b: f32[N // 2 * 2] ~ normal()\noutput y = a + b\n")
    assert not check_sizes(module, {"N": 6})
    assert [d.message for d in check_sizes(module, {"N": 7})] == ["`N` = 7 has to equal `2*(N // 2)` = 6"]


@pytest.mark.parametrize("condition", ["N > 4", "N % 2 == 0", "N == 8", "N * 0.5 >= 4", "N != 3"])
def test_a_static_condition_on_a_dim_decides_the_graph_by_its_number(condition: str):
    text = f"dim N = 8\ninput x: f32[N] ~ normal()\nop f(x[N]) = x if {condition} else -x\noutput y = f(x)\n"
    assert lower(text).structural == {"N": 8}


def test_a_condition_that_symbols_decide_needs_no_number():
    module = lower(
        "input x: f32[N] ~ normal()\nop f(x[N]) = x if N + 1 == 1 + N and N != N + 1 else -x\n"
        "output y = f(x)\n"
    )
    assert module.structural == {}


# ---------------------------------------------------------------- consts


def test_consts_are_numbers_booleans_strings_and_lists_and_may_use_one_another():
    module = lower(
        'const b = 2 * a\nconst a = 3\nconst c = [a, b, [1.5]]\nconst d = "relu" == "relu"\nconst e = c[1]\n'
        'const f = "text"\noutput y = zeros([a]) * e if d and f != "" else ones([a])\n'
    )
    assert module.consts == {"a": 3, "b": 6, "c": (3, 6, (1.5,)), "d": True, "e": 6, "f": "text"}


def test_consts_from_outside_keep_their_kind():
    text = 'const width = 3\nconst rate = 0.5\nconst deep = false\nconst kind = "a"\nconst sizes = [1, 2]\n'
    text += X + "output y = (x -> linear(width) as fc) * rate if deep or kind == sizes else x * sizes[0]\n"
    module = lower(text, sets={"width": 5, "rate": 2, "deep": True, "kind": "b", "sizes": [3]})
    assert module.consts == {"width": 5, "rate": 2.0, "deep": True, "kind": "b", "sizes": (3,)}
    assert type_of(module, "y") == "f32[N, 5]"


# ---------------------------------------------------------------- results and initialisers


def test_results_are_outputs_losses_and_an_objective():
    module = lower(
        X
        + "h = relu(x)\noutput h\noutput score: [N] = sum(h, axis=1)\n"
        + "loss a = mean(h)\nloss b = sum(x ** 2)\n"
        "objective total = a + 0.1 * b\n"
    )
    assert {n: r.kind for n, r in module.results.items()} == {
        "score": "output",
        "a": "loss",
        "b": "loss",
        "total": "objective",
        "h": "output",
    }
    assert module.values["h"] is module.results["h"].value


def test_a_static_result_is_a_scalar():
    module = lower("y = 3 * 2\noutput y\noutput z = 2.5\n")
    assert (number(module, "y"), number(module, "z")) == (6, 2.5)


def test_init_overrides_initialisers_by_pattern_and_the_last_one_wins():
    text = X + "output y = x -> repeat(2, linear(4)) as h -> linear(3) as last\n"
    module = lower(
        text + "init **.weight ~ normal(std=0.1)\ninit h.*.bias = zeros()\ninit h.1.* ~ normal(std=0.5)\n"
    )
    drawn = {
        n: d.start.arguments[-1][1]
        for n, d in module.declared.items()
        if isinstance(d.start, Draw) and n != "x"
    }
    assert drawn == {
        "h.0.weight": 0.1,
        "h.1.weight": 0.5,
        "h.1.bias": 0.5,
        "last.weight": 0.1,
        "last.bias": 0.5,
    }
    assert isinstance(module.declared["h.0.bias"].start, Given)


def test_a_star_stays_within_a_dot():
    assert ids(X + "output y = x -> linear(3) as a.b\ninit *.weight ~ normal()\n") == ["init-matches-nothing"]


def test_documentation_is_kept():
    module = lower(
        "const k = 2\n## What it is.\ninput x: f32[3] ~ normal()\n## The double.\noutput y = k * x\n"
    )
    assert (module.declared["x"].doc, module.results["y"].doc) == ("What it is.", "The double.")


def test_what_is_declared_is_listed_by_kind():
    module = lower(
        X
        + "param w: f32[4] ~ normal()\nbuffer b: f32[4] = zeros()\nnoise n: f32[N, 4] ~ normal()\n"
        + "output y = x * w + b + n\n"
    )
    assert [names(module, kind) for kind in ("input", "param", "buffer", "noise")] == [
        ["x"],
        ["w"],
        ["b"],
        ["n"],
    ]
