"""Calls become the nodes of their bodies."""

from __future__ import annotations

from graphspec.diagnostics import Source, Span
from graphspec.ir import Graph, Origin, TensorType, made_at, symbol
from graphspec.transforms.drop_taps import drop_taps
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.inline_calls import inline_calls
from tests.transforms.models import (
    F64,
    call,
    definition,
    exp,
    given,
    op_names,
    same_before_and_after,
    sin,
    tap,
    total,
)

N = symbol("N")
ROW = TensorType(F64, (N,))

square = definition("square", lambda x: x * x, ROW)
fourth = definition("fourth", lambda x: square(square(x)[0])[0], ROW)
pair = definition("pair", lambda x, z: (exp(x), x, sin(z) * 2.0), ROW, ROW)


def test_calls_are_inlined_to_the_innermost():
    x = given("x", N)
    before = Graph({"y": fourth(fourth(x)[0])[0]})
    after = inline_calls(before)
    assert op_names(after) == ["mul"] * 4
    same_before_and_after(before, after)


def test_several_results_and_arguments_that_are_results():
    x, z = given("x", N), given("z", N)
    a, b, c = pair(x, z)
    before = Graph({"y": a * b, "c": c, "b": b})
    after = inline_calls(before)
    assert after.outputs["b"] is x
    same_before_and_after(before, after)


def test_names_follow_their_values():
    x = given("x", N)
    (y,) = square(x)
    after = inline_calls(Graph({"out": y * 2.0}, {"y": y, "x": x}))
    assert after.names["y"].node.op.name == "mul"
    assert after.names["x"] is x


def test_inlined_nodes_carry_the_line_of_the_call():
    std, user = (
        Source("std/activations.gspec", "op square(x) = x * x\n"),
        Source("m.gspec", "y = square(x)\n"),
    )
    with made_at(Origin(Span(std, 15, 20))):
        make = definition("square", lambda x: x * x, ROW)
    place = Origin(Span(user, 4, 13))
    with made_at(place):
        (y,) = make(given("x", N))
    assert inline_calls(Graph({"y": y})).outputs["y"].node.origin is place


def test_a_deep_chain_of_definitions_needs_no_deep_stack():
    make = square
    for i in range(3000):
        make = definition(f"f{i}", lambda x, inner=make: inner(x)[0], ROW)
    after = inline_calls(Graph({"y": make(given("x", N))[0]}))
    assert op_names(after) == ["mul"]


def test_taps_and_stopped_gradients_are_dropped_once_derivatives_are_taken():
    x = given("x", N)
    a = tap("a", call("stop_gradient", tap("b", x)))
    before = Graph({"y": sin(a)}, {"a": a})
    after = drop_taps(before)
    assert op_names(after) == ["sin"]
    assert after.names["a"] is x
    same_before_and_after(before, after)


def test_what_the_outputs_do_not_need_is_dropped_with_its_names():
    x, z = given("x", N), given("z", N)
    unused = exp(x) * z
    y = total(x)
    after = eliminate_dead_code(Graph({"y": y}, {"x": x, "z": z, "unused": unused}))
    assert op_names(after) == ["sum"]
    assert list(after.names) == ["x"]
