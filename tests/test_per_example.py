"""Gradients of single examples: equal to a loop and to PyTorch's, refused where they mean nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from tests.references.func_cases import BLOCK, CONV, Model

SPECS = Path(__file__).parent.parent / "specs"
FROZEN = Path(__file__).parent / "references" / "torch_func.npz"
Array = np.ndarray[Any, Any]

#: sums in f64 that differ in their order only
EXACT = {"rtol": 1e-9, "atol": 1e-12}

SCORES = """gspec 1
dim N = 5
input x: f64[N, 3] ~ normal()
input t: f64[N] ~ normal()
h = tanh(linear(x, 4) as fc)
output score = h -> linear(1) as last -> squeeze(axis=1)
loss mse = mse_loss(score, t)
"""


def load(text: str, batch: str = "N", count: int | None = None, **more: Any) -> gs.Model:
    dims = {} if count is None else {batch: count}
    return gs.loads(text, dims=dims, **more)


def compare_with_loop(
    text_or_path: str | Path,
    wrt: Sequence[str],
    of: str | None = None,
    *,
    batch: str = "N",
    count: int = 3,
    axes: dict[str, int] | None = None,
    mode: Any = "eval",
    noise: Sequence[str] = (),
    consts: dict[str, Any] | None = None,
    per_example: dict[str, Any] | None = None,
) -> dict[str, Array]:
    """The gradients of every example, after they have been compared with those of models of one example.

    `axes` are the axes that hold the examples, where that is not the first.
    """

    def model(count: int) -> gs.Model:
        dims = {batch: count}
        if isinstance(text_or_path, Path):
            return gs.load(text_or_path, dims=dims, dtype="f64", mode=mode, consts=consts)
        return gs.loads(text_or_path, dims=dims, dtype="f64", mode=mode, consts=consts)

    whole, single = model(count), model(1)
    params, inputs = whole.init(seed=1), whole.draw(seed=2)
    for name in noise:
        shape = [count if size == batch else size for size in _shape(whole, name)]
        inputs[name] = np.random.default_rng(3).uniform(0.1, 0.9, shape)
    at = {name: 0 for name in inputs if batch in _shape(whole, name)} | (axes or {})
    found = whole.grad(params, inputs, wrt, of, per_example=True, **(per_example or {}))
    values, _ = whole.value_and_grad(params, inputs, wrt, of, per_example=True, **(per_example or {}))
    for i in range(count):
        one = {name: a.take([i], at[name]) if name in at else a for name, a in inputs.items()}
        value, expected = single.value_and_grad(params, one, wrt, of, cotangent="ones")
        np.testing.assert_allclose(values[i], np.reshape(value, values[i].shape), **EXACT)
        assert found.keys() == expected.keys()
        for name, g in expected.items():
            own = g.reshape(found[name][i].shape)  # without the axis of the one example
            np.testing.assert_allclose(found[name][i], own, err_msg=name, **EXACT)
    return found


def _shape(model: gs.Model, name: str) -> list[Any]:
    """The sizes of a declaration: numbers, or text."""
    inside = model.names()[name].partition("[")[2].rstrip("]")
    return [int(s) if s.strip().isdigit() else s.strip() for s in inside.split(",") if s.strip()]


# --- the specs ------------------------------------------------------------------------------------------


def test_every_example_of_the_scene_has_its_own_gradient() -> None:
    model = gs.load(SPECS / "per_example.gspec", dtype="f64")
    params, inputs = model.init(seed=0), model.draw(seed=0)
    grads = model.grad(params, inputs, wrt="@params", per_example=True)
    assert {name: g.shape for name, g in grads.items()} == {
        "fc1.weight": (1000, 5, 1),
        "fc2.weight": (1000, 1, 5),
    }
    a = inputs["x"] @ params["fc1.weight"].T
    s = 1 / (1 + np.exp(-a))
    np.testing.assert_allclose(grads["fc2.weight"][:, 0], s, rtol=1e-12)
    by_hand = params["fc2.weight"] * s * (1 - s) * inputs["x"]
    np.testing.assert_allclose(grads["fc1.weight"][:, :, 0], by_hand, rtol=1e-12)


@pytest.mark.parametrize(
    ("spec", "wrt", "of", "batch"),
    [
        ("per_example", ["@params", "x", "fc1"], None, "N"),
        ("lenet", ["conv1.weight", "conv1.bias", "fc1.weight", "fc2.bias", "image", "fc1.x"], None, "N"),
        ("digits", ["@params", "image", "logits"], None, "N"),
        ("resnet", ["@params", "image", "layer1.0.conv1.x"], "nll", "N"),
        ("gpt", ["@params", "hidden", "transformer.h.0"], "lm", "B"),
        ("siamese", ["@params", "left"], "distance", "B"),
        ("siamese", ["@params"], "smooth", "B"),
    ],
)
def test_a_spec_gives_what_a_loop_over_single_examples_gives(
    spec: str, wrt: list[str], of: str | None, batch: str
) -> None:
    compare_with_loop(SPECS / f"{spec}.gspec", wrt, of, batch=batch)


def test_noise_belongs_to_its_example() -> None:
    compare_with_loop(SPECS / "vae.gspec", ["@params", "z"], "elbo", noise=["eps"])
    compare_with_loop(SPECS / "wgan_gp.gspec", ["@params"], "critic_loss", noise=["z", "mix"])


def test_of_two_batches_one_is_named() -> None:
    path = SPECS / "burgers.gspec"
    compare_with_loop(path, ["@params", "x"], "total", batch="N", per_example={"batch": "N"})
    compare_with_loop(path, ["@params"], "total", batch="M", per_example={"batch": "M"})
    compare_with_loop(path, ["@params"], "equation", batch="N")


@pytest.mark.parametrize("model", [CONV, BLOCK], ids=lambda m: m.name)
def test_gradients_of_single_examples_are_those_of_torch_func(model: Model) -> None:
    params, inputs = model.draw()
    compiled = gs.loads(model.spec, dtype="f64")
    with np.load(FROZEN) as file:
        frozen = {
            n: file[f"{model.name}/{n}"] for n in (*model.shapes, "image") if f"{model.name}/{n}" in file
        }
    found = compiled.grad(params, inputs, list(frozen), per_example=True)
    for name, expected in frozen.items():
        np.testing.assert_allclose(found[name], expected, err_msg=name, **EXACT)


# --- what it means --------------------------------------------------------------------------------------


def test_a_mean_is_not_divided_by_the_batch_and_a_weighted_one_has_its_own_denominator() -> None:
    text = """gspec 1
dim N = 4
input x: f64[N, 3] ~ normal()
input label: i64[N] ~ randint(3)
input weight: f64[3] ~ uniform(1, 2)
output score = linear(x, 3) as fc
loss nll = cross_entropy(score, label, weight=weight)
loss by_hand = sum(score ** 2) / N
"""
    compare_with_loop(text, ["@params", "x"], "nll", count=4)
    compare_with_loop(text, ["@params", "x"], "by_hand", count=4)


def test_the_mean_of_them_is_the_gradient_of_a_mean() -> None:
    model = gs.loads(SCORES)
    params, inputs = model.init(), model.draw()
    each = model.grad(params, inputs, "@params", of="mse", per_example=True)
    together = model.grad(params, inputs, "@params", of="mse")
    for name, g in together.items():
        np.testing.assert_allclose(each[name].mean(axis=0), g, **EXACT)


def test_an_objective_may_have_one_element_for_each_example() -> None:
    found = compare_with_loop(SCORES, ["@params", "x", "h"], "score", count=5)
    assert (found["x"].shape, found["h"].shape) == ((5, 3), (5, 4))


def test_an_objective_with_more_elements_has_a_cotangent_with_a_part_for_each_example() -> None:
    model = gs.loads(SCORES)
    params, inputs = model.init(), model.draw()
    v = np.random.default_rng(0).standard_normal((5, 4))
    with pytest.raises(gs.GraphSpecError, match="needs a cotangent"):
        model.grad(params, inputs, "x", of="h", per_example=True)
    found = model.grad(params, inputs, ["x", "fc.weight"], of="h", cotangent=v, per_example=True)
    together = model.grad(params, inputs, ["x", "fc.weight"], of="h", cotangent=v)
    np.testing.assert_allclose(found["x"], together["x"], **EXACT)
    np.testing.assert_allclose(found["fc.weight"].sum(axis=0), together["fc.weight"], **EXACT)
    ones = model.grad(params, inputs, "x", of="h", cotangent="ones", per_example=True)
    np.testing.assert_allclose(ones["x"], model.grad(params, inputs, "x", of="sum(h)")["x"], **EXACT)


def test_a_gradient_that_is_the_same_for_every_example_is_repeated() -> None:
    model = gs.loads("gspec 1\ninput x: f64[N, 3] ~ normal()\nloss s = sum(linear(x, 2) as fc)\n")
    inputs = {"x": np.ones((6, 3))}
    found = model.grad(model.init(inputs=inputs), inputs, ["fc.bias"], per_example=True)
    np.testing.assert_array_equal(found["fc.bias"], np.ones((6, 2)))


def test_examples_may_lie_along_another_axis() -> None:
    text = """gspec 1
dim T = 3
input first: f64[N] ~ normal()
input x: f64[T, N, 2] ~ normal()
y = tanh(linear(transpose(x, [1, 0, 2]), 3) as fc)
loss l = sum(y * reshape(first, [-1, 1, 1]))
"""
    found = compare_with_loop(text, ["@params", "x", "first"], axes={"x": 1}, per_example={"batch": "N"})
    assert found["x"].shape == (3, 3, 2)  # examples first


def test_batches_may_be_joined_and_cut_again() -> None:
    text = """gspec 1
input real: f64[N, 2] ~ normal()
input fake: f64[N, 2] ~ normal()
both = (real, fake) -> concat(axis=0) -> linear(3) as fc -> tanh
truth = (ones([N, 1], dtype=f64), zeros([N, 1], dtype=f64)) -> concat(axis=0)
loss adversary = bce_with_logits_loss(linear(both, 1) as last, truth)
loss gap = mean((both[:N] - both[N:]) ** 2)
"""
    compare_with_loop(text, ["@params", "fake"], "adversary")
    compare_with_loop(text, ["@params", "fake"], "gap")


def test_the_label_of_an_example_may_be_picked_by_its_own_place() -> None:
    text = """gspec 1
input x: f64[N, 4] ~ normal()
input label: i64[N] ~ randint(4)
logits = linear(x, 4) as fc
loss picked = -mean(log_softmax(logits, axis=1)[arange(N), label])
loss slope = mean(norm(grad(sum(logits[arange(N), label] ** 2), x), axis=1) ** 2)
"""
    compare_with_loop(text, ["@params", "x"], "picked")
    compare_with_loop(text, ["@params", "x"], "slope")


def test_a_number_of_repetitions_may_be_the_batch() -> None:
    text = """gspec 1
input x: f64[N, 2] ~ normal()
op twice(y) = y * 2
loss l = mean(repeat(N, tanh(x)))
"""
    compare_with_loop(text.replace("repeat(N, tanh(x))", "x -> repeat(N, twice()) as r"), ["x"], count=2)


def test_hand_written_gradients_are_kept() -> None:
    text = """gspec 1
input x: f64[N, 2] ~ normal()
op straight(x) = round(x) {
  surrogate(dy) x = 3 * dy
}
loss l = mean(sum(straight(linear(x, 2) as fc) ** 2, axis=1))
"""
    compare_with_loop(text, ["@params", "x"])


def test_running_statistics_do_not_couple_examples() -> None:
    text = """gspec 1
input x: f64[N, 3, 4, 4] ~ normal()
loss l = mean((x -> conv2d(2, kernel_size=3, groups=1) as conv -> batch_norm as bn -> relu) ** 2)
"""
    compare_with_loop(text, ["@params", "x"])


# --- norms and chunks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "of", "dims", "consts"),
    [
        ("lenet", None, {"N": 3}, {}),
        ("digits", None, {"N": 3}, {}),
        ("resnet", "nll", {"N": 2}, {"widths": [8, 16, 32]}),
        ("gpt", "lm", {"B": 3, "T": 4}, {"tied": False, "vocabulary": 512}),
        ("gpt", "lm", {"B": 2, "T": 16}, {}),
        ("siamese", "distance", {"B": 3, "T": 3}, {}),
    ],
)
def test_norms_are_those_of_the_gradients(
    spec: str, of: str | None, dims: dict[str, int], consts: dict[str, Any]
) -> None:
    model = gs.load(SPECS / f"{spec}.gspec", dims=dims, consts=consts, dtype="f64")
    params, inputs = model.init(seed=1), model.draw(seed=2)
    grads = model.grad(params, inputs, "@params", of, per_example=True)
    norms = model.per_example_norms(params, inputs, "@params", of)
    assert norms.keys() == grads.keys()
    for name, g in grads.items():
        expected = np.sqrt((g.reshape(len(g), -1) ** 2).sum(axis=1))
        # where all cancels, as the bias of a normalised difference does, rounding is left
        np.testing.assert_allclose(norms[name], expected, rtol=1e-9, atol=1e-9 * (1e-6 + expected.max()))


def test_chunks_give_what_the_whole_gives() -> None:
    model = gs.loads(SCORES)
    params, inputs = model.init(), model.draw()
    whole = model.grad(params, inputs, ["@params", "x"], of="mse", per_example=True)
    norms = model.per_example_norms(params, inputs, "@params", of="mse")
    for chunk in (1, 2, 3, 5, 100):
        value, found = model.value_and_grad(
            params, inputs, ["@params", "x"], of="mse", per_example=True, chunk=chunk
        )
        assert value.shape == (5,)
        for name, g in whole.items():
            np.testing.assert_allclose(found[name], g, **EXACT)
        for name, n in model.per_example_norms(params, inputs, "@params", of="mse", chunk=chunk).items():
            np.testing.assert_allclose(n, norms[name], **EXACT)


def test_noise_is_the_same_in_chunks() -> None:
    model = gs.load(SPECS / "vae.gspec", dims={"N": 6}, dtype="f64")
    params, inputs = model.init(), model.draw()
    whole = model.grad(params, inputs, "@params", of="elbo", per_example=True, seed=3)
    parts = model.grad(params, inputs, "@params", of="elbo", per_example=True, seed=3, chunk=4)
    for name, g in whole.items():
        np.testing.assert_allclose(parts[name], g, **EXACT)


def test_a_chunk_needs_less_memory() -> None:
    text = "gspec 1\ninput x: f64[N, 300] ~ normal()\nloss l = mean(linear(x, 300, bias=false) as fc)\n"
    model = gs.loads(text, max_memory=100_000_000)
    inputs = {"x": np.ones((300, 300))}
    params = model.init(inputs=inputs)
    with pytest.raises(gs.GraphSpecError, match="the request needs"):
        model.grad(params, inputs, "fc.weight", per_example=True)
    norms = model.per_example_norms(params, inputs, "fc.weight", chunk=30)
    np.testing.assert_allclose(norms["fc.weight"], 1, rtol=1e-12)  # a row of ones, 300 times 1/300


# --- compiled steps -------------------------------------------------------------------------------------


def test_a_step_gives_values_and_gradients_of_every_example() -> None:
    model = gs.loads(SCORES)
    params, inputs = model.init(), model.draw()
    step = model.compile("@params", of="mse", per_example=True)
    values, grads, state = step(params, inputs)
    expected = model.grad(params, inputs, "@params", of="mse", per_example=True)
    assert (values.shape, state) == ((5,), {})
    for name, g in expected.items():
        np.testing.assert_allclose(grads[name], g, **EXACT)
    v = np.ones((5, 4))
    _, grads, _ = model.compile("x", of="h", per_example=True)(params, inputs, cotangent=v)
    np.testing.assert_allclose(grads["x"], model.grad(params, inputs, "x", of="sum(h)")["x"], **EXACT)


def test_several_objectives_come_each_with_its_gradients() -> None:
    model = gs.loads(SCORES)
    params, inputs = model.init(), model.draw()
    found = model.grad(params, inputs, "fc.bias", of=["mse", "score"], per_example=True)
    assert {of: g["fc.bias"].shape for of, g in found.items()} == {"mse": (5, 4), "score": (5, 4)}


def test_sizes_that_are_not_the_batch_stay_symbols() -> None:
    text = "gspec 1\ninput x: f64[N, T] ~ normal()\nloss l = mean(cumsum(x, axis=1) ** 2)\n"
    model = gs.loads(text)
    for shape in ((2, 3), (4, 5)):
        x = np.random.default_rng(0).standard_normal(shape)
        found = model.grad({}, {"x": x}, "x", per_example=True)["x"]
        together = model.grad({}, {"x": x}, "x")["x"]
        np.testing.assert_allclose(found, together * len(x), **EXACT)


def test_an_unused_target_is_an_error_or_zeros() -> None:
    model = gs.loads(SCORES)
    params, inputs = model.init(), model.draw()
    with pytest.raises(gs.GraphSpecError) as error:
        model.grad(params, inputs, "t", of="score", per_example=True)
    assert [d.id for d in error.value.diagnostics] == ["not-reached"]
    zeros = model.grad(params, inputs, "last.weight", of="h[:, 0]", per_example=True, allow_zero=True)
    np.testing.assert_array_equal(zeros["last.weight"], np.zeros((5, 1, 4)))


# --- networks at random ---------------------------------------------------------------------------------

#: what may follow what: each keeps x at [N, 4, 6, 6]
PIECES = (
    "conv2d(4, kernel_size=3, padding=1) as {0} -> tanh",
    "conv2d(4, kernel_size=2, dilation=2, padding=1, groups=2, bias=false) as {0} -> sigmoid",
    "max_pool2d(3, stride=1, padding=1)",
    "avg_pool2d(3, stride=1, padding=1)",
    "batch_norm as {0} -> gelu",
    "group_norm(2) as {0}",
    "layer_norm as {0} -> softplus",
    "softmax(axis=1)",
    "flip(axis=2) -> transpose([0, 1, 3, 2])",
    "cumsum(axis=3) -> tanh",
    "linear(6) as {0} -> elu",
    "mixed",
    "gated",
)
DEFINITIONS = {
    "mixed": """op mixed(x[N, C, H, W]) {
  rows = reshape(x, [N * C, H * W])
  return reshape(rows / (1 + norm(rows, axis=1, keepdims=true)), shape(x))
}
""",
    "gated": """op gated(x[N, C, H, W]) {
  best = argmax(x, axis=1, keepdims=true)
  return x * 0.5 + take_along_axis(x, best, axis=1) * sigmoid(mean(x, axis=[1, 2, 3], keepdims=true))
}
""",
}
RANDOM = """gspec 1
input image: f64[N, 4, 6, 6] ~ normal()
input label: i64[N] ~ randint(5)
h = image -> {pieces}
logits = h + image -> flatten -> linear(5) as last
loss nll = cross_entropy(logits, label)
{definitions}"""


@pytest.mark.parametrize("seed", range(12))
def test_networks_at_random_give_what_a_loop_gives(seed: int) -> None:
    random = np.random.default_rng(seed)
    chosen = [PIECES[k].format(f"l{i}") for i, k in enumerate(random.integers(0, len(PIECES), 5))]
    used = "".join(text for name, text in DEFINITIONS.items() if name in chosen)
    text = RANDOM.format(pieces=" -> ".join(chosen), definitions=used)
    compare_with_loop(text, ["@params", "image", "h"], count=3)


def test_a_compiled_step_gives_norms_too():
    model = gs.loads(MLP_OF_EXAMPLES)
    inputs, params = model.draw(seed=0), model.init(seed=0)
    values, norms, state = model.compile("@params", per_example="norms")(params, inputs)
    expected = model.per_example_norms(params, inputs, "@params")
    assert norms.keys() == expected.keys()
    for name, norm in expected.items():
        np.testing.assert_allclose(norms[name], norm, rtol=1e-5)
    assert values.shape == (6,)
    assert state == {}


MLP_OF_EXAMPLES = """gspec 1
dim N = 6
input x: f32[N, 5] ~ normal()
input label: i64[N] ~ randint(3)
loss nll = cross_entropy(x -> linear(4) as fc1 -> relu -> linear(3) as fc2, label)
"""
