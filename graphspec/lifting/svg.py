"""A drawing as SVG: self-contained, the same for the same graph, legible without colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

from graphspec.ir import Graph
from graphspec.lifting.clustering import Path
from graphspec.lifting.drawing import Box, Drawing, draw
from graphspec.lifting.facts import Facts
from graphspec.lifting.layout import Layout, Point, Rectangle, lay_out

FONT = "DejaVu Sans, Verdana, Bitstream Vera Sans, Helvetica, Arial, sans-serif"
#: sizes of the title of a box and of its other lines, the height of a line
TITLE, SMALL, LINE_HEIGHT = 12.0, 10.5, 15.0
CLUSTER_TITLE = 11.0
#: inside a box, to the sides and above and below; how far the sheet behind a folded box looks out
SIDE, ABOVE, STACK = 12.0, 7.0, 4.0

# advance widths of DejaVu Sans, in thousandths of the size, from the space to the tilde; Verdana's are the
# same to a hundredth, Helvetica's and Arial's smaller: what fits in one fits in all
_REGULAR = (
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632, 575, 775,
    752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390,
    337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
    635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
)  # fmt: skip
_BOLD = (
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683, 683, 821,
    837, 372, 372, 775, 637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771, 724, 725, 457,
    365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665, 343, 1042, 712, 687,
    716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
)  # fmt: skip

NAMESPACE = "http://www.w3.org/2000/svg"
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" markerWidth="7" markerHeight="7"'
    ' orient="auto"><path d="M0,0.8 L8,4 L0,7.2 z" fill="#555555"/></marker></defs>'
)

#: by style, which is the kind or `nonfinite`: fill, border, width of the border
STYLES = {
    "input": ("#d9e8fb", "#2f5f9e", 1.4),
    "noise": ("#d9e8fb", "#2f5f9e", 1.4),
    "param": ("#fdf1cf", "#9a7417", 1.4),
    "buffer": ("#fdf1cf", "#9a7417", 1.0),
    "op": ("#ffffff", "#777777", 1.0),
    "layer": ("#efefef", "#333333", 1.6),
    "output": ("#e2f3e1", "#2f7a35", 2.2),
    "loss": ("#fbdcd9", "#a8322a", 2.2),
    "objective": ("#fbdcd9", "#a8322a", 3.0),
    "gradient": ("#e9defa", "#5b3a9b", 2.2),
    "nonfinite": ("#ff7070", "#b00000", 3.0),
}
WORDS = {
    "input": "input", "noise": "noise", "param": "parameter", "buffer": "buffer", "op": "op",
    "layer": "layer", "output": "output", "loss": "loss", "objective": "objective",
    "gradient": "gradient asked for", "nonfinite": "not finite",
}  # fmt: skip


def print_svg(graph: Graph, facts: Facts | None = None, limit: int | None = None) -> str:
    """The graph as an SVG document."""
    drawing = draw(graph, facts, limit)
    sizes = {name: box_size(box) for name, box in drawing.boxes.items()}
    titles = {path: text_width(c.title, CLUSTER_TITLE) for path, c in drawing.clusters.items()}
    return render(drawing, lay_out(drawing, sizes, titles))


def text_width(text: str, size: float, bold: bool = False) -> float:
    """The width of a text, at least; what is not in the table is as wide as a wide letter."""
    table = _BOLD if bold else _REGULAR
    return sum(table[ord(c) - 32] if " " <= c <= "~" else 838 for c in text) * size / 1000


def box_size(box: Box) -> tuple[float, float]:
    """The width and the height that a box needs for its lines."""
    widths = [text_width(line, style.size, style.is_bold) for line, style in _lines(box)]
    sides = SIDE + (6.0 if _is_round(box.kind) else 0.0)
    stack = STACK if box.is_folded else 0.0
    return max(widths, default=0.0) + 2 * sides + stack, LINE_HEIGHT * len(widths) + 2 * ABOVE + stack


@dataclass(frozen=True, slots=True)
class _Style:
    size: float
    colour: str
    is_bold: bool = False


_HEAD, _PLAIN, _QUIET = _Style(TITLE, "#111111", True), _Style(SMALL, "#111111"), _Style(SMALL, "#7a5c12")


def _lines(box: Box) -> list[tuple[str, _Style]]:
    """The lines of a box and how they are written."""
    titled = [(box.title, _HEAD)] if box.title else []
    return [*titled, *((t, _PLAIN) for t in box.lines), *((t, _QUIET) for t in box.parameters)]


def _is_round(kind: str) -> bool:
    return kind in ("input", "noise", "loss", "objective")


def render(drawing: Drawing, layout: Layout) -> str:
    """The SVG of a drawing that has been laid out."""
    legend, legend_width = _legend(drawing, layout.height)
    width, height = max(layout.width, legend_width), layout.height + (28 if legend else 0)
    size = f'width="{_n(width)}" height="{_n(height)}"'
    head = [
        f'<svg xmlns="{NAMESPACE}" {size} viewBox="0 0 {_n(width)} {_n(height)}" font-family="{FONT}">',
        f"<title>{escape(drawing.title)}</title>" if drawing.title else "",
        f'<rect {size} fill="#ffffff"/>',
        ARROW,
    ]
    body = [_cluster(path, drawing, layout) for path in sorted(layout.clusters, key=len)]
    body += [_edge(route) for route in layout.routes]
    body += [_cluster_title(path, drawing, layout) for path in sorted(layout.clusters, key=len)]
    body += [_box(box, layout.boxes[id]) for id, box in drawing.boxes.items()]
    return "\n".join(line for line in [*head, *body, *legend, "</svg>"] if line) + "\n"


def _cluster(path: Path, drawing: Drawing, layout: Layout) -> str:
    place = layout.clusters[path]
    fill = ("#f7f8fa", "#eef0f4")[len(path) % 2]
    return _rectangle(place, 8.0, fill, "#b4bac4", 1.0)


def _cluster_title(path: Path, drawing: Drawing, layout: Layout) -> str:
    place, title = layout.clusters[path], drawing.clusters[path].title
    x = _free_place(text_width(title, CLUSTER_TITLE), place, layout)
    halo = 'stroke="#f7f8fa" stroke-width="3" paint-order="stroke"'
    return (
        f'<text x="{_n(x)}" y="{_n(place.y + 15)}" font-size="{_n(CLUSTER_TITLE)}" font-style="italic"'
        f' fill="#3d4654" {halo}>{escape(title)}</text>'
    )


def _free_place(width: float, place: Rectangle, layout: Layout) -> float:
    """Where on the upper border of a cluster no edge crosses a title of this width; else on the left."""
    entering = {x for route in layout.routes for x, y in route if abs(y - place.y) < 0.01}
    inside = sorted(x for x in entering if place.x < x < place.right)
    borders = [place.x, *inside, place.right]
    for left, right in pairwise(borders):
        if right - left >= width + 14:
            return left + 9
    return place.x + 9


def _box(box: Box, place: Rectangle) -> str:
    fill, border, line_width = STYLES[box.style]
    dash = {"noise": "5 3", "buffer": "2 2"}.get(box.kind, "")
    radius = (
        place.height / 2
        if _is_round(box.kind)
        else 7.0
        if box.kind in ("layer", "gradient", "output")
        else 2.0
    )
    radius = min(radius, 18.0)
    parts = []
    if box.is_folded:  # a stack of sheets
        width, height = place.width - STACK, place.height - STACK
        parts.append(
            _rectangle(Rectangle(place.x + STACK, place.y, width, height), radius, "#ffffff", border, 1.0)
        )
        place = Rectangle(place.x, place.y + STACK, width, height)
    parts.append(_rectangle(place, radius, fill, border, line_width, dash))
    if box.kind in ("param", "buffer"):  # a bar that is there in black and white, too
        bar = f"M{_n(place.x + 5)},{_n(place.y)} V{_n(place.bottom)}"
        parts.append(f'<path d="{bar}" stroke="{border}" stroke-width="1" fill="none"/>')
    y = place.y + ABOVE + 11.0
    middle = place.x + place.width / 2
    for line, style in _lines(box):
        weight = ' font-weight="bold"' if style.is_bold else ""
        parts.append(
            f'<text x="{_n(middle)}" y="{_n(y)}" font-size="{_n(style.size)}"{weight} text-anchor="middle"'
            f' fill="{style.colour}">{escape(line)}</text>'
        )
        y += LINE_HEIGHT
    return "".join(parts)


def _rectangle(place: Rectangle, radius: float, fill: str, border: str, width: float, dash: str = "") -> str:
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<rect x="{_n(place.x)}" y="{_n(place.y)}" width="{_n(place.width)}" height="{_n(place.height)}"'
        f' rx="{_n(radius)}" fill="{fill}" stroke="{border}" stroke-width="{_n(width)}"{dashes}/>'
    )


def _edge(route: Sequence[Point]) -> str:
    """Upright pieces with curves between them."""
    path = [f"M{_n(route[0][0])},{_n(route[0][1])}"]
    for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(route)):
        if i % 2 == 0 or abs(x0 - x1) < 0.05:
            path.append(f"L{_n(x1)},{_n(y1)}")
        else:
            middle = (y0 + y1) / 2
            path.append(f"C{_n(x0)},{_n(middle)} {_n(x1)},{_n(middle)} {_n(x1)},{_n(y1)}")
    line = 'fill="none" stroke="#555555" stroke-width="1.1" marker-end="url(#arrow)"'
    return f'<path d="{" ".join(path)}" {line}/>'


def _legend(drawing: Drawing, top: float) -> tuple[list[str], float]:
    """A swatch for each style of box that occurs, and the width of it all."""
    kinds = [kind for kind in STYLES if any(box.style == kind for box in drawing.boxes.values())]
    parts: list[str] = []
    x = 14.0
    for kind in kinds:
        swatch = Box("", kind, "", [], ())
        parts.append(_box(swatch, Rectangle(x, top + 2, 22.0, 12.0)))
        parts.append(
            f'<text x="{_n(x + 28)}" y="{_n(top + 12)}" font-size="10" fill="#333333">{WORDS[kind]}</text>'
        )
        x += 28 + text_width(WORDS[kind], 10.0) + 16
    return parts, x


def _n(number: float) -> str:
    """A number with one decimal at most."""
    return f"{number:.1f}".removesuffix(".0")
