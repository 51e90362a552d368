"""Selections in specs, from the text to the numbers: pushed back or not, with `simplify=False`."""

from __future__ import annotations

import importlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec.ir import Graph
from tests.transforms.models import evaluate_size

SPECS = Path(__file__).parent.parent.parent / "specs"

NETWORK = """gspec 1
dim N = 2
input x: f32[N, 3, 24, 24] ~ uniform(-1, 1)
input i: i64[] ~ randint(12)
input j: i64[] ~ randint(12)
y = x
  -> conv2d(8, kernel_size=3, padding=1) as conv1 -> batch_norm as bn1 -> relu
  -> conv2d(8, kernel_size=3, padding=1) as conv2 -> gelu -> max_pool2d(3, stride=1, padding=1)
  -> conv2d(4, kernel_size=3, padding=1, stride=2) as conv3
loss score = sum(sin(y[0, :, i, j]))
"""

TRANSFORMER = """gspec 1
dim N = 2, T = 6
input ids: i64[N, T] ~ randint(11)
h = ids -> embedding(11, dim=8) as wte
n = layer_norm(h) as ln1
a = h + multi_head_attention(n, n, n, num_heads=2, is_causal=true) as att
b = a + (a -> layer_norm as ln2 -> linear(32) as up -> gelu -> linear(8) as down)
logits = b -> layer_norm as ln3 -> linear(11) as head
loss last = mean(logits[:, -1, 3])
"""

ROWS = """gspec 1
dim N = 20
input x: f32[N, 5] ~ normal()
input ids: i64[3] ~ randint(20)
h = x -> linear(16) as l1 -> tanh -> linear(7) as l2 -> log_softmax(axis=-1)
loss chosen = sum(h[ids][:, 2] ** 2)
"""

#: only one of two heads is looked at, through columns of it
HEADS = """gspec 1
dim N = 20
input x: f32[N, 5] ~ normal()
h = x -> linear(16) as l1 -> tanh
y = concat(h -> linear(7) as a, h -> linear(5) as b, axis=1)
loss few = mean(y[:, 1:3] ** 2)
"""

#: a derivative in the loss, at one place of it
NESTED = """gspec 1
input x: f32[9, 7] ~ normal()
input i: i64[] ~ randint(9)
u = x -> linear(6) as l1 -> tanh -> linear(3) as l2
g = grad(sum(u[i, 1]), x)
loss energy = sum(g[i] ** 2) + u[i, 0]
"""

#: the layer's derivative is by hand
BY_HAND = """gspec 1
input x: f32[9, 7] ~ normal()
op requ(x) = maximum(x, 0) ** 2 {
  gradient(dy) x = 2 * maximum(x, 0) * dy
}
y = x -> linear(6) as l1 -> requ -> linear(4) as l2
loss corner = y[2, 1] + y[2, 2] ** 2
"""

#: derivatives by hand in the library, along other axes than the selected ones
LIBRARY = """gspec 1
dim N = 3
input x: f32[N, 2, 20, 20] ~ normal()
input i: i64[] ~ randint(20)
y = x
  -> conv2d(4, kernel_size=3, padding=1) as conv1 -> sigmoid
  -> conv2d(4, kernel_size=3, padding=1) as conv2 -> softplus
  -> conv2d(2, kernel_size=3, padding=1) as conv3 -> log_softmax(axis=1)
loss square = sum(y[1, 1:, i, 4] ** 2)
"""

MODELS = {
    "library": LIBRARY,
    "network": NETWORK,
    "transformer": TRANSFORMER,
    "rows": ROWS,
    "heads": HEADS,
    "nested": NESTED,
    "by hand": BY_HAND,
}


def both(text: str) -> tuple[gs.Model, gs.Model, Any, Any]:
    """The model as it is and as it is written, in double precision, with parameters and inputs."""
    model = gs.loads(text, dtype="f64")
    return model, gs.loads(text, dtype="f64", simplify=False), model.init(seed=0), model.draw(seed=1)


def close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        scale = np.abs(array).max(initial=1e-300)
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12 * scale, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_values_and_gradients_are_those_of_the_whole(name: str) -> None:
    model, whole, params, inputs = both(MODELS[name])
    close(model.forward(params, inputs), whole.forward(params, inputs))
    close(model.grad(params, inputs, wrt="@params"), whole.grad(params, inputs, wrt="@params"))
    if "ids" not in inputs or "x" in inputs:
        close(model.grad(params, inputs, wrt="x"), whole.grad(params, inputs, wrt="x"))


@pytest.mark.parametrize("product", ["jvp", "hvp"])
def test_products_with_derivatives_are_those_of_the_whole(product: str) -> None:
    model, whole, params, inputs = both(NETWORK)
    rng = np.random.default_rng(0)
    along = {name: rng.normal(size=params[name].shape) for name in ("conv1.weight", "conv2.bias")}
    found, expected = (getattr(m, product)(params, inputs, along) for m in (model, whole))
    if product == "jvp":
        found, expected = {"jvp": found}, {"jvp": expected}
    close(found, expected)


def test_gradients_of_single_examples_are_those_of_the_whole() -> None:
    spec = NETWORK.replace("y[0, :, i, j]", "y[:, :, i, 3]").replace("input j: i64[] ~ randint(12)\n", "")
    model, whole, params, inputs = both(spec)
    wrt = ["conv1.weight", "conv3.bias"]
    found, expected = (m.grad(params, inputs, wrt=wrt, per_example=True) for m in (model, whole))
    close(found, expected)


EACH_ITS_OWN = """gspec 1
dim N = 4
input x: f32[N, 2, 9, 9] ~ normal()
input row: i64[N] ~ randint(9)
input column: i64[N] ~ randint(9)
y = x -> conv2d(4, kernel_size=3, padding=1) as conv1 -> relu -> conv2d(2, kernel_size=3, padding=1) as conv2
score = transpose(y, [0, 2, 3, 1])[arange(N), row, column]
loss total = mean(score)
"""


@pytest.mark.needs_optimisation("push_selections")
def test_each_example_may_have_its_own_place() -> None:
    model, whole, params, inputs = both(EACH_ITS_OWN)
    for per_example in (False, True):
        found, expected = (
            m.grad(params, inputs, wrt="@params", per_example=per_example) for m in (model, whole)
        )
        close(found, expected)
    with pytest.raises(gs.GraphSpecError, match="`score` takes element 9 of axis 1, which has size 9"):
        model.grad(params, {**inputs, "row": np.array([0, 9, 1, 2])}, wrt="@params", per_example=True)


def test_an_emitted_program_reads_windows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = gs.load(SPECS / "one_pixel.gspec", dims={"N": 2}, dtype="f64")
    params, inputs = model.init(seed=0), model.draw(seed=0)
    (tmp_path / "one_pixel_program.py").write_text(model.emit(wrt="conv1.weight"))
    monkeypatch.syspath_prepend(tmp_path)
    found = importlib.import_module("one_pixel_program").gradients({**params, **inputs})
    close(found, model.grad(params, inputs, wrt="conv1.weight"))


def test_the_gradient_by_what_is_not_looked_at_is_zero() -> None:
    model, whole, params, inputs = both(HEADS)
    grads = model.grad(params, inputs, wrt="b.weight")
    assert grads["b.weight"].shape == (5, 16)
    assert not grads["b.weight"].any()
    assert np.abs(whole.grad(params, inputs, wrt="b.weight")["b.weight"]).max() == 0
    along = {"b.weight": params["b.weight"]}
    assert model.jvp(params, inputs, along) == 0
    close(model.hvp(params, inputs, along), whole.hvp(params, inputs, along))


@pytest.mark.parametrize("simplify", [True, False])
def test_a_name_that_leads_nowhere_is_explained_as_ever(simplify: bool) -> None:
    spec = HEADS + "input z: f32[N] ~ normal()\noutput lonely = argmax(z + y[:, 0], axis=0)\n"
    model = gs.loads(spec, simplify=simplify)
    with pytest.raises(gs.GraphSpecError) as error:
        model.grad(model.init(seed=0), model.draw(seed=0), wrt="z", of="few")
    assert [d.id for d in error.value.diagnostics] == ["not-reached"]
    assert "`z + y[:, 0]`" in str(error.value) or "it leads to" in str(error.value)


def test_an_index_out_of_range_names_the_line_of_the_spec() -> None:
    spec = NETWORK.replace("loss score", "picked = y[0, :, i, j]\nloss score").replace(
        "sin(y[0, :, i, j])", "sin(picked)"
    )
    texts = []
    for simplify in (True, False):
        model = gs.loads(spec, simplify=simplify)
        params, inputs = model.init(seed=0), model.draw(seed=0)
        with pytest.raises(gs.GraphSpecError) as error:
            model.grad(params, {**inputs, "j": np.asarray(12)}, wrt="conv1.weight")
        (diagnostic,) = error.value.diagnostics
        assert diagnostic.id == "index-out-of-range"
        texts.append(str(error.value))
    assert texts[0] == texts[1]
    assert "`picked` takes element 12 of axis 2, which has size 12" in texts[0]


def test_intermediate_values_that_are_asked_for_are_whole() -> None:
    model, whole, params, inputs = both(NETWORK)
    found, expected = (m.grad(params, inputs, wrt=["y", "conv1", "conv3.x"]) for m in (model, whole))
    close(found, expected)
    assert found["y"].shape == (2, 4, 12, 12)
    assert np.count_nonzero(found["y"]) == 4
    value = model.forward(params, inputs, of=["conv1", "score"])
    assert value["conv1"].shape == (2, 8, 24, 24)


@pytest.mark.needs_optimisation("push_selections")
def test_only_what_is_needed_is_asked_for() -> None:
    model = gs.loads(HEADS)
    params = model.init(seed=0)
    del params["b.weight"], params["b.bias"]
    assert set(model.grad(params, model.draw(seed=0), wrt="a.weight")) == {"a.weight"}


@pytest.mark.needs_optimisation("push_selections")
def test_a_graph_that_is_not_simplified_has_its_selections_in_place() -> None:
    found = []
    for simplify in (True, False):
        graph = gs.load(SPECS / "one_pixel.gspec", simplify=simplify).gradient_graph("conv1.weight")
        found.append([str(n.types[0]) for n in graph.nodes if n.op.name == "convolution"])
    assert found[0] == [f"f32[1, {c}, {s}, {s}]" for c, s in ((16, 7), (16, 5), (16, 3), (3, 1))]
    assert found[1] == [f"f32[N, {c}, 96, 96]" for c in (16, 16, 16, 3)]


def multiplications(graph: Graph, sizes: dict[str, int]) -> int:
    """The multiplications of the graph's convolutions and of their derivatives, which are as many."""
    count = 0
    for node in graph.nodes:
        operands = [v.type.shape for v in node.inputs]
        match node.op.name:
            case "convolution":
                maps, weight = node.types[0].shape, operands[1]
            case "convolution_input_adjoint":
                maps, weight = operands
            case "convolution_weight_adjoint":
                maps, weight = operands[0], node.types[0].shape
            case _:
                continue
        count += prod(evaluate_size(n, sizes) for n in (*maps, *weight[1:]))
    return count


@pytest.mark.needs_optimisation("push_selections")
@pytest.mark.parametrize(
    ("name", "wrt"), [("one_of_sixteen", "conv1.weight"), ("one_pixel", "@params")], ids=["sixteen", "pixel"]
)
def test_a_loss_on_one_element_takes_less_than_a_tenth_of_the_multiplications(name: str, wrt: str) -> None:
    sizes = {"N": 32 if name == "one_of_sixteen" else 4}
    counts = [
        multiplications(gs.load(SPECS / f"{name}.gspec", simplify=simplify).gradient_graph(wrt), sizes)
        for simplify in (True, False)
    ]
    assert 0 < counts[0] < counts[1] / 10
