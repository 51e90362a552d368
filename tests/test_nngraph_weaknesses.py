"""What went wrong in nngraph, the ancestor of declared graphs in Torch7, cannot go wrong here: one test each.

The weaknesses are visible in the code of https://github.com/torch/nngraph (gmodule.lua, node.lua) and in its
issues, to which the tests refer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec.diagnostics import GraphSpecError

Array = np.ndarray[Any, Any]

NET = """gspec 1
dim N = 2
input x: f64[N, 2] ~ normal()
h = x -> linear(2) as fc1 -> tanh
output y = linear(h, 2) as fc2
loss size = mean(y ** 2)
"""


@pytest.fixture(scope="module")
def net() -> gs.Model:
    return gs.loads(NET)


def given(model: gs.Model, seed: int = 0) -> tuple[dict[str, Array], dict[str, Array]]:
    return model.init(seed=3), model.draw(seed=seed)


def test_backward_depends_on_its_inputs_and_on_nothing_that_ran_before(net: gs.Model) -> None:
    """nngraph's `backward(input, ...)` never read `input`, but what the last forward had left."""
    params, first = given(net, 0)
    _, second = given(net, 1)
    expected = net.grad(params, first, wrt="fc1.weight")["fc1.weight"]
    net.forward(params, second)
    np.testing.assert_array_equal(net.grad(params, first, wrt="fc1.weight")["fc1.weight"], expected)
    assert np.any(net.grad(params, second, wrt="fc1.weight")["fc1.weight"] != expected)
    with pytest.raises(GraphSpecError, match=r"`x` is needed, f64\[N, 2\], and was not given"):
        net.grad(params, {}, wrt="fc1.weight")


@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4), (2, 1), ()])
def test_a_cotangent_must_have_the_shape_of_its_output(net: gs.Model, shape: tuple[int, ...]) -> None:
    """nngraph's modules took any gradOutput with as many elements, and reshaped it silently."""
    params, inputs = given(net)
    with pytest.raises(GraphSpecError, match=r"`cotangent of y` is f64\[N, 2\]"):
        net.grad(params, inputs, wrt="x", of="y", cotangent=np.ones(shape))


def test_a_layer_used_twice_keeps_both_values_and_has_its_parameters_once() -> None:
    """In nngraph the second call overwrote the buffers of the first, and parameters were listed twice."""
    model = gs.loads(
        "gspec 1\ninput x: f64[2, 3] ~ normal()\nlayer f = linear(3)\n"
        "a = f(x)\nb = f(tanh(a))\noutput y = sum(a * b)\n"
    )
    params, inputs = given(model)
    assert list(params) == ["f.weight", "f.bias"]
    values = model.forward(params, inputs, of=["a", "b"])
    a = inputs["x"] @ params["f.weight"].T + params["f.bias"]
    b = np.tanh(a) @ params["f.weight"].T + params["f.bias"]
    np.testing.assert_allclose(values["a"], a, rtol=1e-12)
    np.testing.assert_allclose(values["b"], b, rtol=1e-12)
    # by hand: through the second use, and through the first
    through = b + a @ params["f.weight"] * (1 - np.tanh(a) ** 2)
    grad = model.grad(params, inputs, wrt="f.weight")["f.weight"]
    np.testing.assert_allclose(grad, a.T @ np.tanh(a) + through.T @ inputs["x"], rtol=1e-11)


def test_every_part_of_a_graph_can_be_asked_for_again_and_again(net: gs.Model) -> None:
    """A node of nngraph belonged to one gModule: taking a sub-graph failed (nngraph#85, #125, #153)."""
    params, inputs = given(net)
    inner = net.compile(wrt="fc1.weight", of="sum(h)")
    outer = net.compile(wrt="fc1.weight")
    first = inner(params, inputs)[1]["fc1.weight"]
    outer(params, inputs)
    np.testing.assert_array_equal(inner(params, inputs)[1]["fc1.weight"], first)
    h = net.forward(params, inputs, of="h")["h"]
    np.testing.assert_allclose(first, (1 - h**2).T @ inputs["x"], rtol=1e-12)


def test_a_cotangent_of_zero_gives_zeros_for_weights_too() -> None:
    """nngraph's short cut for zeros left a parametric node with two outgoing gradients without any."""
    model = gs.loads(
        "gspec 1\ninput x: f64[2, 3] ~ normal()\nh = linear(x, 3) as fc\n"
        "output y = tanh(h)\noutput z = h * h\n"
    )
    params, inputs = given(model)
    zero = np.zeros((2, 3))
    for of, cotangent in ((["y", "z"], {"y": zero, "z": zero}), ("y * 0 + z * 0", zero)):
        grads = model.grad(params, inputs, wrt=["fc.weight", "x"], of=of, cotangent=cotangent)
        for found in grads.values() if isinstance(of, list) else [grads]:
            assert {n: g.shape for n, g in found.items()} == {"fc.weight": (3, 3), "x": (2, 3)}
            assert not any(np.any(g) for g in found.values())


def test_a_step_of_descent_reaches_every_weight_once() -> None:
    """`gModule:backwardUpdate` did not update the weights of its children."""
    model = gs.loads(
        "gspec 1\ninput x: f64[4, 3] ~ normal()\n"
        "block inner(x[N, D]) {\n  return x -> linear(D) as deep -> tanh\n}\n"
        "block outer(x) {\n  return x -> inner() as nested -> linear(1) as top\n}\n"
        "layer twice = inner()\n"
        "loss size = mean((twice(twice(x) as once) -> outer() as net) ** 2)\n"
    )
    params, inputs = given(model)
    step = model.compile(wrt="@params")
    before, grads, _ = step(params, inputs)
    assert list(grads) == list(params) == list(model.names("param"))
    assert all(np.any(g) for g in grads.values())
    after, _, _ = step({name: p - 1e-4 * grads[name] for name, p in params.items()}, inputs)
    # to first order a step lowers the loss by its length times the squared norm of the gradient
    expected = 1e-4 * sum(float(np.sum(g**2)) for g in grads.values())
    np.testing.assert_allclose(before - after, expected, rtol=1e-3)


def test_gradients_by_inputs_and_by_weights_are_the_same_together_and_apart(net: gs.Model) -> None:
    """nngraph called updateGradInput and accGradParameters apart: modules with one of them broke (PR#147)."""
    params, inputs = given(net)
    together = net.grad(params, inputs, wrt=["x", "fc1.weight", "fc2.bias", "fc1.x", "h"])
    for name, g in together.items():
        np.testing.assert_allclose(net.grad(params, inputs, wrt=name)[name], g, rtol=1e-13, atol=1e-16)


def test_results_are_the_callers_and_may_be_fed_back(net: gs.Model) -> None:
    """nngraph's outputs and gradInputs were its own buffers: fed back, they were lost (nngraph#109)."""
    params, inputs = given(net)
    step = net.compile(wrt=["x", "h"], of="y")
    x = inputs["x"]
    kept: list[tuple[Array, Array]] = []
    for _ in range(3):
        value, grads, _ = step(params, {"x": x}, cotangent=x)
        kept += [(a, a.copy()) for a in (value, *grads.values())]
        x = value
    for array, copy in kept:
        np.testing.assert_array_equal(array, copy)
    arrays = [array for array, _ in kept]
    assert not any(np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("join", ["stack(parts)", "concat(parts, axis=1)", "sum(parts)"])
def test_a_list_of_one_is_a_list(count: int, join: str) -> None:
    """nngraph unwrapped a list of one node, so that JoinTable and CAddTable failed (nngraph#46, #133)."""
    model = gs.loads(
        "gspec 1\nconst E = 3\ninput x: f64[2, 4] ~ normal()\n"
        f"parts = each(e in 0..E, linear(x, 3)) as expert\noutput y = {join}\n",
        consts={"E": count},
    )
    params, inputs = given(model)
    parts = [inputs["x"] @ params[f"expert.{e}.weight"].T + params[f"expert.{e}.bias"] for e in range(count)]
    joined = {"stack": np.stack(parts), "concat": np.hstack(parts), "sum": sum(parts)}[join.partition("(")[0]]
    found = model.forward(params, inputs)["y"]
    np.testing.assert_allclose(found, joined, rtol=1e-12)
    assert found.shape == np.shape(joined)
    grad = model.grad(params, inputs, wrt="expert.0.bias", of="sum(y)")["expert.0.bias"]
    np.testing.assert_allclose(grad, [2.0, 2.0, 2.0])


def test_no_operation_overwrites_a_value_that_another_one_needs() -> None:
    """ReLU(true) beside a fork, or beside a module that uses its output, gave wrong gradients (nn#235)."""
    model = gs.loads(
        "gspec 1\ninput x: f64[3, 4] ~ normal()\n"
        "s = sigmoid(x)\nr = relu(s - 0.5)\nt = relu(x)\nu = t * 2 + 1\n"
        "output y = sum(s * r + t * x + u * t + exp(u))\n"
    )
    x = model.draw()["x"]
    kept = x.copy()
    grad = model.grad({}, {"x": x}, wrt="x")["x"]
    s, t = 1 / (1 + np.exp(-x)), np.maximum(x, 0)
    ds, on = s * (1 - s), (x > 0) * 1.0
    u = 2 * t + 1
    expected = (np.maximum(s - 0.5, 0) + s * (s > 0.5)) * ds + t + on * x + on * (u + 2 * t + 2 * np.exp(u))
    np.testing.assert_allclose(grad, expected, rtol=1e-12)
    np.testing.assert_array_equal(x, kept)
