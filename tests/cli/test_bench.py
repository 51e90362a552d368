"""`graphspec bench`: what it says of the time, of which no test knows how long it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

import graphspec as gs
from graphspec.cli import app
from graphspec.cli.bench import Sort
from graphspec.profiling import SORTS
from graphspec.profiling.report import NodeTime, Place, Tally
from graphspec.profiling.text import percent, prefixed, shortened
from graphspec.runtime import limits

SPECS = Path(__file__).parents[2] / "specs"
LENET = SPECS / "lenet.gspec"
SMALL = ("--repeat", 3, "--set", "N=4")


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine can do is measured, but not well."""
    monkeypatch.setattr(limits, "ENOUGH", 0.0)
    monkeypatch.setattr(limits, "SIZES", (64,))
    monkeypatch.setattr(limits, "COPIES", (1 << 12, 1 << 16))


def bench(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def result(*arguments: object) -> Any:
    return json.loads(bench(*arguments, "--json").stdout)["result"]


@pytest.fixture
def on_numpy_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps are single nodes, where loops would put small ones together."""
    monkeypatch.setenv("GRAPHSPEC_FAST", "0")


def tables(text: str) -> dict[str, list[list[str]]]:
    """The words of the rows of each table, by its title."""
    found = {}
    for part in text.split("\n\n"):
        title, *rows = part.splitlines()
        found[title] = [row.split() for row in rows]
    return found


def test_the_call_comes_first_and_then_where_its_time_goes() -> None:
    found = bench(LENET, "--wrt", "conv1.weight", *SMALL)
    assert found.exit_code == 0
    assert found.stdout.startswith("nll and its gradient by conv1.weight, N = 4: ")
    assert "the median of 3 calls" in found.stdout
    assert "note[inputs-drawn]: no data: `image` and `label` drawn by sampler, seed 0" in found.stderr
    head, *titles = tables(found.stdout)
    assert " a call, in " in head
    assert titles[:4] == ["by line of the spec", "by node", "by kernel", "what was saved"]
    by_line = tables(found.stdout)["by line of the spec"]
    assert by_line[0][:2] == ["line", "call"]
    assert {row[0] for row in by_line[1:]} >= {"9", "11", "12"}
    assert "forward" in by_line[0]


def test_without_wrt_it_is_about_values() -> None:
    found = bench(LENET, *SMALL)
    assert found.stdout.startswith("nll, N = 4: ")
    assert "backward" not in found.stdout
    assert {node["direction"] for node in result(LENET, *SMALL)["nodes"]} == {"forward"}


@pytest.mark.usefixtures("on_numpy_alone")
def test_nodes_have_the_users_names_or_say_what_they_are_a_part_of() -> None:
    found = result(LENET, "--wrt", "@params", *SMALL)
    nodes = found["nodes"]
    named = {name: node for node in nodes for name in node["names"] if node["op"] != "transpose"}
    (place,) = named["conv1"]["places"]
    assert named["d.conv1.weight"]["places"] == [place]
    assert place == {"file": str(LENET), "line": 9, "text": "conv2d(6, kernel_size=5) as conv1"}
    assert (named["nll"]["direction"], named["d.fc1"]["direction"]) == ("forward", "backward")
    # the gradient is a view of what the product makes
    assert named["d.fc1.weight"]["op"] == "matmul"
    (forward,) = [n for n in nodes if n["op"] == "convolution"]
    assert (forward["names"], forward["inside"]) == ([], "conv1")
    # 5 x 5 windows of 3 channels, 28 x 28 places, 6 filters, 4 images; a multiplication and an addition
    assert forward["flops"] == 2 * 75 * 28 * 28 * 6 * 4
    assert forward["bytes"] == 4 * 4 * (3 * 32 * 32 + 6 * 28 * 28) + 4 * 6 * 75


def test_the_tables_are_the_nodes_put_together() -> None:
    found = result(SPECS / "gpt.gspec", "--wrt", "transformer.wte.weight", "--repeat", 3)
    for key in ("seconds", "flops", "bytes"):
        total = sum(node[key] for node in found["nodes"])
        for table in ("lines", "kernels"):
            assert sum(row[key] for row in found[table]) == pytest.approx(total)
    assert sum(row["steps"] for row in found["kernels"]) == len(found["nodes"])
    assert found["run"]["attributed"] == pytest.approx(sum(node["seconds"] for node in found["nodes"]))
    for row in found["lines"]:
        assert row["forward_seconds"] + row["backward_seconds"] == pytest.approx(row["seconds"])


@pytest.mark.needs_optimisation("push_selections")
def test_what_was_left_out_is_said() -> None:
    one = result(SPECS / "one_of_sixteen.gspec", "--wrt", "conv1.weight", "--repeat", 3)
    # the loss looks at one of sixteen places of one of two images
    assert 20 * one["ran"]["flops"] < one["written"]["flops"]
    assert one["ran"]["arena"] <= one["ran"]["intermediates"]
    plain = result(SPECS / "one_of_sixteen.gspec", "--wrt", "conv1.weight", "--repeat", 3, "--no-opt")
    assert plain["ran"] == plain["written"] == one["written"]
    assert not plain["in_pieces"]


@pytest.mark.needs_optimisation("threads", "turns")
def test_of_a_large_batch_the_turns_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHSPEC_THREADS", "2")
    spec = tmp_path / "large.gspec"
    spec.write_text(
        "gspec 1\ndim N = 100000\ninput x: f32[N, 32] ~ normal()\n"
        "loss s = x -> linear(32) as a -> tanh -> linear(32) as b -> tanh -> sum\n"
    )
    arguments = (spec, "--wrt", "@params")
    found = result(*arguments, "--repeat", 1)
    assert found["turns"] > 1
    assert found["ran"]["arena"] < found["written"]["arena"] / 4
    assert f"each on {found['turns']} pieces of the batch in turn" in " ".join(
        bench(*arguments).stdout.split()
    )
    assert "; pieces are " in bench(*arguments).stdout
    assert result(LENET, "--wrt", "conv1.weight", *SMALL)["turns"] == 1


@pytest.mark.usefixtures("on_numpy_alone")
@pytest.mark.parametrize("sort", SORTS)
def test_rows_are_sorted_and_those_left_over_are_one(sort: str) -> None:
    found = bench(LENET, "--wrt", "@params", *SMALL, "--sort", sort, "--top", 3).stdout
    rows = tables(found)["by node"]
    assert len(rows) == 5
    assert rows[-1][1] == "others"
    if sort == "flops":  # the forward product, and that of the gradient
        assert sorted(row[1] for row in rows[1:4]) == ["matmul"] * 3
    if sort == "order":
        ops = [row[1] for row in rows[1:4] if row[1] != "reshape"]  # of a bias: a view, seldom worth a line
        assert ops[0] == "convolution"


def test_all_rows_are_there_if_asked_for() -> None:
    report = profile(LENET, wrt="@params")
    rows = tables(report.text(top=None))["by node"]
    assert len(rows) == len(report.nodes) + 1
    with pytest.raises(ValueError, match="time, flops, bytes, order"):
        report.text(sort="name")


def test_the_words_of_sort_are_those_of_the_report() -> None:
    assert tuple(Sort) == SORTS


def test_examples_one_by_one_and_cotangents() -> None:
    assert bench(SPECS / "per_example.gspec", "--wrt", "@params", "--per-example", *SMALL).stdout.startswith(
        "y and its gradient by fc1.weight, fc2.weight, example by example, N = 4: "
    )
    norms = bench(SPECS / "per_example.gspec", "--wrt", "fc1.weight", "--per-example-norms", *SMALL).stdout
    assert norms.startswith("y and the norm of its gradient by fc1.weight, example by example, N = 4: ")
    weighed = bench(LENET, "--of", "logits", "--wrt", "image", "--cotangent", "ones", *SMALL)
    assert weighed.stdout.startswith("logits and its gradient by image, N = 4: ")


def test_what_computes_nothing_takes_no_time_of_nodes() -> None:
    found = bench(LENET, "--of", "image", *SMALL)
    assert found.exit_code == 0
    assert "in 0 nodes" in found.stdout


def test_a_cotangent_may_be_an_array() -> None:
    model = gs.load(LENET, dims={"N": 2})
    weights = np.ones((2, 10), "float32")
    params, inputs = model.init(), model.draw()
    found = model.profile(params, inputs, "image", "logits", cotangent=weights, calls=2)
    assert (found.of, found.wrt, found.call.count) == (("logits",), ("image",), 2)


def test_imported_blocks_are_told_with_their_file() -> None:
    found = bench(SPECS / "resnet.gspec", "--repeat", 1, "--set", "N=1").stdout
    assert "resnet.gspec:10" in {row[0] for row in tables(found)["by line of the spec"]}


def profile(spec: Path, **request: Any) -> gs.ProfileReport:
    model = gs.load(spec, dims={"N": 4})
    return model.profile(model.init(), model.draw(), calls=2, **request)


def test_from_python_a_report_prints_as_tables() -> None:
    report = profile(LENET, wrt=["conv1.weight"])
    assert isinstance(report, gs.ProfileReport)
    assert str(report).startswith("nll and its gradient by conv1.weight, N = 4: ")
    assert json.loads(json.dumps(report.as_dict(), allow_nan=False))["sizes"] == {"N": 4}


def test_the_mistakes_are_those_of_grad() -> None:
    for arguments in (
        [LENET, "--wrt", "conv1.wieght"],
        [LENET, "--wrt", "image", "--of", "logits"],
        [SPECS / "missing.gspec", "--wrt", "x"],
        [LENET, "--wrt", "image", "--data", "missing.npz"],
        [LENET, "--wrt", ","],
    ):
        of_grad = CliRunner().invoke(app, ["grad", *map(str, arguments)])
        found = bench(*arguments)
        assert (found.exit_code, found.stdout) == (1, "")
        assert found.stderr == of_grad.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--repeat", "3", "--seconds", "1"], "not both"),
        (["--per-example"], "--wrt says it"),
        (["--cotangent", "ones"], "--wrt says it"),
        (["--batch", "N"], "--wrt says it"),
        (["--wrt", "image", "--per-example", "--per-example-norms"], "not both"),
        (["--sort", "name"], "--sort"),
        (["--repeat", "0"], "--repeat"),
    ],
)
def test_a_wrong_command_ends_with_2(arguments: list[str], said: str) -> None:
    found = bench(LENET, *arguments)
    assert found.exit_code == 2
    assert said in found.stderr


# --- words ------------------------------------------------------------------------------------------------


def test_a_tally_says_what_limits_it() -> None:
    product = Tally(seconds=4.0, count=1, products=2.0, memory=0.0, calls=0.5)
    small = Tally(seconds=2.0, count=1, memory=0.1, calls=0.5)
    assert (product.limit, product.share) == ("products", 0.5)
    assert (small.limit, small.share) == ("calls", 0.25)
    assert (product + small).share == pytest.approx(2.1 / 6)
    assert Tally(seconds=1.0, count=1).share is None


def test_several_names_are_shortened() -> None:
    assert shortened(["h"], 10) == "h"
    assert shortened(["a", "b", "c"], 10) == "a, b, c"
    assert shortened(["first", "second", "third"], 12) == "first, +2"
    assert shortened(["a_very_long_name"], 10) == "a_very_..."
    assert shortened(["a_very_long_name", "b"], 12) == "a_ver..., +1"


def test_a_busy_machine_is_told() -> None:
    report = profile(LENET, of="logits")
    assert 0 <= report.waited <= 1
    assert (
        "  the machine is busy: other work had the processor for 35% of the time\n"
        in replace(report, waited=0.35).text()
    )
    assert "busy" not in replace(report, waited=0.05).text()


def test_a_step_that_does_several_things_says_so() -> None:
    places = (Place("a.gspec", 9, "relu", 80), Place("a.gspec", 11, "linear(350) as fc1", 120))
    node = NodeTime(
        ("fc1", "d.fc1"), None, "fused", ("add", "max"), places, "forward", ("f32[2]",), Tally(1.0, 1)
    )
    report = profile(LENET, of="logits")
    report = replace(report, nodes=(node, *report.nodes), file="a.gspec")
    found = tables(report.text(top=1))
    assert found["by line of the spec"][1][:2] == ["9-11", "relu,"]
    assert found["by node"][1][:4] == ["fc1,", "d.fc1", "add,", "max"]
    assert found["by kernel"][1][:3] == ["add,", "max", "1"]
    assert report.kernels[0].as_dict()["members"] == ["add", "max"]


@pytest.mark.usefixtures("fast")
@pytest.mark.needs_optimisation("fuse")
def test_fused_steps_have_the_names_and_places_of_all_that_they_do() -> None:
    model = gs.loads(
        "gspec 1\ndim N = 4\ninput x: f32[N, 3] ~ normal()\n"
        "a = exp(x)\nb = a * 2\nloss s = mean(tanh(b) ** 2)\n"
    )
    report = model.profile({}, model.draw(), "x", calls=2)
    (fused,) = [node for node in report.nodes if "tanh" in node.members]
    assert {"a", "b"} <= set(fused.names)
    assert {"exp", "mul", "tanh"} <= set(fused.members)
    assert [place.line for place in fused.places] == sorted(place.line for place in fused.places)
    assert {4, 5, 6} <= {place.line for place in fused.places}


def test_numbers_have_three_digits() -> None:
    assert [prefixed(n) for n in (0, 7, 999, 1000, 99_960, 21_345_678, 5.2e9, 3e13)] == [
        "0 ",
        "7 ",
        "999 ",
        "1.0 k",
        "100 k",
        "21.3 M",
        "5.2 G",
        "30.0 T",
    ]
    assert [percent(p) for p in (0.0, 0.004, 0.5, 1.2)] == ["0%", "0.4%", "50%", "120%"]
