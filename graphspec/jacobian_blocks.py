"""The graph of a block of a Jacobian: many vector-Jacobian or Jacobian-vector products at once.

The vectors of a block are unit vectors along the axes that the value and what it is differentiated by do
not share, and ones along those that they do: what runs together needs no vectors of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields

from graphspec.compiler import DERIVATIVE, Derived, cotangent_of, direction_of
from graphspec.compiler import derive as derive_product
from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import batching as say
from graphspec.ir import (
    DType,
    Graph,
    Input,
    Node,
    Size,
    TensorType,
    Value,
    apply,
    evaluate,
    reachable,
    rebuild,
    symbol,
)
from graphspec.ir.sizes import product
from graphspec.lowering.module import Module
from graphspec.ops.indexing import Gather
from graphspec.ops.shape import Slice
from graphspec.requests import Request, find_objectives, find_targets
from graphspec.transforms.batch import batch
from graphspec.transforms.broadcasting import make
from graphspec.transforms.drop_taps import drop_taps
from graphspec.transforms.expand_gradients import expand_gradients
from graphspec.transforms.inline_calls import inline_calls
from graphspec.transforms.links import linked_axes
from graphspec.transforms.unit_products import unit_products

#: the number of vectors in a block; no dim of a spec has a space in its name
COUNT = "vectors of the block"
#: the program's input: which unit vectors, counted along the axes that are not shared
PLACES = "places of the block"
#: the program's output
BLOCK = "block"


@dataclass(frozen=True, eq=False)
class JacobianBlock(Derived):
    """What answers a request for rows or columns of the Jacobian of `y` in `x`.

    `links` are pairs of an axis of y and an axis of x that run together.  The output is a row of x's
    shape for each place along the other axes of y; by columns it is a column of y's shape for each place
    along the other axes of x.
    """

    y: TensorType
    x: TensorType
    links: tuple[tuple[int, int], ...]
    by_rows: bool

    def weighed(self, graph: Graph, sizes: Mapping[str, int], without: Collection[str] = ()) -> Graph:
        graph = unit_products(graph)
        type, side = (self.y, 0) if self.by_rows else (self.x, 1)
        shared = {pair[side] for pair in self.links}
        count = product(tuple([size for k, size in enumerate(type.shape) if k not in shared]))
        return _with_all(graph, count) if sizes[COUNT] == evaluate(count, sizes) else graph


def derive(module: Module, request: Request, *, without: Collection[str] = ()) -> JacobianBlock:
    """The graph of a block of rows (the request's kind "rows") or of columns ("columns").

    Raises GraphSpecError where one value by one name is not what is asked for.
    """
    by_rows = request.kind == "rows"
    objectives = find_objectives(module, request.of)
    names = [name for target in find_targets(module, request.wrt) for name in target.names]
    if len(objectives) != 1 or len(names) != 1:
        raise GraphSpecError(say.one_jacobian(list(objectives), names))
    (of, y), (wrt,) = next(iter(objectives.items())), names
    x = module.values[wrt]
    links = _links(y, x)
    vector = (y.type, cotangent_of(of)) if by_rows else (x.type, direction_of(wrt))
    asked = Request(
        (of,) if request.of else None,
        (wrt,),
        "gradients" if by_rows else "jvp",
        cotangents=frozenset([of]),
        values=False,
    )
    answer = derive_product(module, asked, without=without)
    key = answer.gradients[of][wrt if by_rows else DERIVATIVE]
    shared = frozenset(pair[0 if by_rows else 1] for pair in links)
    graph = _over_vectors(Graph({BLOCK: answer.graph.outputs[key]}, answer.graph.names), *vector, shared)
    parts = {field.name: getattr(answer, field.name) for field in fields(answer)}
    parts |= {"graph": graph, "gradients": {}, "values": {}}
    return JacobianBlock(**parts, y=y.type, x=x.type, links=links, by_rows=by_rows)


def _with_all(graph: Graph, count: Size) -> Graph:
    """The graph of a block of all vectors: their places are in order, so what is taken there is a view."""

    def rule(node: Node, inputs: tuple[Value, ...]) -> Value | None:
        if not isinstance(node.op, Gather) or node.op.axis != 0 or len(inputs) != 2:
            return None
        x, places = inputs
        is_all = isinstance(places.node.op, Input) and places.node.op.label == PLACES
        if not is_all or x.shape[0] != count:
            return None
        rest = x.shape[1:]
        return apply(Slice((0,) * len(x.shape), (symbol(COUNT), *rest), (1,) * len(x.shape)), x)

    return rebuild(graph, rule)


def _links(y: Value, x: Value) -> tuple[tuple[int, int], ...]:
    """The axes that y and x share in their plain graph."""
    flat = inline_calls(expand_gradients(Graph({"y": y, "x": x})))
    pairs = linked_axes(flat.outputs["y"], flat.outputs["x"])
    return tuple((k, a) for k, a in pairs if y.shape[k] != 1)


def _over_vectors(graph: Graph, type: TensorType, label: str, shared: frozenset[int]) -> Graph:
    """The product with one vector, the input `label`, over the vectors of a block."""
    flat = drop_taps(inline_calls(graph))
    nodes = reachable(flat.outputs.values())
    vector = next((n.values[0] for n in nodes if isinstance(n.op, Input) and n.op.label == label), None)
    places = apply(Input(PLACES, TensorType(DType.I64, (symbol(COUNT),))))
    if vector is None:  # the derivative is zero, whatever the vector
        zero = flat.outputs[BLOCK]
        nothing = make("cast", places * 0, dtype=zero.dtype)
        column = make("reshape", nothing, shape=(symbol(COUNT), *(1,) * len(zero.shape)))
        return Graph({BLOCK: make("broadcast_to", column, shape=(symbol(COUNT), *zero.shape))})
    vectors = {vector: _unit_vectors(places, type, shared)}
    return batch(flat, vectors, symbol(COUNT))


def _unit_vectors(places: Value, type: TensorType, shared: frozenset[int]) -> Value:
    """For each place a tensor of the type: 1 at the place along the axes that are not shared, else 0."""
    free = tuple(1 if k in shared else size for k, size in enumerate(type.shape))
    index = make("reshape", make("arange", size=product(free)), shape=(1, *free))
    column = make("reshape", places, shape=(symbol(COUNT), *(1,) * len(free)))
    units = make("cast", make("equal", column, index), dtype=type.dtype)
    return make("broadcast_to", units, shape=(symbol(COUNT), *type.shape))
