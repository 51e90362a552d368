"""The standard library: each definition against PyTorch, finite differences, extreme operands, its docs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec.diagnostics import Source
from graphspec.syntax import ast, parse
from tests.references.std_cases import CASES, Array, Case, draw, path_of, reals

STD = Path(gs.__file__).parent / "std"
FROZEN = Path(__file__).parent / "references" / "std.npz"
SMOOTH = tuple(c for c in CASES if c.smooth and c.differentiable)


@cache
def frozen() -> tuple[Array, dict[str, tuple[int, list[int]]]]:
    with np.load(FROZEN) as file:
        return file["values"], json.loads(str(file["index"]))


def reference(case: Case) -> tuple[Array, dict[str, Array]]:
    """PyTorch's result, and its derivatives by the tensors' names."""
    values, index = frozen()
    assert case.id in index, "run tests/references/make_references.py"
    start, shape = index[case.id]
    tensors = case.draw()
    shapes = [tuple(shape), *(tensors[n].shape for n in case.differentiable)]
    parts: list[Array] = []
    for size in shapes:
        stop = start + int(np.prod(size))
        parts.append(values[start:stop].reshape(size))
        start = stop
    return parts[0], dict(zip(case.differentiable, parts[1:], strict=True))


def type_of(array: Array) -> str:
    words = {"float64": "f64", "float32": "f32", "int64": "i64", "bool": "bool"}
    return f"{words[str(array.dtype)]}[{', '.join(map(str, array.shape))}]"


def declaration(entry: tuple[str, Array]) -> str:
    return f"input {entry[0]}: {type_of(entry[1])}"


def spec_of(call: str, tensors: Mapping[str, Array], *more: str) -> str:
    inputs = [declaration(entry) for entry in tensors.items() if not entry[0].startswith("f_")]
    return "\n".join(["gspec 1", *inputs, f"output y = {call}", *more, ""])


def split(tensors: Mapping[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Parameters and inputs, by the names they have in the spec."""
    params = {path_of(n): a for n, a in tensors.items() if n.startswith("f_")}
    return params, {n: a for n, a in tensors.items() if not n.startswith("f_")}


def complete(model: gs.Model, params: dict[str, Array]) -> dict[str, Array]:
    """The parameters, with the buffers that the case leaves out."""
    return model.init(seed=0) | params


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_results_and_derivatives_are_those_of_pytorch(case: Case) -> None:
    tensors = case.draw()
    given, inputs = split(tensors)
    model = gs.loads(spec_of(case.call, tensors), mode=case.mode, dtype="f64")
    params = complete(model, given)
    assert all(params[n].shape == a.shape for n, a in given.items())
    result, grads = reference(case)
    y = model.forward(params, inputs, of=["y"])["y"]
    np.testing.assert_allclose(y, result, rtol=1e-9, atol=1e-11)
    assert y.shape == result.shape
    if not grads:
        return
    names = {n: path_of(n) for n in grads}
    found = model.grad(params, inputs, wrt=[*names.values()], of="y", cotangent=case.cotangent(y.shape))
    for name, path in names.items():
        scale = np.max(np.abs(grads[name]), initial=0.0)
        np.testing.assert_allclose(
            found[path], grads[name], rtol=1e-9, atol=1e-11 * scale + 1e-300, err_msg=path
        )


@pytest.mark.parametrize("case", SMOOTH, ids=lambda c: c.id)
def test_first_and_second_derivatives_are_those_of_finite_differences(case: Case) -> None:
    """The slope of <along, y> in random directions, and the slope of that slope."""
    tensors = case.draw()
    v = case.cotangent(tuple(reference(case)[0].shape))
    directions = {
        f"d{i}": draw(reals(*tensors[n].shape), f"{case.id} d{i}") for i, n in enumerate(case.differentiable)
    }
    paths = [path_of(n) for n in case.differentiable]
    more = (
        "output product = sum(y * along)",
        *(f"g{i} = grad(y, {path}, cotangent=along)" for i, path in enumerate(paths)),
        "output slope = " + " + ".join(f"sum(g{i} * d{i})" for i in range(len(paths))),
    )
    text = spec_of(case.call, {**tensors, "along": v, **directions}, *more)
    params, inputs = split({**tensors, "along": v, **directions})
    model = gs.loads(text, mode=case.mode, dtype="f64")
    params = complete(model, params)

    def at(moves: Mapping[str, Array], of: str) -> Array:
        moved = {n: a + moves[n] if n in moves else a for n, a in (params | inputs).items()}
        here = {n: moved[n] for n in params}, {n: moved[n] for n in inputs}
        return np.asarray(model.forward(*here, of=[of])[of])

    def difference(along: Mapping[str, Array], of: str, h: float = 1e-5) -> Array:
        ahead, behind = ({n: sign * h * d for n, d in along.items()} for sign in (1, -1))
        return (at(ahead, of) - at(behind, of)) / (2 * h)

    first = {path: directions[f"d{i}"] for i, path in enumerate(paths)}
    np.testing.assert_allclose(at({}, "slope"), difference(first, "product"), rtol=1e-5, atol=1e-6)

    second = {n: draw(reals(*a.shape), f"{case.id} second {n}") for n, a in first.items()}
    second["along"] = draw(reals(*v.shape), f"{case.id} second along")
    grads = model.grad(params, inputs, wrt=[*second], of="slope", allow_zero=True)
    analytic = sum(np.sum(grads[n] * d) for n, d in second.items())
    np.testing.assert_allclose(analytic, difference(second, "slope"), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_all_sizes_may_be_symbols(case: Case) -> None:
    """Each size but 1 is a dim with a default; equal sizes are one dim."""
    tensors = case.draw()
    given, inputs = split(tensors)
    text = re.sub(r"(?<=[\[ ])(\d+)(?=[,\]])", r"S\1", "\n".join(map(declaration, inputs.items())))
    text = text.replace("S1,", "1,").replace("S1]", "1]")
    dims = "".join(f"dim S{size} = {size}\n" for size in sorted(set(re.findall(r"S(\d+)", text))))
    model = gs.loads(f"gspec 1\n{dims}{text}\noutput y = {case.call}\n", mode=case.mode, dtype="f64")
    params = complete(model, given)
    result, grads = reference(case)
    y = model.forward(params, inputs, of=["y"])["y"]
    np.testing.assert_allclose(y, result, rtol=1e-9, atol=1e-11)
    if grads:
        wrt = [path_of(n) for n in grads]
        found = model.grad(params, inputs, wrt=wrt, of="y", cotangent=case.cotangent(y.shape))
        for name, path in zip(grads, wrt, strict=True):
            np.testing.assert_allclose(found[path], grads[name], rtol=1e-8, atol=1e-10, err_msg=path)


# ---------------------------------------------------------------- single precision, and extreme operands

HUGE = [-1e4, -90.0, -20.0, 0.0, 20.0, 90.0, 1e4]
LOGITS = [[-1e4, 1e4, 0.0], [1e4, 1e4, -1e4], [3e4, -3e4, 1e4]]

EXTREME: tuple[tuple[str, dict[str, Any]], ...] = (
    *(
        (f"{name}(x)", {"x": HUGE})
        for name in (
            "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "sigmoid", "tanh", "logsigmoid", "softplus",
            "gelu", "silu", "mish", "hardtanh", "hardsigmoid", "hardswish", "softsign", "tanhshrink",
        )
    ),
    ('gelu(x, approximate="tanh")', {"x": HUGE}),
    ("softplus(x, beta=3)", {"x": HUGE}),
    ("softmax(x, axis=1)", {"x": LOGITS}),
    ("log_softmax(x, axis=1)", {"x": LOGITS}),
    ("logsumexp(x, axis=1)", {"x": LOGITS}),
    ("cross_entropy(x, t)", {"x": LOGITS, "t": [0, 2, 1]}),
    ("cross_entropy(x, t, label_smoothing=0.1)", {"x": LOGITS, "t": [0, 2, -100]}),
    ("bce_with_logits_loss(x, u)", {"x": HUGE, "u": [0.0, 1.0, 0.5, 0.5, 1.0, 0.0, 0.0]}),
    ("bce_with_logits_loss(x, u)", {"x": HUGE, "u": [1.0, 0.0, 0.5, 0.5, 0.0, 1.0, 1.0]}),
    ("binary_cross_entropy(x, u)", {"x": [0.0, 1.0, 0.5], "u": [0.0, 1.0, 0.5]}),
    ("smooth_l1_loss(x, u)", {"x": HUGE, "u": [1e4] * 7}),
    ("huber_loss(x, u)", {"x": HUGE, "u": [-1e4] * 7}),
    ("mse_loss(x, u)", {"x": HUGE, "u": [1e4] * 7}),
    ("soft_margin_loss(x, u)", {"x": HUGE, "u": [1.0] * 7}),
    ("layer_norm(x, elementwise_affine=false)", {"x": LOGITS}),
    ("layer_norm(x, elementwise_affine=false)", {"x": [[7.0, 7.0, 7.0]]}),
    ("norm(x)", {"x": [0.0, 0.0]}),
    ("norm(x)", {"x": HUGE}),
    ("std(x)", {"x": [5.0, 5.0, 5.0]}),
    ("normalize(x)", {"x": [[0.0, 0.0], [1e4, -1e4]]}),
    ("cosine_similarity(x, u)", {"x": [[0.0, 0.0], [1e4, 1.0]], "u": [[1.0, 2.0], [1e4, 1.0]]}),
)  # fmt: skip


@pytest.mark.parametrize(("call", "operands"), EXTREME, ids=lambda v: v if isinstance(v, str) else "")
def test_single_precision_is_finite_and_close_to_double_at_extreme_operands(
    call: str, operands: dict[str, Any]
) -> None:
    results = {}
    for dtype in ("f32", "f64"):
        arrays = {
            n: np.array(v, np.int64 if n == "t" else {"f32": "f4", "f64": "f8"}[dtype])
            for n, v in operands.items()
        }
        model = gs.loads(spec_of(call, arrays, "output total = sum(y)"))
        y = model.forward({}, arrays, of=["y"])["y"]
        results[dtype] = y, model.grad({}, arrays, wrt=["x"], of="total")["x"]
    for single, double in zip(results["f32"], results["f64"], strict=True):
        assert single.dtype == np.float32
        assert np.all(np.isfinite(double))
        np.testing.assert_allclose(single, double, rtol=2e-6, atol=1e-7)


def evaluate(call: str, of: str = "y", **arrays: Any) -> Array:
    tensors = {n: np.asarray(a) for n, a in arrays.items()}
    return np.asarray(gs.loads(spec_of(call, tensors)).forward({}, tensors, of=[of])[of])


def derivative(call: str, **arrays: Any) -> Array:
    """d sum(y) / dx."""
    tensors = {n: np.asarray(a) for n, a in arrays.items()}
    model = gs.loads(spec_of(call, tensors, "output total = sum(y)"))
    return np.asarray(model.grad({}, tensors, wrt=["x"], of="total", allow_zero=True)["x"])


def test_masked_entries_of_minus_infinity_have_probability_0_and_no_derivative() -> None:
    x = np.array([[0.0, -np.inf, 1.0]])
    p = np.array([[1.0, 0.0, np.e]]) / (1 + np.e)
    np.testing.assert_allclose(evaluate("softmax(x, axis=1)", x=x), p, rtol=1e-14)
    np.testing.assert_allclose(evaluate("log_softmax(x, axis=1)", x=x)[0, 1], -np.inf)
    np.testing.assert_allclose(derivative("logsumexp(x, axis=1)", x=x), p, rtol=1e-14)
    grad = derivative("cross_entropy(x, t)", x=x, t=np.array([2]))
    np.testing.assert_allclose(grad, p - [[0, 0, 1]], rtol=1e-14)


def test_logsumexp_of_infinities_is_no_nan() -> None:
    x = np.array([[-np.inf, -np.inf], [np.inf, 0.0]])
    np.testing.assert_array_equal(evaluate("logsumexp(x, axis=1)", x=x), [-np.inf, np.inf])


def test_an_ignored_target_may_have_probability_0() -> None:
    logp = np.array([[0.0, -np.inf], [-0.5, -0.5]])
    target = np.array([1, 0])
    found = evaluate("nll_loss(x, t, ignore_index=1)", x=logp, t=target)
    assert found == 0.5
    np.testing.assert_array_equal(
        derivative("nll_loss(x, t, ignore_index=1)", x=logp, t=target), [[0, 0], [-1, 0]]
    )


@pytest.mark.parametrize(
    "call",
    [
        "relu(x)", "relu6(x)", "leaky_relu(x)", "elu(x)", "selu(x)", "sigmoid(x)", "softplus(x)", "gelu(x)",
        "silu(x)", "mish(x)", "hardtanh(x)", "hardsigmoid(x)", "hardswish(x)", "hardshrink(x)",
        "softshrink(x)", "clip(x, min=0.0, max=1.0)", "norm(x)", "std(x)", "safe_sqrt(x)",
        "softmax(x, axis=0)", "logsumexp(x)",
    ],
)  # fmt: skip
def test_nan_stays_nan(call: str) -> None:
    y = evaluate(call, x=np.array([1.0, np.nan]))
    assert np.isnan(y.ravel()[-1])


@pytest.mark.parametrize(
    ("call", "x", "expected"),
    [
        ("relu(x)", [0.0], [0.0]),
        ("abs(x)", [0.0], [0.0]),
        ("maximum(x, 1)", [1.0], [0.5]),
        ("max(x)", [1.0, 1.0, 0.0], [0.5, 0.5, 0.0]),
        ("min(x, axis=0)", [0.0, 1.0, 0.0], [0.5, 0.0, 0.5]),
        ("sqrt(x)", [0.0], [np.inf]),
        ("norm(x)", [0.0, 0.0], [0.0, 0.0]),
        ("norm(x, inf)", [2.0, -2.0], [0.5, -0.5]),
        ("clip(x, min=-1.0, max=1.0)", [-1.0, 1.0], [1.0, 1.0]),
        ("leaky_relu(x, 0.1)", [0.0], [0.1]),
        ("relu6(x)", [6.0], [0.0]),
        ("hardtanh(x)", [1.0], [0.0]),
        ("x ** 0.0", [0.0], [0.0]),
        ("reshape(max_pool2d(reshape(x, [1, 1, 2, 2]), 2), [1])", [3.0, 3.0, 1.0, 3.0], [1.0, 0.0, 0.0, 0.0]),
    ],
)
def test_conventions_at_kinks_are_pytorchs(call: str, x: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(derivative(call, x=np.array(x)), expected)


def test_gelu_keeps_relative_accuracy_in_the_tail() -> None:
    # 0.5 * x * erfc(-x / sqrt(2)) at x = -10, by mpmath with 30 digits
    np.testing.assert_allclose(evaluate("gelu(x)", x=np.array(-10.0)), -7.619853024160526e-23, rtol=1e-12)


# ---------------------------------------------------------------- state, noise, initial values


def test_batch_norm_in_train_mode_moves_its_running_statistics() -> None:
    text = "gspec 1\ninput x: f64[4, 3, 5]\ny = batch_norm(x) as bn\nloss l = sum(y ** 2)\n"
    model = gs.loads(text, mode="train")
    params = model.init(seed=0)
    x = draw(reals(4, 3, 5), "batch")
    _, _, state = model.compile(wrt="@params")(params, {"x": x}, seed=0)
    np.testing.assert_allclose(state["bn.running_mean"], 0.1 * x.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(state["bn.running_var"], 0.9 + 0.1 * x.var((0, 2), ddof=1), rtol=1e-12)
    assert state["bn.num_batches_tracked"] == 1
    assert state["bn.num_batches_tracked"].dtype == np.int64
    _, _, state = gs.loads(text).compile(wrt="@params")(params, {"x": x}, seed=0)
    assert state == {}


def test_dropout_drops_a_part_and_scales_the_rest() -> None:
    text = "gspec 1\ninput x: f64[100, 100]\noutput y = dropout(x, p=0.3) as drop\n"
    model = gs.loads(text, mode="train")
    ones = {"x": np.ones((100, 100))}
    y = np.asarray(model.forward({}, ones, of=["y"], seed=1)["y"])
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert abs(np.mean(y == 0) - 0.3) < 0.02
    np.testing.assert_array_equal(y, model.forward({}, ones, of=["y"], seed=1)["y"])
    assert np.any(y != model.forward({}, ones, of=["y"], seed=2)["y"])


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_dropout_of_nothing_and_of_everything(p: float) -> None:
    text = f"gspec 1\ninput x: f64[3]\ny = dropout(x, p={p})\nloss l = sum(y)\n"
    model = gs.loads(text, mode="train")
    grad = model.grad({}, {"x": np.ones(3)}, wrt=["x"])["x"]
    np.testing.assert_array_equal(grad, np.full(3, 1 - p))


def test_dropout2d_drops_whole_channels() -> None:
    text = "gspec 1\ninput x: f64[8, 16, 3, 2]\noutput y = dropout2d(x) as drop\n"
    y = np.asarray(
        gs.loads(text, mode="train").forward({}, {"x": np.ones((8, 16, 3, 2))}, of=["y"], seed=1)["y"]
    )
    assert set(np.unique(y)) == {0.0, 2.0}
    np.testing.assert_array_equal(y, np.broadcast_to(y[..., :1, :1], y.shape))


@pytest.mark.parametrize(
    ("call", "bounds"),
    [
        ("linear(x, 50) as f", {"weight": 1 / np.sqrt(6), "bias": 1 / np.sqrt(6)}),
        (
            "conv2d(reshape(x, [1, 6, 4, 5]), 50, kernel_size=3) as f",
            {"weight": 1 / np.sqrt(54), "bias": 1 / np.sqrt(54)},
        ),
        (
            "(stack(x), stack(x), stack(x)) -> multi_head_attention(2) as f",
            {
                "in_proj_weight": 0.5,
                "in_proj_bias": 0.0,
                "out_proj.weight": 1 / np.sqrt(6),
                "out_proj.bias": 0.0,
            },
        ),
    ],
)
def test_parameters_start_as_pytorchs(call: str, bounds: dict[str, float]) -> None:
    params = gs.loads(spec_of(call, {"x": np.ones((20, 6))})).init(seed=0)
    assert set(params) == {f"f.{n}" for n in bounds}
    for name, bound in bounds.items():
        largest = np.max(np.abs(params[f"f.{name}"]))
        assert 0.85 * bound <= largest <= bound


# ---------------------------------------------------------------- documentation


def definitions() -> list[tuple[str, ast.Definition]]:
    found = []
    for path in sorted(STD.glob("*.gspec")):
        file = parse(Source(path.name, path.read_text(encoding="utf-8")))
        assert file.doc, path.name
        found += [(path.name, s) for s in file.statements if isinstance(s, ast.Definition)]
    return found


@pytest.mark.parametrize(
    ("file", "definition"), definitions(), ids=lambda v: v if isinstance(v, str) else v.name.text
)
def test_each_definition_says_what_it_is_its_shapes_and_its_source(
    file: str, definition: ast.Definition
) -> None:
    lines = definition.doc.splitlines()
    assert re.search(r"^Shapes: .*\]", definition.doc, re.MULTILINE), definition.doc
    assert re.search(r"^Source: .+\.$", definition.doc, re.MULTILINE), definition.doc
    assert not lines[0].startswith(("Shapes", "Source"))
    assert len(lines) >= 3


def test_each_definition_has_a_case() -> None:
    used = {word for case in CASES for word in re.findall(r"(\w+)\(", case.call)}
    assert {d.name.text for _, d in definitions()} <= used
