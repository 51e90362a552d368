"""Parameters in files: they survive, they fit or all that does not is said at once, and nothing is run."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app
from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.runtime.parameters import Mapped, read_arrays

SPECS = Path(__file__).parent.parent.parent / "specs"
STATE_DICTS = Path(__file__).parent.parent / "references" / "state_dicts"
Array = np.ndarray[Any, Any]

SMALL = """gspec 1
input x: f32[N, 3]
h = x -> linear(4) as fc1
output y = h -> linear(2) as fc2
"""
each_format = pytest.mark.parametrize("suffix", ["npz", "safetensors"])


def failure(function: Callable[..., object], *args: Any, **kwargs: Any) -> Diagnostic:
    with pytest.raises(GraphSpecError) as caught:
        function(*args, **kwargs)
    (found,) = caught.value.diagnostics
    return found


def small(**kwargs: Any) -> gs.Model:
    return gs.loads(SMALL, **kwargs)


# --- round trips ---


@each_format
def test_what_is_saved_is_loaded(tmp_path: Path, suffix: str) -> None:
    arrays = {
        "a": np.arange(6, dtype="f4").reshape(2, 3),
        "of.no.axes": np.array(2.5),
        "empty": np.zeros((0, 3), "f8"),
        "half": np.array([1, np.inf, np.nan], "f2"),
        "integers": np.array([[-1, 2**62]]),
        "truth": np.array([True, False]),
    }
    gs.save_params(tmp_path / f"w.{suffix}", arrays)
    found = read_arrays(tmp_path / f"w.{suffix}")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found[name], array)


@each_format
def test_arrays_that_are_not_laid_out_plainly_survive(tmp_path: Path, suffix: str) -> None:
    base = np.arange(24.0).reshape(4, 6)
    views = {
        "t": base.T,
        "spaced": base[::2, ::3],
        "back": base[::-1],
        "wide": np.broadcast_to(base[0], (3, 6)),
    }
    gs.save_params(tmp_path / f"w.{suffix}", views)
    for name, array in read_arrays(tmp_path / f"w.{suffix}").items():
        np.testing.assert_array_equal(array, views[name])


@each_format
def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"w.{suffix}"
    gs.save_params(path, {"a": np.ones(3)})
    before = path.read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", full)
    monkeypatch.setattr("graphspec.runtime.data._write", full)
    assert "No space left" in failure(gs.save_params, path, {"a": np.zeros(3)}).message
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert failure(gs.save_params, tmp_path / "no" / path.name, {}).id == "data-file-unwritable"


@each_format
def test_who_may_read_a_file_is_as_usual(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "plain").write_bytes(b"")
    gs.save_params(tmp_path / f"w.{suffix}", {"a": np.ones(3)})
    assert (tmp_path / f"w.{suffix}").stat().st_mode == (tmp_path / "plain").stat().st_mode


@each_format
def test_only_numbers_are_written(tmp_path: Path, suffix: str) -> None:
    found = failure(gs.save_params, tmp_path / f"w.{suffix}", {"a": np.array(["text"])})
    assert found.message == "`a` cannot be written: its elements are <U4, not numbers"


def test_an_unknown_format_is_not_written(tmp_path: Path) -> None:
    assert failure(gs.save_params, tmp_path / "w.pt", {"a": np.ones(3)}).id == "array-format-unknown"


def test_bf16_is_read_as_the_f32_that_it_is(tmp_path: Path) -> None:
    tensors = {
        "a": {"dtype": "BF16", "shape": [2, 1], "data_offsets": [0, 4]},
        "b": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]},
    }
    header = json.dumps(tensors).encode()
    halves = np.array([1.5, -(2.0**100)], "f4").view("u4") >> 16
    data = halves.astype("<u2").tobytes() + np.array([7], "<f4").tobytes()
    (tmp_path / "w.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    found = read_arrays(tmp_path / "w.safetensors")
    assert (found["a"].dtype, found["a"].tolist(), found["b"].tolist()) == (
        np.float32,
        [[1.5], [-(2.0**100)]],
        [7],
    )


# --- PyTorch's ---


@cache
def frozen() -> dict[str, Array]:
    with np.load(STATE_DICTS / "outputs.npz") as file:
        return dict(file)


@pytest.mark.parametrize(
    ("name", "spec", "input", "output", "unused"),
    [
        ("digits", SPECS / "digits.gspec", "image", "logits", []),
        ("residual", STATE_DICTS / "residual.gspec", "x", "y", []),
        ("gpt", STATE_DICTS / "gpt.gspec", "tokens", "logits", ["lm_head.weight"]),
    ],
)
def test_a_state_dict_of_pytorch_fits_as_it_is(
    name: str, spec: Path, input: str, output: str, unused: list[str]
) -> None:
    told: list[Diagnostic] = []
    text, base = spec.read_text(), SPECS
    model = gs.loads(text, base=base, notify=told.append)
    params = model.load_params(STATE_DICTS / f"{name}.safetensors")
    assert params.keys() == set(model.names("param")) | set(model.names("buffer"))
    found = model.forward(params, {input: frozen()[f"{name}/input"]}, of=output)[output]
    wanted = frozen()[f"{name}/output"]
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()
    said = [d.message for d in told if d.id == "extra-parameters"]
    assert len(said) == bool(unused)
    assert all(f"`{extra}`" in said[0] for extra in unused)


def test_the_frozen_files_are_small() -> None:
    assert sum(path.stat().st_size for path in STATE_DICTS.iterdir()) < 300_000


# --- names and layouts ---


def test_names_lose_their_prefix_and_are_replaced_from_the_front() -> None:
    mapped = Mapped("module.", {"encoder": "enc", "encoder.norm.gamma": "enc.norm.weight", "bert.": ""})
    assert mapped.names(
        ["module.encoder.fc.weight", "module.encoder.norm.gamma", "encoderx", "module.encoders.w"]
    ) == {
        "enc.fc.weight": "module.encoder.fc.weight",
        "enc.norm.weight": "module.encoder.norm.gamma",
        "encoders.w": "module.encoders.w",
    }
    assert Mapped("model").names(["model.fc.weight", "other"]) == {"fc.weight": "model.fc.weight"}


@each_format
def test_prefix_rename_and_transpose_make_a_file_fit(tmp_path: Path, suffix: str) -> None:
    model = small()
    params = model.init(seed=3)
    path = tmp_path / f"w.{suffix}"
    stored = {
        "net.lin.weight": params["fc1.weight"].T,
        "net.lin.bias": params["fc1.bias"],
        "net.fc2.weight": params["fc2.weight"].T,
        "net.fc2.bias": params["fc2.bias"].astype("f8"),
    }
    gs.save_params(path, stored)
    with pytest.warns(gs.PrecisionWarning, match="`fc2.bias` from f64 to f32"):
        found = model.load_params(path, prefix="net.", rename={"lin": "fc1"}, transpose=["*.weight"])
    for name, array in params.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == np.float32
        assert found[name].flags.c_contiguous
    result = CliRunner().invoke(app, ["forward", *_command(tmp_path, path)])
    assert result.exit_code == 0, result.stderr
    assert "note[parameters-drawn]" not in result.stderr


def _command(folder: Path, path: Path) -> list[str]:
    (folder / "m.gspec").write_text(SMALL)
    np.save(folder / "x.npy", np.ones((2, 3), "f4"))
    mapping = ["--params-prefix", "net", "--rename", "lin=fc1", "--transpose", "*.weight"]
    return [str(folder / "m.gspec"), "--input", f"x={folder / 'x.npy'}", "--params", str(path), *mapping]


def test_only_what_a_request_needs_must_be_in_the_file(tmp_path: Path) -> None:
    model = small()
    params = model.init()
    gs.save_params(tmp_path / "w.npz", {name: params[name] for name in ("fc1.weight", "fc1.bias")})
    found = model.load_params(tmp_path / "w.npz", names=["fc1.weight"])
    assert list(found) == ["fc1.weight"]


# --- mistakes ---


def test_all_that_does_not_fit_is_one_error(tmp_path: Path) -> None:
    stored = {
        "fc1.weight": np.zeros((3, 4), "f4"),
        "fc1.bias": np.zeros(4, "i8"),
        "fc2.bias": np.zeros((2, 1), "f4"),
        "head.bias": np.zeros(2, "f4"),
    }
    gs.save_params(tmp_path / "w.safetensors", stored)
    found = failure(small().load_params, tmp_path / "w.safetensors", rename={"gamma": "weight"})
    assert found.message.endswith("1 missing, 3 of another shape or kind, 1 not there to be renamed")
    axes = "axis 0 must be 4, and is 3; axis 1 must be 3, and is 4"
    assert found.notes == (
        "missing: `fc2.weight` f32[2, 4]",
        "`fc1.bias` is f32[4], but the file has i64",
        "`fc2.bias` is f32[2], but the array has shape [2, 1]: it has 2 axes, and needs 1 axis",
        f"`fc1.weight` is f32[4, 3], but the array has shape [3, 4]: {axes}",
        "no name in the file is, or begins with, `gamma`",
        "not used: `head.bias`",
    )
    assert found.help == ("transposed, `fc1.weight` fits: `--transpose 'fc1.weight'`",)


def test_a_prefix_that_would_help_is_named(tmp_path: Path) -> None:
    gs.save_params(tmp_path / "w.npz", {f"model.{k}": v for k, v in small().init().items()})
    found = failure(small().load_params, tmp_path / "w.npz")
    assert found.help == ("the file has them below `model.`: `--params-prefix model.`",)


@pytest.mark.parametrize("content", ["pickle", "zip"])
def test_a_pickle_is_refused_with_the_way_out(tmp_path: Path, content: str) -> None:
    trace = tmp_path / "trace"
    path = tmp_path / "w.pt"
    pickled = pickle.dumps(Bomb(str(trace)))
    if content == "pickle":
        path.write_bytes(pickled)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickled)
            archive.writestr("archive/data/0", b"\0" * 8)
    found = failure(small().load_params, path)
    assert found.id == "data-pickled"
    assert "save_file(model.state_dict()" in found.help[0]
    assert not trace.exists()


class Bomb:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


def test_a_pattern_that_turns_nothing_is_an_error(tmp_path: Path) -> None:
    gs.save_params(tmp_path / "w.npz", small().init())
    assert (
        failure(small().load_params, tmp_path / "w.npz", transpose=["conv*.weight"]).id == "nothing-matches"
    )


def test_sizes_of_parameters_may_be_dims(tmp_path: Path) -> None:
    model = gs.loads("""gspec 1
dim K = 5
input x: f32[K]
param w: f32[K] ~ normal()
param v: f32[2*K] ~ normal()
output y = sum(x * w) + sum(v)
""")
    gs.save_params(tmp_path / "w.npz", {"w": np.ones(7, "f4"), "v": np.ones(14, "f4")})
    assert model.load_params(tmp_path / "w.npz")["w"].shape == (7,)
    gs.save_params(tmp_path / "w.npz", {"w": np.ones(7, "f4"), "v": np.ones(13, "f4")})
    assert (
        "must be 2*K = 14 (K = 7 by axis 0 of `w`), and is 13"
        in failure(model.load_params, tmp_path / "w.npz").notes[0]
    )
