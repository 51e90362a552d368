"""`graphspec emit`: programs that need numpy only, and compute what the model computes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app
from graphspec.diagnostics import GraphSpecError

HERE = Path(__file__).parent
SPECS = HERE.parent / "specs"
OBJECTIVES = {"scalar.gspec": "z", "per_example.gspec": "sum(y)", "two_inputs.gspec": "sum(y)"}
DIMS = {"lenet.gspec": {"N": 3}}

SMALL = """gspec 1
## Two layers.
dim N = 2
input x: f32[N, 3]
h = x -> linear(4) as fc1 -> tanh
output y = h -> linear(2) as fc2
loss size = mean(y ** 2) / N
"""


WITHOUT_GRAPHSPEC = """import runpy, sys
sys.modules["graphspec"] = None
sys.argv = sys.argv[1:]
runpy.run_path("program.py", run_name="__main__")
"""


def load_program(text: str) -> ModuleType:
    module = ModuleType("program")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "program", module)
        exec(compile(text, "program.py", "exec", dont_inherit=True), vars(module))
    return module


def small_arrays(model: gs.Model) -> tuple[dict[str, Any], dict[str, Any]]:
    return model.init(seed=1), {"x": np.arange(6, dtype="f4").reshape(2, 3) / 5}


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.gspec")), ids=lambda p: p.name)
def test_a_program_of_each_spec_computes_the_same(path: Path) -> None:
    model = gs.load(path, dims=DIMS.get(path.name))
    of = OBJECTIVES.get(path.name)
    wrt = "@params" if model.names("param") else "@inputs"
    params, inputs = model.init(seed=0), model.draw(seed=0)
    noise = {n: np.full(x.shape, 0.3, x.dtype) for n, x in _noise(model, of, wrt).items()}
    value, expected = model.value_and_grad(params, inputs | noise, wrt=wrt, of=of)
    text = model.emit(wrt, of)
    program = load_program(text)
    values, found = program.values_and_gradients({**params, **inputs, **noise})
    np.testing.assert_allclose(*values.values(), value, rtol=1e-5)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        # sums are taken in another order where the layout of an intermediate array differs
        scale = np.abs(array).max(initial=0)
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-5 * scale, err_msg=name)
        assert (np.shape(found[name]), found[name].dtype) == (array.shape, array.dtype)
    assert max(map(len, text.splitlines())) <= 120
    assert "graphspec" not in {alias.name for node in ast.walk(ast.parse(text)) for alias in _imported(node)}


def _noise(model: gs.Model, of: str | None, wrt: str) -> dict[str, np.ndarray[Any, Any]]:
    needed = model.needs(of, wrt)
    shapes = load_program(model.emit(wrt, of)).ARRAYS
    return {name: np.empty(shapes[name][1], shapes[name][0]) for name, k in needed.items() if k == "noise"}


def _imported(node: ast.AST) -> list[ast.alias]:
    if isinstance(node, ast.ImportFrom):
        return [ast.alias(str(node.module).partition(".")[0])]
    return node.names if isinstance(node, ast.Import) else []


@pytest.mark.needs_optimisation("simplify_algebra")
def test_a_program_reads_like_this(expect: Callable[[Path, str], None]) -> None:
    text = gs.loads(SMALL).emit("@params").replace(f"graphspec {gs.__version__}", "graphspec VERSION")
    expect(HERE / "golden_emitted.py.txt", text)


def test_a_program_runs_where_there_is_no_graphspec(tmp_path: Path) -> None:
    (tmp_path / "m.gspec").write_text(SMALL)
    (tmp_path / "program.py").write_text(
        CliRunner().invoke(app, ["emit", str(tmp_path / "m.gspec"), "--wrt", "fc1.weight,x"]).stdout
    )
    model = gs.loads(SMALL)
    params, inputs = small_arrays(model)
    gs.save_params(tmp_path / "params.npz", params)
    gs.save_params(tmp_path / "inputs.npz", inputs)
    arguments = ["program.py", "inputs.npz", "params.npz", "--out", "grads.npz"]
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_GRAPHSPEC, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    value, expected = model.value_and_grad(params, inputs, wrt=["fc1.weight", "x"])
    shown = dict(line.split(" = ") for line in result.stdout.splitlines()[:1])
    assert float(shown["size"]) == pytest.approx(float(value), rel=1e-6)
    assert result.stdout.splitlines()[1].startswith("fc1.weight [4, 3] norm ")
    with np.load(tmp_path / "grads.npz") as found:
        assert set(found) == {"fc1.weight", "x"}
        for name, array in expected.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-5)


def test_a_program_says_which_arrays_it_needs() -> None:
    program = load_program(gs.loads(SMALL).emit("fc1.weight"))
    params, inputs = small_arrays(gs.loads(SMALL))
    assert program.ARRAYS["fc1.weight"] == ("float32", (4, 3))
    wrong = {"fc1.weight": np.zeros((3, 4), "f4"), "fc1.bias": np.zeros(4, "i8"), **inputs}
    with pytest.raises(ValueError, match="missing") as caught:
        program.gradients(wrong)
    assert str(caught.value).splitlines() == [
        "fc1.weight: float32[4, 3] is needed, and its shape is [3, 4]",
        "fc1.bias: float32[4] is needed, and its dtype is int64",
        "fc2.weight: float32[2, 4] is missing",
        "fc2.bias: float32[2] is missing",
    ]
    in_double = {name: array.astype("f8") for name, array in (params | inputs).items()}
    assert program.gradients(in_double)["fc1.weight"].dtype == np.float32


def test_results_are_the_callers_own() -> None:
    model = gs.loads("gspec 1\ninput x: f32[3]\ninput z: f32[3]\nloss y = sum(x * z) + sum(x)\n")
    program = load_program(model.emit("@inputs", "sum(x * z)"))
    arrays = {"x": np.ones(3, "f4"), "z": np.ones(3, "f4")}
    found = program.gradients(arrays)
    assert not any(np.shares_memory(found[a], arrays[b]) for a in found for b in arrays)
    found["x"][:] = 7
    assert (arrays["z"] == 1).all()


def test_the_cotangent_of_what_is_no_scalar_is_an_array_of_the_program_or_ones() -> None:
    model = gs.loads(SMALL)
    params, inputs = small_arrays(model)
    weights = np.array([[1, -2], [0.5, 3]], "f4")
    program = load_program(model.emit("x", "y"))
    found = program.gradients({**params, **inputs, "cotangent of y": weights})["x"]
    np.testing.assert_allclose(
        found, model.grad(params, inputs, wrt="x", of="y", cotangent=weights)["x"], 1e-5
    )
    ones = load_program(model.emit("x", "y", cotangent="ones")).gradients({**params, **inputs})["x"]
    np.testing.assert_allclose(ones, model.grad(params, inputs, wrt="x", of="sum(y)")["x"], 1e-5)


def test_several_objectives_are_told_apart_by_their_names() -> None:
    model = gs.loads(SMALL)
    params, inputs = small_arrays(model)
    program = load_program(model.emit("x", ["size", "sum(y)"]))
    values, found = program.values_and_gradients({**params, **inputs})
    assert (list(values), list(found)) == (["size", "sum(y)"], ["size/x", "sum(y)/x"])


def test_sizes_are_those_of_the_inputs_given_or_of_the_dims() -> None:
    model = gs.loads(SMALL)
    assert load_program(model.emit("x")).ARRAYS["x"] == ("float32", (2, 3))
    text = model.emit("x", inputs={"x": np.zeros((7, 3), "f4")})
    assert load_program(text).ARRAYS["x"] == ("float32", (7, 3))
    assert "for N = 7." in text
    with pytest.raises(GraphSpecError, match="nothing says how large `M` is"):
        gs.loads("gspec 1\ninput x: f32[M]\nloss y = sum(x * x)\n").emit("x")


def test_an_index_out_of_range_ends_a_program_with_a_sentence() -> None:
    model = gs.loads("gspec 1\ninput x: f32[5]\ninput i: i64[2]\nloss y = sum(x[i] * x[i])\n")
    program = load_program(model.emit("x"))
    with pytest.raises(Exception, match="index 7 is out of range for axis 0 of size 5"):
        program.gradients({"x": np.zeros(5, "f4"), "i": np.array([1, 7])})
