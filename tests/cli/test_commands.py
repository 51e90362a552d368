"""The command line: what goes to stdout and stderr, exit statuses, JSON documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import graphspec as gs
from graphspec.cli import app

SPECS = Path(__file__).parent.parent.parent / "specs"
SCALAR = SPECS / "scalar.gspec"

SMALL = """gspec 1
## A small classifier.
dim N = 5
const width = 4
input x: f32[N, 3] ~ normal()
input label: i64[N] ~ randint(2)
h = x -> linear(width) as fc1 -> relu
logits = linear(h, 2) as fc2
loss nll = cross_entropy(logits, label)
output size = sum(h ** 2)
"""


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(a) for a in arguments])


def document(*arguments: object) -> Any:
    return json.loads(run(*arguments, "--json").stdout)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.gspec"
    path.write_text(SMALL)
    return path


# --- grad -----------------------------------------------------------------------------------------------


def test_grad_prints_a_table_and_says_on_stderr_what_was_drawn(small: Path) -> None:
    result = run("grad", small, "--wrt", "fc1.weight", "--seed", 3)
    assert result.exit_code == 0
    title, header, row = result.stdout.splitlines()
    assert title.startswith("gradient of nll = ")
    assert header.split() == ["name", "shape", "dtype", "norm", "min", "max"]
    assert row.split()[:4] == ["fc1.weight", "[4,", "3]", "f32"]
    assert "note[inputs-drawn]: no data: `x` and `label` drawn by sampler, seed 3" in result.stderr
    assert "note[parameters-drawn]: no --params: 4 tensors initialised, seed 3" in result.stderr


def test_the_numbers_of_the_table_are_those_of_the_api(small: Path) -> None:
    model = gs.load(small)
    g = model.grad(model.init(), model.draw(), wrt="fc1.weight")["fc1.weight"]
    facts = document("grad", small, "--wrt", "fc1.weight")["result"]["objectives"]["nll"]["gradients"]
    assert facts["fc1.weight"] == {
        "shape": [4, 3],
        "dtype": "f32",
        "norm": pytest.approx(np.linalg.norm(g.astype("float64")), rel=1e-12),
        "min": float(g.min()),
        "max": float(g.max()),
    }


@pytest.mark.parametrize("wrt", [["--wrt", "x,fc1.x"], ["--wrt", "x", "--wrt", "fc1.x"]])
def test_wrt_is_repeated_or_has_commas(small: Path, wrt: list[str]) -> None:
    assert list(document("grad", small, *wrt)["result"]["objectives"]["nll"]["gradients"]) == ["x", "fc1.x"]


def test_several_objectives_have_a_table_each(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.npz"
    result = run("grad", small, "--wrt", "x", "--of", "nll", "--of", "mean(logits)", "--out", out)
    assert [line.split()[2] for line in result.stdout.splitlines() if "gradient of" in line] == [
        "nll",
        "mean(logits)",
    ]
    with np.load(out) as arrays:
        assert arrays.files == ["nll/x", "mean(logits)/x"]


def test_out_writes_the_arrays(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "g.npz"
    assert run("grad", small, "--wrt", "@params", "--out", out).exit_code == 0
    model = gs.load(small)
    expected = model.grad(model.init(), model.draw(), wrt="@params")
    with np.load(out) as arrays:
        assert arrays.files == list(expected)
        for name, g in expected.items():
            np.testing.assert_array_equal(arrays[name], g)


def test_a_cotangent_comes_from_a_file_or_is_ones(small: Path, tmp_path: Path) -> None:
    weights = tmp_path / "v.npy"
    np.save(weights, np.full((5, 2), 2.0, "float32"))
    norms = [
        document("grad", small, "--wrt", "x", "--of", "logits", "--cotangent", c)["result"]["objectives"][
            "logits"
        ]["gradients"]["x"]["norm"]
        for c in (weights, "ones")
    ]
    assert norms[0] == pytest.approx(2 * norms[1], rel=1e-6)


def test_dtype_compiles_everything_in_it(small: Path) -> None:
    document_ = document("grad", small, "--wrt", "fc1.bias", "--dtype", "f64", "--verify", "--no-opt")
    assert document_["result"]["objectives"]["nll"]["gradients"]["fc1.bias"]["dtype"] == "f64"


def test_allow_zero_gives_zeros(small: Path) -> None:
    found = document("grad", small, "--wrt", "fc2.weight", "--of", "size", "--allow-zero")
    assert found["result"]["objectives"]["size"]["gradients"]["fc2.weight"]["norm"] == 0.0


# --- data -----------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.npz"
    rng = np.random.default_rng(0)
    np.savez(
        path, x=rng.normal(size=(9, 3)).astype("float32"), label=rng.integers(0, 2, 9), extra=np.zeros(3)
    )
    return path


def test_data_override_default_sizes_and_extra_arrays_are_one_note(small: Path, data: Path) -> None:
    result = run("grad", small, "--wrt", "x", "--data", data)
    assert result.stdout.splitlines()[-1].split()[1:3] == ["[9,", "3]"]
    assert result.stderr.count("note[extra-arrays]") == 1
    assert "inputs-drawn" not in result.stderr


def test_take_uses_some_rows(small: Path, data: Path) -> None:
    assert "[2, 3]" in run("grad", small, "--wrt", "x", "--data", data, "--take", "1:3").stdout


def test_one_input_comes_from_a_file_and_another_is_drawn(small: Path, tmp_path: Path) -> None:
    images = tmp_path / "x.npy"
    np.save(images, np.ones((7, 3), "float32"))
    missing = run("grad", small, "--wrt", "x", "--input", f"x={images}")
    assert missing.exit_code == 1
    assert "error[argument-missing]: `label` is needed, i64[N], and was not given" in missing.stderr
    drawn = run("grad", small, "--wrt", "x", "--input", f"x={images}", "--draw", "label")
    assert "[7, 3]" in drawn.stdout
    assert "`label` drawn by sampler" in drawn.stderr


def test_data_contradict_a_size_that_was_set(small: Path, data: Path) -> None:
    result = run("grad", small, "--wrt", "x", "--data", data, "--set", "N=4")
    assert result.exit_code == 1
    assert "error[dim-contradiction]" in result.stderr


def test_the_files_that_a_spec_names_are_its_default_data() -> None:
    result = run("grad", SPECS / "requ_iris.gspec", "--wrt", "measurements", "--take", ":20")
    assert "[20, 4]" in result.stdout
    assert "inputs-drawn" not in result.stderr


def test_narrowing_is_one_warning(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "wide.npz"
    np.savez(path, x=np.ones((2, 3)), label=np.zeros(2, "int64"))
    result = run("forward", small, "--data", path)
    assert result.exit_code == 0
    assert result.stderr.count("warning[precision-narrowed]") == 1


def test_consts_and_dims_are_set(small: Path) -> None:
    result = run("grad", small, "--wrt", "fc1.weight,x", "--set", "width=6", "--set", "N=2")
    assert "[6, 3]" in result.stdout
    assert "[2, 3]" in result.stdout
    assert "error[unknown-set]" in run("check", small, "--set", "widht=6").stderr


def test_parameters_go_through_a_file(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "w.npz"
    init = run("init", small, "--out", out, "--seed", 5)
    assert [line.split()[0] for line in init.stdout.splitlines()[1:]] == [
        "fc1.weight",
        "fc1.bias",
        "fc2.weight",
        "fc2.bias",
    ]
    from_file = document("forward", small, "--params", out)["result"]
    assert from_file == document("forward", small, "--params", out, "--seed", 0)["result"]
    model = gs.load(small)
    loss = model.forward(model.init(seed=5), model.draw(seed=0))["nll"]
    assert from_file["values"]["nll"]["min"] == float(loss)


# --- forward, show, check, explain, ops -----------------------------------------------------------------


def test_forward_prints_the_results_of_the_spec(small: Path) -> None:
    lines = run("forward", small).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["name", "nll", "size"]


def test_show_prints_one_line_for_each_node(small: Path) -> None:
    lines = run("show", small).stdout.splitlines()
    assert lines[0].split() == ["name", "op", "inputs", "type", "parameters"]
    fc1 = next(line for line in lines if line.startswith("fc1 "))
    assert "linear(" in fc1
    assert "fc1.x, fc1.weight, fc1.bias" in fc1
    assert "f32[N, 4]" in fc1
    assert next(line for line in lines if line.startswith("fc1.weight")).split()[-1] == "12"


def test_show_prints_the_gradient(small: Path) -> None:
    found = run("show", small, "--stage", "gradient", "--wrt", "fc1.bias")
    assert "output d.fc1.bias: f32[4]" in found.stdout
    assert run("show", small, "--stage", "gradient").exit_code == 2


def test_show_names_lists_all_that_can_be_asked_for(small: Path) -> None:
    rows = {
        line.split()[0]: line.split()[1] for line in run("show", small, "--names").stdout.splitlines()[1:]
    }
    assert (rows["x"], rows["fc1.weight"], rows["fc1"], rows["fc1.x"]) == ("input", "param", "value", "value")


def test_check_reports_every_spec(small: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.gspec"
    bad.write_text(SMALL.replace("relu", "rleu").replace("fc2", "fc1"))
    result = run("check", bad, small)
    assert result.exit_code == 1
    assert result.stdout == f"{small}: fine, {len(gs.load(small).graph.nodes)} nodes, 4 parameters\n"
    assert "did you mean `relu`?" in result.stderr


def test_explain_prints_the_long_form_and_lists_all() -> None:
    assert "--allow-zero" in run("explain", "not-reached").stdout
    assert len(run("explain").stdout.splitlines()) > 50
    unknown = run("explain", "not-reachd")
    assert unknown.exit_code == 1
    assert "did you mean `not-reached`" in unknown.stderr


def test_ops_prints_definitions_and_the_documentation_of_primitives() -> None:
    assert "block linear(" in run("ops", "linear").stdout
    assert "Source:" in run("ops", "tanh").stdout
    assert "normal(mean=0.0, std=1.0)" in run("ops", "normal").stdout
    names = [line.split()[0] for line in run("ops").stdout.splitlines()[1:]]
    assert {"linear", "tanh", "grad", "uniform"} <= set(names)
    assert "call" not in names
    assert "did you mean `linear`" in run("ops", "liner").stderr


# --- what goes wrong ------------------------------------------------------------------------------------


def test_a_user_error_is_a_diagnostic_on_stderr_and_status_1(small: Path) -> None:
    result = run("grad", small, "--wrt", "fc1.wieght")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[unknown-target]: nothing is called `fc1.wieght`" in result.stderr
    assert "did you mean `fc1.weight`" in result.stderr


def test_all_errors_of_a_spec_are_reported(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gspec"
    bad.write_text(
        "gspec 1\ninput x: f32[N, 3]\ninput y: f32[M, 3]\na = x + y\nb = foo(x)\noutput c = a\noutput d = b\n"
    )
    result = run("check", bad)
    assert result.exit_code == 1
    assert result.stderr.count("error[") == 2


@pytest.mark.parametrize("name", ["missing.gspec", "folder", "empty.gspec", "binary.gspec", "header.gspec"])
def test_files_that_are_no_specs_are_diagnostics(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.gspec").write_text("")
    (tmp_path / "binary.gspec").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "header.gspec").write_text("input x: f32[3]\n")
    result = run("check", tmp_path / name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error[")
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("name", ["missing.npz", "text.npz", "one.npy"])
def test_files_that_are_no_data_are_diagnostics(small: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "text.npz").write_text("hello")
    np.save(tmp_path / "one.npy", np.ones(3))
    result = run("grad", small, "--wrt", "x", "--data", tmp_path / name)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[data-" in result.stderr


def test_results_that_cannot_be_written_are_a_diagnostic_before_anything_is_computed(
    small: Path, tmp_path: Path
) -> None:
    result = run("grad", small, "--wrt", "x", "--out", tmp_path / "no" / "folder.npz")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "error[data-file-unwritable]" in result.stderr


def test_a_data_file_of_the_spec_that_is_missing_is_shown_where_the_spec_names_it(tmp_path: Path) -> None:
    spec = tmp_path / "data.gspec"
    spec.write_text('gspec 1\ndim N\ninput x: f32[N, 3] = file("rows.npy")\noutput y = sum(x)\n')
    result = run("forward", spec)
    assert result.exit_code == 1
    assert "error[data-file-missing]" in result.stderr
    assert "data.gspec:3:1" in result.stderr


def test_an_index_out_of_range_names_the_place(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.ones((2, 3), "float32"), label=np.array([0, 9]))
    result = run("forward", small, "--of", "nll", "--data", path)
    assert result.exit_code == 1
    assert "error[index-out-of-range]" in result.stderr
    assert "cross_entropy(logits, label)" in result.stderr


def test_nan_in_data_is_a_result(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    np.savez(path, x=np.full((2, 3), np.nan, "float32"), label=np.array([0, 1]))
    found = document("grad", small, "--wrt", "x", "--data", path)
    assert found["result"]["objectives"]["nll"]["gradients"]["x"]["norm"] == "nan"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set", "width"],
        ["--input", "x"],
        ["--take", "5"],
        ["--take", "a:b"],
        ["--dtype", "f8"],
        ["--nonsense"],
    ],
)
def test_a_malformed_command_has_status_2(small: Path, arguments: list[str]) -> None:
    assert run("grad", small, "--wrt", "x", *arguments).exit_code == 2


def test_a_backend_that_is_not_there_has_status_3(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    result = run("grad", small, "--wrt", "x", "--backend", "cupy")
    assert result.exit_code == 3
    assert "error[backend-unavailable]" in result.stderr


def test_json_has_the_diagnostics_also_when_it_fails(small: Path) -> None:
    result = run("grad", small, "--wrt", "fc1.wieght", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (1, "")
    assert found["schema_version"] == 1
    assert (found["command"], found["ok"]) == ("grad", False)
    assert [d["id"] for d in found["diagnostics"]] == ["unknown-target"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", SCALAR],
        ["show", SCALAR],
        ["show", SCALAR, "--names"],
        ["forward", SCALAR],
        ["grad", SCALAR, "--wrt", "@inputs"],
        ["explain"],
        ["explain", "not-reached"],
        ["ops"],
        ["ops", "relu"],
    ],
)
def test_every_command_gives_one_json_document(arguments: list[object]) -> None:
    found = document(*arguments)
    assert list(found) == ["schema_version", "command", "ok", "diagnostics", "result"]
    assert found["ok"] is True
    assert found["result"]


def test_the_mode_is_a_note_where_it_matters(tmp_path: Path) -> None:
    path = tmp_path / "d.gspec"
    path.write_text("gspec 1\ninput x: f32[4] ~ normal()\noutput y = dropout(x, p=0.5)\n")
    assert "depends on the mode, which is train" in run("forward", path, "--mode", "train").stderr
    assert run("forward", SCALAR).stderr.count("mode") == 0


def test_a_bug_is_a_traceback_and_asks_for_a_report(
    small: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from graphspec import cli, loading

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setattr(loading, "load", broken)
    monkeypatch.setattr("sys.argv", ["graphspec", "check", str(small)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == cli.BUG
    stderr = capsys.readouterr().err
    assert "RuntimeError: boom" in stderr
    assert "please report it" in stderr
