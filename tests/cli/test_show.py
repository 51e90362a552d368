"""`graphspec show`: every stage, every format."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

import graphspec as gs
from graphspec.cli import app

LENET = Path(__file__).parents[2] / "specs" / "lenet.gspec"


def show(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["show", str(LENET), *map(str, arguments)])


def test_the_syntax_is_a_tree() -> None:
    lines = show("--stage", "ast").stdout.splitlines()
    assert lines[0].startswith("File version=1")
    assert "      then: Call function=conv2d label=conv1" in lines


def test_a_gradient_is_text_that_can_be_read(tmp_path: Path) -> None:
    found = show("--stage", "gradient", "--wrt", "conv1.weight")
    assert (found.exit_code, found.stderr) == (0, "")
    printed = gs.loads(found.stdout)
    assert "d.conv1.weight" in printed.graph.outputs
    again = tmp_path / "printed.gspec"
    again.write_text(found.stdout)
    assert CliRunner().invoke(app, ["show", str(again), "--format", "gspec"]).stdout == found.stdout
    assert CliRunner().invoke(app, ["fmt", str(again), "--check"]).exit_code == 0


def test_a_plan_says_where_everything_lies() -> None:
    found = show("--stage", "plan", "--wrt", "fc2.bias", "--set", "N=4").stdout
    assert found.splitlines()[0].split()[:4] == ["step", "name", "op", "inputs"]
    assert "for N = 4: arena" in found.splitlines()[-1]


@pytest.mark.parametrize("stage", [[], ["--stage", "gradient", "--wrt", "@params"], ["--of", "logits"]])
def test_graphs_are_drawn(stage: list[str]) -> None:
    assert ET.fromstring(show(*stage, "--format", "svg").stdout).tag.endswith("svg")
    assert show(*stage, "--format", "dot").stdout.startswith("digraph {")
    assert "flowchart TD" in show(*stage, "--format", "mermaid").stdout


def test_unfold_draws_every_node() -> None:
    gpt = LENET.parent / "gpt.gspec"
    few, all = (
        CliRunner().invoke(app, ["show", str(gpt), "--format", "dot", *more]).stdout.count("[label")
        for more in ([], ["--unfold"])
    )
    assert few < 40 < all


def test_a_document_holds_the_nodes_and_the_text() -> None:
    result = json.loads(show("--format", "svg", "--json").stdout)["result"]
    assert result["text"].startswith("<svg")
    assert result["nodes"]


@pytest.mark.parametrize("stage", ["ast", "plan"])
def test_what_is_no_graph_cannot_be_drawn(stage: str) -> None:
    found = show("--stage", stage, "--format", "svg")
    assert found.exit_code == 2
    assert f"--stage {stage} is text" in found.stderr


def test_a_syntax_error_is_a_diagnostic(tmp_path: Path) -> None:
    bad = tmp_path / "bad.gspec"
    bad.write_text("gspec 1\ninput x f32[3]\n")
    found = CliRunner().invoke(app, ["show", str(bad), "--stage", "ast"])
    assert (found.exit_code, found.stdout) == (1, "")
    assert "bad.gspec:2" in found.stderr


NAN = """gspec 1
dim N = 3
input x: f32[N, 4] ~ normal()
h = x -> linear(2) as fc -> relu
z = log(h - 10)
output y = sum(z)
"""


def show_text(folder: Path, *arguments: str) -> Result:
    spec = folder / "nan.gspec"
    spec.write_text(NAN)
    return CliRunner().invoke(app, ["show", str(spec), *arguments])


def test_values_are_columns_of_the_table(tmp_path: Path) -> None:
    found = show_text(tmp_path, "--values", "--set", "N=5")
    header, *lines = found.stdout.splitlines()
    assert header.split()[-4:] == ["parameters", "norm", "min", "max"]
    (z,) = (line for line in lines if line.startswith("z "))
    assert "f32[5, 2]" in z
    assert z.split()[-4:] == ["not", "finite", "nan", "nan"]
    assert "inputs-drawn" in found.stderr


def test_values_are_those_of_the_data(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.full((7, 4), 2, dtype="f4"))
    more = ["--input", f"x={tmp_path / 'x.npy'}", "--take", "0:4", "--json"]
    nodes = json.loads(show_text(tmp_path, "--values", *more).stdout)["result"]["nodes"]
    (x,) = (node["values"] for node in nodes if node["names"] == ["x"])
    assert x == [{"shape": [4, 4], "finite": True, "norm": 8.0, "min": 2.0, "max": 2.0}]
    assert next(node["names"] for node in nodes if not node["values"][0]["finite"]) == ["z"]


def test_values_of_a_gradient_are_drawn(tmp_path: Path) -> None:
    found = show_text(tmp_path, "--values", "--stage", "gradient", "--wrt", "fc.weight", "--format", "svg")
    assert found.exit_code == 0
    assert "not finite" in found.stdout
    assert "norm" in found.stdout


def test_wrt_is_for_what_has_a_derivative(tmp_path: Path) -> None:
    found = show_text(tmp_path, "--wrt", "x")
    assert (found.exit_code, found.stdout) == (2, "")
    assert "--stage gradient" in found.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--values", "--stage", "plan"],
        ["--values", "--format", "gspec"],
        ["--values", "--names"],
        ["--take", "0:2"],
    ],
)
def test_values_and_data_go_together_with_a_graph(tmp_path: Path, arguments: list[str]) -> None:
    found = show_text(tmp_path, *arguments)
    assert (found.exit_code, found.stdout) == (2, "")
    assert "--values" in found.stderr
