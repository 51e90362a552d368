"""All passes together: the same numbers before and after, in time that grows with the graph."""

from __future__ import annotations

from math import isqrt

import numpy as np
import pytest

from graphspec.ir import Graph, TensorType, Value, literal, symbol
from graphspec.transforms.differentiate import cotangents
from graphspec.transforms.drop_taps import drop_taps
from graphspec.transforms.eliminate_dead_code import eliminate_dead_code
from graphspec.transforms.fold_constants import fold_constants
from graphspec.transforms.inline_calls import inline_calls
from graphspec.transforms.merge_equal import merge_equal
from graphspec.transforms.pipeline import OPTIONAL, optimise, passes_without
from graphspec.transforms.simplify_algebra import simplify_algebra
from graphspec.transforms.simplify_shapes import simplify_shapes
from tests.effort import IN_PROPORTION, growth
from tests.transforms.models import (
    F64,
    arrays,
    call,
    definition,
    exp,
    given,
    one,
    op_names,
    run,
    same_before_and_after,
    sin,
    tap,
    total,
)

N = symbol("N")
LEAST = passes_without(OPTIONAL)

swish = definition("swish", lambda x: x / (1.0 + exp(-x)), TensorType(F64, (N, 4)))


def network() -> tuple[Value, dict[str, Value]]:
    """Two layers with an activation that is a call, and a penalty."""
    x, w1, b1, w2 = given("x", N, 5), given("w1", 5, 4), given("b1", 4), given("w2", 4)
    h = tap("h", swish(x @ w1 + b1)[0])
    y = total((h * w2) ** 2) / literal(N, F64) + 0.1 * total(w2**2)
    return y, {"x": x, "w1": w1, "b1": b1, "w2": w2, "h": h}


def gradients(y: Value, names: dict[str, Value]) -> Graph:
    found = cotangents({y: one(y)}, list(names.values()))
    outputs = {f"d{name}": g for name, g in zip(names, found, strict=True) if g is not None}
    return Graph({"y": y, **outputs}, names)


@pytest.mark.parametrize("without", [(), *((name,) for name in OPTIONAL), OPTIONAL], ids=", ".join)
def test_no_pass_changes_what_is_computed(without):
    before = gradients(*network())
    after = optimise(before, verify=True, passes=passes_without(without))
    assert not {"tap", "call"} & set(op_names(after))
    # merged and folded literals are rounded once instead of twice
    same_before_and_after(before, after, rtol=1e-13)


def test_simplification_leaves_less_to_compute():
    before = gradients(*network())
    assert len(optimise(before).nodes) < len(optimise(before, passes=LEAST).nodes)


def test_what_the_request_does_not_need_is_not_there():
    y, names = network()
    (dw2,) = cotangents({y: one(y)}, [names["w2"]])
    assert dw2 is not None
    after = optimise(Graph({"dw2": dw2}, names))
    assert op_names(after).count("matmul") == 1
    assert set(after.names) == {"x", "w1", "b1", "w2", "h"}
    (dw1,) = cotangents({y: one(y)}, [names["w1"]])
    assert dw1 is not None
    assert op_names(optimise(Graph({"dw1": dw1}, names))).count("matmul") == 2


def test_a_pass_is_not_run_on_what_it_has_made():
    seen = []

    def look(graph: Graph) -> Graph:
        seen.append(graph)
        return graph

    def change(graph: Graph) -> Graph:
        return Graph(graph.outputs, graph.names)

    optimise(Graph({"y": given("x", N)}), passes=[look, look, change, look])
    assert len(seen) == 2


def test_a_pass_that_breaks_the_graph_is_named():
    def forget_outputs(graph: Graph) -> Graph:
        return Graph({})

    def change_type(graph: Graph) -> Graph:
        return Graph({"y": given("z", 3)})

    graph = Graph({"y": given("x", N)})
    for broken in (forget_outputs, change_type):
        with pytest.raises(AssertionError, match=f"`{broken.__name__}` broke the graph"):
            optimise(graph, verify=True, passes=[broken])


def chain(length: int) -> tuple[Value, Value]:
    x = given("x", N)
    h = x
    for i in range(length):
        h = sin(h) if i % 3 else h * 1.1
    return total(h), x


def grid(side: int) -> tuple[Value, Value]:
    """Each value is made of its upper and left neighbours: many paths, all meeting."""
    x = given("x", N)
    row = [x] * side
    for _ in range(side):
        left = x
        for j in range(side):
            left = row[j] = (left + row[j]) * 0.5
    return total(row[-1]), x


@pytest.mark.parametrize(
    ("make", "size"), [(chain, 3000), (grid, 32)], ids=["a chain of 3000 nodes", "a grid of 32 by 32"]
)
def test_large_graphs_are_differentiated_and_optimised(make, size):
    y, x = make(size)
    (dx,) = cotangents({y: one(y)}, [x])
    assert dx is not None
    after = optimise(Graph({"dx": dx}))
    inputs = arrays([y])
    step = 1e-6
    above, below = (run([y], {x: inputs[x] + s})[0] for s in (step, -step))
    slope = (above - below) / (2 * step)
    np.testing.assert_allclose(run([after.outputs["dx"]], inputs)[0].sum(), slope, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("make", [chain, lambda nodes: grid(isqrt(nodes))], ids=["chain", "grid"])
def test_the_effort_of_differentiating_and_optimising_grows_with_the_graph(make):
    def prepare(nodes):
        y, x = make(nodes)

        def work():
            (dx,) = cotangents({y: one(y)}, [x])
            assert dx is not None
            optimise(Graph({"dx": dx}))

        return work

    assert growth(prepare, 600) < IN_PROPORTION


def test_one_walk_finds_what_the_passes_find_one_after_the_other():
    passes = (
        inline_calls,
        drop_taps,
        merge_equal,
        fold_constants,
        simplify_shapes,
        simplify_algebra,
        merge_equal,
    )
    before = gradients(*network())
    apart = optimise(before, passes=(*passes, eliminate_dead_code))
    together = optimise(before, verify=True)
    assert sorted(op_names(together)) == sorted(op_names(apart))


def test_what_a_rule_makes_is_simplified_again():
    x = given("x", 8)
    y = tap("y", x) ** (3 - literal(1, F64))
    outputs = {"y": y, "z": (-x) * (-(x * 1.0)), "w": call("neg", -(x * x)) + -0.0}
    graph = optimise(Graph(outputs), verify=True)
    assert op_names(graph) == ["mul"]
    assert len({graph.outputs[name] for name in "yzw"}) == 1
