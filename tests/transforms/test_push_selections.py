"""What is computed after selections were pushed back, and where pushing stops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphspec.ir import DType, Graph, Input, Tap, TensorType, Value, apply, reachable, symbol, verify
from graphspec.ops.derivatives import Grad
from graphspec.ops.indexing import Gather
from graphspec.ops.rounding import StopGradient
from graphspec.ops.shape import Slice
from graphspec.runtime.errors import IndexOutOfRange
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.inline_calls import inline_calls
from graphspec.transforms.push_selections import push_selections
from tests.effort import IN_PROPORTION, effort, growth
from tests.transforms.models import (
    arrays,
    call,
    definition,
    exp,
    given,
    one,
    op_names,
    relu,
    run,
    same_before_and_after,
    sin,
    tap,
    total,
)

N = symbol("N")


def place(name: str = "i", *shape: int) -> Value:
    return apply(Input(name, TensorType(DType.I64, shape)))


def element(x: Value, *places: Value) -> Value:
    """x[i, j, ...] at places known at run time."""
    return apply(Gather(0), x, *places)


def part(x: Value, *cuts: tuple[int, Any] | None) -> Value:
    """x[a:b, ...]; None keeps an axis."""
    ends = [cut or (0, size) for cut, size in zip(cuts, x.shape, strict=True)]
    starts, stops = zip(*ends, strict=True)
    return apply(Slice(starts, stops, (1,) * len(ends)), x)


def conv(x: Value, weight: Value, **statics: Any) -> Value:
    return call("convolution", x, weight, **statics)


def pushed(*outputs: Value, rtol: float = 0.0, **options: Any) -> Graph:
    """The graph of some outputs, pushed; it computes the same."""
    graph = Graph({f"y{k}": y for k, y in enumerate(outputs)})
    result = push_selections(graph, **options)
    same_before_and_after(graph, result, rtol)
    return result


def shapes(graph: Graph, op: str) -> list[tuple[Any, ...]]:
    return [node.types[0].shape for node in graph.nodes if node.op.name == op]


# --- what is computed -------------------------------------------------------------------------------


def test_one_row_of_an_elementwise_chain_is_computed_alone() -> None:
    x, w = given("x", 8, 5), given("w", 5)
    graph = pushed(part(exp(sin(x)) * w, (2, 3), None))
    assert op_names(graph) == ["slice", "sin", "exp", "mul"]
    assert shapes(graph, "exp") == [(1, 5)]


def test_a_column_of_logits_reads_one_row_of_the_weight() -> None:
    x, w = given("x", N, 6), given("w", 10, 6)
    graph = pushed(part(x @ call("transpose", w), None, (3, 4)), rtol=1e-14)
    assert shapes(graph, "slice") == [(1, 6)]
    assert shapes(graph, "matmul") == [(N, 1)]


def test_rows_at_computed_places_are_gathered_first() -> None:
    x, rows = given("x", 9, 4), place("rows", 2)
    graph = pushed(apply(Gather(0), sin(x @ given("w", 4, 3)), rows), rtol=1e-14)
    assert shapes(graph, "matmul") == [(2, 3)]
    assert shapes(graph, "gather") == [(2, 4)]


def test_more_rows_than_there_are_do_not_pay() -> None:
    x, rows = given("x", 9, 4), place("rows", 8)
    graph = Graph({"y": apply(Gather(0), sin(x), rows)})
    assert push_selections(graph) is graph


def test_one_pixel_of_two_convolutions_reads_its_receptive_field() -> None:
    x, w, v = given("x", 2, 3, 20, 20), given("w", 4, 3, 3, 3), given("v", 2, 4, 3, 3)
    y = conv(relu(conv(x, w, padding=1)), v, padding=1, stride=2)
    graph = pushed(element(y, place("n"), place("c"), place("i"), place("j")), rtol=1e-14)
    assert shapes(graph, "window")[0] == (1, 3, 5, 5)
    assert shapes(graph, "convolution") == [(1, 4, 3, 3), (1, 1, 1, 1)]


@pytest.mark.parametrize("row", range(6))
@pytest.mark.parametrize("column", [0, 3, 6])
def test_at_the_borders_it_reads_zeros_and_not_what_the_layer_makes_of_zeros(row: int, column: int) -> None:
    x, w, v = given("x", 1, 1, 6, 7), given("w", 1, 1, 3, 3), given("v", 1, 1, 3, 3)
    # log is not even defined at the zeros around
    y = conv(call("log", call("max_pool2d", x, 3, stride=1, padding=1)) + 3.0, v, padding=2, dilation=2)
    y = conv(y, w, padding=1)
    i, j = place("i"), place("j")
    fixed = part(y, None, None, (row, row + 1), (column, column + 1))
    moving = apply(Gather(2), y, i, j)
    inputs = {**arrays([y]), i: np.asarray(row), j: np.asarray(column)}
    before = Graph({"fixed": total(fixed), "moving": total(moving)})
    after = push_selections(before)
    for name, value in after.outputs.items():
        (expected,) = run([before.outputs[name]], inputs)
        np.testing.assert_allclose(run([value], inputs)[0], expected, rtol=1e-13)
        for variable in (x, w, v):
            dense, small = (cotangents({z: one(z)}, [variable])[0] for z in (before.outputs[name], value))
            assert dense is not None
            assert small is not None
            found, expected = run([small, dense], inputs)
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


def test_normalisation_over_flattened_places_keeps_boxes() -> None:
    x, w = given("x", N, 3, 12, 12), given("w", 3, 3, 3, 3)
    mean, scale = given("mean", 3), given("scale", 3)
    flat = call("reshape", conv(x, w, padding=1), shape=(N, 3, 144))
    normed = (flat - call("reshape", mean, shape=(3, 1))) * call("reshape", scale, shape=(3, 1))
    y = conv(relu(call("reshape", normed, shape=(N, 3, 12, 12))), w)
    graph = pushed(part(y, None, None, (4, 5), (9, 10)), rtol=1e-14)
    assert shapes(graph, "convolution") == [(N, 3, 3, 3), (N, 3, 1, 1)]


def test_an_element_of_a_flattened_map_is_found_in_the_map() -> None:
    x, i = given("x", 4, 6, 5), place()
    graph = pushed(element(call("reshape", exp(x), shape=(120,)), i))
    assert shapes(graph, "exp") == [(1, 1, 1)]
    assert shapes(graph, "window") == [(1, 1, 1)]


def test_only_the_parts_of_a_concatenation_that_are_read_are_made() -> None:
    a, b, c = (given(name, 3, 4) for name in "abc")
    graph = pushed(part(call("concat", exp(a), sin(b), relu(c), axis=1), None, (6, 9)))
    assert [n.op.label for n in graph.nodes if isinstance(n.op, Input)] == ["b", "c"]


def test_an_adjoint_of_a_convolution_is_made_at_a_place_known_at_run_time() -> None:
    g, w = given("g", 1, 2, 9, 9), given("w", 2, 3, 3, 3)
    for stride, width in ((1, 9), (2, 17)):
        y = call("convolution_input_adjoint", sin(g), w, size=(width + 2, width + 2), stride=stride)
        graph = pushed(apply(Gather(2), y, place(), place("j")), rtol=1e-13)
        assert shapes(graph, "sin") == [(1, 2, 3, 3) if stride == 1 else (1, 2, 2, 2)]


# --- several boxes ----------------------------------------------------------------------------------


def test_neighbours_at_run_time_are_one_box() -> None:
    x, i = given("x", 30, 4), place()
    y = exp(x)
    graph = pushed(element(y, i) + element(y, i + 1) - element(y, i + 2))
    assert shapes(graph, "exp") == [(3, 4)]


def test_boxes_far_apart_are_made_apart() -> None:
    y = exp(given("x", 30, 4))
    graph = pushed(part(y, (0, 2), None) + part(y, (25, 27), None), element(y, place()))
    assert sorted(shapes(graph, "exp")) == [(1, 4), (2, 4), (2, 4)]


def test_boxes_that_cost_as_much_as_the_whole_are_read_from_it() -> None:
    y = exp(given("x", 30, 4))
    graph = Graph({"y": part(y, (0, 10), None) * part(y, (10, 20), None) + part(y, (20, 30), None)})
    assert push_selections(graph) is graph


def test_many_boxes_are_read_from_the_whole() -> None:
    y = exp(given("x", 300, 4))
    graph = Graph({f"y{k}": element(y, place(f"i{k}")) for k in range(9)})
    assert push_selections(graph) is graph


def test_likely_sizes_decide_what_pays() -> None:
    x, rows = given("x", N, 4), apply(Input("rows", TensorType(DType.I64, (symbol("M"),))))
    graph = Graph({"y": apply(Gather(0), sin(x), rows)})
    assert push_selections(graph) is graph
    assert push_selections(graph, {"N": 4, "M": 100}) is graph
    assert shapes(push_selections(graph, {"N": 100, "M": 4}), "sin") == [(symbol("M"), 4)]


# --- where it stops ---------------------------------------------------------------------------------


def test_nothing_happens_where_the_whole_value_is_needed() -> None:
    x = given("x", 8, 5)
    y = exp(x)
    graph = Graph({"row": part(sin(y), (0, 1), None), "all": y, "column": part(x, None, (0, 1))})
    result = push_selections(graph)
    assert shapes(result, "sin") == [(1, 5)]
    assert shapes(result, "exp") == [(8, 5)]
    assert push_selections(Graph({"row": part(y, (0, 1), None), "all": y})).outputs["row"].node.inputs == (y,)


def test_a_graph_without_selections_comes_back_as_it_is() -> None:
    graph = Graph({"y": exp(sin(given("x", 3)))})
    assert push_selections(graph) is graph


def test_it_passes_softmax_along_another_axis_only() -> None:
    x = given("x", 8, 5)
    e = exp(x - call("max", x, axis=(1,), keepdims=True))
    y = e / call("sum", e, axis=(1,), keepdims=True)
    assert shapes(pushed(part(y, (0, 2), None)), "exp") == [(2, 5)]
    assert shapes(pushed(part(y, None, (0, 2))), "exp") == [(8, 5)]


def test_values_that_are_kept_stay_whole() -> None:
    x = given("x", 8, 5)
    h = exp(x)
    graph = Graph({"y": total(part(sin(h), (1, 2), None))}, {"x": x, "h": h, "inner": sin(h)})
    result = push_selections(graph, keep=["h"])
    assert result.names["h"].type == h.type
    (g,) = cotangents({result.outputs["y"]: one(result.outputs["y"])}, [result.names["h"]])
    assert g is not None
    assert g.type == h.type
    # without being kept, a name goes with the only box
    assert push_selections(graph).names["h"].shape == (1, 5)


def test_a_tap_that_nobody_differentiates_by_is_no_obstacle() -> None:
    x = given("x", 8, 5)
    t = tap("t", exp(x))
    graph = Graph({"y": part(sin(t), (1, 2), None)}, {"t": t})
    assert shapes(push_selections(graph), "exp") == [(1, 5)]
    kept = push_selections(graph, keep=["t"])
    assert isinstance(kept.names["t"].node.op, Tap)
    assert kept.names["t"].type == t.type


def test_what_a_gradient_in_the_graph_differentiates_by_stays_whole() -> None:
    x = given("x", 8)
    h = exp(x)
    y = part(sin(h), (1, 2))
    g = apply(Grad(1), total(y), h)
    result = push_selections(Graph({"g": part(g, (0, 3))}))
    (grad,) = [node for node in result.nodes if isinstance(node.op, Grad)]
    assert grad.inputs[1].type == h.type
    assert grad.inputs[1].node in reachable([grad.inputs[0]])


def test_where_an_argmax_looks_everywhere_the_derivative_goes_through_one_place() -> None:
    x = given("x", 8)
    y = exp(x)
    z = element(y, call("argmax", y, axis=0))
    graph = push_selections(Graph({"z": z}, {"x": x}), keep=["x"])
    assert shapes(graph, "exp") == [(8,), (1,)]
    (g,) = cotangents({graph.outputs["z"]: one(z)}, [graph.names["x"]])
    (dense,) = cotangents({z: one(z)}, [x])
    assert g is not None
    assert dense is not None
    inputs = arrays([z])
    np.testing.assert_array_equal(run([g], inputs)[0], run([dense], inputs)[0])
    assert all(n.op.name != "scatter_add" for n in reachable([g]))
    # values alone are read from what is there
    plain = Graph({"z": z})
    assert push_selections(plain) is plain


def test_a_stopped_gradient_may_need_more_than_the_derivative() -> None:
    y = exp(given("x", 8))
    mean = total(apply(StopGradient(), y))
    graph = push_selections(Graph({"z": element(y, place()) - mean}, {"y": y.node.inputs[0]}), keep=["y"])
    assert sorted(shapes(graph, "exp")) == [(1,), (8,)]


# --- calls ------------------------------------------------------------------------------------------


def test_calls_on_the_way_are_opened_and_others_stay() -> None:
    square = definition("square", lambda x: x * x, TensorType(DType.F64, (8, 5)))
    (h,) = square(given("x", 8, 5))
    (other,) = square(given("z", 8, 5))
    graph = pushed(part(h, (0, 1), None), total(other))
    assert op_names(graph).count("call") == 1
    assert shapes(graph, "mul") == [(1, 5)]


def test_a_selection_inside_a_call_is_pushed_out_of_it() -> None:
    first = definition("first", lambda x: part(x, (0, 1), None), TensorType(DType.F64, (8, 5)))
    nested = definition("nested", lambda x: first(sin(x))[0], TensorType(DType.F64, (8, 5)))
    graph = pushed(nested(exp(given("x", 8, 5)))[0])
    assert op_names(graph) == ["slice", "exp", "sin"]


def test_a_call_in_which_nothing_is_saved_stays() -> None:
    def product_of_halves(x: Value) -> Value:
        y = sin(x)
        return part(y, (0, 4)) * part(y, (4, 8))

    graph = Graph(
        {"y": definition("halves", product_of_halves, TensorType(DType.F64, (8,)))(given("x", 8))[0]}
    )
    assert push_selections(graph) is graph


def by_hand(
    forward: Callable[[Value], Value], gradient: Callable[[Value, Value, Value], Value]
) -> Callable[..., tuple[Value, ...]]:
    """A definition of x[8, 5] with a derivative from x, the result and its cotangent."""
    lines = {0: lambda xs, ys, dys: gradient(xs[0], ys[0], dys[0])}
    return definition("f", forward, TensorType(DType.F64, (8, 5)), gradients=lines)


def softmax(x: Value) -> Value:
    e = exp(x)
    return e / call("sum", e, axis=(1,), keepdims=True)


def softmax_gradient(x: Value, y: Value, dy: Value) -> Value:
    return y * (dy - call("sum", dy * y, axis=(1,), keepdims=True)) * 3.0


@pytest.mark.parametrize("i", [None, place()], ids=["static", "run time"])
@pytest.mark.parametrize(
    ("forward", "gradient", "shape"),
    [
        (lambda x: 2.0 * x, lambda x, y, dy: 3.0 * dy + x * 0.0, (1, 1)),
        (softmax, softmax_gradient, (1, 5)),
    ],
    ids=["elementwise", "along the other axis"],
)
def test_a_call_with_a_derivative_by_hand_is_cut(
    forward: Any, gradient: Any, shape: tuple[int, int], i: Value | None
) -> None:
    x = given("x", 8, 5)
    (h,) = by_hand(forward, gradient)(exp(x))
    y = part(h, (2, 3), (1, 2)) if i is None else part(apply(Gather(0), h, i), (1, 2))
    graph = push_selections(Graph({"y": total(y)}, {"x": x}), keep=["x"])
    assert shapes(graph, "exp") == [shape]
    assert shapes(graph, "call") == [shape]
    inputs = {**arrays([x]), **({} if i is None else {i: np.asarray(2)})}
    results = []
    for z in (total(y), graph.outputs["y"]):
        (g,) = cotangents({z: one(z)}, [x])
        assert g is not None
        results.append(run([z, g], inputs))
    for found, expected in zip(*results, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize(
    "gradient",
    [lambda x, y, dy: call("flip", dy, axis=(0,)), lambda x, y, dy: dy + call("sum", x * dy, axis=(0,))],
    ids=["from elsewhere", "from everywhere"],
)
def test_a_derivative_by_hand_that_looks_beyond_the_box_keeps_its_call_whole(gradient: Any) -> None:
    x = given("x", 8, 5)
    (h,) = by_hand(lambda x: 2.0 * x, gradient)(exp(x))
    graph = Graph({"y": part(h, (0, 1), None)})
    assert push_selections(graph) is graph
    assert shapes(push_selections(graph, differentiated=True), "exp") == [(1, 5)]


# --- errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [(8, 0), (-1, 2), (3, 5)])
def test_a_place_that_is_not_there_is_reported_all_the_same(places: tuple[int, int]) -> None:
    x, i, j = given("x", 8, 5), place("i"), place("j")
    y = element(exp(x), i, j)
    graph = push_selections(Graph({"y": y}, {"x": x}), keep=["x"])
    (g,) = cotangents({graph.outputs["y"]: one(y)}, [x])
    assert g is not None
    inputs = {**arrays([x]), i: np.asarray(places[0]), j: np.asarray(places[1])}
    errors = []
    for value in (y, graph.outputs["y"], g):
        with pytest.raises(IndexOutOfRange) as error:
            run([value], inputs)
        errors.append(str(error.value))
    assert len(set(errors)) == 1


def test_rows_that_are_not_there_are_reported_where_they_were_named() -> None:
    x, rows = given("x", 8, 5), place("rows", 2)
    y = apply(Gather(0), call("broadcast_to", exp(x), shape=(3, 8, 5)), rows)
    z = apply(Gather(1), y, place())
    graph = push_selections(Graph({"z": z}))
    inputs = {**arrays([z]), rows: np.asarray([0, 3])}
    with pytest.raises(IndexOutOfRange) as error:
        run([graph.outputs["z"]], inputs)
    assert (error.value.index, error.value.size, error.value.axis) == (3, 3, 0)


# --- scale ------------------------------------------------------------------------------------------


def test_long_chains_take_effort_in_proportion_and_no_stack() -> None:
    def prepare(length: int) -> Callable[[], Graph]:
        x, w = given("x", 1, 1, 4 * length, 4 * length), given("w", 1, 1, 3, 3)
        for _ in range(length):
            x = conv(x, w, padding=1)
        graph = Graph({"y": apply(Gather(2), x, place(), place("j"))})
        return lambda: push_selections(graph)

    result = prepare(1200)()
    assert len(shapes(result, "convolution")) == 1200
    verify(result)
    assert growth(prepare, 100) < IN_PROPORTION


def test_a_large_graph_in_which_one_slice_saves_nothing_is_left_at_once() -> None:
    x = given("x", 4, 4)
    for _ in range(2000):
        x = sin(x)
    graph = Graph({"y": part(x, (0, 1), None), "x": x})
    assert push_selections(graph) is graph
    assert effort(lambda: push_selections(graph)) < 100 * 2000


def test_inlining_everything_gives_the_same_boxes() -> None:
    square = definition("square", lambda x: x * x, TensorType(DType.F64, (8, 5)))
    y = part(square(square(given("x", 8, 5))[0])[0], (0, 1), (0, 1))
    whole, flat = Graph({"y": y}), inline_calls(Graph({"y": y}))
    assert op_names(push_selections(whole)) == op_names(push_selections(flat))
