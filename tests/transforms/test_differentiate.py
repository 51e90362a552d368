"""Reverse and forward mode on graphs built by hand, against finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError, Source, Span
from graphspec.ir import DType, Op, Origin, TensorType, Value, apply, made_at, op, reachable, symbol
from graphspec.ops.comparison import where
from graphspec.transforms.differentiate import cotangents, end_of_path, tangents
from tests.transforms.models import arrays, call, differences, exp, given, one, relu, run, sin, tap, total

N = symbol("N")


@op
class Opaque(Op):
    """A primitive without derivative."""

    is_internal = True

    def infer(self, x: TensorType) -> TensorType:
        return x


@op
class SumAndProduct(Op):
    """A primitive with two results, whose rule wants the cotangent of both."""

    is_internal = True

    def infer(self, a: TensorType, b: TensorType) -> tuple[TensorType, TensorType]:
        return a, a

    def vjp(self, g, y, a: Value, b: Value):
        ga, gb = g
        return ga + gb * b, ga + gb * a


def gradient(y: Value, *xs: Value) -> list[Value]:
    found = cotangents({y: one(y)}, xs)
    assert all(g is not None and g.type == x.type for g, x in zip(found, xs, strict=True))
    return found


def assert_right(y: Value, *xs: Value, rtol: float = 1e-6) -> list[Value]:
    """The gradients agree with finite differences, whose own error is about 1e-9 in numbers near 1."""
    found = gradient(y, *xs)
    inputs = arrays([y])
    for g, x in zip(found, xs, strict=True):
        np.testing.assert_allclose(run([g], inputs)[0], differences(y, x, inputs), rtol=rtol, atol=1e-8)
    return found


def ops_of(*values: Value) -> list[str]:
    return [n.op.name for n in reachable(values)]


def test_a_value_used_twice_by_one_op_gets_both_shares():
    x = given("x", N)
    assert_right(total(x * x), x)


def test_cotangents_are_summed_where_paths_meet():
    x = given("x", N, 2)
    h = exp(x)
    assert_right(total(h * sin(h) + h / x), x, h)


def test_an_intermediate_value_gets_its_total_also_when_it_feeds_another_that_is_asked_for():
    x = given("x", 3)
    h = exp(x)
    k = h * sin(h)
    assert_right(total(k * k + h), k, h, x)


def test_the_value_itself_may_be_asked_for():
    x = given("x", 3)
    y = total(sin(x))
    dy, dx = gradient(y, y, x)
    inputs = arrays([y])
    assert run([dy], inputs)[0] == 1.0
    np.testing.assert_allclose(run([dx], inputs)[0], np.cos(inputs[x]))


def test_several_results_are_weighed_by_their_cotangents():
    x, v, w = given("x", 3), given("v", 3), given("w")
    y, s = sin(x), total(exp(x))
    (dx,) = cotangents({y: v, s: w}, [x])
    inputs = arrays([y, s, v, w])
    expected = np.cos(inputs[x]) * inputs[v] + np.exp(inputs[x]) * inputs[w]
    np.testing.assert_allclose(run([dx], inputs)[0], expected)


def test_a_gradient_through_a_tap_is_the_part_that_flows_there():
    x = given("x", 3)
    a, b = tap("a", relu(x)), tap("b", relu(x))
    y = total(a * 2.0 + b * b)
    da, db = gradient(y, a, b)
    inputs = arrays([y])
    np.testing.assert_array_equal(run([da], inputs)[0], [2.0, 2.0, 2.0])
    np.testing.assert_allclose(run([db], inputs)[0], 2 * inputs[x])


def test_what_the_result_does_not_depend_on_has_none():
    x, z = given("x", 3), given("z", 3)
    y = total(exp(x))
    later = sin(x)
    assert cotangents({y: one(y)}, [z, later, x])[:2] == [None, None]


def test_integers_and_booleans_have_none():
    x, n = given("x", 3), given("n", 3, dtype=DType.I64)
    y = total(where(call("less", n, n), x, x * 2.0))
    dn, dx = cotangents({y: one(y)}, [n, x])
    assert dn is None
    assert dx is not None


def test_no_gradient_passes_stop_gradient():
    x = given("x", 3)
    y = total(call("stop_gradient", x) * x)
    (dx,) = gradient(y, x)
    inputs = arrays([y])
    np.testing.assert_array_equal(run([dx], inputs)[0], inputs[x])
    stopped = total(call("stop_gradient", x))
    assert cotangents({stopped: one(stopped)}, [x]) == [None]


def test_a_missing_cotangent_of_a_primitive_with_two_results_is_zeros():
    a, b = given("a", N), given("b", N)
    first, second = type(a.node)(SumAndProduct(), (a, b)).values
    y = total(second)
    da, db = gradient(y, a, b)
    assert ops_of(da, db).count("sum_and_product") == 0
    inputs = arrays([a, b])
    np.testing.assert_array_equal(run([da, db], inputs), [inputs[b], inputs[a]])
    assert first.type == a.type


def test_only_what_leads_to_the_request_is_differentiated():
    x, w1, w2 = given("x", 3, 4), given("w1", 4, 5), given("w2", 5, 2)
    hidden = sin(x @ w1)
    y = total(exp(hidden @ w2))
    (dw2,) = gradient(y, w2)
    assert "cos" not in ops_of(dw2)
    (dw1,) = gradient(y, w1)
    assert "cos" in ops_of(dw1)


def test_backward_nodes_carry_the_origin_of_their_forward_node():
    source = Source("m.gspec", "h = exp(x)\ny = sum(h * h)\n")
    first, second = Origin(Span(source, 0, 10)), Origin(Span(source, 11, 25))
    x = given("x", 3)
    with made_at(first):
        h = exp(x)
    with made_at(second):
        y = total(h * h)
    made = [n for n in reachable(gradient(y, x)) if n.serial > y.node.serial and n.inputs]
    assert {n.origin for n in made} == {first, second}
    assert [n.origin for n in made if n.op.name == "mul"][-1] is first


def test_the_seed_has_the_dtype_of_its_value():
    x = given("x", 3, dtype=DType.F32)
    y = total(call("cast", exp(x), dtype=DType.F64) * 2.0)
    assert gradient(y, x)[0].type == x.type


@pytest.mark.parametrize("order", [2, 3])
def test_higher_derivatives_come_by_applying_it_again(order):
    x = given("x", 3)
    y = total(sin(x * x) * exp(x) / (1.0 + x**2))
    for _ in range(order - 1):
        y = total(gradient(y, x)[0])
    assert_right(y, x, rtol=1e-5)


def test_an_operation_without_derivative_is_named_with_its_place_and_the_request():
    source = Source("m.gspec", "y = opaque(x)\n")
    x, z = given("x", 3), given("z", 3)
    with made_at(Origin(Span(source, 4, 13))):
        h = apply(Opaque(), exp(x))
    y = total(h * z)
    with pytest.raises(GraphSpecError) as raised:
        cotangents({y: one(y)}, [z, x], {x: "net.x", z: "z"})
    (found,) = raised.value.diagnostics
    assert found.id == "no-derivative"
    assert "`opaque`" in found.message
    assert "`net.x`" in found.message
    assert "`z`" not in found.message
    assert found.primary is not None
    assert str(found.primary.span) == "m.gspec:1:5"


def test_an_operation_without_derivative_beside_the_way_does_no_harm():
    x, z = given("x", 3), given("z", 3)
    y = total(apply(Opaque(), z) * x)
    assert cotangents({y: one(y)}, [x])[0] is not None


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x,
        lambda x: sin(exp(x)),
        lambda x: total(x * x) * x,
        lambda x: call("sum", x, axis=(0,)) / x,
        relu,
    ],
)
def test_a_tangent_is_the_derivative_along_a_direction(function):
    x, v = given("x", 3, 2), given("v", 3, 2)
    y = function(x)
    t = tangents(y, x, v)
    assert t is not None
    assert t.type == y.type
    inputs = arrays([y, v])
    step = 1e-6 * inputs[v]
    above, below = (run([y], {**inputs, x: inputs[x] + s})[0] for s in (step, -step))
    # central differences with a step of 1e-6 lose about 1e-10 to rounding
    np.testing.assert_allclose(run([t], inputs)[0], (above - below) / 2e-6, rtol=1e-7, atol=1e-8)


def test_a_tangent_has_no_trace_of_the_cotangent_it_was_derived_with():
    x, v = given("x", 3), given("v", 3)
    y = x * x
    t = tangents(y, x, v)
    assert t is not None
    assert {n.op.label for n in reachable([t]) if n.op.name == "input"} == {"x", "v"}


def test_a_tangent_of_what_does_not_depend_on_x_is_none():
    x, z, v = given("x", 3), given("z", 3), given("v", 3)
    assert tangents(exp(z), x, v) is None


def test_the_end_of_a_path_is_the_last_operation_that_passes_no_gradient():
    x, z = given("x", 3), given("z", 3)
    stopped = call("stop_gradient", exp(x))
    assert end_of_path(total(stopped * z), x) is stopped.node
    compared = call("less", x, z)
    assert end_of_path(total(where(compared, z, z * 2.0)), x) is compared.node
    assert end_of_path(total(z), x) is None
