"""Drawings: what they show, where it stands, and that every format shows the same."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphspec as gs
from graphspec.lifting.clustering import without_cycles, without_lone_clusters
from graphspec.lifting.drawing import Drawing, draw
from graphspec.lifting.layout import Layout, Rectangle, lay_out
from graphspec.lifting.svg import CLUSTER_TITLE, box_size, text_width
from graphspec.views import View

SPECS = Path(__file__).parents[2] / "specs"
GRADIENTS = {"lenet": ("nll", "@params"), "gpt": ("lm", "@params"), "resnet": ("nll", "@params")}
SVG = "{http://www.w3.org/2000/svg}"


@cache
def views() -> dict[str, View]:
    """Every spec, and some gradients."""
    found: dict[str, View] = {}
    for path in sorted(SPECS.glob("*.gspec")):
        model = gs.load(path, notify=lambda _: None)
        found[path.stem] = model.graph
        if path.stem in GRADIENTS:
            of, wrt = GRADIENTS[path.stem]
            found[f"{path.stem} gradient"] = model.gradient_graph(wrt, of)
    return found


def of(spec: str) -> View:
    return gs.loads(f"gspec 1\n{spec}", notify=lambda _: None).graph


def placed(view: View, limit: int | None) -> tuple[Drawing, Layout]:
    drawing = draw(view.shown, view.facts, limit)
    sizes = {name: box_size(box) for name, box in drawing.boxes.items()}
    titles = {path: text_width(c.title, CLUSTER_TITLE) for path, c in drawing.clusters.items()}
    return drawing, lay_out(drawing, sizes, titles)


NAMES = sorted(path.stem for path in SPECS.glob("*.gspec")) + [f"{name} gradient" for name in GRADIENTS]
each_drawing = pytest.mark.parametrize(
    ("name", "limit"), [(name, limit) for name in NAMES for limit in (None, 1, 10_000)]
)


# --- where it stands ------------------------------------------------------------------------------------


@each_drawing
def test_nothing_overlaps_and_clusters_nest(name: str, limit: int | None) -> None:
    check_geometry(*placed(views()[name], limit))


def check_geometry(drawing: Drawing, layout: Layout) -> None:
    picture = Rectangle(0, 0, layout.width, layout.height)
    for path, cluster in drawing.clusters.items():
        around = layout.clusters.get(path, picture)
        inside = [layout.boxes[name] for name in cluster.boxes]
        inside += [layout.clusters[inner] for inner in cluster.clusters]
        for part in inside:
            assert around.x < part.x
            assert part.right < around.right
            assert around.y < part.y
            assert part.bottom < around.bottom
        for one, other in itertools.combinations(inside, 2):
            assert apart(one, other), (one, other)
    for edge, route in zip(drawing.edges, layout.routes, strict=True):
        source, target = layout.boxes[edge.source], layout.boxes[edge.target]
        (x0, y0), (x1, y1) = route[0], route[-1]
        assert source.x <= x0 <= source.right
        assert y0 == pytest.approx(source.bottom)
        assert target.x <= x1 <= target.right
        assert y1 == pytest.approx(target.y)
        check_route(route)
        check_way(edge.source, edge.target, route, layout)


def apart(one: Rectangle, other: Rectangle) -> bool:
    gap = 4.0
    return (
        one.right + gap <= other.x
        or other.right + gap <= one.x
        or one.bottom + gap <= other.y
        or other.bottom + gap <= one.y
    )


def check_route(route: list[tuple[float, float]]) -> None:
    """Down all the way, in upright pieces with room to bend between them."""
    for (x0, y0), (x1, y1) in zip(route[::2], route[1::2], strict=True):
        assert x0 == pytest.approx(x1)
        assert y0 <= y1 + 1e-6
    heights = [y for _, y in route]
    assert heights == pytest.approx(sorted(heights))


def check_way(source: str, target: str, route: list[tuple[float, float]], layout: Layout) -> None:
    """No edge runs through a box: not upright, and not where it bends."""
    for name, box in layout.boxes.items():
        if name in (source, target):
            continue
        for (x0, y0), (x1, y1) in itertools.pairwise(route):
            left, right = min(x0, x1), max(x0, x1)
            is_beside = right <= box.x or left >= box.right
            assert is_beside or y1 <= box.y + 1e-6 or y0 >= box.bottom - 1e-6, (name, box, (x0, y0), (x1, y1))


@st.composite
def specs(draw: st.DrawFn) -> str:
    """A graph of additions among values with dotted names."""
    count = draw(st.integers(1, 24))
    words = st.sampled_from(["a", "b", "c"])
    lines = ["input x: f32[2]"]
    names = ["x"]
    for i in range(count):
        path = ".".join([*draw(st.lists(words, max_size=3)), f"v{i}"])
        one, other = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        lines.append(f"{path} = {one} + {other}")
        names.append(path)
    return "\n".join([*lines, f"output y = {names[-1]} * 2\n"])


@settings(max_examples=50, deadline=None)
@given(spec=specs(), limit=st.sampled_from([1, 6, 1000]))
def test_any_graph_is_laid_out_without_overlaps(spec: str, limit: int) -> None:
    check_geometry(*placed(of(spec), limit))


def test_text_fits_into_its_box() -> None:
    for view in views().values():
        root = ET.fromstring(view.to_svg())
        boxes = [
            Rectangle(*(float(rect.get(key, "nan")) for key in ("x", "y", "width", "height")))
            for rect in root.iter(f"{SVG}rect")
            if rect.get("x")
        ]
        for text in root.iter(f"{SVG}text"):
            if text.get("text-anchor") != "middle":
                continue
            size, bold = float(text.get("font-size", "nan")), text.get("font-weight") == "bold"
            width = text_width(text.text or "", size, bold)
            x, y = float(text.get("x", "nan")), float(text.get("y", "nan"))
            assert any(
                box.x <= x - width / 2
                and x + width / 2 <= box.right
                and box.y <= y - size
                and y <= box.bottom
                for box in boxes
            ), text.text


def test_a_title_of_a_cluster_fits_into_it() -> None:
    name = "an_extraordinarily_long_name_of_a_block_that_holds_little"
    drawing, layout = placed(of(f"input x: f32[2]\n{name}.p = x * 2\n{name}.q = {name}.p + x\n"), None)
    path = (name,)
    width = text_width(drawing.clusters[path].title, CLUSTER_TITLE)
    assert width + 9 < layout.clusters[path].width


def test_the_layout_of_thousands_of_nodes_takes_no_recursion() -> None:
    lines = "".join(f"h{i + 1} = sin(h{i})\n" for i in range(1200))
    view = of(f"input h0: f64[2]\n{lines}output y = h1200\n")
    assert view.to_svg().count("<rect") > 1200
    deep = ".".join(["a"] * 300)
    nested = of(f"input x: f32[2]\n{deep}.p = x * 2\n{deep}.q = {deep}.p + x\noutput y = {deep}.q\n")
    assert f">{deep}<" in nested.to_svg()


# --- what it shows --------------------------------------------------------------------------------------


def box_named(drawing: Drawing, title: str) -> tuple[str, list[str]]:
    box = next(box for box in drawing.boxes.values() if box.title == title)
    return box.kind, [*box.lines, *box.parameters]


def test_a_box_says_what_a_node_is() -> None:
    view = of("""
input x: f32[N, 3, 8, 8] ~ normal()
noise e: f32[N, 3, 8, 8] ~ normal()
param scale: f32[] = ones()
h = (x + e) * scale / sum(scale) -> conv2d(4, kernel_size=3, padding=1) as conv1 -> relu
loss l = mean(h ** 2)
output h
""")
    drawing = draw(view, view.facts)
    assert box_named(drawing, "x") == ("input", ["f32[N, 3, 8, 8]"])
    assert box_named(drawing, "e")[0] == "noise"
    assert box_named(drawing, "scale") == ("param", ["f32[]"])
    assert box_named(drawing, "conv1") == (
        "layer",
        ["conv2d(4, kernel_size=3, padding=1)", "f32[N, 4, 8, 8]", "weight [4, 3, 3, 3]", "bias [4]"],
    )
    assert box_named(drawing, "h") == ("output", ["relu", "f32[N, 4, 8, 8]"])
    assert box_named(drawing, "l") == ("loss", ["mean", "f32[]"])


def test_a_node_that_uses_a_value_twice_has_two_edges() -> None:
    drawing = draw(of("input x: f32[3]\noutput y = x * x\n"))
    assert [(e.source, e.target) for e in drawing.edges] == [("n0", "n1"), ("n0", "n1")]


def test_what_is_shared_is_one_box_with_several_edges() -> None:
    view = of("""
input a: f32[2, 3]
input b: f32[2, 3]
block once(x) { return linear(x, 4) as fc }
layer shared = once()
output y = (shared(a) as one) + (shared(b) as two)
""")
    drawing = draw(view, view.facts)
    weight = next(box for box in drawing.boxes.values() if box.title in ("weight", "shared.fc.weight"))
    assert sum(edge.source == weight.id for edge in drawing.edges) == 2


def test_clusters_are_those_of_the_names() -> None:
    view = of("""
input x: f32[2, 3]
block twice(x, width: int) { h = x -> linear(width) as up -> tanh
  return h -> linear(3) as down }
output y = x -> repeat(2, twice(4)) as stage
""")
    drawing = draw(view, view.facts)
    names = {path: {drawing.boxes[b].title for b in c.boxes} for path, c in drawing.clusters.items()}
    assert names[("stage", "0")] == {"up", "h", "stage.0"}
    assert names[("stage", "1")] == {"up", "h", "y"}
    assert drawing.clusters[("stage",)].clusters == [("stage", "0"), ("stage", "1")]


def test_a_large_graph_is_folded_and_says_what_was() -> None:
    view = of("""
input x: f32[2, 3]
block twice(x, width: int) { h = x -> linear(width) as up -> tanh
  return h -> linear(3) as down }
output y = sin(x -> repeat(9, twice(4)) as stage)
""")
    drawing = draw(view, view.facts, 15)
    folded = next(box for box in drawing.boxes.values() if box.title == "stage.3")
    assert folded.is_folded
    assert (folded.lines, folded.parameters) == (["twice: 3 nodes", "f32[2, 3]"], ["31 parameters"])
    assert len(drawing.boxes) == 11
    assert len(draw(view, view.facts, 1000).boxes) == 29


def test_gradients_asked_for_are_marked() -> None:
    view = views()["lenet gradient"]
    drawing = draw(view.shown, view.facts)
    marked = {box.title for box in drawing.boxes.values() if box.kind == "gradient"}
    assert any("weight" in title for title in marked)
    assert drawing.clusters[("d",)].title == "gradients"


def test_a_cluster_through_which_edges_go_round_is_opened() -> None:
    a, b = (("a",),), (("a",), ("a", "b"))
    links = [(1, 2), (2, 3)]
    assert without_cycles({1: a, 2: (), 3: a}, links, ()) == {1: (), 2: (), 3: ()}
    assert without_cycles({1: b, 2: (), 3: b}, links, [{1}]) == {1: (), 2: (), 3: b}
    assert without_cycles({1: b, 2: a, 3: b}, links, ()) == {1: a, 2: a, 3: a}
    assert without_lone_clusters({1: b, 2: b, 3: ()}) == {1: (b[1],), 2: (b[1],), 3: ()}
    assert without_lone_clusters({1: b, 2: a}) == {1: a, 2: a}


# --- the formats ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_format_shows_the_same(name: str) -> None:
    view = views()[name]
    drawing = draw(view.shown, view.facts)
    dot, mermaid, svg = view.to_dot(), view.to_mermaid(), view.to_svg()
    assert re.findall(r"(\w+) -> (\w+);", dot) == [(e.source, e.target) for e in drawing.edges]
    assert re.findall(r"(\w+) --> (\w+)", mermaid) == [(e.source, e.target) for e in drawing.edges]
    assert svg.count("marker-end") == len(drawing.edges)
    assert re.findall(r"(?m)^ +(n\d+) \[label", dot) == re.findall(r"(?m)^ +(n\d+)[\[({]", mermaid)
    assert set(re.findall(r"(?m)^ +(n\d+) \[label", dot)) == set(drawing.boxes)
    assert dot.count("subgraph") == mermaid.count("subgraph") == len(drawing.clusters) - 1
    assert dot.count("{") == dot.count("}")


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_well_formed_self_contained_and_always_the_same(name: str) -> None:
    svg = views()[name].to_svg()
    root = ET.fromstring(svg)
    assert root.tag == f"{SVG}svg"
    assert "href" not in svg
    assert re.findall(r"url\(([^)]*)\)", svg) == ["#arrow"] * svg.count("url(")
    again = gs.load(SPECS / f"{name.removesuffix(' gradient')}.gspec", notify=lambda _: None)
    if name == again._module.name.rpartition("/")[2].removesuffix(".gspec"):
        assert again.graph.to_svg() == svg


def test_what_the_user_wrote_is_escaped() -> None:
    view = View({}, {}, title='a "title" <with> & signs')
    assert '<title>a "title" &lt;with&gt; &amp; signs</title>' in view.to_svg()
    assert r'label="a \"title\" <with> & signs"' in view.to_dot()
    assert "a #quot;title#quot; #lt;with#gt; #amp; signs" in view.to_mermaid()
    line = of('input x: f32[3]\noutput y = bce_with_logits_loss(x, x, reduction="sum")\n')
    assert r"reduction=\"sum\"" in line.to_dot()
    assert "reduction=#quot;sum#quot;" in line.to_mermaid()


def test_a_notebook_is_given_a_drawing_and_the_text() -> None:
    graph = views()["scalar"]
    bundle = graph._repr_mimebundle_()
    assert list(bundle) == ["image/svg+xml", "text/vnd.mermaid", "text/plain"]
    assert bundle["text/plain"] == str(graph)
    assert bundle["text/plain"].startswith("gspec 1\n## Three numbers")
