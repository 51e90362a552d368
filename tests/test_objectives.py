"""Several objectives, cotangents of several outputs, frozen parts, and values inside shared layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import graphspec as gs
from graphspec.cli import app
from graphspec.diagnostics import GraphSpecError

SPECS = Path(__file__).parent.parent / "specs"
Array = np.ndarray[Any, Any]

TWO_HEADS = """gspec 1
dim N = 4
input x: f64[N, 3] ~ normal()
h = tanh(linear(x, 5) as trunk)
output left = linear(h, 2) as head1
output right = squeeze(linear(h, 1) as head2, axis=1)
loss a = mean(left ** 2)
loss b = mean(exp(right))
"""

SHARED = """gspec 1
dim N = 4
input left: f64[N, 3] ~ normal()
input right: f64[N, 3] ~ normal()

block encoder(x[N, D]) {
  h = x -> linear(6) as embed -> tanh
  return h -> repeat(3, residual()) as stage
}
block residual(x[N, D]) {
  return x + (x -> linear(8) as up -> tanh -> linear(D) as down)
}

layer enc = encoder()
a = enc(left)
b = enc(right)
loss gap = mean((a - b) ** 2)
"""


@pytest.fixture(scope="module")
def heads() -> gs.Model:
    return gs.loads(TWO_HEADS)


@pytest.fixture(scope="module")
def shared() -> gs.Model:
    return gs.loads(SHARED)


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "heads.gspec"
    path.write_text(TWO_HEADS)
    return path


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def given(model: gs.Model) -> tuple[dict[str, Array], dict[str, Array]]:
    return model.init(seed=1), model.draw(seed=1)


# --- each objective separately, in one forward pass -------------------------------------------------------


def test_several_objectives_give_what_each_gives_alone(heads: gs.Model) -> None:
    params, inputs = given(heads)
    wrt = ["trunk.weight", "h", "x"]
    values, grads = heads.value_and_grad(params, inputs, wrt=wrt, of=["a", "b", "a + 2 * b"])
    for of in ("a", "b", "a + 2 * b"):
        value, alone = heads.value_and_grad(params, inputs, wrt=wrt, of=of)
        assert values[of] == value
        for name in wrt:
            np.testing.assert_allclose(grads[of][name], alone[name], rtol=1e-12)
    for name in wrt:
        total = grads["a"][name] + 2 * grads["b"][name]
        np.testing.assert_allclose(grads["a + 2 * b"][name], total, rtol=1e-12, atol=1e-15)


def test_the_forward_pass_of_several_objectives_is_one(heads: gs.Model) -> None:
    def count(of: list[str]) -> int:
        return sum(node.op.name == "tanh" for node in heads.gradient_graph("trunk.weight", of).nodes)

    assert count(["a"]) == count(["b"]) == count(["a", "b"]) == 1


def test_what_an_objective_does_not_reach_is_an_error_or_zero_for_it_alone(heads: gs.Model) -> None:
    params, inputs = given(heads)
    with pytest.raises(GraphSpecError) as error:
        heads.grad(params, inputs, wrt="head1.weight", of=["a", "b"])
    assert [d.id for d in error.value.diagnostics] == ["not-reached"]
    assert "gradient of `b` does not reach `head1.weight`" in str(error.value)
    grads = heads.grad(params, inputs, wrt="head1.weight", of=["a", "b"], allow_zero=True)
    assert np.any(grads["a"]["head1.weight"])
    assert not np.any(grads["b"]["head1.weight"])
    by_pattern = heads.grad(params, inputs, wrt="head*.weight", of=["a", "b"])
    assert {of: list(g) for of, g in by_pattern.items()} == {"a": ["head1.weight"], "b": ["head2.weight"]}


def test_a_step_has_several_objectives(heads: gs.Model) -> None:
    params, inputs = given(heads)
    values, grads, _ = heads.compile(wrt=["x"], of=["a", "b"])(params, inputs)
    alone = heads.grad(params, inputs, wrt="x", of="b")
    assert list(values) == ["a", "b"]
    np.testing.assert_allclose(grads["b"]["x"], alone["x"], rtol=1e-12)


def test_examples_have_a_gradient_for_each_objective(heads: gs.Model) -> None:
    params, inputs = given(heads)
    both = heads.grad(params, inputs, wrt="trunk.bias", of=["a", "b"], per_example=True)
    for of, grads in both.items():
        for i in range(4):
            one = heads.grad(params, {"x": inputs["x"][i : i + 1]}, wrt="trunk.bias", of=of)
            np.testing.assert_allclose(grads["trunk.bias"][i], one["trunk.bias"], rtol=1e-12)


def test_the_command_line_names_gradients_by_objective(spec: Path, tmp_path: Path) -> None:
    asked = ["grad", spec, "--of", "a", "--of", "b", "--of", "a / 2", "--wrt", "h,trunk.bias"]
    lines = run(*asked).stdout.splitlines()
    assert [line.partition(" = ")[0] for line in lines if line.startswith("gradient of")] == [
        "gradient of a",
        "gradient of b",
        "gradient of a / 2",
    ]
    document = json.loads(run(*asked, "--json").stdout)["result"]["objectives"]
    assert list(document) == ["a", "b", "a / 2"]
    assert all(list(found["gradients"]) == ["h", "trunk.bias"] for found in document.values())
    out = tmp_path / "g.npz"
    assert run(*asked, "--out", out).exit_code == 0
    model = gs.load(spec)
    expected = model.grad(model.init(), model.draw(), wrt=["h", "trunk.bias"], of=["a", "b", "a / 2"])
    with np.load(out) as file:
        # names of the spec have no slash, so the last one divides
        found = {(key.rpartition("/")[0], key.rpartition("/")[2]): file[key] for key in file.files}
    assert found.keys() == {(of, name) for of, grads in expected.items() for name in grads}
    for (of, name), g in found.items():
        np.testing.assert_array_equal(g, expected[of][name])


def test_the_file_decides_between_several_losses_or_the_request_does(heads: gs.Model) -> None:
    params, inputs = given(heads)
    with pytest.raises(GraphSpecError, match="`a` and `b`"):
        heads.grad(params, inputs, wrt="x")
    decided = gs.loads(TWO_HEADS + "objective total = a + 0.1 * b\n")
    found = decided.grad(params, inputs, wrt="x")["x"]
    np.testing.assert_array_equal(found, decided.grad(params, inputs, wrt="x", of="total")["x"])


# --- cotangents of several outputs ------------------------------------------------------------------------


def test_cotangents_are_by_objective(heads: gs.Model) -> None:
    params, inputs = given(heads)
    u, v = np.random.RandomState(0).normal(size=(4, 2)), np.random.RandomState(1).normal(size=4)
    both = heads.grad(params, inputs, wrt="x", of=["left", "right"], cotangent={"left": u, "right": v})
    for of, w in (("left", u), ("right", v)):
        alone = heads.grad(params, inputs, wrt="x", of=of, cotangent=w)["x"]
        np.testing.assert_allclose(both[of]["x"], alone, rtol=1e-12)


def test_a_scalar_beside_them_needs_no_cotangent(heads: gs.Model) -> None:
    params, inputs = given(heads)
    found = heads.grad(params, inputs, wrt="x", of=["right", "b"], cotangent={"right": np.ones(4)})
    np.testing.assert_array_equal(found["b"]["x"], heads.grad(params, inputs, wrt="x", of="b")["x"])


@pytest.mark.parametrize(
    ("cotangent", "id"),
    [
        (None, "cotangent-needed"),
        ({"left": np.ones((4, 2))}, "cotangent-needed"),
        (np.ones((4, 2)), "cotangents-by-name"),
        ({"left": np.ones((4, 2)), "middle": np.ones(4)}, "cotangents-by-name"),
        ({"left": np.ones((4, 2)), "right": np.ones((4, 1))}, "argument-shape"),
    ],
)
def test_cotangents_that_do_not_fit_are_errors(heads: gs.Model, cotangent: Any, id: str) -> None:
    params, inputs = given(heads)
    with pytest.raises(GraphSpecError) as error:
        heads.grad(params, inputs, wrt="x", of=["left", "right"], cotangent=cotangent)
    assert {d.id for d in error.value.diagnostics} == {id}


def test_the_command_line_takes_a_file_for_each_or_an_archive(spec: Path, tmp_path: Path) -> None:
    u, v = np.random.RandomState(0).normal(size=(4, 2)), np.random.RandomState(1).normal(size=4)
    second = "sum(left, axis=1)"
    np.save(tmp_path / "u.npy", u)
    np.save(tmp_path / "v.npy", v)
    np.savez(tmp_path / "both.npz", **{"left": u, second: v})
    asked = ["grad", spec, "--wrt", "x", "--of", "left", "--of", second, "--out", tmp_path / "g.npz"]
    model = gs.load(spec)
    expected = model.grad(
        model.init(), model.draw(), wrt="x", of=["left", second], cotangent={"left": u, second: v}
    )
    separate = ["--cotangent", f"left={tmp_path}/u.npy", "--cotangent", f"{second}={tmp_path}/v.npy"]
    for option in (separate, ["--cotangent", tmp_path / "both.npz"]):
        assert run(*asked, *option).exit_code == 0
        with np.load(tmp_path / "g.npz") as file:
            for of in ("left", second):
                np.testing.assert_array_equal(file[f"{of}/x"], expected[of]["x"])


@pytest.mark.parametrize(
    ("options", "status", "says"),
    [
        (["middle=u.npy"], 1, "error[cotangents-by-name]"),
        (["left=u.npy"], 1, "error[cotangent-needed]"),
        (["u.npy"], 1, "error[data-not-an-archive]"),
        (["left=u.npy", "right=w.npy"], 1, "error[data-file-missing]"),
        (["u.npy", "u.npy"], 2, "of several, each is NAME=FILE"),
        (["ones", "left=u.npy"], 2, "of several, each is NAME=FILE"),
    ],
)
def test_cotangents_of_the_command_line_that_do_not_fit(
    spec: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], status: int, says: str
) -> None:
    monkeypatch.chdir(spec.parent)
    np.save("u.npy", np.ones((4, 2)))
    cotangents = [word for option in options for word in ("--cotangent", option)]
    result = run("grad", spec, "--wrt", "x", "--of", "left", "--of", "right", *cotangents)
    assert result.exit_code == status
    assert says in result.stderr


# --- frozen and detached parts ----------------------------------------------------------------------------


def test_the_loss_of_the_critic_has_no_gradient_in_the_generator() -> None:
    model = gs.load(SPECS / "wgan_gp.gspec", dims={"N": 2}, dtype="f64")
    params, inputs = given(model)
    grads = model.grad(params, inputs, wrt="D.**", of=["critic_loss", "generator_loss"])
    critic = {name for name in model.names("param") if name.startswith("D.")}
    assert set(grads["critic_loss"]) == set(grads["generator_loss"]) == critic
    with pytest.raises(GraphSpecError, match=r"`critic_loss` depends on nothing that `G\.\*\*` selects"):
        model.grad(params, inputs, wrt="G.**", of="critic_loss")
    zeros = model.grad(params, inputs, wrt="G.**", of="critic_loss", allow_zero=True)
    assert not any(np.any(g) for g in zeros.values())


def test_a_target_network_is_frozen_and_its_twin_is_not() -> None:
    model = gs.loads(
        "gspec 1\ninput s: f64[4, 3] ~ normal()\ninput next: f64[4, 3] ~ normal()\n"
        "block q(x) {\n  return x -> linear(5) as hidden -> tanh -> linear(2) as out\n}\n"
        "layer online = q()\nlayer target = q()\n"
        "aim = stop_gradient(max(target(next), axis=1))\n"
        "loss error = mean((max(online(s), axis=1) - aim) ** 2)\n"
    )
    params, inputs = given(model)
    assert all(name.startswith("online.") for name in model.grad(params, inputs, wrt="@params"))
    with pytest.raises(GraphSpecError, match="stop_gradient"):
        model.grad(params, inputs, wrt="target.out.weight")


def test_a_detached_path_leaves_the_others_as_they_are() -> None:
    model = gs.loads(
        "gspec 1\ninput x: f64[] ~ normal()\noutput y = x * stop_gradient(x ** 2)\noutput z = x ** 3\n"
    )
    x = np.array(1.7)
    found = model.grad({}, {"x": x}, wrt="x", of=["y", "z"])
    np.testing.assert_allclose([found["y"]["x"], found["z"]["x"]], [x**2, 3 * x**2], rtol=1e-14)


# --- values inside shared layers and repetitions ----------------------------------------------------------


def test_each_use_of_a_shared_layer_has_its_own_values(shared: gs.Model) -> None:
    params, inputs = given(shared)
    grads = shared.grad(params, inputs, wrt=["a.embed", "b.embed", "enc.embed.weight", "enc.embed.bias"])
    assert np.any(grads["a.embed"] != grads["b.embed"])
    weight = grads["a.embed"].T @ inputs["left"] + grads["b.embed"].T @ inputs["right"]
    np.testing.assert_allclose(grads["enc.embed.weight"], weight, rtol=1e-11, atol=1e-14)
    bias = (grads["a.embed"] + grads["b.embed"]).sum(axis=0)
    np.testing.assert_allclose(grads["enc.embed.bias"], bias, rtol=1e-11, atol=1e-14)


def test_a_value_inside_a_step_of_a_repetition_has_its_gradient(shared: gs.Model) -> None:
    params, inputs = given(shared)
    values = shared.forward(params, inputs, of=["a.stage.1", "a.stage.2.up"])
    grads = shared.grad(
        params, inputs, wrt=["a.stage.2.up", "a.stage.2", "a.stage.1", "enc.stage.2.up.weight"]
    )
    # the step by hand: up -> tanh -> down, and the way around
    up = grads["a.stage.2"] @ params["enc.stage.2.down.weight"] * (1 - np.tanh(values["a.stage.2.up"]) ** 2)
    np.testing.assert_allclose(grads["a.stage.2.up"], up, rtol=1e-11, atol=1e-14)
    around = grads["a.stage.2"] + up @ params["enc.stage.2.up.weight"]
    np.testing.assert_allclose(grads["a.stage.1"], around, rtol=1e-11, atol=1e-14)
    other = shared.grad(params, inputs, wrt="b.stage.2.up")["b.stage.2.up"]
    both = grads["a.stage.2.up"].T @ values["a.stage.1"]
    both += other.T @ shared.forward(params, inputs, of="b.stage.1")["b.stage.1"]
    np.testing.assert_allclose(grads["enc.stage.2.up.weight"], both, rtol=1e-11, atol=1e-14)


def test_the_command_line_knows_each_use(tmp_path: Path) -> None:
    path = tmp_path / "shared.gspec"
    path.write_text(SHARED)
    result = run("grad", path, "--wrt", "a.embed,b.embed,a.stage.2.up,a.stage.0,a.embed.x")
    assert [line.split()[0] for line in result.stdout.splitlines()[2:]] == [
        "a.embed",
        "b.embed",
        "a.stage.2.up",
        "a.stage.0",
        "a.embed.x",
    ]
    wrong = run("grad", path, "--wrt", "enc.embed")
    assert wrong.exit_code == 1
    assert "`a.embed`" in wrong.stderr
    assert "`b.embed`" in wrong.stderr
