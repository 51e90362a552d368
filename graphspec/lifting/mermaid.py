"""A drawing as text for Mermaid, which Markdown viewers render."""

from __future__ import annotations

from collections.abc import Iterator

from graphspec.ir import Graph
from graphspec.lifting.clustering import Path
from graphspec.lifting.drawing import Box, Drawing, draw
from graphspec.lifting.facts import Facts
from graphspec.lifting.svg import STYLES

#: what stands around the label of a box, by kind
SHAPES = {
    "input": ("([", "])"),
    "noise": ("([", "])"),
    "param": ("[[", "]]"),
    "buffer": ("[[", "]]"),
    "loss": ("{{", "}}"),
    "objective": ("{{", "}}"),
    "layer": ("(", ")"),
    "output": ("(", ")"),
    "gradient": ("(", ")"),
}
_ESCAPES = {'"': "#quot;", "<": "#lt;", ">": "#gt;", "&": "#amp;", "#": "#35;", "`": "#96;"}


def print_mermaid(graph: Graph, facts: Facts | None = None, limit: int | None = None) -> str:
    """The graph as a Mermaid flowchart, with the same boxes, edges and clusters as its SVG."""
    drawing = draw(graph, facts, limit)
    kinds = [kind for kind in STYLES if any(box.style == kind for box in drawing.boxes.values())]
    lines = [
        *(
            ["---", f'title: "{_escaped(drawing.title.replace(chr(10), " "))}"', "---"]
            if drawing.title
            else []
        ),
        "flowchart TD",
        *_content(drawing),
        *(f"  {edge.source} --> {edge.target}" for edge in drawing.edges),
        *(_class(kind) for kind in kinds),
    ]
    return "\n".join(lines) + "\n"


def _content(drawing: Drawing) -> Iterator[str]:
    """Clusters and what is in them; without recursion, since names may be long."""
    numbers = {path: number for number, path in enumerate(drawing.clusters)}
    todo: list[tuple[str, Path]] = [("open", ())]
    depth = 1
    while todo:
        word, path = todo.pop()
        if word == "close":
            depth -= 1
            yield f"{'  ' * depth}end"
            continue
        cluster = drawing.clusters[path]
        if path:
            yield f'{"  " * depth}subgraph c{numbers[path]}["{_escaped(cluster.title)}"]'
            depth += 1
            todo.append(("close", path))
        yield from (f"{'  ' * depth}{_box(drawing.boxes[name])}" for name in cluster.boxes)
        todo.extend(("open", inner) for inner in reversed(cluster.clusters))


def _box(box: Box) -> str:
    before, after = ("[/", "/]") if box.is_folded else SHAPES.get(box.kind, ("[", "]"))
    title = [f"<b>{_escaped(box.title)}</b>"] if box.title else []
    label = "<br/>".join([*title, *map(_escaped, [*box.lines, *box.parameters])])
    return f'{box.id}{before}"{label}"{after}:::{box.style}'


def _class(kind: str) -> str:
    fill, border, width = STYLES[kind]
    dash = {"noise": ",stroke-dasharray:5 3", "buffer": ",stroke-dasharray:2 2"}.get(kind, "")
    return f"  classDef {kind} fill:{fill},stroke:{border},stroke-width:{width:g}px,color:#111{dash}"


def _escaped(text: str) -> str:
    """The text with what Mermaid reads otherwise as entities; a sign in front would begin a list."""
    escaped = "".join(_ESCAPES.get(character, character) for character in text)
    if escaped[:1] in ("-", "+", "*"):
        return f"#{ord(escaped[0])};{escaped[1:]}"
    return escaped
