"""Products with unit vectors are rows: the pass that finds them, alone and in Jacobians."""

from __future__ import annotations

import numpy as np
import pytest

import graphspec as gs
from graphspec import testing
from graphspec.ir import DType, Graph, Input, TensorType, Value, apply, symbol, verify
from graphspec.transforms.broadcasting import make
from graphspec.transforms.unit_products import unit_products

P = symbol("P")


def an_input(name: str, shape: tuple[object, ...], dtype: DType = DType.F64) -> Value:
    return apply(Input(name, TensorType(dtype, shape)))


def unit_vectors(places: Value, size: int, ones: int = 0) -> Value:
    column = make("reshape", places, shape=(P, *(1,) * ones, 1))
    index = make("reshape", make("arange", size=size), shape=(1, *(1,) * ones, size))
    return make("cast", make("equal", column, index), dtype=DType.F64)


def operations(value: Value) -> set[str]:
    return {node.op.name for node in Graph({"y": value}).nodes}


@pytest.mark.parametrize("ones", [0, 1])
@pytest.mark.parametrize("scaled", ["not", "left", "right", "row"])
def test_a_product_with_multiples_of_unit_vectors_reads_rows(ones: int, scaled: str) -> None:
    p, s, w = an_input("p", (P,), DType.I64), an_input("s", (4,)), an_input("w", (4, 3))
    x = unit_vectors(p, 4, ones)
    row = make("reshape", s, shape=(1, 4))
    x = {"not": x, "left": s * x, "right": x * s, "row": x * row}[scaled]
    y = make("matmul", x, w)
    after = unit_products(Graph({"y": y}))
    verify(after)
    made = after.outputs["y"]
    assert made.type == y.type
    assert "gather" in operations(made)
    assert "matmul" not in operations(made)
    rng = np.random.default_rng(0)
    arrays = {p: np.array([2, 0, 3, 2, 1]), s: rng.normal(size=4), w: rng.normal(size=(4, 3))}
    before, found = testing.evaluate([y, made], arrays, {"P": 5})
    np.testing.assert_array_equal(found, before)  # one term of each sum is not zero


@pytest.mark.parametrize("other", ["matrix", "two axes", "vector"])
def test_other_products_stay(other: str) -> None:
    p, w = an_input("p", (P,), DType.I64), an_input("w", (4, 3))
    match other:
        case "matrix":  # the factors are others for each vector
            y = make("matmul", unit_vectors(p, 4) * an_input("s", (P, 4)), w)
        case "two axes":
            units = make("broadcast_to", unit_vectors(p, 4, 1), shape=(P, 2, 4))
            y = make("matmul", units, w)
        case _:
            y = make("matmul", unit_vectors(p, 4), an_input("v", (4,)))
    graph = Graph({"y": y})
    assert unit_products(graph) is graph


def test_a_jacobian_of_a_chain_of_layers_takes_a_product_less_than_it_has_layers() -> None:
    model = gs.loads(
        "gspec 1\ninput x: f64[5] ~ normal()\n"
        "output y = x -> linear(4) as a -> tanh -> linear(3) as b -> tanh\n"
    )
    params, inputs = model.init(), model.draw()
    found = model.jacobian(params, inputs, of="y", wrt="x")
    h = np.tanh(params["a.weight"] @ inputs["x"] + params["a.bias"])
    y = np.tanh(params["b.weight"] @ h + params["b.bias"])
    outer, inner = (1 - y**2)[:, None] * params["b.weight"], (1 - h**2)[:, None] * params["a.weight"]
    np.testing.assert_allclose(found, outer @ inner, rtol=1e-13)  # sums of four products
    (program,) = {p for p in model._engine._programs.values() if p.outputs["block"].shape[0] == 3}
    shapes = [
        program.plan.types[step.node.inputs[1]].shape
        for step in program.plan.steps
        if step.op.name == "matmul"
    ]
    assert shapes.count((3, 4)) == 0  # the last layer's weight is read, not multiplied
