"""The Python interface: what a program that embeds the compiler relies on."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec.diagnostics import GraphSpecError

SPECS = Path(__file__).parent.parent / "specs"

TOY = """gspec 1
dim N = 4
input x: f64[N, 3] ~ normal()
input y: f64[N] ~ normal()
h = tanh(linear(x, 2) as fc)
output score = h -> linear(1) as last -> squeeze(axis=1)
loss mse = mse_loss(score, y)
"""


@pytest.fixture(scope="module")
def toy() -> gs.Model:
    return gs.loads(TOY)


def ids(error: pytest.ExceptionInfo[GraphSpecError]) -> list[str]:
    return [d.id for d in error.value.diagnostics]


def numeric(f: Any, x: np.ndarray[Any, Any], step: float = 1e-6) -> np.ndarray[Any, Any]:
    """The gradient of a scalar function by central differences."""
    g = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[i] = step
        g[i] = (f(x + e) - f(x - e)) / (2 * step)
    return g


# --- values ---------------------------------------------------------------------------------------------


def test_forward_gives_the_results_of_the_spec(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    out = toy.forward(params, inputs)
    assert list(out) == ["score", "mse"]
    np.testing.assert_allclose(out["mse"], np.mean((out["score"] - inputs["y"]) ** 2), rtol=1e-14)


def test_forward_computes_expressions_written_on_the_spot(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    out = toy.forward(params, inputs, of=["h", "sum(h ** 2)"])
    np.testing.assert_allclose(out["sum(h ** 2)"], np.sum(out["h"] ** 2), rtol=1e-14)


def test_only_inputs_that_the_request_needs_must_be_there(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    assert toy.needs(of="h") == {"x": "input", "fc.weight": "param", "fc.bias": "param"}
    assert list(toy.forward(params, {"x": inputs["x"]}, of="h")) == ["h"]
    with pytest.raises(GraphSpecError) as error:
        toy.forward(params, {"x": inputs["x"]}, of="mse")
    assert ids(error) == ["argument-missing"]
    assert "`y` is needed, f64[N]" in str(error.value)


def test_results_belong_to_the_caller(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    first = toy.forward(params, inputs)["score"]
    kept = first.copy()
    toy.forward(params, toy.draw(seed=1))
    np.testing.assert_array_equal(first, kept)


# --- gradients ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["fc.weight", "fc.bias", "x"])
def test_gradients_agree_with_finite_differences(toy: gs.Model, name: str) -> None:
    params, inputs = toy.init(seed=1), toy.draw(seed=1)

    def loss(array: np.ndarray[Any, Any]) -> float:
        p, i = ({**params, name: array}, inputs) if name in params else (params, {**inputs, name: array})
        return float(toy.forward(p, i)["mse"])

    expected = numeric(loss, {**params, **inputs}[name])
    # central differences of a smooth function with step 1e-6 are good to about 1e-10
    np.testing.assert_allclose(toy.grad(params, inputs, wrt=name)[name], expected, atol=1e-8)


def test_a_value_in_the_middle_and_the_input_of_a_call_have_gradients(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    grads = toy.grad(params, inputs, wrt=["fc", "fc.x", "h"])
    h = toy.forward(params, inputs, of="h")["h"]
    np.testing.assert_allclose(grads["fc"], grads["h"] * (1 - h**2), rtol=1e-12)
    np.testing.assert_allclose(grads["fc.x"], grads["fc"] @ params["fc.weight"], rtol=1e-12)


def test_value_and_grad_gives_both(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    value, grads = toy.value_and_grad(params, inputs, wrt="@params")
    assert value == toy.forward(params, inputs)["mse"]
    assert list(grads) == list(toy.names("param"))
    assert {name: g.shape for name, g in grads.items()} == {name: p.shape for name, p in params.items()}


def test_a_cotangent_weighs_an_objective_that_is_no_scalar(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    v = np.array([1.0, -2.0, 0.5, 0.0])
    weighed = toy.grad(params, inputs, wrt="x", of="score", cotangent=v)["x"]
    parts = [toy.grad(params, inputs, wrt="x", of=f"score[{i}]")["x"] for i in range(4)]
    np.testing.assert_allclose(weighed, sum(w * p for w, p in zip(v, parts, strict=True)), rtol=1e-12)
    ones = toy.grad(params, inputs, wrt="x", of="score", cotangent="ones")["x"]
    np.testing.assert_allclose(ones, sum(parts), rtol=1e-12)


def test_a_cotangent_of_the_wrong_shape_is_an_error_that_says_what_was_expected(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    with pytest.raises(GraphSpecError) as error:
        toy.grad(params, inputs, wrt="x", of="score", cotangent=np.ones((4, 1)))
    assert "`cotangent of score` is f64[N], but the array has shape [4, 1]" in str(error.value)
    with pytest.raises(GraphSpecError) as error:
        toy.grad(params, inputs, wrt="x", of="score", cotangent=np.ones(3))
    assert "`N` is 4 by axis 0 of `x`, but 3 by axis 0 of `cotangent of score`" in str(error.value)


def test_several_objectives_give_a_dict_of_dicts(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    grads = toy.grad(params, inputs, wrt=["fc.bias"], of=["mse", "sum(score)"])
    assert {of: list(found) for of, found in grads.items()} == {"mse": ["fc.bias"], "sum(score)": ["fc.bias"]}
    values, same = toy.value_and_grad(params, inputs, wrt="fc.bias", of=["mse", "sum(score)"])
    assert list(values) == ["mse", "sum(score)"]
    np.testing.assert_array_equal(grads["mse"]["fc.bias"], same["mse"]["fc.bias"])


def test_cotangents_of_several_objectives_are_a_mapping(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    both = toy.grad(
        params, inputs, "x", of=["score", "h"], cotangent={"score": np.ones(4), "h": np.ones((4, 2))}
    )
    assert list(both) == ["score", "h"]
    with pytest.raises(GraphSpecError) as error:
        toy.grad(params, inputs, "x", of=["score", "h"], cotangent=np.ones(4))
    assert ids(error) == ["cotangents-by-name"]


def test_jvp_and_vjp_are_adjoint(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    rng = np.random.default_rng(0)
    t, v = rng.normal(size=(4, 3)), rng.normal(size=4)
    forward = toy.jvp(params, inputs, {"x": t}, of="score")
    back = toy.grad(params, inputs, wrt="x", of="score", cotangent=v)["x"]
    np.testing.assert_allclose(np.sum(forward * v), np.sum(back * t), rtol=1e-12)


def test_jvp_along_several_names_is_the_sum(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    rng = np.random.default_rng(1)
    along = {"x": rng.normal(size=(4, 3)), "fc.weight": rng.normal(size=(2, 3))}
    both = toy.jvp(params, inputs, along, of="score")
    each = [toy.jvp(params, inputs, {name: v}, of="score") for name, v in along.items()]
    np.testing.assert_allclose(both, sum(each), rtol=1e-12)


def test_a_direction_that_the_value_does_not_depend_on_is_an_error(toy: gs.Model) -> None:
    with pytest.raises(GraphSpecError) as error:
        toy.jvp(toy.init(), toy.draw(), {"last.weight": np.ones((1, 2)), "x": np.ones((4, 3))}, of="h")
    assert ids(error) == ["not-reached"]


def test_hvp_agrees_with_differences_of_gradients(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    v = np.random.default_rng(2).normal(size=(2, 3))
    product = toy.hvp(params, inputs, {"fc.weight": v})["fc.weight"]
    step = 1e-6
    up, down = (
        toy.grad({**params, "fc.weight": params["fc.weight"] + s * v}, inputs, wrt="fc.weight")["fc.weight"]
        for s in (step, -step)
    )
    np.testing.assert_allclose(product, (up - down) / (2 * step), atol=1e-8)


def test_gradients_in_double_of_a_spec_in_single() -> None:
    model = gs.load(SPECS / "lenet.gspec", dims={"N": 2}, dtype="f64")
    grads = model.grad(model.init(), model.draw(), wrt="conv1.weight")
    assert grads["conv1.weight"].dtype == np.float64


def test_running_the_graph_as_written_gives_the_same_gradients() -> None:
    results = []
    for simplify in (True, False):
        model = gs.load(SPECS / "lenet.gspec", dims={"N": 2}, dtype="f64", simplify=simplify, verify=True)
        results.append(model.grad(model.init(), model.draw(), wrt="@params"))
    for name, g in results[0].items():
        np.testing.assert_allclose(g, results[1][name], rtol=1e-10, atol=1e-14)


# --- what wrt means -------------------------------------------------------------------------------------

PATTERNS = """gspec 1
input x: f64[4] ~ normal()
input n: i64[] ~ randint(3)
a = linear(x, 3) as net.0.fc
b = linear(a, 2) as net.1.fc
unused = linear(b, 1) as head
output side = unused
loss total = sum(b ** 2)
"""


@pytest.mark.parametrize(
    ("wrt", "expected"),
    [
        ("net.*.fc.weight", ["net.0.fc.weight", "net.1.fc.weight"]),
        ("**.bias", ["net.0.fc.bias", "net.1.fc.bias"]),
        ("net.0.**", ["net.0.fc.weight", "net.0.fc.bias"]),
        (["@inputs", "net.1.fc.bias"], ["x", "net.1.fc.bias"]),
    ],
)
def test_patterns_and_roles_take_what_reaches_the_objective(wrt: Any, expected: list[str]) -> None:
    notes: list[gs.Diagnostic] = []
    model = gs.loads(PATTERNS + "output m = n\n", notify=notes.append)
    assert list(model.grad(model.init(), model.draw(), wrt=wrt)) == expected


def test_what_a_pattern_leaves_out_is_noted_once() -> None:
    notes: list[gs.Diagnostic] = []
    model = gs.loads(PATTERNS + "output m = n\n", notify=notes.append)
    params, inputs = model.init(), model.draw()
    for _ in range(2):
        model.grad(params, inputs, wrt="@params")
    assert [n.id for n in notes] == ["targets-left-out"]
    assert "`head.weight`" in notes[0].message


@pytest.mark.parametrize(
    ("wrt", "id", "says"),
    [
        ("net.0.fc.wieght", "unknown-target", "`net.0.fc.weight`"),
        ("conv*", "nothing-matches", "`net.0.fc.weight`"),
        ("@weights", "unknown-role", "`@params`"),
        ("head.*", "nothing-reached", "`head.weight`"),
        ("n", "not-differentiable", "i64[]"),
        ([], "empty-request", "`wrt`"),
        ("head.weight", "not-reached", "`side`"),
    ],
)
def test_what_cannot_be_asked_for_is_an_error(wrt: Any, id: str, says: str) -> None:
    model = gs.loads(PATTERNS + "output m = n\n")
    with pytest.raises(GraphSpecError) as error:
        model.grad(model.init(), model.draw(), wrt=wrt)
    assert ids(error) == [id]
    assert says in str(error.value)


def test_all_wrong_names_are_reported_together() -> None:
    model = gs.loads(PATTERNS + "output m = n\n")
    with pytest.raises(GraphSpecError) as error:
        model.grad(model.init(), model.draw(), wrt=["foo", "n", "@bar"])
    assert ids(error) == ["unknown-target", "not-differentiable", "unknown-role"]


def test_allow_zero_gives_zeros_where_the_objective_does_not_reach() -> None:
    model = gs.loads(PATTERNS + "output m = n\n")
    grads = model.grad(model.init(), model.draw(), wrt=["head.weight", "x"], allow_zero=True)
    assert not grads["head.weight"].any()
    assert grads["head.weight"].shape == (1, 2)
    assert grads["x"].any()


def test_the_end_of_a_path_is_shown_where_no_gradient_passes() -> None:
    model = gs.loads("gspec 1\ninput x: f64[3] ~ normal()\ny = stop_gradient(x)\nloss l = sum(y)\n")
    with pytest.raises(GraphSpecError) as error:
        model.grad({}, model.draw(), wrt="x")
    assert ids(error) == ["not-reached"]
    assert "`stop_gradient` passes no gradient" in str(error.value)


def test_values_of_a_shared_layer_are_listed_by_application() -> None:
    spec = """gspec 1
input left: f32[2, 3] ~ normal()
input right: f32[2, 3] ~ normal()
block encoder(x, width: int) { return linear(x, width) as embed }
layer enc = encoder(4)
a = enc(left)
b = enc(right)
loss l = sum(a * b)
"""
    model = gs.loads(spec)
    with pytest.raises(GraphSpecError) as error:
        model.grad(model.init(), model.draw(), wrt="enc.embed")
    assert "`a.embed`" in str(error.value)
    assert "`b.embed`" in str(error.value)
    assert list(model.grad(model.init(), model.draw(), wrt=["a.embed", "enc.embed.weight"])) == [
        "a.embed",
        "enc.embed.weight",
    ]


# --- which objective ------------------------------------------------------------------------------------

TWO = "gspec 1\ninput x: f64[3] ~ normal()\n"


@pytest.mark.parametrize(
    ("rest", "objective"),
    [
        ("loss a = sum(x)\noutput b = x\n", "a"),
        ("loss a = sum(x)\nloss b = sum(x * x)\nobjective c = a + b\n", "c"),
        ("output b = sum(x)\n", "b"),
    ],
)
def test_the_objective_is_the_one_that_the_spec_declares(rest: str, objective: str) -> None:
    assert gs.loads(TWO + rest).objectives() == [objective]


@pytest.mark.parametrize(
    ("rest", "of", "id"),
    [
        ("loss a = sum(x)\nloss b = sum(x * x)\n", None, "several-objectives"),
        ("output a = sum(x)\noutput b = sum(x * x)\n", None, "several-objectives"),
        ("output a = x\n", None, "cotangent-needed"),
        ("output a = x > 0\n", None, "objective-not-floating"),
        ("y = x * 2\n", None, "no-objective"),
        ("output a = x\n", "sum(y)", "unknown-name"),
    ],
)
def test_an_objective_that_is_not_clear_is_an_error(rest: str, of: str | None, id: str) -> None:
    model = gs.loads(TWO + rest, notify=lambda _: None)
    with pytest.raises(GraphSpecError) as error:
        model.grad({}, model.draw(), wrt="x", of=of)
    assert ids(error) == [id]


# --- data -----------------------------------------------------------------------------------------------


def test_data_bind_sizes_and_override_defaults(toy: gs.Model) -> None:
    inputs = {"x": np.zeros((7, 3)), "y": np.zeros(7)}
    assert toy.forward(toy.init(), inputs)["score"].shape == (7,)


def test_data_that_contradict_a_given_size_are_an_error() -> None:
    model = gs.loads(TOY, dims={"N": 5})
    with pytest.raises(GraphSpecError) as error:
        model.forward(model.init(), {"x": np.zeros((7, 3)), "y": np.zeros(7)})
    assert set(ids(error)) == {"dim-contradiction"}


def test_swapped_arguments_are_an_error_that_lists_what_is_expected(toy: gs.Model) -> None:
    with pytest.raises(GraphSpecError) as error:
        toy.grad(toy.draw(), toy.init(), wrt="x")
    assert ids(error) == ["argument-in-wrong-place"]
    assert "fc.weight: f64[2, 3]" in str(error.value)


def test_what_is_no_mapping_is_an_error(toy: gs.Model) -> None:
    with pytest.raises(GraphSpecError) as error:
        toy.forward(toy.init(), np.zeros((4, 3)))
    assert ids(error) == ["not-a-mapping"]


def test_narrowing_is_a_warning() -> None:
    model = gs.loads("gspec 1\ninput x: f32[3]\noutput y = x * 2\n")
    with pytest.warns(gs.PrecisionWarning, match=r"`x` from f64 to f32") as caught:
        model.forward({}, {"x": np.ones(3)})
    assert caught[0].filename == __file__


def test_an_input_with_a_file_is_read_when_it_is_not_given() -> None:
    model = gs.load(SPECS / "requ_iris.gspec")
    params = model.init()
    assert model.draw()["measurements"].shape == (150, 4)
    assert model.forward(params, {}, of="logits")["logits"].shape == (150, 3)
    given = {"measurements": np.ones((2, 4))}
    assert model.forward(params, given, of="logits")["logits"].shape == (2, 3)


def test_what_cannot_be_drawn_is_an_error() -> None:
    model = gs.loads("gspec 1\ninput x: f32[3]\ninput z: f32[N] ~ normal()\noutput y = x * 2\noutput w = z\n")
    with pytest.raises(GraphSpecError) as error:
        model.draw(names=["x"])
    assert ids(error) == ["no-sampler"]
    with pytest.raises(GraphSpecError) as error:
        model.draw(names=["z"])
    assert ids(error) == ["size-not-known"]
    assert model.draw(names=["z"], inputs={"z": np.zeros(5, "float32")})["z"].shape == (5,)


def test_initialisation_depends_on_seed_and_name_alone(toy: gs.Model) -> None:
    larger = gs.loads(TOY.replace("as fc)", "as fc)\nk = linear(h, 7) as new\noutput more = k"))
    np.testing.assert_array_equal(toy.init(3)["fc.weight"], larger.init(3)["fc.weight"])
    assert (toy.init(3)["fc.weight"] != toy.init(4)["fc.weight"]).any()
    assert list(toy.init(names=["fc.bias"])) == list(toy.init(names="fc.bias")) == ["fc.bias"]


def test_initial_values_may_be_computed() -> None:
    model = gs.loads("gspec 1\nparam w: f32[2] = ones()\nbuffer b: f32[3] = zeros()\noutput y = sum(w) * b\n")
    start = model.init()
    np.testing.assert_array_equal(start["w"], np.ones(2, "float32"))
    np.testing.assert_array_equal(start["b"], np.zeros(3, "float32"))


# --- noise, modes, sizes that decide the graph ----------------------------------------------------------

NOISY = "gspec 1\ninput x: f64[5] ~ normal()\nnoise e: f64[5] ~ normal()\noutput y = x + e\n"


def test_noise_is_that_of_the_seed_and_may_be_given() -> None:
    model = gs.loads(NOISY)
    inputs = model.draw()
    assert list(inputs) == ["x"]
    first, again, other = (model.forward({}, inputs, seed=s)["y"] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).all()
    np.testing.assert_array_equal(model.forward({}, {**inputs, "e": np.zeros(5)})["y"], inputs["x"])


NORMED = """gspec 1
dim N = 8
input x: f64[N, 3] ~ normal(mean=2)
y = batch_norm(x) as bn
loss l = sum(y ** 3)
"""


def test_a_step_in_train_mode_returns_the_new_buffers() -> None:
    model = gs.loads(NORMED, mode="train")
    assert model.mode == "train"
    params, inputs = model.init(), model.draw()
    step = model.compile(wrt="@params")
    value, grads, state = step(params, inputs)
    assert value.shape == ()
    assert set(grads) == {"bn.weight", "bn.bias"}
    np.testing.assert_allclose(state["bn.running_mean"], 0.1 * inputs["x"].mean(axis=0), rtol=1e-12)
    assert state["bn.num_batches_tracked"] == 1
    _, _, after = step({**params, **state}, inputs)
    assert after["bn.num_batches_tracked"] == 2


def test_a_step_in_eval_mode_has_no_state() -> None:
    model = gs.loads(NORMED)
    assert model.mode == "eval"
    assert model.compile(wrt="@params")(model.init(), model.draw())[2] == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x.astype("f4"),
        lambda x: x.astype(">f8"),
        lambda x: x[:2],
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: x.tolist(),
        lambda x: np.ma.array(x),
    ],
    ids=["dtype", "byte order", "size", "order", "strides", "type", "subclass"],
)
def test_a_step_looks_again_at_arrays_of_another_kind(toy: gs.Model, change: Any) -> None:
    step = toy.compile(wrt="@params")
    params, inputs = toy.init(), toy.draw()
    step(params, inputs)  # from here on arrays of this kind are known
    changed = {"x": change(inputs["x"]), "y": inputs["y"][: len(change(inputs["x"]))]}
    expected = toy.grad(params, changed, wrt="@params")
    for _ in range(2):
        grads = step(params, changed)[1]
        for name, g in expected.items():
            # the same program on the same numbers, but for the compiled kernels that only a step may use
            np.testing.assert_allclose(grads[name], g, rtol=1e-12, err_msg=name)


@pytest.mark.parametrize(
    ("params", "inputs", "wrong"),
    [
        ({}, {"z": 1.0}, "argument-unknown"),
        ({"fc.weight": None}, {}, "argument-not-an-array"),
        ({"x": np.zeros((4, 3))}, {}, "argument-in-wrong-place"),
        ({}, {"y": np.zeros((4, 1))}, "argument-shape"),
        ({}, {"y": np.zeros(4, "i8")}, "argument-dtype"),
    ],
)
def test_a_step_that_knows_its_arrays_refuses_wrong_ones(
    toy: gs.Model, params: dict[str, Any], inputs: dict[str, Any], wrong: str
) -> None:
    step = toy.compile(wrt="@params")
    known = toy.init(), toy.draw()
    step(*known)
    with pytest.raises(GraphSpecError) as caught:
        step({**known[0], **params}, {**known[1], **inputs})
    assert [d.id for d in caught.value.diagnostics] == [wrong]
    with pytest.raises(GraphSpecError):
        step(known[1], known[0])
    with pytest.raises(GraphSpecError):
        step(list(known[0]), known[1])


def test_results_of_a_step_never_alias(toy: gs.Model) -> None:
    step = toy.compile(wrt=["x", "fc.weight"])
    params, inputs = toy.init(), toy.draw()
    results = [step(params, inputs) for _ in range(3)]
    arrays = [*params.values(), *inputs.values()]
    arrays += [a for value, grads, _ in results for a in (value, *grads.values())]
    assert not any(np.may_share_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


def test_a_step_takes_cotangents_and_lists_of_objectives(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    step = toy.compile(wrt=["x"], of=["score"])
    values, grads, state = step(params, inputs, cotangent={"score": np.ones(4)})
    expected = toy.grad(params, inputs, wrt="x", of="sum(score)")["x"]
    np.testing.assert_allclose(grads["score"]["x"], expected, rtol=1e-14)
    assert list(values) == ["score"]
    assert state == {}
    with pytest.raises(GraphSpecError) as error:
        step(params, inputs)
    assert ids(error) == ["argument-missing"]


def test_a_step_without_wrt_computes_values(toy: gs.Model) -> None:
    params, inputs = toy.init(), toy.draw()
    values, grads, _ = toy.compile(of="h")(params, inputs)
    assert list(values) == ["h"]
    assert grads == {}


def test_compiling_checks_the_request(toy: gs.Model) -> None:
    with pytest.raises(GraphSpecError):
        toy.compile(wrt="fc.wieght")


def test_a_step_may_be_called_from_several_threads(toy: gs.Model) -> None:
    params = toy.init()
    step = toy.compile(wrt="@params")
    batches = [toy.draw(seed) for seed in range(8)]
    expected = [step(params, b)[1] for b in batches]  # one thread after another: the same to the bit
    found: dict[int, Any] = {}

    def work(i: int) -> None:
        for _ in range(20):
            found[i] = step(params, batches[i])[1]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, grads in enumerate(expected):
        for name, g in grads.items():
            np.testing.assert_array_equal(found[i][name], g)


def test_a_dim_that_decides_the_graph_is_bound_by_data_too() -> None:
    spec = """gspec 1
dim D = 2
input x: f64[3, D] ~ normal()
op double(v) = v * 2
output y = sum(x -> repeat(D, double()))
"""
    model = gs.loads(spec)
    for d in (2, 3):
        x = np.ones((3, d))
        assert model.forward({}, {"x": x})["y"] == 3 * d * 2**d


def test_dim_constraints_are_checked_when_sizes_are_known() -> None:
    model = gs.loads("gspec 1\ndim C where C % 4 == 0\ninput x: f32[C]\noutput y = x * 2\n")
    assert model.forward({}, {"x": np.ones(8, "float32")})["y"].shape == (8,)
    with pytest.raises(GraphSpecError) as error:
        model.forward({}, {"x": np.ones(6, "float32")})
    assert "C % 4 == 0" in str(error.value)


# --- looking at a model ---------------------------------------------------------------------------------


def test_names_and_kinds(toy: gs.Model) -> None:
    assert toy.names("input") == {"x": "f64[N, 3]", "y": "f64[N]"}
    assert toy.names()["h"] == "f64[N, 2]"
    assert (toy.kind("fc.weight"), toy.kind("h"), toy.kind("nothing")) == ("param", "value", None)


def test_graphs_can_be_looked_at(toy: gs.Model) -> None:
    assert "h" in toy.graph.names
    graph = toy.gradient_graph(wrt="fc.weight")
    assert "d mse / d fc.weight" in graph.outputs


def test_a_wrong_mode_or_dtype_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="eval"):
        gs.loads(TOY, mode="training")
    with pytest.raises(ValueError, match="f64"):
        gs.loads(TOY, dtype="float64")


def test_warnings_of_a_spec_are_warnings() -> None:
    with pytest.warns(gs.GraphSpecWarning, match="k"):
        gs.loads("gspec 1\ninput x: f32[3]\nk = x * 2\noutput y = x\n")


def test_the_public_names_are_the_documented_ones() -> None:
    for name in gs.__all__:
        assert getattr(gs, name).__doc__
    with pytest.raises(AttributeError, match="nothing"):
        gs.nothing  # noqa: B018  (the access is the test)
