"""The batching transform: a graph on many sets of inputs at once."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.diagnostics import GraphSpecError, Source, Span
from graphspec.ir import OPS, Graph, Node, Op, Origin, TensorType, apply, made_at, reachable, symbol, verify
from graphspec.transforms.batch import batch
from tests.transforms.models import F64, call, exp, given, run, sin, total

B = symbol("B")


def test_it_gives_what_a_loop_gives() -> None:
    x, w = given("x", 2, 3), given("w", 4, 3)
    y = total(sin(x @ call("transpose", w))) * exp(x)
    xs = given("xs", B, 2, 3)
    after = batch(Graph({"y": y}), {x: xs}, B)
    verify(after)
    assert str(after.outputs["y"].type) == "f64[B, 2, 3]"
    random = np.random.default_rng(0)
    data, weight = random.standard_normal((5, 2, 3)), random.standard_normal((4, 3))
    (found,) = run(list(after.outputs.values()), {xs: data, w: weight}, {"B": 5})
    loop = [run([y], {x: one, w: weight})[0] for one in data]
    np.testing.assert_allclose(found, loop, rtol=1e-14)


def test_what_depends_on_no_batched_input_is_computed_once() -> None:
    x, w = given("x", 3), given("w", 3)
    once = exp(w)
    after = batch(Graph({"y": x * once, "once": once}, {"w2": once}), {x: given("xs", B, 3)}, B)
    assert once.node in reachable([after.outputs["y"]])
    assert after.names["w2"] is once
    repeated = after.outputs["once"]
    assert (repeated.node.op.name, repeated.shape) == ("broadcast_to", (B, 3))


def test_names_follow_the_values() -> None:
    x = given("x", 3)
    h = sin(x)
    after = batch(Graph({"y": exp(h)}, {"h": h}), {x: given("xs", B, 3)}, B)
    assert after.names["h"].shape == (B, 3)


def test_nodes_keep_their_origins() -> None:
    origin = Origin(Span(Source("a.gspec", "y = exp(x)"), 4, 10))
    x = given("x", 2, 2)
    with made_at(origin):
        y = exp(x) @ x
    after = batch(Graph({"y": y}), {x: given("xs", B, 2, 2)}, B)
    made = set(after.nodes) - {x.node}
    assert {node.origin for node in made if node.inputs} == {origin}


def test_a_batch_of_batches() -> None:
    x, w = given("x", 3), given("w", 3)
    once = batch(Graph({"y": sin(x) * w}), {x: given("xs", B, 3)}, B)
    (xs,) = (n.values[0] for n in once.nodes if n.op.attributes().get("label") == "xs")
    ws = given("ws", symbol("C"), 3)
    twice = batch(once, {w: ws}, symbol("C"))
    random = np.random.default_rng(0)
    a, b = random.standard_normal((5, 3)), random.standard_normal((2, 3))
    (found,) = run(list(twice.outputs.values()), {xs: a, ws: b}, {"B": 5, "C": 2})
    np.testing.assert_allclose(found, np.sin(a)[None] * b[:, None], rtol=1e-14)


def test_an_op_of_an_extension_without_a_rule_is_the_users_error() -> None:
    class Odd(Op):
        name = "odd"

        def infer(self, x: TensorType) -> TensorType:
            return x

    x = given("x", 3)
    with pytest.raises(GraphSpecError, match="`odd` has no batching rule"):
        batch(Graph({"y": apply(Odd(), x)}), {x: given("xs", B, 3)}, B)


def test_long_chains_are_no_obstacle() -> None:
    x = given("x", 2)
    y = x
    for _ in range(10_000):
        y = apply(OPS["sin"](), y)
    after = batch(Graph({"y": y}), {x: given("xs", B, 2)}, B)
    assert len(after.nodes) == 10_001
    assert isinstance(after.outputs["y"].node, Node)
    assert after.outputs["y"].dtype is F64
