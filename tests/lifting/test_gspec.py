"""Graphs printed as `.gspec` text: it is read without a warning, prints as itself, and computes the same."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec import testing
from graphspec.ir import OPS, DType, Graph, Input, Node, Sample, TensorType, Value, apply, literal
from graphspec.lifting.gspec import print_graph
from tests.lifting.round_trip import check_gradients, check_values, compare, read_again
from tests.references.std_cases import CASES, Case, path_of
from tests.test_std import spec_of

SPECS = Path(__file__).parents[2] / "specs"
SMALL = {"N": 3, "M": 2, "B": 2, "T": 4}
#: by spec: what is differentiated, by what
REQUESTS: dict[str, tuple[str | None, str | list[str]]] = {
    "burgers": ("total", "@params"),
    "digits": (None, ["conv1.weight", "conv1.bias", "fc.x"]),
    "gpt": ("lm", "@params"),
    "lenet": (None, ["@params", "@inputs", "fc1.x", "conv1"]),
    "one_of_sixteen": ("one", ["conv1.weight", "map"]),
    "per_example": ("y", "@params"),
    "requ_iris": (None, ["hidden.affine.weight", "measurements"]),
    "resnet": ("nll", "@params"),
    "scalar": ("z", "@inputs"),
    "siamese": ("total", "@params"),
    "two_inputs": ("y", ["x", "hidden.weight"]),
    "vae": ("elbo", "@params"),
    "wgan_gp": ("critic", "D.**"),
}


def load(name: str) -> tuple[gs.Model, dict[str, Any]]:
    """A spec in double precision for a few examples, and arrays for it."""
    path = SPECS / f"{name}.gspec"
    dims = {n: size for n, size in SMALL.items() if n in gs.load(path, notify=print)._module.dims}
    if name == "requ_iris":
        dims = {}  # its data say how many there are
    model = gs.load(path, dims=dims, dtype="f64", notify=lambda found: None)
    return model, {**model.init(seed=1), **model.draw(seed=1)}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_spec_that_is_printed_computes_the_same(name: str) -> None:
    model, arrays = load(name)
    _, printed = read_again(model.graph)
    check_values(model, printed, arrays, list(model.graph.outputs))


@pytest.mark.parametrize("name", REQUESTS)
def test_a_gradient_that_is_printed_computes_the_same(name: str) -> None:
    model, arrays = load(name)
    of, wrt = REQUESTS[name]
    check_gradients(model, arrays, wrt, of)


def test_each_spec_of_the_gallery_has_a_request() -> None:
    assert {path.stem for path in SPECS.glob("*.gspec")} <= set(REQUESTS) | {"one_pixel"}


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_definitions_of_the_library_and_their_derivatives_are_printed(case: Case) -> None:
    tensors = case.draw()
    model = gs.loads(spec_of(case.call, tensors), mode=case.mode, dtype="f64")
    given = {path_of(name): array for name, array in tensors.items()}
    arrays = {**model.init(seed=0), **given}
    _, printed = read_again(model.graph)
    check_values(model, printed, arrays, ["y"])
    if wrt := [path_of(name) for name in case.differentiable]:
        check_gradients(model, arrays, wrt, "y")


def _samples() -> Iterator[object]:
    made_otherwise = {"input", "literal", "tap", "call", "grad", "jvp"}
    for name, op in OPS.items():
        if name not in made_otherwise:
            for i, sample in enumerate(op.samples()):
                yield pytest.param(sample, id=f"{name}-{i}")


@pytest.mark.parametrize("sample", list(_samples()))
def test_every_primitive_has_a_spelling(sample: Sample) -> None:
    arrays = testing.draw(sample)
    inputs = [apply(Input(f"x{i}", testing.type_of(array))) for i, array in enumerate(arrays)]
    (y,) = Node(sample.op, tuple(inputs)).values
    text = print_graph(Graph({"y": y}))
    printed = gs.loads(text, notify=lambda found: None)
    (expected,) = testing.evaluate([y], dict(zip(inputs, arrays, strict=True)))
    given = {f"x{i}": array for i, array in enumerate(arrays)}
    compare({"y": expected}, printed.forward({}, given, of=["y"]))


# --- how it reads ---------------------------------------------------------------------------------------


def body(spec: str, wrt: str | None = None, of: str | None = None) -> list[str]:
    """What is printed of a spec below its declarations, or of a gradient of it."""
    model = gs.loads(f"gspec 1\n{spec}", notify=lambda found: None)
    view = model.gradient_graph(wrt.split(), of) if wrt else model.graph
    text, _ = read_again(view)
    words = ("gspec", "##", "dim", "input", "param", "buffer", "noise")
    return [line for line in text.splitlines() if line and not line.startswith(words)]


def test_the_gradient_of_a_classifier_reads_like_a_derivation() -> None:
    spec = """
dim N = 100
input image: f32[N, 3, 32, 32]
input label: i64[N]
h = image -> conv2d(6, kernel_size=5) as conv1 -> relu -> flatten -> linear(10) as fc
loss nll = cross_entropy(h, label)
"""
    assert body(spec, "conv1.weight") == [
        "op log_softmax_adjoint(x, dy) {",
        "  return dy - exp(log_softmax(x, axis=1)) * sum(dy, axis=1, keepdims=true)",
        "}",
        "op nll_loss_adjoint(logp[N, 10], target, dy) {",
        "  _1 = target != -100",
        "  _2 = target_weights(logp, target)",
        "  _3 = reshape(where(_1, -(dy / sum(_2) * _2), 0), [N, 1])",
        "  return add_along_axis(_3, reshape(where(_1, target, 0), [N, 1]), axis=1, size=10)",
        "}",
        "op cross_entropy_adjoint(logits, target, dy) {",
        "  return log_softmax_adjoint(logits, nll_loss_adjoint(log_softmax(logits, axis=1), target, dy))",
        "}",
        "op relu_adjoint(x, dy) = where(x <= 0, 0, dy)",
        "conv1 = convolution(image, conv1.weight) + reshape(conv1.bias, [6, 1, 1])",
        "fc.x = flatten(relu(conv1))",
        "fc = fc.x @ transpose(fc.weight) + fc.bias",
        "h = fc",
        "loss nll = cross_entropy(fc, label)",
        "d.fc = cross_entropy_adjoint(fc, label, 1)",
        "d.fc.x = d.fc @ fc.weight",
        "d.conv1 = relu_adjoint(conv1, reshape(d.fc.x, [N, 6, 28, 28]))",
        "output d.conv1.weight: f32[6, 3, 5, 5] = convolution_weight_adjoint(d.conv1, image, size=[5, 5])",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "output y: f64[3] = (a + b) * a - (b - a) / (a * b)",
        "output y: f64[3] = a - (b - a) - (-b)",
        "output y: f64[3] = -a ** 2 + (-a) ** b ** 2",
        "output y: f64[3] = a ** -1 * 2 ** a",
        "output y: f64[3] = a / (b / a) * (b * a)",
        "output y: f64[3] = where(a < b, 0, where(a == b, -1, a))",
        "output y: bool[3] = logical_and(a + 1 < 2 * b, b != 0.1)",
        "output y: f64[3] = maximum(a, 1e-12) * 1.5e20",
        "output y: f64[] = a @ b",
        "output y: f64[3] = m[:, 1]",
        "output y: f64[2, 2] = m[1:, ::3]",
        "output y: f64[2, 4] = m[k]",
        "output y: f64[2] = m[:, 1][k]",
        "output y: f64[2] = m[k, k]",
        "output y: f64[4, 3] = transpose(m)",
        "output y: f64[4] = sum(m, axis=0)",
        "output y: f64[] = mean(m)",
        "output y: f64[3, 1] = max(m, axis=1, keepdims=true)",
        "output y: f64[6, 4] = concat(m, m)",
        "output y: f64[5, 4] = pad(m, [0, 0, 1, 1])",
        "output y: f64[5, 6] = pad(m, [1, 1, 2, 0], value=7)",
        "output y: f32[3, 4] = cast(m, f32)",
        "output y: f64[12] = reshape(m, [12])",
        "output y: f64[3, 4] = zeros([3, 4], dtype=f64)",
        "output y: i64[3] = arange(3)",
        "output y: f64[3] = leaky_relu(a, negative_slope=0.2)",
        "output y: f64[3] = softmax(a, axis=0)",
    ],
)
def test_an_expression_is_printed_as_it_was_written(line: str) -> None:
    types = {"a": "f64[3]", "b": "f64[3]", "m": "f64[3, 4]", "k": "i64[2]"}
    used = [name for name in types if re.search(rf"\b{name}\b", line.partition("=")[2])]
    assert body("".join(f"input {name}: {types[name]}\n" for name in used) + line) == [line]


def test_what_is_used_once_is_folded_and_the_rest_gets_a_name() -> None:
    line = "output y: f64[3] = exp(x) * (sin(x) + exp(x)) / sin(x)"
    assert body(f"input x: f64[3]\n{line}") == [line]
    # what is written twice is two nodes, until equal nodes are merged
    merged = str(gs.loads(f"gspec 1\ninput x: f64[3]\n{line}").forward_graph())
    assert merged.splitlines()[-3:] == [
        "h1 = exp(x)",
        "h2 = sin(x)",
        "output y: f64[3] = h1 * (h2 + h1) / h2",
    ]


def test_long_expressions_are_cut_where_they_can_be_read() -> None:
    terms = " + ".join(f"exp(x * {i}) * sin(x / {i + 1})" for i in range(2, 30))
    lines = body(f"input x: f64[3]\noutput y = {terms}\n")
    assert len(lines) > 5
    assert max(map(len, lines)) <= 100


def test_generated_names_keep_clear_of_the_users() -> None:
    spec = "input h1: f64[3]\nh2 = exp(h1)\ng = h2 * h2\noutput y = sum(sin(g) * h2) * sin(g)\n"
    assert body(spec) == ["h2 = exp(h1)", "g = h2 * h2", "output y: f64[3] = sum(sin(g) * h2) * sin(g)"]


def test_the_users_names_are_kept() -> None:
    spec = """
input x: f64[2, 3]
block two(x) { a = x -> linear(4) as first -> tanh
  return linear(a, 2) as second }
y = x -> repeat(2, two()) as stage
output z = y
"""
    model = gs.loads(f"gspec 1\n{spec}")
    _, printed = read_again(model.graph)
    of_arguments = {"stage.0.x", "stage.0.first.x", "stage.1.x", "stage.1.first.x", "stage.0.second.x"}
    assert model.graph.names.keys() - printed.graph.names.keys() <= of_arguments | {"stage.1.second.x"}


def test_an_op_of_the_file_is_printed_with_its_gradient() -> None:
    lines = body("""
input x: f64[3]
op requ(x, k: int = 2) = maximum(x, 0) ** k { gradient(dy) x = k * maximum(x, 0) ** (k - 1) * dy }
op through(x) { y = round(x)
  return y
  surrogate(dy) x = dy }
output y = requ(x, k=3) + requ(x) + through(x)
""")
    assert lines == [
        "op requ(x) = maximum(x, 0) ** 3 {",
        "  gradient(dy) x = 3 * maximum(x, 0) ** 2 * dy",
        "}",
        "op requ_2(x) = maximum(x, 0) ** 2 {",
        "  gradient(dy) x = 2 * maximum(x, 0) ** 1 * dy",
        "}",
        "op through(x) = round(x) {",
        "  surrogate(dy) x = dy",
        "}",
        "output y: f64[3] = requ(x) + requ_2(x) + through(x)",
    ]


def test_an_op_of_the_file_may_be_called_like_one_of_the_library() -> None:
    lines = body("""
input x: f64[3, 2]
input t: i64[3]
op log_softmax(x) = 2 * x
op exp(x) = x
output y = log_softmax(x) * exp(x)
output z = nll_loss(y, t) + softmax(y, axis=0)[0, 0]
""")
    assert "op log_softmax(x) = 2 * x" in lines
    assert "op exp_2(x) = x" in lines


def test_dims_that_a_definition_needs_are_bound_or_given() -> None:
    lines = body("""
dim N = 4
dim M = 2
input x: f64[N, 3]
input z: f64[2 * N, M]
op shifted(x, n: int) = sum(x) / n + reshape(x, [3, n])
op sized(x[A, B]) = reshape(x, [B, A])
output y = shifted(x, N)
output u = sized(x)
output v = shifted(reshape(sum(z, axis=0), [M, 1]) + x[:1] * 0, M)
""")
    assert lines[:2] == [
        "op shifted(x[N, 3]) = sum(x) / N + reshape(x, [3, N])",
        "op sized(x[N, 3]) = reshape(x, [3, N])",
    ]


def test_a_gradient_named_like_an_argument_of_its_neighbour_labels_the_call() -> None:
    lines = body("input x: f64[2, 3]\nh = x -> linear(4) as fc -> relu\nloss l = sum(h)\n", "fc fc.x")
    assert "output d.fc: f64[2, 4] = relu_adjoint(fc, d.h) as g1" in lines
    assert "output d.fc.x: f64[2, 3] = d.fc @ fc.weight" in lines


def test_what_a_gradient_in_the_file_is_taken_by_stays_a_place_of_its_own() -> None:
    spec = """
input x: f64[2, 3]
h = sin(x)
y = sum(linear(h, 3) as fc) + sum(h ** 3)
output part = grad(y, fc.x)
output total = grad(y, h)
"""
    lines = body(spec)
    assert "op identity(x) = x" in lines
    model, text = gs.loads(f"gspec 1\n{spec}"), str(gs.loads(f"gspec 1\n{spec}").graph)
    params, x = model.init(), {"x": np.linspace(-1, 1, 6).reshape(2, 3)}
    expected = model.forward(params, x, of=["part", "total"])
    compare(expected, gs.loads(text).forward(params, x, of=["part", "total"]))
    assert not np.allclose(expected["part"], expected["total"])


def test_several_gradients_in_the_file_are_one_statement() -> None:
    spec = "input x: f64[3]\ninput t: f64[3]\na, b = grad(sum(x * t ** 2), (x, t))\noutput y = a + b\n"
    assert body(spec)[0] == "a, b = grad(sum(x * t ** 2), (x, t))"


def test_gradients_of_several_objectives_have_names_apart() -> None:
    model = gs.loads("gspec 1\ninput x: f64[3]\nloss a = sum(x ** 2)\nloss b = sum(sin(x))\n")
    text, _ = read_again(model.gradient_graph("x", ["a", "b"]))
    assert "output d.a.x" in text
    assert "output d.b.x" in text


def test_constraints_and_settings_are_printed_as_they_are() -> None:
    spec = """
const scale = 3.5
dim C = 8 where C % 4 == 0
input x: f32[C] ~ normal(std=2.0)
noise e: f32[C] ~ uniform(-1, 1)
param w: f32[C // 4] = ones()
output y = sum(reshape(x + e, [C // 4, 4]), axis=1) * w * scale
"""
    text, _ = read_again(gs.loads(f"gspec 1\n{spec}").graph)
    assert text.splitlines()[1:] == [
        "dim C = 8 where C % 4 == 0",
        "",
        "input x: f32[C] ~ normal(std=2)",
        "noise e: f32[C] ~ uniform(-1, 1)",
        "param w: f32[C // 4] = ones()",
        "",
        "output y: f32[C // 4] = sum(reshape(x + e, [C // 4, 4]), axis=1) * w * 3.5",
    ]


def test_numbers_keep_their_dtype_where_nothing_beside_them_says_it() -> None:
    x = apply(Input("x", TensorType(DType.F32, (3,))))
    one, two = literal(1.0, DType.F64), literal(2.0, DType.F64)
    flag = apply(OPS["less"](), x, literal(0.0, DType.F32))
    y = apply(OPS["where"](), flag, one, two)
    text = print_graph(Graph({"y": y, "z": one, "s": one + two}))
    printed = gs.loads(text, notify=lambda found: None)
    assert {n: printed.names()[n] for n in ("y", "z", "s")} == {"y": "f64[3]", "z": "f64[]", "s": "f64[]"}


def test_outputs_may_be_inputs_or_numbers_and_share_a_value() -> None:
    spec = "input x: f64[3]\noutput a = x\noutput x\noutput b = sin(x)\noutput c = b\n"
    assert body(spec) == ["output x", "output a = x", "output b: f64[3] = sin(x)", "output c = b"]


def test_what_train_mode_does_is_printed() -> None:
    spec = "gspec 1\ninput x: f64[4, 3]\noutput y = x -> batch_norm as bn -> dropout(p=0.5) as drop\n"
    model = gs.loads(spec, mode="train")
    arrays = {**model.init(seed=3), "x": np.random.default_rng(0).normal(size=(4, 3))}
    _, printed = read_again(model.graph)
    check_values(model, printed, arrays, ["y"])
    check_gradients(model, arrays, ["x", "bn.weight"], "y")


def test_a_graph_of_thousands_of_nodes_is_printed() -> None:
    lines = "".join(f"h{i + 1} = sin(h{i}) + 1\n" for i in range(1200))
    model = gs.loads(f"gspec 1\ninput h0: f64[2]\n{lines}output y = h1200\n")
    assert len(str(model.graph).splitlines()) > 1200
    chain = Graph({"y": _chain(1500)})
    assert len(print_graph(chain)) > 1500


def _chain(count: int) -> Value:
    value = apply(Input("x", TensorType(DType.F64, (2,))))
    for _ in range(count):
        value = apply(OPS["sin"](), value)
    return value
