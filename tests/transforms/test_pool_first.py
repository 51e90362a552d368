"""Pooling before bias and relu: the same numbers and derivatives, and what stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

import graphspec as gs
from graphspec.ir import DType, Graph, Node, TensorType, literal
from graphspec.ops.comparison import LessEqual, Where
from graphspec.transforms.pool_first import pool_first
from tests.transforms.models import (
    call,
    definition,
    given,
    op_names,
    same_before_and_after,
    tap,
    total,
)

IMAGE = TensorType(DType.F64, (2, 3, 6, 6))
WINDOWS = [
    "2",
    "3, stride=2",
    "3, stride=2, padding=1",
    "2, stride=3",
    "[3, 2], stride=[1, 2], padding=[1, 0]",
    "2, stride=2, dilation=3",
    "3, stride=2, padding=1, ceil_mode=true",
    "2, stride=2, padding=1, dilation=2",
    "2, stride=1",
]
NETWORK = """gspec 1
dim N = 5
input x: f32[N, 2, 9, 8] ~ normal()
y = x -> conv2d(3, kernel_size=2, padding=1) as c -> relu -> max_pool2d({})
loss s = sum(y * y)
output z = y
"""


def x():
    return given("x", *IMAGE.shape)


def bias():
    return given("b", 3, 1, 1)


def relu(x):
    (condition,) = Node(LessEqual(), (x, literal(0.0, x.dtype))).values
    (y,) = Node(Where(), (condition, literal(0.0, x.dtype), x)).values
    return y


def pool(x, stride=2):
    return call("max_pool2d", x, 2, stride=stride)


def model(text, without=False, **settings):
    return gs.loads(text, without=["pool_first"] if without else [], **settings)


@pytest.mark.needs_optimisation("pool_first")
@pytest.mark.parametrize("fast", ["0", "1"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("windows", WINDOWS)
def test_values_are_the_same_to_the_bit_and_so_are_derivatives(windows, dtype, fast, monkeypatch):
    monkeypatch.setenv("GRAPHSPEC_FAST", fast)
    found = []
    for without in (False, True):
        made = model(NETWORK.format(windows), without, dtype=dtype)
        inputs, params = made.draw(seed=1), made.init(seed=1)
        inputs["x"][0, 0, :4, :4] = 0  # a window of equal elements
        values, gradients, _ = made.compile(["@params", "x"], of="s")(params, inputs)
        found.append((made.forward(params, inputs, of="z")["z"], values, gradients))
    (z, s, moved), (z_whole, s_whole, whole) = found
    np.testing.assert_array_equal(z, z_whole)
    tolerance = 300 * np.finfo(dtype.replace("f", "float")).eps  # sums of a few hundred terms in other orders
    np.testing.assert_allclose(s, s_whole, rtol=tolerance)
    for name, gradient in whole.items():
        np.testing.assert_allclose(moved[name], gradient, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_goes_the_same_ways(bad):
    inputs = "gspec 1\ninput x: f64[1, 1, 4, 4]\ninput b: f64[1, 1, 1]\n"
    text = f"{inputs}loss s = sum(max_pool2d(relu(x + b), 2))\n"
    image = np.arange(-8.0, 8.0).reshape(1, 1, 4, 4)
    image[0, 0, 1, 1] = image[0, 0, 2, 3] = bad
    answers = []
    for without in (False, True):
        made = model(text, without)
        answers.append(made.value_and_grad({}, {"x": image, "b": np.ones((1, 1, 1))}, wrt=["x", "b"]))
    (s, gradients), (s_whole, whole) = answers
    np.testing.assert_array_equal(s, s_whole)
    if not np.isnan(bad):  # of which no element is the greatest
        for name in whole:
            np.testing.assert_array_equal(gradients[name], whole[name])


def test_calls_on_the_way_are_opened():
    half = definition("half", lambda x: relu(x), IMAGE)
    whole = definition("whole", lambda x, b: half(x + b)[0], IMAGE, TensorType(DType.F64, (3, 1, 1)))
    (y,) = whole(tap("t", call("exp", x())), bias())
    graph = Graph({"y": pool(tap("u", y))})
    made = pool_first(graph)
    assert op_names(made) == ["exp", "max_pool2d", "add", "less_equal", "where"]
    same_before_and_after(graph, made)


def test_a_call_that_does_nothing_of_the_kind_stays_a_call():
    square = definition("square", lambda x: x * x, IMAGE)
    graph = Graph({"y": pool(square(x())[0])})
    assert pool_first(graph) is graph


def test_what_comes_before_such_a_call_stays_too():
    square = definition("square", lambda x: x * x, IMAGE)
    graph = Graph({"y": pool(relu(square(x())[0]))})
    made = pool_first(graph)
    assert op_names(made) == ["call", "max_pool2d", "less_equal", "where"]
    same_before_and_after(graph, made)


def test_pooling_in_a_definition_comes_first_there():
    body = definition("stage", lambda x, b: pool(relu(x + b)), IMAGE, TensorType(DType.F64, (3, 1, 1)))
    graph = Graph({"y": body(x(), bias())[0], "z": body(call("exp", x()), bias())[0]})
    made = pool_first(graph)
    same_before_and_after(graph, made)
    first, second = (made.outputs[name].node.op.body for name in "yz")
    assert first is second
    assert op_names(Graph({"y": first.results[0]})) == ["max_pool2d", "add", "less_equal", "where"]


def test_a_derivative_written_by_hand_stays():
    soft = definition("soft", lambda x: relu(x), IMAGE, gradients={0: lambda p, r, g: g[0]})
    graph = Graph({"y": pool(soft(x())[0])})
    assert pool_first(graph) is graph


def test_what_others_use_stays():
    h = relu(x())
    graph = Graph({"y": pool(h), "s": total(h)})
    assert pool_first(graph) is graph


def test_what_is_kept_stays_and_what_comes_before_it():
    h = relu(x() + bias())
    graph = Graph({"y": pool(h)}, {"h": h, "x": h.node.inputs[2]})
    assert pool_first(graph, keep=["h"]) is graph
    moved = pool_first(graph, keep=["x"])
    assert op_names(moved) == ["add", "max_pool2d", "less_equal", "where"]
    assert moved.names["x"].node.op.name == "add"


def test_the_name_of_what_is_made_later_is_that_of_what_comes_in_its_place():
    half = definition("half", lambda x: relu(x), IMAGE)
    graph = Graph({"y": pool(half(x())[0])})
    named = Graph(graph.outputs, {"h": graph.outputs["y"].node.inputs[0]})
    made = pool_first(named)
    assert made.names["h"] is made.outputs["y"]


@pytest.mark.needs_optimisation("pool_first")
def test_gradients_by_what_is_pooled_are_those_of_the_whole():
    made, whole = (model(NETWORK.format(2), without) for without in (False, True))
    inputs, params = made.draw(seed=1), made.init(seed=1)
    for name in ("c", "c.x"):
        a, b = (m.grad(params, inputs, wrt=name, of="s")[name] for m in (made, whole))
        np.testing.assert_array_equal(a, b)


def test_gradients_in_the_spec_are_those_of_the_whole():
    text = NETWORK.format(2).replace("loss s = sum(y * y)", "h = relu(x)\nr = max_pool2d(h, 2)\n") + (
        "loss t = sum(grad(sum(r * r), h) ** 2)\n"
    )
    found = []
    for without in (False, True):
        made = model(text, without)
        inputs = made.draw(seed=1)
        found.append(made.value_and_grad(made.init(seed=1), inputs, wrt="x", of="t"))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1]["x"], found[1][1]["x"])
