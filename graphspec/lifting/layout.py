"""A layered layout of a drawing: where each box and cluster stands, and the way of each edge.

After Sugiyama, Tagawa & Toda (1981), doi:10.1109/TSMC.1981.4308636: every box gets a layer, so that all edges
go down; edges that pass a layer take a place in it like a box; the order within layers is chosen so that
few edges cross (barycentres, in sweeps); then x coordinates are chosen that keep edges short and upright,
which for a fixed order is isotonic regression.  Clusters are laid out from the innermost on, each a box in
the one around it, with ports on its upper and lower border where edges pass: so they nest by construction.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import networkx as nx

from graphspec.lifting.clustering import Path
from graphspec.lifting.drawing import Drawing

#: between boxes in a layer, between an edge and a box, between layers, inside the border of a cluster
SPACE, LANE, GAP, PADDING, HEADER = 24.0, 12.0, 34.0, 14.0, 20.0

Point: TypeAlias = "tuple[float, float]"
#: a box, or a cluster of boxes
Part: TypeAlias = "str | Path"
#: an edge in a cluster: its number, the part that it leaves and the one that it reaches, None for the border
Link: TypeAlias = "tuple[int, Part | None, Part | None]"
#: a part of a level; the place where an edge passes a layer; a port on the border
Key: TypeAlias = "tuple[str, Part, int]"


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Left, top, width, height."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height


@dataclass(slots=True)
class Layout:
    """Where everything is.

    `routes` holds for each edge of the drawing, by its position in the list, the points of its way: an
    even number of upright pieces, from the lower border of the source to the upper border of the target.
    """

    width: float
    height: float
    boxes: dict[str, Rectangle]
    clusters: dict[Path, Rectangle]
    routes: list[list[Point]]


def lay_out(
    drawing: Drawing, sizes: Mapping[str, tuple[float, float]], titles: Mapping[Path, float]
) -> Layout:
    """The layout of a drawing: its boxes have these widths and heights, titles of clusters these widths."""
    return _Composer(drawing, sizes, titles).layout()


@dataclass(slots=True)
class _Level:
    """One cluster laid out: where its parts and ports are in it, and the pieces of edges through it.

    `pieces` are by edge, the points of its way between two parts, or between a part and the border.
    """

    width: float = 0.0
    height: float = 0.0
    places: dict[Part, Point] = field(default_factory=dict)
    entries: dict[str, float] = field(default_factory=dict)
    exits: dict[str, float] = field(default_factory=dict)
    pieces: dict[int, list[Point]] = field(default_factory=dict)


class _Composer:
    """Lays out the clusters of a drawing from the innermost on, and puts them together."""

    def __init__(
        self, drawing: Drawing, sizes: Mapping[str, tuple[float, float]], titles: Mapping[Path, float]
    ) -> None:
        self.drawing = drawing
        self.titles = titles
        self.sizes: dict[Part, tuple[float, float]] = dict(sizes.items())
        self.levels: dict[Path, _Level] = {}
        #: for each box the clusters around it, from the outermost, and then the box itself
        self.chains: dict[str, list[Part]] = {}
        parents = {inner: path for path, c in drawing.clusters.items() for inner in c.clusters}
        for path, cluster in drawing.clusters.items():
            chain: list[Part] = []
            around: Path | None = path
            while around is not None:
                chain.append(around)
                around = parents.get(around)
            for box in cluster.boxes:
                self.chains[box] = [*reversed(chain), box]

    def layout(self) -> Layout:
        edges = self._edges_by_cluster()
        for path in sorted(self.drawing.clusters, key=len, reverse=True):
            self.levels[path] = self._lay_out_level(path, edges.get(path, []))
            self.sizes[path] = self.levels[path].width, self.levels[path].height
        return self._put_together()

    def _edges_by_cluster(self) -> dict[Part, list[Link]]:
        """For each cluster the edges in it."""
        found: dict[Part, list[Link]] = {}
        for number, edge in enumerate(self.drawing.edges):
            one, other = self.chains[edge.source], self.chains[edge.target]
            common = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            for i in range(len(one) - 2, common - 1, -1):
                found.setdefault(one[i], []).append((number, one[i + 1], None))
            found.setdefault(one[common - 1], []).append((number, one[common], other[common]))
            for i in range(common, len(other) - 1):
                found.setdefault(other[i], []).append((number, None, other[i + 1]))
        return found

    def _lay_out_level(self, path: Path, edges: Sequence[Link]) -> _Level:
        cluster = self.drawing.clusters[path]
        parts: list[Part] = [*cluster.boxes, *cluster.clusters]
        return _LevelLayout(self, path, parts, edges).level()

    def exit_of(self, part: Part, source: str) -> float:
        """Where an edge from the box `source` leaves a part, from the part's middle."""
        if isinstance(part, str):
            return 0.0
        return self.levels[part].exits[source] - self.levels[part].width / 2

    def entry_of(self, part: Part, source: str) -> float | None:
        """Where an edge from the box `source` enters a cluster, from its middle; a box leaves it open."""
        if isinstance(part, str):
            return None
        return self.levels[part].entries[source] - self.levels[part].width / 2

    def _put_together(self) -> Layout:
        """Absolute places, from the outermost cluster on."""
        origins: dict[Path, Point] = {(): (0.0, 0.0)}
        boxes: dict[str, Rectangle] = {}
        clusters: dict[Path, Rectangle] = {}
        for path in sorted(self.drawing.clusters, key=len):
            x0, y0 = origins[path]
            for part, (x, y) in self.levels[path].places.items():
                width, height = self.sizes[part]
                place = Rectangle(x0 + x, y0 + y, width, height)
                if isinstance(part, str):
                    boxes[part] = place
                else:
                    clusters[part], origins[part] = place, (place.x, place.y)
        routes = [self._route(number, origins) for number in range(len(self.drawing.edges))]
        return Layout(self.levels[()].width, self.levels[()].height, boxes, clusters, routes)

    def _route(self, number: int, origins: Mapping[Path, Point]) -> list[Point]:
        edge = self.drawing.edges[number]
        one, other = self.chains[edge.source], self.chains[edge.target]
        passed = [*reversed(one[:-1]), *other[:-1]]
        route: list[Point] = []
        for path in dict.fromkeys(passed):
            assert isinstance(path, tuple)
            x0, y0 = origins[path]
            route += [(x0 + x, y0 + y) for x, y in self.levels[path].pieces.get(number, ())]
        return route


class _LevelLayout:
    """The layout of one cluster's parts."""

    def __init__(
        self,
        composer: _Composer,
        path: Path,
        parts: Sequence[Part],
        edges: Sequence[Link],
    ) -> None:
        self.composer = composer
        self.path = path
        self.parts = parts
        self.edges = edges
        self.sources = [e.source for e in composer.drawing.edges]
        self.width: dict[Key, float] = {}
        #: the first is the upper border, the last may be the lower one
        self.layers: list[list[Key]] = [[]]
        self.layer_of: dict[Key, int] = {}
        #: pieces between neighbouring layers: upper, offset in it, lower, offset in it
        self.pieces: list[tuple[Key, float, Key, float]] = []
        self.ways: dict[int, list[Key]] = {}
        self.x: dict[Key, float] = {}
        self.positions: dict[Key, int] = {}

    def level(self) -> _Level:
        self._assign_layers()
        self._thread_edges()
        self._order()
        self._place()
        return self._finish()

    # --- layers -------------------------------------------------------------------------------------

    def _assign_layers(self) -> None:
        """Longest paths; what has nothing above it stands just above what uses it."""
        graph: nx.DiGraph = nx.DiGraph()
        graph.add_nodes_from(self.parts)
        graph.add_edges_from((a, b) for _, a, b in self.edges if a is not None and b is not None)
        entered = {b for _, a, b in self.edges if a is None}
        layers: dict[Part, int] = {}
        for number, generation in enumerate(nx.topological_generations(graph)):
            layers.update(dict.fromkeys(generation, number + 1))
        for part in self.parts:
            if graph.in_degree(part) == 0 and part not in entered and graph.out_degree(part):
                layers[part] = min(layers[user] for user in graph.successors(part)) - 1
        lowest = min(layers.values(), default=1)
        last = max(layers.values(), default=1) - lowest + 2
        for part in self.parts:
            self._add(("part", part, 0), layers[part] - lowest + 1, self.composer.sizes[part][0])
        for number, a, b in self.edges:
            if a is None:
                self._add(("entry", self.sources[number], 0), 0, 0.0)
            if b is None:
                self._add(("exit", self.sources[number], 0), last, 0.0)

    def _add(self, key: Key, layer: int, width: float) -> None:
        if key in self.layer_of:
            return
        self.layer_of[key] = layer
        self.width[key] = width
        while len(self.layers) <= layer:
            self.layers.append([])
        self.layers[layer].append(key)

    def _thread_edges(self) -> None:
        """Give edges that pass a layer a place in it; those from one box share it."""
        known: set[tuple[Key, Key, int]] = set()
        for number, a, b in self.edges:
            source = self.sources[number]
            upper: Key = ("entry", source, 0) if a is None else ("part", a, 0)
            lower: Key = ("exit", source, 0) if b is None else ("part", b, 0)
            way = [upper]
            for layer in range(self.layer_of[upper] + 1, self.layer_of[lower]):
                key: Key = ("lane", source, layer)
                self._add(key, layer, 0.0)
                way.append(key)
            way.append(lower)
            self.ways[number] = way
            for one, other in pairwise(way):
                # several operands of one box are several edges
                count = number if other == lower and lower[0] == "part" else -1
                if (one, other, count) not in known:
                    known.add((one, other, count))
                    self.pieces.append((one, self._exit(one, source), other, self._entry(other, source)))

    def _exit(self, key: Key, source: str) -> float:
        return self.composer.exit_of(key[1], source) if key[0] == "part" else 0.0

    def _entry(self, key: Key, source: str) -> float:
        return (self.composer.entry_of(key[1], source) or 0.0) if key[0] == "part" else 0.0

    # --- order --------------------------------------------------------------------------------------

    def _order(self) -> None:
        """Reduce crossings: sort layers by the mean place of their neighbours, down and up in turn."""
        between: list[list[tuple[Key, float, Key, float]]] = [[] for _ in self.layers]
        for piece in self.pieces:
            between[self.layer_of[piece[2]]].append(piece)
        best, fewest = [list(layer) for layer in self.layers], self._crossings(between)
        for sweep in range(12):
            if fewest == 0:
                break
            down = sweep % 2 == 0
            for number in range(len(self.layers)) if down else range(len(self.layers) - 1, -1, -1):
                self._sort_layer(number, between, down)
            found = self._crossings(between)
            if found < fewest:
                best, fewest = [list(layer) for layer in self.layers], found
        self.layers = best

    def _sort_layer(
        self, number: int, between: Sequence[Sequence[tuple[Key, float, Key, float]]], down: bool
    ) -> None:
        other = number - 1 if down else number + 1
        if not 0 <= other < len(self.layers):
            return
        rank = {key: float(i) for i, key in enumerate(self.layers[other])}
        sums: dict[Key, tuple[float, int]] = {}
        for upper, out, lower, into in between[max(number, other)]:
            far, near, shift = (
                (upper, lower, self._share(upper, out)) if down else (lower, upper, self._share(lower, into))
            )
            total, count = sums.get(near, (0.0, 0))
            sums[near] = total + rank[far] + shift, count + 1
        current = {key: i for i, key in enumerate(self.layers[number])}
        middle = {key: sums[key][0] / sums[key][1] if key in sums else None for key in current}
        # what has no neighbours there keeps its place; the others are sorted among their places
        moving = sorted((k for k in current if middle[k] is not None), key=lambda k: (middle[k], current[k]))
        order = iter(moving)
        self.layers[number] = [next(order) if middle[key] is not None else key for key in current]

    def _share(self, key: Key, offset: float) -> float:
        """An offset within a part, as a fraction of the distance to the next."""
        return 0.8 * offset / self.width[key] if self.width[key] else 0.0

    def _crossings(self, between: Sequence[Sequence[tuple[Key, float, Key, float]]]) -> int:
        total = 0
        for number in range(1, len(self.layers)):
            upper = {key: i for i, key in enumerate(self.layers[number - 1])}
            lower = {key: i for i, key in enumerate(self.layers[number])}
            ends = sorted(
                (upper[a] + self._share(a, out), lower[b] + self._share(b, into))
                for a, out, b, into in between[number]
            )
            seen: list[float] = []
            for _, end in ends:
                total += len(seen) - bisect_right(seen, end)
                insort(seen, end)
        return total

    # --- coordinates --------------------------------------------------------------------------------

    def _place(self) -> None:
        """x coordinates of the middles: each as near to its neighbours' as the order allows."""
        up: dict[Key, list[tuple[Key, float]]] = {}
        down: dict[Key, list[tuple[Key, float]]] = {}
        for a, out, b, into in self.pieces:
            down.setdefault(a, []).append((b, into - out))
            up.setdefault(b, []).append((a, out - into))
        self.positions = {key: i for layer in self.layers for i, key in enumerate(layer)}
        for layer in self.layers:
            at = 0.0
            for before, key in zip([None, *layer], layer, strict=False):
                at += self._distance(before, key) if before else 0.0
                self.x[key] = at
            for key in layer:
                self.x[key] -= at / 2
        for sweep in range(24):
            sides = (up,) if sweep % 3 == 0 else (down,) if sweep % 3 == 1 else (up, down)
            order = self.layers if sweep % 3 != 1 else self.layers[::-1]
            for layer in order:
                self._relax(layer, sides)
        for _ in range(2):
            for way in self.ways.values():
                self._straighten([key for key in way if key[0] == "lane"])

    def _straighten(self, lanes: Sequence[Key]) -> None:
        """Let an edge that passes several layers be upright as long as what stands beside it allows."""
        run: list[Key] = []
        low, high = -math.inf, math.inf
        for key in [*lanes, None]:
            if key is not None:
                least, most = self._freedom(key)
                if max(low, least) <= min(high, most):
                    run.append(key)
                    low, high = max(low, least), min(high, most)
                    continue
            middle = sum(self.x[k] for k in run) / len(run) if run else 0.0
            for member in run:
                self.x[member] = min(max(middle, low), high)
            if key is not None:
                run, (low, high) = [key], self._freedom(key)

    def _freedom(self, key: Key) -> tuple[float, float]:
        """Between which coordinates something may move while its neighbours stay."""
        layer = self.layers[self.layer_of[key]]
        at = self.positions[key]
        before, after = layer[at - 1] if at else None, layer[at + 1] if at + 1 < len(layer) else None
        low = -math.inf if before is None else self.x[before] + self._distance(before, key)
        high = math.inf if after is None else self.x[after] - self._distance(key, after)
        # least squares leave neighbours exactly at their distance, but for rounding
        return (low, high) if low <= high else (self.x[key], self.x[key])

    def _relax(self, layer: Sequence[Key], sides: Sequence[Mapping[Key, list[tuple[Key, float]]]]) -> None:
        wanted: list[float] = []
        weights: list[float] = []
        for key in layer:
            near = [(self.x[k] + shift, k) for side in sides for k, shift in side.get(key, ())]
            lanes = sum(k[0] == "lane" for _, k in near)
            straight = 4.0 if key[0] == "lane" and lanes else 1.0
            wanted.append(sum(x for x, _ in near) / len(near) if near else self.x[key])
            weights.append(straight * len(near) if near else 0.05)
        gaps = [self._distance(a, b) for a, b in pairwise(layer)]
        for key, x in zip(layer, _spread(wanted, weights, gaps), strict=True):
            self.x[key] = x

    def _distance(self, left: Key, right: Key) -> float:
        between = SPACE if left[0] == right[0] == "part" else LANE
        return (self.width[left] + self.width[right]) / 2 + between

    def _finish(self) -> _Level:
        """Shift everything into the positive, and give layers their heights."""
        edge = [(self.x[k] - self.width[k] / 2, self.x[k] + self.width[k] / 2) for k in self.layer_of]
        margin = PADDING if self.path else SPACE
        left = min((low for low, _ in edge), default=0.0) - margin
        width = max((high for _, high in edge), default=0.0) + margin - left
        missing = max(self.composer.titles.get(self.path, 0.0) + 2 * PADDING - width, 0.0)
        left -= missing / 2
        result = _Level(width=width + missing)
        tops, heights, result.height = self._rows()
        for key, layer in self.layer_of.items():
            middle = self.x[key] - left
            if key[0] == "entry":
                result.entries[str(key[1])] = middle
            elif key[0] == "exit":
                result.exits[str(key[1])] = middle
            elif key[0] == "part":
                width, _ = self.composer.sizes[key[1]]
                result.places[key[1]] = middle - width / 2, self._top(key, tops[layer], heights[layer])
        arrivals = self._arrivals(left)
        for number, way in self.ways.items():
            result.pieces[number] = self._points(number, way, left, tops, heights, arrivals)
        return result

    def _top(self, key: Key, top: float, height: float) -> float:
        """Where a part stands in its layer: near its neighbours, if they are on one side only."""
        room = height - self.composer.sizes[key[1]][1]
        above = any(lower == key for _, _, lower, _ in self.pieces)
        below = any(upper == key for upper, _, _, _ in self.pieces)
        return top + room * (0.5 if above == below else 0.0 if above else 1.0)

    def _rows(self) -> tuple[list[float], list[float], float]:
        """The top and the height of each layer, and of the whole.

        The first and the last layer are the borders of the cluster.
        """
        heights = [
            max((self.composer.sizes[k[1]][1] for k in layer if k[0] == "part"), default=0.0)
            for layer in self.layers
        ]
        has_exits = any(key[0] == "exit" for key in self.layers[-1])
        inner = range(1, len(self.layers) - has_exits)
        tops = [0.0] * len(self.layers)
        at = (HEADER + PADDING if self.path else SPACE) + (GAP / 2 if self.layers[0] and self.path else 0.0)
        for number in inner:
            tops[number] = at
            at += heights[number] + self._gap(number)
        if len(inner):
            at -= self._gap(inner[-1])
        at += PADDING if self.path else SPACE
        if has_exits:
            at += GAP / 2
            tops[-1] = at
        return tops, heights, at

    def _gap(self, number: int) -> float:
        """The room below a layer: more where edges go far to the side."""
        far = max(
            (
                abs(self.x[a] + out - self.x[b] - into)
                for a, out, b, into in self.pieces
                if self.layer_of[a] == number
            ),
            default=0.0,
        )
        return GAP + min(far / 12, 30.0)

    def _arrivals(self, left: float) -> dict[tuple[int, Part], float]:
        """Where on the upper border of a box each edge arrives: side by side, in the order they come."""
        coming: dict[str, list[tuple[float, int]]] = {}
        for number, way in self.ways.items():
            last = way[-1]
            if last[0] == "part" and isinstance(last[1], str):
                before = way[-2]
                x = self.x[before] + self._exit(before, self.sources[number])
                coming.setdefault(last[1], []).append((x, number))
        found: dict[tuple[int, Part], float] = {}
        for box, ends in coming.items():
            middle = self.x["part", box, 0] - left
            room = min(0.7 * self.width["part", box, 0], 16.0 * (len(ends) - 1))
            for i, (_, number) in enumerate(sorted(ends)):
                share = i / (len(ends) - 1) - 0.5 if len(ends) > 1 else 0.0
                found[number, box] = middle + share * room
        return found

    def _points(
        self,
        number: int,
        way: Sequence[Key],
        left: float,
        tops: Sequence[float],
        heights: Sequence[float],
        arrivals: Mapping[tuple[int, Part], float],
    ) -> list[Point]:
        """Upright pieces through layers; between them, in the gaps, the edge is free to bend."""
        source = self.sources[number]
        points: list[Point] = []
        for position, key in enumerate(way):
            layer = self.layer_of[key]
            top, bottom = tops[layer], tops[layer] + heights[layer]
            x = self.x[key] - left
            if key[0] == "part":
                height = self.composer.sizes[key[1]][1]
                first = self._top(key, top, heights[layer])
                if position == 0:
                    points += [
                        (x + self._exit(key, source), first + height),
                        (x + self._exit(key, source), bottom),
                    ]
                else:
                    x = arrivals.get((number, key[1]), x + self._entry(key, source))
                    points += [(x, top), (x, first)]
            else:
                points += [(x, top), (x, bottom)]
        return points


def _spread(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Numbers as near to `wanted` as possible, each at least a gap above the one before.

    Least squares: isotonic regression of `wanted` minus the gaps so far, by pooling adjacent violators
    (Ayer et al., 1955, Ann. Math. Statist. 26).
    """
    sums = [0.0]
    for gap in gaps:
        sums.append(sums[-1] + gap)
    pools: list[tuple[float, float, int]] = []  # weighted mean, weight, how many
    for value, weight, start in zip(wanted, weights, sums, strict=False):
        pool = (value - start, weight, 1)
        while pools and pools[-1][0] >= pool[0]:
            mean, heavy, count = pools.pop()
            total = heavy + pool[1]
            pool = ((mean * heavy + pool[0] * pool[1]) / total, total, count + pool[2])
        pools.append(pool)
    means = [mean for mean, _, count in pools for _ in range(count)]
    return [mean + start for mean, start in zip(means, sums, strict=False)]
