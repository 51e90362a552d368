"""Graphs with what their values were in a run: listed, and drawn in every format."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import graphspec as gs
from graphspec.ir import Literal
from graphspec.lifting.drawing import Box, draw
from graphspec.lifting.listing import list_nodes
from graphspec.views import View

SPEC = """gspec 1
dim N
input x: f32[N, 2]
param w: f32[2, 2]
h = x @ w
z = log(h)
output y = sum(z)
"""
SVG = "{http://www.w3.org/2000/svg}"
SPECS = Path(__file__).parents[2] / "specs"
RED = "#ff7070"


@cache
def run(first: float) -> View:
    """The graph on x = [[first, 4], [1, 1]], with the identity as the parameter."""
    x = np.array([[first, 4], [1, 1]], dtype="f4")
    model = gs.loads(SPEC, simplify=False, notify=lambda _: None)
    return model.measured_graph({"w": np.eye(2, dtype="f4")}, {"x": x})


def boxes(view: View, limit: int | None = None) -> dict[str, Box]:
    return {box.title: box for box in draw(view.shown, view.facts, limit).boxes.values()}


def test_a_line_has_norm_and_range_of_each_result() -> None:
    lines = {line.names[0]: line for line in list_nodes(run(3), {}, run(3).measured)}
    (h,) = lines["h"].measured
    assert (lines["h"].types, h.low, h.high, h.is_finite) == (("f32[2, 2]",), 1.0, 4.0, True)
    assert h.norm == pytest.approx(math.sqrt(9 + 16 + 1 + 1), rel=1e-12)


def test_a_box_says_its_shape_and_norm_and_those_of_its_parameters() -> None:
    box = boxes(run(3))["h"]
    assert "f32[2, 2], norm 5.196" in box.lines
    assert box.parameters == ["w [2, 2], norm 1.414"]
    assert all(box.is_finite for box in boxes(run(3)).values())


def test_what_is_made_of_a_value_that_is_not_finite_is_red_and_what_comes_before_is_not() -> None:
    found = boxes(run(-1))
    assert {title for title, box in found.items() if not box.is_finite} == {"z", "y"}
    assert "f32[2, 2], not finite" in found["z"].lines


def test_an_infinity_counts_too() -> None:
    assert not boxes(run(0))["z"].is_finite


def test_a_large_norm_of_finite_numbers_is_finite() -> None:
    model = gs.loads("gspec 1\ninput x: f64[2]\noutput y = x + 0.0\n", simplify=False)
    view = model.measured_graph({}, {"x": np.full(2, 1.7e308)})
    assert all(measured.is_finite for measured in view.measured.values())


def test_a_box_with_a_parameter_that_is_not_finite_is_red() -> None:
    model = gs.loads(SPEC, simplify=False, notify=lambda _: None)
    w = np.array([[1, np.inf], [0, 1]], dtype="f4")
    box = boxes(model.measured_graph({"w": w}, {"x": np.ones((3, 2), dtype="f4")}))["h"]
    assert (box.is_finite, box.parameters) == (False, ["w [2, 2], not finite"])


def test_every_format_marks_the_same_boxes() -> None:
    marked, plain = run(-1), run(3)
    rectangles = [r for r in ET.fromstring(marked.to_svg()).iter(f"{SVG}rect") if r.get("fill") == RED]
    assert len(rectangles) == 3  # two boxes and the legend
    assert marked.to_dot().count(f'fillcolor="{RED}"') == 2
    assert marked.to_mermaid().count(":::nonfinite") == 2
    assert f"classDef nonfinite fill:{RED}" in marked.to_mermaid()
    for text in (plain.to_svg(), plain.to_dot(), plain.to_mermaid()):
        assert RED not in text
        assert "norm 5.196" in text


def test_a_folded_box_is_red_where_anything_in_it_is() -> None:
    inner = "block f(x) {\n  a = log(x)\n  b = a * 0.0\n  return relu(x)\n}\n"
    spec = f"gspec 1\n{inner}input x: f32[2]\nh = x -> f() as f\noutput y = f.b + h\n"
    view = gs.loads(spec, simplify=False, notify=lambda _: None).measured_graph(
        {}, {"x": np.array([-1, 1], "f4")}
    )
    (folded,) = (box for box in draw(view.shown, view.facts, 1).boxes.values() if box.is_folded)
    assert not folded.is_finite
    assert "2 not finite" in folded.lines


@pytest.mark.parametrize("name", sorted(path.stem for path in SPECS.glob("*.gspec")))
def test_every_node_of_every_spec_is_measured(name: str) -> None:
    model = gs.load(SPECS / f"{name}.gspec", simplify=False, notify=lambda _: None)
    inputs = model.draw(0, names=[n for n, kind in model.needs().items() if kind == "input"])
    view = model.measured_graph(model.init(0, inputs=inputs), inputs)
    nodes = [node for node in view.nodes if not isinstance(node.op, Literal)]
    assert {value for node in nodes for value in node.values} == set(view.measured)
    assert all(not m.type.symbols for m in view.measured.values())
    assert view.to_svg().startswith("<svg")
