"""Passes for batched graphs: squares from factors, transposed products, sizes as numbers, linked axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError
from graphspec.ir import (
    DType,
    Graph,
    HandGradient,
    Literal,
    TensorType,
    Value,
    apply,
    literal,
    reachable,
    symbol,
    verify,
)
from graphspec.ops.construction import Arange
from graphspec.ops.convolution import ConvolutionWeightAdjoint
from graphspec.ops.indexing import ScatterAdd
from graphspec.ops.shape import Embed
from graphspec.transforms.gram_products import gram_products
from graphspec.transforms.links import linked_axes
from graphspec.transforms.set_sizes import set_sizes
from graphspec.transforms.transpose_products import transpose_products
from tests.transforms.models import F64, arrays, call, definition, exp, given, run, total

B, N, T = symbol("B"), symbol("N"), symbol("T")
SIZES = {"B": 3, "T": 2, "N": 4}


def squares(g: Value) -> Value:
    """For each index of the first axis the sum of the squares behind it."""
    return call("sum", g * g, axis=tuple(range(1, len(g.shape))))


def product(p: int, t: int, d: int, name: str = "") -> Value:
    """B products of p x t with t x d matrices, as the gradient of a weight is one."""
    return call("transpose", given(f"x{name}", B, t, p)) @ given(f"g{name}", B, t, d)


def convolution(size: int, groups: int = 1, stride: int = 1, padding: int = 0) -> Value:
    """The gradients of 6 x 4 x 3 x 3 weights in B images of size x size, as the batching rule has them."""
    width = (size + 2 * padding - 3) // stride + 1
    x, g = given("x", 1, B * 4 * groups, size, size), given("g", 1, B * 6 * groups, width, width)
    op = ConvolutionWeightAdjoint((stride, stride), (padding, padding), (1, 1), B * groups, (3, 3))
    return call("reshape", apply(op, g, x), shape=(B, 6 * groups, 4, 3, 3))


def scattered(rows: int) -> Value:
    """The gradients of a table of 50 rows, of which each of B examples uses some."""
    places = call("reshape", apply(Arange(B)), shape=(B, 1))
    index = given("i", B, rows, dtype=DType.I64)
    return apply(ScatterAdd(0, (B, 50, 4)), given("g", B, rows, 4), places, index)


def halves(start: int) -> Value:
    """Two products in one matrix of 8 x 6: side by side, or overlapping by a row."""
    parts = [(product(4, 1, 6, "a"), 0), (product(4, 1, 6, "b"), start)]
    first, second = (apply(Embed((B, 8, 6), (0, at, 0), (1, 1, 1)), part) for part, at in parts)
    return first + second


CHEAPER: dict[str, tuple[Callable[[], Value], str]] = {
    "one row": (lambda: product(5, 1, 6), "matmul"),
    "a few rows": (lambda: product(5, 2, 6), "matmul"),
    "transposed and reshaped": (
        lambda: call("reshape", call("transpose", product(5, 2, 6)), shape=(B, 3, 10)),
        "matmul",
    ),
    "negated": (lambda: -product(5, 2, 6), "matmul"),
    "a weight that is used twice": (lambda: product(5, 1, 6, "a") + product(5, 1, 6, "b"), "matmul"),
    "used twice, once transposed": (
        lambda: product(5, 1, 6, "a") + call("transpose", product(6, 1, 5, "b")),
        "matmul",
    ),
    "parts of a weight": (lambda: halves(4), "embed"),
    "joined parts": (lambda: call("concat", product(5, 1, 6, "a"), product(4, 1, 6, "b"), axis=1), "concat"),
    "a convolution": (lambda: convolution(4), "convolution_weight_adjoint"),
    "a grouped convolution": (lambda: convolution(4, groups=2), "convolution_weight_adjoint"),
    "with stride and padding": (
        lambda: convolution(5, stride=2, padding=1),
        "convolution_weight_adjoint",
    ),
    "an embedding": (lambda: scattered(6), "scatter_add"),
}


@pytest.mark.parametrize("name", CHEAPER)
def test_the_gradient_is_not_computed_where_its_square_is_cheaper(name: str) -> None:
    make, avoided = CHEAPER[name]
    before = Graph({"s": squares(make())})
    after = gram_products(before, SIZES)
    verify(after)
    made = {node.op.name for node in after.nodes}
    assert avoided == "matmul" or avoided not in made, sorted(made)
    assert (B, 5, 6) not in {v.shape for node in after.nodes for v in node.values}
    inputs = arrays(list(before.outputs.values()), env=SIZES)
    (expected,), (found,) = (run(list(g.outputs.values()), inputs, SIZES) for g in (before, after))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


DEARER: dict[str, Callable[[], Value]] = {
    "many rows": lambda: product(5, 9, 6),
    "many places": lambda: convolution(16),
    "a small table": lambda: scattered(11),
    "parts that overlap": lambda: halves(3),
    "no product": lambda: exp(given("x", B, 3, 4)),
}


@pytest.mark.parametrize("name", DEARER)
def test_elsewhere_the_gradient_is_computed(name: str) -> None:
    before = Graph({"s": squares(DEARER[name]())})
    assert gram_products(before, SIZES).outputs == before.outputs


def test_a_gradient_that_is_wanted_itself_is_computed() -> None:
    g = product(5, 1, 6)
    before = Graph({"g": g, "s": squares(g)})
    assert gram_products(before, SIZES).outputs == before.outputs


def test_sums_of_a_thousand_products_are_no_obstacle() -> None:
    g = product(40, 1, 60, "0")
    for k in range(1, 1000):
        g = g + product(40, 1, 60, str(k))
    graph = Graph({"s": squares(g)})
    assert gram_products(graph, SIZES).outputs == graph.outputs  # a thousand rows are too many
    short = Graph({"s": squares(product(400, 1, 60, "a") + product(400, 1, 60, "b"))})
    assert gram_products(short, SIZES).outputs != short.outputs


# --- transposed products --------------------------------------------------------------------------------


def test_a_product_comes_out_transposed() -> None:
    x, g = given("x", B, 2, 5), given("g", B, 2, 6)
    before = Graph({"w": call("transpose", call("transpose", x) @ g)})
    after = transpose_products(before)
    assert after.outputs["w"].node.op.name == "matmul"
    assert after.outputs["w"].node.inputs[1] is x
    same_before_and_after_at(before, after)


def test_products_that_come_out_transposed_keep_their_place() -> None:
    x, g, h = given("x", B, 5), given("g", B, 6), given("h", 3)
    before = Graph({"w": call("transpose", call("transpose", x) @ g), "y": exp(h)})
    names = [node.op.name for node in transpose_products(before).nodes]
    assert names.index("matmul") < names.index("exp")  # what it needs is not kept until the end


def same_before_and_after_at(before: Graph, after: Graph) -> None:
    inputs = arrays(list(before.outputs.values()), env=SIZES)
    (expected,), (found,) = (run(list(g.outputs.values()), inputs, SIZES) for g in (before, after))
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("kind", ["used twice", "other axes", "vector"])
def test_other_transpositions_stay(kind: str) -> None:
    y = given("x", 4, B, 3) @ given("g", 4, 3, 5) if kind != "vector" else given("x", B, 3) @ given("g", 3)
    if kind == "vector":
        graph = Graph({"y": y})
    elif kind == "used twice":
        graph = Graph({"y": call("transpose", y), "z": exp(y)})
    else:
        graph = Graph({"y": call("transpose", y, axes=(1, 0, 2))})
    assert transpose_products(graph).outputs == graph.outputs


# --- sizes ----------------------------------------------------------------------------------------------


def test_sizes_are_set_in_types_attributes_and_numbers() -> None:
    x = given("x", N, T)
    y = call("reshape", x, shape=(N * T,)) / literal(N * T, F64)
    after = set_sizes(Graph({"y": y}, {"x": x}), {"N": 1})
    verify(after)
    assert str(after.names["x"].type) == "f64[1, T]"
    assert str(after.outputs["y"].type) == "f64[T]"
    numbers = [n.op.value for n in after.nodes if isinstance(n.op, Literal)]
    assert numbers == [T]


def test_what_has_no_such_size_stays_the_same_object() -> None:
    w = given("w", T, 3)
    y = exp(w)
    assert set_sizes(Graph({"y": y}), {"N": 1}).outputs["y"] is y


def test_zeros_keep_their_signs() -> None:
    x = given("x", N)
    y = call("where", call("less", x, literal(0.0, F64)), literal(-0.0, F64), literal(0.0, F64))
    after = set_sizes(Graph({"y": y * x}), {"N": 1})
    texts = [str(n.op.value) for n in after.nodes if isinstance(n.op, Literal)]
    assert sorted(texts) == ["-0.0", "0.0", "0.0"]


def test_bodies_are_set_too_and_stay_shared() -> None:
    type = TensorType(F64, (N, 2))
    mean = definition("mean", lambda x: total(x) / literal(N * 2, F64), type)
    a, b = given("a", N, 2), given("b", N, 2)
    after = set_sizes(Graph({"y": mean(a)[0] + mean(b)[0]}), {"N": 1})
    verify(after)
    bodies = {n.op.attributes()["body"] for n in after.nodes if n.op.name == "call"}
    assert len(bodies) == 1
    (body,) = bodies
    assert [str(p.type) for p in body.parameters] == ["f64[1, 2]"]


def test_hand_written_gradients_are_set_too() -> None:
    type = TensorType(F64, (N, 2))
    double = definition(
        "double", lambda x: x * 2.0, type, gradients={0: lambda p, y, dy: dy[0] * literal(N, F64)}
    )
    after = set_sizes(Graph({"y": double(given("a", N, 2))[0]}), {"N": 1})
    (body,) = (n.op.attributes()["body"] for n in after.nodes if n.op.name == "call")
    line = body.gradients[0]
    assert isinstance(line, HandGradient)
    assert str(line.value.type) == "f64[1, 2]"
    assert line.cotangents[0].node in reachable([line.value])


def test_a_rule_that_refuses_the_size_is_explained() -> None:
    from graphspec.ops.shape import slice_axis

    y = slice_axis(given("x", N), 0, 1, 2)
    with pytest.raises(GraphSpecError, match="with `N` = 1 this cannot be computed: the slice 1:2"):
        set_sizes(Graph({"y": y}), {"N": 1})


# --- axes that run together -----------------------------------------------------------------------------


LINKS: dict[str, tuple[Callable[[Value], Value], tuple[tuple[int, int], ...]]] = {
    "itself": (lambda x: x, ((0, 0), (1, 1))),
    "elementwise": (lambda x: exp(x) * given("w", N, 3) + 1.0, ((0, 0), (1, 1))),
    "a transposition": (lambda x: exp(call("transpose", x)), ((0, 1), (1, 0))),
    "a reduction": (lambda x: call("sum", x, axis=(1,)), ((0, 0),)),
    "a product": (lambda x: x @ given("w", 3, 4), ((0, 0),)),
    "a product with itself": (lambda x: x @ call("transpose", x), ()),
    "with its transposed": (lambda x: x * call("reshape", exp(x), shape=(N, 3)), ((0, 0), (1, 1))),
    "with its sum": (lambda x: x / call("sum", x, axis=(1,), keepdims=True), ((0, 0),)),
    "an outer product": (
        lambda x: call("reshape", x, shape=(N, 3, 1)) * call("reshape", x, shape=(N, 1, 3)),
        ((0, 0),),
    ),
    "nothing of it": (lambda x: given("w", 2), ()),
}


@pytest.mark.parametrize("name", LINKS)
def test_axes_run_together(name: str) -> None:
    make, expected = LINKS[name]
    x = given("x", N, 3)
    assert linked_axes(make(x), x) == expected
