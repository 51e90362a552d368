"""Norms of per-example gradients without the gradients: from products of the factors with themselves.

The gradient of a weight in one example is a product X' G of a few rows, and |X' G|**2 is the sum over all
pairs of rows of (X X')[s, t] * (G G')[s, t].  With one row that is |x|**2 * |g|**2.  With T rows it is
cheaper where 2 * T**2 < p * d, for a weight p x d.

Source: Goodfellow (2015), arXiv:1510.01799, for one row; Li et al. (2021), arXiv:2110.05679, for
sequences; Bu, Mao & Xu (2022), arXiv:2205.10683, for convolutions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from graphspec.ir import Graph, Node, Size, Value, apply, evaluate, rebuild
from graphspec.ir.sizes import product
from graphspec.ops.construction import Arange
from graphspec.ops.contraction import Matmul
from graphspec.ops.convolution import ConvolutionWeightAdjoint
from graphspec.ops.indexing import Gather, ScatterAdd
from graphspec.ops.reduction import Sum
from graphspec.ops.rounding import Neg
from graphspec.ops.shape import Concat, Embed, Reshape, Transpose, swap_last
from graphspec.transforms.broadcasting import make


def gram_products(graph: Graph, sizes: Mapping[str, int]) -> Graph:
    """Replace the sum of squares of a product, for each index of the first axis, by sums over its factors.

    Where that is cheaper for these sizes, and the product is used for nothing else.  Needs calls
    inlined, shapes and algebra simplified.  Sums are taken in another order.

        sum((x * g) ** 2, axis=[1, 2]), x[N, p, 1], g[N, 1, d]   becomes
        sum(x ** 2, axis=[1, 2]) * sum(g ** 2, axis=[1, 2])
    """
    uses = Counter(v for node in graph.nodes for v in node.inputs)
    uses.update(graph.outputs.values())
    search = _Search(uses, sizes)

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        g = _squared(node)
        if g is None or uses[g] > 2 or uses[node.inputs[0]] > 1:
            return None
        return search.squares(g)

    return rebuild(graph, rule)


def _squared(node: Node) -> Value | None:
    """g, where the node is sum(g * g) over all axes but the first."""
    op = node.op
    if not isinstance(op, Sum) or op.keepdims or op.axis != tuple(range(1, len(node.inputs[0].shape))):
        return None
    square = node.inputs[0].node
    is_square = square.op.name == "mul" and square.inputs[0] == square.inputs[1]
    return square.inputs[0] if is_square else None


@dataclass(eq=False)
class _Search:
    """Looks through what moves elements only for the products behind it."""

    uses: Counter[Value]
    sizes: Mapping[str, int]

    def squares(self, g: Value) -> Value | None:
        """The sums of squares of g[N, ...] without g; None where that is not cheaper."""
        g = self.source(g)
        terms = self.terms(g)
        if len(terms) > 1:
            return self.of_sum(terms)
        match g.node.op:
            case Concat(axis=axis) if axis > 0:
                return self.added(g.node.inputs)
            case Matmul():
                return self.of_products([g])
            case Reshape():
                return self.of_convolution(g)
            case ScatterAdd():
                return self.of_scattered(g)
        return None

    def source(self, g: Value) -> Value:
        """What g has its elements from, but for their places and signs, and zeros."""
        while True:
            op, lead = g.node.op, g.shape[0]
            if not isinstance(op, Reshape | Transpose | Neg | Embed):
                return g
            x = g.node.inputs[0]
            keeps = bool(x.shape) and x.shape[0] == lead and self.uses[g] <= 2
            if isinstance(op, Transpose):
                keeps &= op.axes[0] == 0
            if isinstance(op, Embed):
                keeps &= op.value == 0
            if not keeps:
                return g
            g = x

    def terms(self, g: Value) -> list[Value]:
        """The terms of a sum that is used nowhere else."""
        found: list[Value] = []
        todo = [g]
        while todo:
            value = todo.pop()
            inputs = value.node.inputs
            is_sum = value.node.op.name == "add" and all(x.shape == value.shape for x in inputs)
            if is_sum and (value is g or self.uses[value] == 1):
                todo.extend(reversed(inputs))
            else:
                found.append(value)
        return found

    def of_sum(self, terms: Sequence[Value]) -> Value | None:
        """Of products: they are one product, of the factors side by side.  Of parts: each by itself."""
        if all(isinstance(t.node.op, Embed) for t in terms):
            return self.added(terms) if _are_disjoint(terms) else None
        return self.of_products(terms)

    def added(self, parts: Sequence[Value]) -> Value | None:
        """The sum over parts that have no place in common, if it is cheaper for one of them."""
        found = [self.squares(part) for part in parts]
        if not any(found):
            return None
        total: Value | None = None
        for part, cheap in zip(parts, found, strict=True):
            term = _sum_behind(part * part) if cheap is None else cheap
            total = term if total is None else total + term
        return total

    def of_products(self, terms: Sequence[Value]) -> Value | None:
        """sum of X_i' G_i, for each index of the first axis."""
        factors: list[tuple[Value, Value]] = []
        for term in terms:
            pair = _factors(term)
            if pair is None or self.uses[term] > 2:
                return None
            factors.append(pair)
        left, right = (_joined([f[i] for f in factors]) for i in (0, 1))
        if left is None or right is None or left.shape[:-2] != right.shape[:-2]:
            return None
        rows, weight = left.shape[-2], left.shape[-1] * right.shape[-1]
        if not self.is_cheaper(rows, weight):
            return None
        if rows == 1:
            return _sum_behind(left * left) * _sum_behind(right * right)
        return _sum_behind((left @ swap_last(left)) * (right @ swap_last(right)))

    def of_convolution(self, g: Value) -> Value | None:
        """Of the weights of a convolution, each group of which belongs to one index of the first axis."""
        node = g.node.inputs[0].node
        op, lead = node.op, g.shape[0]
        if (
            not isinstance(op, ConvolutionWeightAdjoint)
            or op.groups % lead != 0
            or self.uses[node.values[0]] > 1
        ):
            return None
        cotangent, x = node.inputs
        if x.shape[0] != 1:
            return None
        places = cotangent.shape[2] * cotangent.shape[3]
        rows = cotangent.shape[1] // op.groups
        column = product(node.types[0].shape[1:])
        if not self.is_cheaper(places, rows * column):
            return None
        right = make("reshape", cotangent, shape=(op.groups, rows, places))
        left = make("reshape", _windows(op, x, cotangent.shape[2:]), shape=(op.groups, column, places))
        pairs = _sum_behind((swap_last(left) @ left) * (swap_last(right) @ right))
        return _sum_behind(make("reshape", pairs, shape=(lead, op.groups // lead)))

    def of_scattered(self, g: Value) -> Value | None:
        """Of the rows of a table: pairs of rows count where they are added at the same place."""
        op = g.node.op
        assert isinstance(op, ScatterAdd)
        rows, *indices = g.node.inputs
        if op.axis != 0 or len(indices) != 2 or not _is_range(indices[0], g.shape[0]):
            return None
        lead, many = g.shape[0], product(indices[1].shape[1:])
        if indices[1].shape[:1] != (lead,) or not self.is_cheaper(many, product(g.shape[1:])):
            return None
        flat = make("reshape", rows, shape=(lead, many, product(g.shape[2:])))
        place = indices[1]
        down, across = (make("reshape", place, shape=(lead, *shape)) for shape in ((many, 1), (1, many)))
        pairs = flat @ swap_last(flat)
        met = make("cast", make("equal", down, across), dtype=pairs.dtype)
        return _sum_behind(pairs * met)

    def is_cheaper(self, rows: Size, weight: Size) -> bool:
        return 2 * evaluate(rows, self.sizes) ** 2 < evaluate(weight, self.sizes)


def _sum_behind(x: Value) -> Value:
    """The sum over all axes but the first."""
    return make("sum", x, axis=tuple(range(1, len(x.shape))))


def _factors(term: Value) -> tuple[Value, Value] | None:
    """x[..., T, p] and g[..., T, d] of a product x' g, possibly transposed as a whole."""
    swapped = False
    while isinstance(term.node.op, Transpose) and _swaps(term.node.op):
        swapped, term = not swapped, term.node.inputs[0]
    if not isinstance(term.node.op, Matmul):
        return None
    left, right = term.node.inputs
    if len(left.shape) != len(right.shape) or len(left.shape) < 3:
        return None
    left = (
        left.node.inputs[0]
        if isinstance(left.node.op, Transpose) and _swaps(left.node.op)
        else swap_last(left)
    )
    return (right, left) if swapped else (left, right)


def _swaps(op: Transpose) -> bool:
    rank = len(op.axes)
    return rank >= 2 and op.axes == (*range(rank - 2), rank - 1, rank - 2)


def _joined(parts: Sequence[Value]) -> Value | None:
    """Matrices x_i[..., T_i, p] one below the other."""
    first = parts[0]
    rank = len(first.shape)
    if any(
        len(p.shape) != rank or p.shape[:-2] != first.shape[:-2] or p.shape[-1] != first.shape[-1]
        for p in parts
    ):
        return None
    return first if len(parts) == 1 else apply(Concat(rank - 2), *parts)


def _are_disjoint(parts: Sequence[Value]) -> bool:
    """Whether embedded parts, zero elsewhere, have no place in common."""
    boxes: list[list[tuple[Size, Size]]] = []
    for part in parts:
        op = part.node.op
        assert isinstance(op, Embed)
        if op.value != 0:
            return False
        boxes.append(list(zip(op.starts, op.stops(part.node.inputs[0].shape), strict=True)))
    return all(
        any(
            _surely_not_below(a[0], b[1]) or _surely_not_below(b[0], a[1])
            for a, b in zip(one, other, strict=True)
        )
        for one, other in combinations(boxes, 2)
    )


def _surely_not_below(a: Size, b: Size) -> bool:
    gap = a - b
    return isinstance(gap, int) and gap >= 0


def _is_range(index: Value, size: Size) -> bool:
    """Whether an index is 0, 1, ..., size - 1 along its first axis, the others having size 1."""
    if index.shape[:1] != (size,) or any(s != 1 for s in index.shape[1:]):
        return False
    while isinstance(index.node.op, Reshape):
        index = index.node.inputs[0]
    return isinstance(index.node.op, Arange)


def _windows(op: ConvolutionWeightAdjoint, x: Value, counts: Sequence[Size]) -> Value:
    """The elements of each window of x[1, C, H, W]: [1, C, KH, KW, OH, OW]."""
    (top, left), (_, channels, height, width) = op.padding, x.shape
    if (top, left) != (0, 0):
        shape = (1, channels, height + 2 * top, width + 2 * left)
        x = apply(Embed(shape, (0, 0, top, left), (1, 1, 1, 1)), x)
    places: list[Value] = []
    for i, at in enumerate(((0, 2), (1, 3))):
        within = make("arange", size=op.size[i]) * op.dilation[i]
        starts = make("arange", size=counts[i]) * op.stride[i]
        shapes = (
            tuple(s if k == axis else 1 for k in range(4))
            for axis, s in zip(at, (op.size[i], counts[i]), strict=True)
        )
        down, across = (
            make("reshape", v, shape=shape) for v, shape in zip((within, starts), shapes, strict=True)
        )
        places.append(down + across)
    return apply(Gather(2), x, *places)
