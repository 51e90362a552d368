"""Every spec in `specs/` is checked, drawn, run and differentiated; the scenes agree with PyTorch."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app
from tests.references.spec_cases import DATA, SCENES, Array, Scene

SPECS = Path(__file__).parent.parent / "specs"
FROZEN = Path(__file__).parent / "references" / "specs.npz"
ALL = sorted(p.name for p in SPECS.glob("*.gspec"))

#: what to differentiate where the spec has no scalar of its own, and the sizes that keep a run short
OBJECTIVES = {
    "scalar.gspec": ["z"],
    "per_example.gspec": ["sum(y)"],
    "two_inputs.gspec": ["sum(score)", "sum(y)"],
}
DIMS = {"lenet.gspec": {"N": 4}}


@cache
def frozen() -> dict[str, Array]:
    with np.load(FROZEN) as file:
        return dict(file)


@pytest.mark.parametrize("name", ALL)
def test_a_spec_runs_on_drawn_inputs_and_differentiates_by_all_parameters_and_inputs(name: str) -> None:
    model = gs.load(SPECS / name, dims=DIMS.get(name))
    params, inputs = model.init(seed=0), model.draw(seed=0)
    for of in OBJECTIVES.get(name, [None]):
        grads: dict[str, Array] = {}
        for role, arrays in (("@params", params), ("@inputs", inputs)):
            if any(a.dtype.kind == "f" for a in arrays.values()):
                grads |= model.grad(params, inputs, wrt=role, of=of)
        assert grads
        for path, grad in grads.items():
            source = params[path] if path in params else inputs[path]
            assert np.shape(grad) == np.shape(source)
            assert np.all(np.isfinite(grad)), path
        assert any(np.any(g != 0) for g in grads.values())


@pytest.mark.parametrize("scene", SCENES, ids=lambda s: s.name)
def test_a_scene_has_the_values_and_gradients_of_pytorch(scene: Scene) -> None:
    params, inputs = scene.params(), scene.inputs()
    model = gs.load(SPECS / scene.spec, dtype="f64")
    others = {n: a for n, a in model.init(seed=0).items() if n not in params}
    expected = frozen()
    value = expected[f"{scene.name}/value"]
    grads = model.grad(
        params | others,
        inputs,
        wrt=list(scene.wrt),
        of=scene.of,
        cotangent=scene.cotangent(value.shape) if value.shape else None,
    )
    for name in scene.wrt:
        found = scene.digest(np.asarray(grads[name]))
        wanted = expected[f"{scene.name}/d.{name}"]
        scale = np.max(np.abs(wanted))
        np.testing.assert_allclose(found, wanted, rtol=1e-10, atol=1e-12 * scale, err_msg=name)


@pytest.mark.parametrize(
    ("name", "data", "of"), [("digits.gspec", "digits.npz", "nll"), ("requ_iris.gspec", "iris.npz", "nll")]
)
def test_the_loss_on_real_data_is_pytorchs(name: str, data: str, of: str) -> None:
    scene = next(s for s in SCENES if s.spec == name)
    value, _ = gs.load(SPECS / name, dtype="f64").value_and_grad(
        scene.params(), scene.inputs(), wrt="@params", of=of
    )
    np.testing.assert_allclose(value, frozen()[f"{scene.name}/value"], rtol=1e-12)


def test_the_digits_are_differentiated_in_the_precision_of_the_spec() -> None:
    scene = next(s for s in SCENES if s.name == "digits")
    with np.load(DATA / "digits.npz") as file:
        inputs = dict(file)
    assert inputs["image"].shape == (1797, 1, 8, 8)
    params = {n: a.astype(np.float32) for n, a in scene.params().items()}
    grad = gs.load(SPECS / "digits.gspec").grad(params, inputs, wrt=["conv1.weight"])["conv1.weight"]
    assert grad.dtype == np.float32
    wanted = frozen()["digits/d.conv1.weight"]
    np.testing.assert_allclose(grad, wanted, rtol=1e-4, atol=1e-5 * np.max(np.abs(wanted)))


def commands() -> list[str]:
    """Those in the table of the page about the specs; `test_readme.py` runs those shown with their output."""
    table = re.findall(r"^\| `.*$", (SPECS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return re.findall(r"`graphspec ([^`]*)`", "\n".join(table))


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_page_about_the_specs_runs(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SPECS.parent)
    result = CliRunner().invoke(app, shlex.split(command))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("gradient of ")


def test_each_spec_is_on_the_page_about_them() -> None:
    listed = set(
        re.findall(r"^\| `(\w+\.gspec)` \|", (SPECS / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert listed == set(ALL)


def test_the_data_are_small_enough_to_be_kept_with_the_text() -> None:
    assert all(path.stat().st_size < 100_000 for path in DATA.iterdir())


def test_a_symbol_without_default_takes_its_size_from_the_default_data_file() -> None:
    model = gs.load(SPECS / "requ_iris.gspec")
    assert model.draw(seed=0)["measurements"].shape == (150, 4)


def test_of_sixteen_outputs_only_the_chosen_one_is_differentiated() -> None:
    scene = next(s for s in SCENES if s.name == "one_of_sixteen")
    model = gs.load(SPECS / "one_of_sixteen.gspec", dtype="f64")
    grad = model.grad(scene.params(), scene.inputs(), wrt=["map"])["map"]
    assert np.argwhere(grad).tolist() == [[1, 0, 3]]


def test_the_place_of_the_one_of_sixteen_can_be_computed_from_the_map() -> None:
    scene = next(s for s in SCENES if s.name == "one_of_sixteen")
    model = gs.load(SPECS / "one_of_sixteen.gspec", dtype="f64")
    params, inputs = scene.params(), scene.inputs()
    chart = model.forward(params, inputs, of=["map"])["map"]
    grad = model.grad(params, inputs, wrt=["map"], of="greatest")["map"]
    assert np.flatnonzero(grad).tolist() == [int(np.argmax(chart))]


def test_the_other_nonlinearity_of_the_iris_spec_is_chosen_by_a_const() -> None:
    model = gs.load(SPECS / "requ_iris.gspec", consts={"nonlinearity": "sigmoid"})
    scene = next(s for s in SCENES if s.name == "requ_iris")
    hidden = model.forward(scene.params(), scene.inputs(), of=["hidden"])["hidden"]
    assert np.all((hidden > 0) & (hidden < 1))


def test_the_smallest_graph_has_the_gradients_that_one_sees() -> None:
    model = gs.load(SPECS / "scalar.gspec")
    x, a, b = np.array(3.0), np.array(-2.0), np.array(7.0)
    value, grads = model.value_and_grad({}, {"x": x, "a": a, "b": b}, wrt="@inputs")
    assert float(value) == 3.0 * -2.0 + 0.5 * 7.0
    assert {name: float(g) for name, g in grads.items()} == {"x": -2.0, "a": 3.0, "b": 0.5}


def test_the_gradient_by_the_input_of_a_layer_is_the_part_that_flows_through_it() -> None:
    scene = next(s for s in SCENES if s.name == "two_paths")
    model = gs.load(SPECS / "two_inputs.gspec", dtype="f64")
    params, inputs = scene.params(), scene.inputs()
    v = scene.cotangent((30,))
    grads = model.grad(params, inputs, wrt=["x", "hidden.x", "hidden"], of="y", cotangent=v)
    back = model.forward(params, inputs, of="back")["back"]
    np.testing.assert_allclose(grads["hidden.x"], grads["hidden"] @ params["hidden.weight"], rtol=1e-11)
    np.testing.assert_allclose(grads["x"], grads["hidden.x"] + v * back, rtol=1e-11)


def test_gradients_have_the_structure_of_what_was_asked_for() -> None:
    scene = next(s for s in SCENES if s.name == "two_inputs")
    model = gs.load(SPECS / "two_inputs.gspec", dtype="f64")
    params, inputs = scene.params(), scene.inputs()
    for wrt in (["input2", "input1"], ["right.bias"], ["input1", "left.*", "right.weight"]):
        grads = model.grad(params, inputs, wrt=wrt, of="sum(score)")
        expanded = [n for w in wrt for n in (["left.weight", "left.bias"] if w == "left.*" else [w])]
        assert list(grads) == expanded
        assert all(g.shape == (params | inputs)[name].shape for name, g in grads.items())


def test_a_missing_input_and_a_wrong_cotangent_say_what_was_expected() -> None:
    scene = next(s for s in SCENES if s.name == "two_inputs")
    model = gs.load(SPECS / "two_inputs.gspec", dtype="f64")
    params, inputs = scene.params(), scene.inputs()
    with pytest.raises(gs.GraphSpecError, match=r"`input2` is needed, f64\[N, 3\], and was not given"):
        model.value_and_grad(params, {"input1": inputs["input1"]}, wrt="input1", of="sum(score)")
    # what the request does not need may be missing: `x` belongs to the other result
    assert "x" not in model.needs("score", "input1", cotangent="ones")
    for shape in ((4, 4), (5, 4), (20,)):
        with pytest.raises(gs.GraphSpecError, match=r"`cotangent of score` is f64\[N, 5\]"):
            model.grad(params, inputs, wrt="input1", of="score", cotangent=np.ones(shape))
    with pytest.raises(gs.GraphSpecError, match="`N` is 4 by axis 0 of `input1`, but 3"):
        model.grad(params, inputs, wrt="input1", of="score", cotangent=np.ones((3, 5)))
