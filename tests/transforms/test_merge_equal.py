"""Equal applications become one node."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.ir import DType, Graph, TensorType, literal, symbol
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.merge_equal import merge_equal
from tests.transforms.models import (
    F64,
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


def test_equal_applications_are_one_node():
    x = given("x", N)
    before = Graph({"y": sin(exp(x)) * sin(exp(x))})
    after = merge_equal(before)
    assert op_names(after) == ["exp", "sin", "mul"]
    same_before_and_after(before, after)


def test_operands_of_commutative_ops_may_stand_in_either_order():
    x, z = given("x", N), given("z", N)
    before = Graph({"y": (x * z) / (z * x) - (x + z) / (z + x)})
    after = merge_equal(before)
    assert op_names(after).count("mul") == op_names(after).count("add") == 1
    same_before_and_after(before, after)
    assert op_names(merge_equal(Graph({"y": (x - z) * (z - x)}))).count("sub") == 2


def test_two_inputs_are_never_the_same_even_with_one_label():
    a, b = given("x", N), given("x", N)
    assert op_names(merge_equal(Graph({"y": sin(a) - sin(b)}))).count("sin") == 2


def test_other_attributes_are_another_application():
    x = given("x", 2, 2)
    before = Graph({"y": call("sum", x, axis=(0,)) - call("sum", x, axis=(1,))})
    assert op_names(merge_equal(before)).count("sum") == 2


@pytest.mark.parametrize(
    ("left", "right", "are_merged"),
    [
        (literal(2, F64), literal(2.0, F64), True),
        (literal(float("nan"), F64), literal(-float("nan"), F64), True),
        (literal(0.0, F64), literal(-0.0, F64), False),
        (literal(symbol("N") * 2, F64), literal(2 * symbol("N"), F64), True),
        (literal(1, DType.I64), literal(1, DType.I32), False),
        (literal(1, DType.I64), literal(True, DType.BOOL), False),
    ],
)
def test_literals_are_merged_where_they_are_the_same_bits(left, right, are_merged):
    graph = merge_equal(Graph({"a": left, "b": right}))
    assert (graph.outputs["a"] is graph.outputs["b"]) == are_merged


def test_calls_of_one_body_are_merged():
    twice = definition("twice", lambda x: x + x, TensorType(F64, (N,)))
    x = given("x", N)
    assert op_names(merge_equal(Graph({"y": twice(x)[0] - twice(x)[0]}))) == ["call", "sub"]


def test_values_that_are_equal_keep_separate_gradients():
    """a = relu(x) and b = relu(x): each has the gradient that flows through it, also when they merge."""
    x = given("x", 3)
    a, b = tap("a", relu(x)), tap("b", relu(x))
    loss = total(2.0 * a + 3.0 * b)
    merged = merge_equal(Graph({"loss": loss}, {"a": a, "b": b, "x": x}))
    assert op_names(merged).count("maximum") == 1
    assert merged.names["a"] is not merged.names["b"]
    y = merged.outputs["loss"]
    da, db = cotangents({y: one(y)}, [merged.names["a"], merged.names["b"]])
    inputs = arrays([y])
    np.testing.assert_array_equal(run([da, db], inputs), [[2.0] * 3, [3.0] * 3])
