"""`grad` and `jvp` as nodes become the graphs they stand for."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError, Source, Span
from graphspec.ir import (
    DType,
    Graph,
    Node,
    Origin,
    TensorType,
    TypeRuleError,
    literal,
    made_at,
    symbol,
    verify,
)
from graphspec.ops.comparison import where
from graphspec.ops.derivatives import Grad, Jvp
from graphspec.transforms.expand_gradients import expand_gradients
from graphspec.transforms.inline_calls import inline_calls
from tests.transforms.models import (
    F64,
    arrays,
    call,
    definition,
    differences,
    exp,
    given,
    op_names,
    run,
    sin,
    total,
)

N = symbol("N")


def grad(y, *xs, cotangent=None, allow_zero=False):
    seeds = () if cotangent is None else (cotangent,)
    return Node(Grad(len(xs), bool(seeds), allow_zero), (y, *xs, *seeds)).values


def jvp(y, x, v):
    return Node(Jvp(), (y, x, v)).values[0]


def expanded(**values):
    graph = expand_gradients(Graph(values))
    verify(graph)
    assert not {"grad", "jvp"} & set(op_names(graph))
    assert {k: v.type for k, v in graph.outputs.items()} == {k: v.type for k, v in values.items()}
    return graph.outputs


def test_a_gradient_of_several_values():
    x, t = given("x", N), given("t")
    y = total(sin(x * t))
    gx, gt = grad(y, x, t)
    found = expanded(gx=gx, gt=gt)
    inputs = arrays([y])
    for g, v in ((found["gx"], x), (found["gt"], t)):
        np.testing.assert_allclose(run([g], inputs)[0], differences(y, v, inputs), rtol=1e-7)


def test_a_gradient_of_a_tensor_with_a_cotangent():
    x, v = given("x", N), given("v", N)
    (gx,) = grad(sin(x), x, cotangent=v)
    inputs = arrays([gx])
    np.testing.assert_allclose(run([expanded(gx=gx)["gx"]], inputs)[0], np.cos(inputs[x]) * inputs[v])


def test_a_gradient_of_a_gradient_expands_the_inner_one_first():
    x = given("x", N)
    (first,) = grad(total(sin(x) * x), x)
    (second,) = grad(total(first), x)
    (third,) = grad(total(second), x)
    inputs = arrays([x])
    (found,) = run([expanded(g=third)["g"]], inputs)
    expected = -3 * np.sin(inputs[x]) - inputs[x] * np.cos(inputs[x])
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_a_gradient_with_respect_to_a_value_made_of_a_gradient():
    x = given("x", N)
    (g,) = grad(total(x**3), x)
    (outer,) = grad(total(g * g), g)
    inputs = arrays([x])
    np.testing.assert_allclose(run([expanded(g=outer)["g"]], inputs)[0], 6 * inputs[x] ** 2, rtol=1e-14)


def test_a_gradient_penalty_in_a_loss():
    x, w = given("x", N), given("w")
    (g,) = grad(total(exp(x * w)), x)
    loss = total(g * g) + w
    found = expanded(loss=loss, dw=grad(loss, w)[0])
    inputs = arrays([x, w])
    np.testing.assert_allclose(
        run([found["dw"]], inputs)[0], differences(found["loss"], w, inputs), rtol=1e-6
    )


def test_a_tangent():
    x, v = given("x", N), given("v", N)
    found = expanded(t=jvp(total(x) * sin(x), x, v))["t"]
    inputs = arrays([x, v])
    xs, vs = inputs[x], inputs[v]
    np.testing.assert_allclose(run([found], inputs)[0], vs.sum() * np.sin(xs) + xs.sum() * np.cos(xs) * vs)


def test_gradients_in_bodies_of_calls_are_expanded_and_the_body_stays_shared():
    row = TensorType(F64, (N,))
    slope = definition("slope", lambda x: grad(total(sin(x)), x)[0], row)
    outer = definition(
        "outer", lambda x: slope(x)[0] * x, row, gradients={0: lambda p, y, dy: dy[0] * slope(p[0])[0]}
    )
    x = given("x", N)
    (y,) = outer(x)
    found = expanded(a=y, b=slope(x)[0], c=slope(y)[0])
    assert found["b"].node.op == found["c"].node.op
    inlined = inline_calls(Graph(found))
    assert not {"grad", "call"} & set(op_names(inlined))
    inputs = arrays([x])
    np.testing.assert_allclose(run([found["a"]], inputs)[0], np.cos(inputs[x]) * inputs[x])
    by_hand = expanded(g=grad(total(y), x)[0])["g"]
    np.testing.assert_allclose(run([by_hand], inputs)[0], np.cos(inputs[x]))


def test_a_gradient_that_is_zero_everywhere_is_an_error_at_its_line():
    source = Source("m.gspec", "h = stop_gradient(x)\ng = grad(sum(h), x)\n")
    x = given("x", N)
    with made_at(Origin(Span(source, 4, 20))):
        h = call("stop_gradient", x)
    with made_at(Origin(Span(source, 25, 40))):
        (g,) = grad(total(h), x)
    with pytest.raises(GraphSpecError) as raised:
        expand_gradients(Graph({"g": g}, {"x": x}))
    (found,) = raised.value.diagnostics
    assert found.id == "unreachable-gradient"
    assert "`x`" in found.message
    assert found.primary is not None
    assert str(found.primary.span) == "m.gspec:2:5"
    assert [str(label.span) for label in found.secondary] == ["m.gspec:1:5"]
    assert "`stop_gradient`" in found.secondary[0].text


def test_a_value_that_is_not_used_at_all_is_told_apart():
    x, z = given("x", N), given("z", N)
    with pytest.raises(GraphSpecError, match="is not computed from `z`") as raised:
        expand_gradients(Graph({"g": grad(total(x), z)[0]}, {"z": z}))
    assert raised.value.diagnostics[0].primary is None


def test_zeros_where_they_are_allowed():
    x, z = given("x", N), given("z", N)
    found = expanded(g=grad(total(x), z, allow_zero=True)[0])["g"]
    np.testing.assert_array_equal(run([found], arrays([x, z]))[0], np.zeros(3))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, n: grad(x, x), "needs a cotangent"),
        (lambda x, n: grad(total(n), x), "floating-point"),
        (lambda x, n: grad(total(x), n), "floating-point"),
        (lambda x, n: grad(x, x, cotangent=total(x)), "shape of the value"),
        (lambda x, n: grad(x, x, cotangent=call("cast", x, dtype=DType.F32)), "must be f64"),
        (lambda x, n: jvp(total(x), x, total(x)), "shape of the value"),
        (lambda x, n: jvp(n, x, x), "floating-point"),
    ],
)
def test_what_has_no_gradient_is_refused_when_it_is_written(make, message):
    x, n = given("x", N), given("n", N, dtype=DType.I64)
    with pytest.raises(TypeRuleError, match=message):
        make(x, n)


def test_gradients_through_a_choice_at_run_time():
    x = given("x", N)
    y = total(where(call("less", x, literal(1.0, F64)), x * x, x))
    found = expanded(g=grad(y, x)[0])["g"]
    inputs = arrays([x])
    np.testing.assert_allclose(run([found], inputs)[0], np.where(inputs[x] < 1, 2 * inputs[x], 1))
