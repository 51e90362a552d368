"""Derivatives of calls: derived, written by hand, surrogate; of several results; of second order."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError
from graphspec.ir import Call, DType, Graph, TensorType, apply, literal, reachable, symbol
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.pipeline import optimise
from tests.transforms.models import (
    F64,
    arrays,
    call,
    definition,
    differences,
    exp,
    given,
    one,
    op_names,
    relu,
    run,
    same_before_and_after,
    sin,
    total,
)
from tests.transforms.test_differentiate import Opaque

N = symbol("N")
ROW = TensorType(F64, (N,))
SCALAR = TensorType(F64)

wave = definition("wave", lambda x: sin(x) * exp(x), ROW)
scaled = definition("scaled", lambda x, c: wave(x * c)[0] + c, ROW, SCALAR)
both = definition("both", lambda x, z: (sin(x) * z, exp(x)), ROW, ROW)
requ = definition(
    "requ", lambda x: relu(x) ** 2, ROW, gradients={0: lambda p, y, dy: 2.0 * relu(p[0]) * dy[0]}
)


def gradient(y, *xs):
    found = cotangents({y: one(y)}, xs)
    assert all(g is not None and g.type == x.type for g, x in zip(found, xs, strict=True))
    return found


def assert_right(y, *xs):
    found = gradient(y, *xs)
    inputs = arrays([y])
    for g, x in zip(found, xs, strict=True):
        np.testing.assert_allclose(run([g], inputs)[0], differences(y, x, inputs), rtol=1e-6, atol=1e-8)
    return found


def calls(*values):
    return [n.op.definition for n in reachable(values) if isinstance(n.op, Call)]


def test_the_derivative_of_a_call_is_a_call_of_the_adjoint():
    x = given("x", N)
    (y,) = wave(x)
    (dx,) = assert_right(total(y), x)
    assert calls(dx) == ["wave_adjoint"]
    assert [v.node.op.label for v in dx.node.op.body.parameters] == ["x0", "dy"]


def test_a_call_inside_a_call_is_differentiated_as_a_call():
    x, c = given("x", N), given("c")
    (y,) = scaled(x, c)
    dx, dc = assert_right(total(y * y), x, c)
    assert dx.node is dc.node
    assert set(calls(*dx.node.op.body.results)) == {"wave_adjoint"}


def test_only_the_wanted_cotangents_are_in_the_adjoint():
    x, c = given("x", N), given("c")
    (dc,) = assert_right(total(scaled(x, c)[0]), c)
    assert dict(dc.node.op.statics)["wrt"] == (1,)
    assert len(dc.node.op.body.results) == 1


def test_adjoints_are_shared_by_the_calls_of_a_definition():
    x = given("x", N)
    (y,) = wave(wave(x)[0])
    adjoints = [
        n.op for n in reachable(gradient(total(y), x)) if n.op.name == "call" and n.op.definition != "wave"
    ]
    assert len(adjoints) == 2
    assert adjoints[0] == adjoints[1]


def test_several_results_with_all_or_some_of_their_cotangents():
    x, z = given("x", N), given("z", N)
    first, second = both(x, z)
    assert_right(total(first * second), x, z)
    assert_right(total(first), x, z)
    assert_right(total(second), x)
    y = total(second)
    assert cotangents({y: one(y)}, [z]) == [None]


def test_a_call_without_a_path_has_no_cotangent():
    halted = definition("halted", lambda x: call("stop_gradient", x), ROW)
    x = given("x", N)
    y = total(halted(x)[0])
    assert cotangents({y: one(y)}, [x]) == [None]


def test_a_result_that_is_an_argument_and_one_that_is_returned_twice():
    echo = definition("echo", lambda x: (x, (h := exp(x)), h), ROW)
    x = given("x", N)
    a, b, c = echo(x)
    assert_right(total(a * a + b * 2.0 + c * sin(x)), x)


def test_a_gradient_written_by_hand_is_used():
    x = given("x", N)
    (y,) = requ(x)
    (dx,) = assert_right(total(y), x)
    assert op_names(optimise(Graph({"dx": dx}))) == ["maximum", "mul"]


def test_an_argument_without_a_line_is_derived():
    mixed = definition(
        "mixed",
        lambda x, c: sin(x) * c,
        ROW,
        SCALAR,
        gradients={0: lambda p, y, dy: call("cos", p[0]) * p[1] * dy[0]},
    )
    x, c = given("x", N), given("c")
    assert_right(total(mixed(x, c)[0]), x, c)


def test_a_line_written_by_hand_may_have_a_broadcast_shape():
    summed = definition(
        "summed", lambda x, c: total(x * c), ROW, SCALAR, gradients={1: lambda p, y, dy: p[0] * dy[0]}
    )
    x, c = given("x", N), given("c")
    assert_right(summed(x, c)[0], x, c)
    even = definition("even", total, ROW, gradients={0: lambda p, y, dy: dy[0] * 1.0})
    assert_right(even(x)[0], x)


def test_second_order_differentiates_the_line_written_by_hand():
    x = given("x", N)
    y = total(sin(requ(x * 1.5)[0]))
    (dx,) = gradient(y, x)
    assert_right(total(dx * dx), x)


def test_second_order_of_derived_calls():
    x, c = given("x", N), given("c")
    y = total(scaled(x, c)[0] ** 2)
    dx, dc = gradient(y, x, c)
    assert_right(total(dx * dx) * dc, x, c)


def test_a_surrogate_is_differentiated_as_it_is_written():
    """The slope of a step, replaced by x * x; its own derivative is then 2 x."""
    step = definition(
        "step",
        lambda x: call("cast", call("greater", x, literal(1.0, F64)), dtype=F64),
        ROW,
        gradients={0: lambda p, y, dy: p[0] * p[0] * dy[0]},
        surrogate=True,
    )
    x = given("x", N)
    y = total(step(x)[0])
    (dx,) = gradient(y, x)
    (ddx,) = gradient(total(dx), x)
    inputs = arrays([y])
    np.testing.assert_allclose(run([dx, ddx], inputs), [inputs[x] ** 2, 2 * inputs[x]], rtol=1e-15)


def test_second_order_through_a_result_that_a_line_names_follows_the_line():
    """y = |x| written as sqrt(x**2), whose derived second derivative at 0 would be NaN."""
    size = definition(
        "size",
        lambda x: call("sqrt", x * x),
        ROW,
        gradients={0: lambda p, y, dy: dy[0] * p[0] / (y[0] + 1.0)},
    )
    x = given("x", N)
    (dx,) = gradient(total(size(x)[0]), x)
    (ddx,) = gradient(total(dx), x)
    np.testing.assert_array_equal(run([ddx], {x: np.zeros(3)})[0], np.ones(3))


def test_hand_lines_of_several_results():
    polar = definition(
        "polar",
        lambda x, z: (x * z, x + z),
        ROW,
        ROW,
        gradients={0: lambda p, y, dy: dy[0] * p[1] + dy[1], 1: lambda p, y, dy: dy[1] + dy[0] * p[0]},
    )
    x, z = given("x", N), given("z", N)
    a, b = polar(x, z)
    assert_right(total(a * b), x, z)
    assert_right(total(b * b), x)
    only_first = definition(
        "only_first", lambda x: (x, sin(x)), ROW, gradients={0: lambda p, y, dy: dy[0] * 1.0}
    )
    second = total(only_first(x)[1])
    assert cotangents({second: one(second)}, [x]) == [None]


def test_integer_arguments_take_part_without_a_cotangent():
    chosen = definition(
        "chosen", lambda x, n: x * call("cast", n, dtype=F64), ROW, TensorType(DType.I64, (N,))
    )
    x, n = given("x", N), given("n", N, dtype=DType.I64)
    assert_right(total(chosen(x, n)[0]), x)


def test_the_adjoint_merges_with_the_forward_pass():
    x = given("x", N)
    y = total(wave(x)[0])
    graph = Graph({"y": y, "dx": gradient(y, x)[0]})
    after = optimise(graph, verify=True)
    same_before_and_after(graph, after, rtol=1e-14)
    assert op_names(after).count("exp") == op_names(after).count("sin") == 1


@pytest.mark.parametrize("depth", [1, 2])
def test_an_operation_without_derivative_is_named_with_the_definitions_around_it(depth):
    make = definition("inner", lambda x: apply(Opaque(), x), ROW)
    if depth == 2:
        inner = make
        make = definition("outer", lambda x: inner(x)[0] * 2.0, ROW)
    x = given("x", N)
    y = total(make(x)[0])
    with pytest.raises(GraphSpecError) as raised:
        cotangents({y: one(y)}, [x], {x: "x"})
    expected = "`opaque`, in `inner`, in `outer`" if depth == 2 else "`opaque`, in `inner`"
    assert raised.value.diagnostics[0].message.startswith(expected)


def test_definitions_nested_as_deep_as_the_language_allows():
    make = wave
    for i in range(100):
        make = definition(f"f{i}", lambda x, inner=make: inner(x)[0] * 1.01, ROW)
    x = given("x", N)
    (dx,) = assert_right(total(make(x)[0]), x)
    (ddx,) = gradient(total(dx * dx), x)
    assert ddx.type == x.type
