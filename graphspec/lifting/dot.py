"""A drawing as text for Graphviz."""

from __future__ import annotations

from collections.abc import Iterator

from graphspec.ir import Graph
from graphspec.lifting.clustering import Path
from graphspec.lifting.drawing import Box, Drawing, draw
from graphspec.lifting.facts import Facts
from graphspec.lifting.svg import STYLES

SHAPES = {"input": "ellipse", "noise": "ellipse", "loss": "octagon", "objective": "doubleoctagon"}


def print_dot(graph: Graph, facts: Facts | None = None, limit: int | None = None) -> str:
    """The graph in the language of Graphviz, with the same boxes, edges and clusters as its SVG."""
    drawing = draw(graph, facts, limit)
    lines = [
        "digraph {",
        '  node [fontname="Helvetica", fontsize=10];',
        *([f"  label={_quoted(drawing.title)};"] if drawing.title else []),
        *_content(drawing),
        *(f"  {edge.source} -> {edge.target};" for edge in drawing.edges),
        "}",
    ]
    return "\n".join(lines) + "\n"


def _content(drawing: Drawing) -> Iterator[str]:
    """Clusters and what is in them; without recursion, since names may be long."""
    numbers = {path: number for number, path in enumerate(drawing.clusters)}
    todo: list[tuple[str, str | Path]] = [("open", ())]
    depth = 0
    while todo:
        word, path = todo.pop()
        if word == "close":
            depth -= 1
            yield f"{'  ' * (depth + 1)}}}"
            continue
        assert isinstance(path, tuple)
        cluster = drawing.clusters[path]
        if path:
            yield f"{'  ' * (depth + 1)}subgraph cluster_{numbers[path]} {{"
            depth += 1
            yield f"{'  ' * (depth + 1)}label={_quoted(cluster.title)}; style=rounded; labeljust=l;"
            todo.append(("close", path))
        yield from (f"{'  ' * (depth + 1)}{_box(drawing.boxes[name])}" for name in cluster.boxes)
        todo.extend(("open", inner) for inner in reversed(cluster.clusters))


def _box(box: Box) -> str:
    fill, border, _ = STYLES[box.style]
    dash = {"noise": ",dashed", "buffer": ",dotted"}.get(box.kind, "")
    shape = "box3d" if box.is_folded else SHAPES.get(box.kind, "box")
    style = f'style="filled{dash}", fillcolor="{fill}", color="{border}"'
    return f"{box.id} [label={_quoted(chr(10).join(box.label))}, shape={shape}, {style}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
