"""Plots of gradients: what is drawn of what, and what happens where nothing can be drawn."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from graphspec.cli import app
from graphspec.diagnostics import GraphSpecError
from graphspec.runtime.plot import MOST_BARS, is_image, plot_gradients, require_plotting

ROOT = Path(__file__).parent.parent.parent
WRONG = ROOT / "tests" / "wrong" / "requests"

needs_matplotlib = pytest.mark.skipif(
    importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed (extra `plot`)"
)


def random(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.RandomState(len(shape)).normal(size=shape)


def drawn(path: Path, *arguments: Any) -> str:
    """The text of the svg that was drawn: labels are there as comments."""
    plot_gradients(path, *arguments)
    return path.read_text(encoding="utf-8")


@needs_matplotlib
def test_images_stand_beside_their_gradients(tmp_path: Path) -> None:
    x = random(8, 3, 10, 12)
    page = drawn(
        tmp_path / "a.svg", {"nll": {"image": x * (np.arange(8) != 2)[:, None, None, None]}}, {"image": x}
    )
    assert "gradient of nll by image" in page
    assert page.count("<image") == 2 * 6 + 1  # six of each, and the scale
    assert "example 5" in page
    assert "example 6" not in page
    assert page.count("all zero") == 1


@needs_matplotlib
def test_a_value_that_was_not_given_has_its_gradient_alone(tmp_path: Path) -> None:
    page = drawn(tmp_path / "a.svg", {"nll": {"h": random(2, 4, 10, 12)}}, {})
    assert page.count("<image") == 2 + 1


@needs_matplotlib
def test_a_weight_has_a_histogram_and_a_convolution_its_filters(tmp_path: Path) -> None:
    grads = {"conv1.weight": random(6, 3, 5, 5), "fc.bias": random(10)}
    page = drawn(tmp_path / "a.svg", {"nll": grads}, {}, grads)
    assert "gradient of nll by conv1.weight [6, 3, 5, 5]" in page
    assert "gradient of nll by fc.bias [10]" in page
    assert page.count("how many") == 2
    assert "each filter [5, 5], 6 in a row" in page
    assert page.count("<image") == 1 + 1


@needs_matplotlib
@pytest.mark.parametrize("count", [5, MOST_BARS + 1])
def test_many_tensors_have_their_norms_by_layer(tmp_path: Path, count: int) -> None:
    grads = {f"layer{i}.weight": np.full(3, float(i)) for i in range(count)}
    page = drawn(tmp_path / "a.svg", {"nll": grads}, {}, grads)
    assert ("layer0.weight" in page) is (count <= MOST_BARS)
    assert f"layer{count - 1}.weight" in page
    assert "how many" not in page
    assert (f"the {MOST_BARS} greatest of {count}" in page) is (count > MOST_BARS)


@needs_matplotlib
def test_what_is_not_finite_is_marked(tmp_path: Path) -> None:
    bad = random(3, 1, 6, 6)
    bad[0, 0, 2, 3] = np.nan
    grads = {"x": bad, "w": np.full((4, 20, 3, 3), np.inf), "b": np.array([0.0, np.nan, 1e300])}
    page = drawn(tmp_path / "a.svg", {"nll": grads}, {"x": bad}, ("w", "b"))
    assert "720 of 720 not finite" in page
    assert "1 of 3 not finite" in page
    numbers = {str(i): np.array(x) for i, x in enumerate((0.0, np.nan, np.inf, 1e-9, 5.0))}
    page = drawn(tmp_path / "b.svg", {"nll": numbers}, {})
    assert all(f"<!--  {text} -->" in page for text in ("0", "nan", "inf"))


@needs_matplotlib
@pytest.mark.parametrize("array", [np.zeros((0, 3)), np.zeros((2, 3, 8, 8)), np.zeros(()), np.zeros(4)])
def test_nothing_and_zeros_are_drawn_too(tmp_path: Path, array: np.ndarray[Any, Any]) -> None:
    for suffix in (".png", ".svg", ".pdf"):
        path = tmp_path / f"a{suffix}"
        plot_gradients(path, {"a$b$": {"x": array}}, {"x": array})
        assert path.stat().st_size > 500


@needs_matplotlib
def test_the_same_gradients_are_the_same_file(tmp_path: Path) -> None:
    grads = {"nll": {"x": random(2, 1, 6, 6), "w": random(30)}}
    assert drawn(tmp_path / "a.svg", grads, {}) == drawn(tmp_path / "b.svg", grads, {})


@pytest.mark.parametrize(
    ("shape", "so"), [((2, 3, 8, 8), True), ((2, 5, 8, 8), False), ((2, 3, 3, 3), False), ((3, 8, 8), False)]
)
def test_what_an_image_is(shape: tuple[int, ...], so: bool) -> None:
    assert is_image(np.zeros(shape)) is so


# --- the command line -------------------------------------------------------------------------------------


@needs_matplotlib
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--wrt", "image,conv1.weight"], ["gradient of nll by image", "each filter"]),
        (["--wrt", "fc1.bias", "--per-example-norms"], ["norm of every example"]),
        (["--wrt", "fc1.bias", "--of", "nll", "--of", "mean(fc1)"], ["of nll by", "of mean(fc1) by"]),
    ],
)
def test_grad_plots(tmp_path: Path, options: list[str], says: list[str]) -> None:
    path = tmp_path / "a.svg"
    command = ["grad", str(ROOT / "specs" / "lenet.gspec"), "--set", "N=3", "--plot", str(path), *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    page = path.read_text(encoding="utf-8")
    assert all(text in page for text in says)


@needs_matplotlib
def test_a_plot_that_cannot_be_written_is_a_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(GraphSpecError, match="cannot be written"):
        plot_gradients(tmp_path / "no" / "folder.png", {"y": {"x": random(3)}}, {})


def test_without_matplotlib_a_plot_ends_before_anything_is_computed(
    monkeypatch: pytest.MonkeyPatch, expect: Callable[[Path, str], None]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    command = ["grad", str(ROOT / "specs" / "lenet.gspec"), "--wrt", "image", "--plot", "a.png"]
    result = CliRunner().invoke(app, command)
    assert (result.exit_code, result.stdout) == (3, "")
    expect(WRONG / "plotting_unavailable.txt", result.stderr)


def test_the_name_of_a_plot_says_its_format(expect: Callable[[Path, str], None]) -> None:
    with pytest.raises(GraphSpecError) as error:
        require_plotting(Path("a.jpg"))
    expect(WRONG / "plot_format_unknown.txt", f"{error.value}\n")
