"""Jacobians and Hessians: equal to differences and to PyTorch's, whole and in parts, in few passes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphspec as gs
from graphspec.jacobian_blocks import COUNT, JacobianBlock
from graphspec.requests import Request
from graphspec.runtime.jacobians import Structure, count_passes
from tests.references.func_cases import CONV

SPECS = Path(__file__).parent.parent / "specs"
FROZEN = Path(__file__).parent / "references" / "torch_func.npz"
Array = np.ndarray[Any, Any]

MIXED = """gspec 1
dim N = 3
input x: f64[N, 3] ~ normal()
input a: f64[4, 2] ~ normal()
input scale: f64[] ~ normal()
h = tanh(linear(x, 2) as fc)
output s = h -> linear(4) as last
output e = exp(sin(a) * a) * scale
output q = sum(e, axis=0) * 2
output c = reshape(transpose(e), [-1]) * 3
output z = fc.weight * 2
loss l = mean(s ** 2)
"""


@pytest.fixture(scope="module")
def mixed() -> gs.Model:
    return gs.loads(MIXED)


def differences(model: gs.Model, params: Any, inputs: Any, of: str, wrt: str) -> Array:
    """The Jacobian by central differences; the error is about 1e-9."""
    x = {**params, **inputs}[wrt]

    def value(moved: Array) -> Array:
        place, other = ({**params, wrt: moved}, inputs) if wrt in params else (params, {**inputs, wrt: moved})
        return np.asarray(model.forward(place, other, of=[of])[of])

    columns = []
    for index in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[index] = 1e-5
        columns.append((value(x + step) - value(x - step)) / 2e-5)
    return np.stack(columns, axis=-1).reshape(*columns[0].shape, *x.shape)


CASES = [
    ("s", "x"),
    ("s", "fc.weight"),
    ("s", "last.bias"),
    ("h", "x"),
    ("e", "a"),
    ("e", "scale"),
    ("q", "a"),
    ("c", "a"),
    ("z", "fc.weight"),
    ("l", "x"),
    ("l", "fc.bias"),
    ("grad(l, fc.bias)", "fc.weight"),
    ("s[1:, 2]", "x"),
]


@pytest.mark.parametrize(("of", "wrt"), CASES)
def test_a_jacobian_agrees_with_differences(mixed: gs.Model, of: str, wrt: str) -> None:
    params, inputs = mixed.init(), mixed.draw()
    expected = differences(mixed, params, inputs, of, wrt)
    found = mixed.jacobian(params, inputs, of, wrt)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.parametrize(("of", "wrt"), CASES)
@pytest.mark.parametrize("chunk", [1, 2, None])
def test_chosen_rows_and_columns_are_those_of_the_whole(
    mixed: gs.Model, of: str, wrt: str, chunk: int | None
) -> None:
    params, inputs = mixed.init(), mixed.draw()
    whole = mixed.jacobian(params, inputs, of, wrt, chunk=chunk)
    y, x = np.shape(mixed.forward(params, inputs, of=[of])[of]), {**params, **inputs}[wrt].shape
    matrix = whole.reshape(int(np.prod(y)), int(np.prod(x)))
    last = len(matrix) - 1
    rows = mixed.jacobian(params, inputs, of, wrt, rows=[last, 0], chunk=chunk)
    np.testing.assert_allclose(rows, matrix[[last, 0]].reshape(2, *x), atol=1e-14)
    columns = mixed.jacobian(params, inputs, of, wrt, cols=slice(0, 1), chunk=chunk)
    np.testing.assert_allclose(columns, matrix[:, :1].reshape(*y, 1), atol=1e-14)
    both = mixed.jacobian(params, inputs, of, wrt, rows=last, cols=[0], chunk=chunk)
    np.testing.assert_allclose(both, matrix[last:, :1], atol=1e-14)


def test_jacobians_and_hessians_are_those_of_torch_func() -> None:
    params, inputs = CONV.draw()
    model = gs.loads(CONV.spec)
    with np.load(FROZEN) as file:
        for wrt in ("image", "conv1.weight"):
            found = model.jacobian(params, inputs, "logits", wrt)
            np.testing.assert_allclose(found, file[f"conv/jacobian {wrt}"], rtol=1e-9, atol=1e-12)
        found = model.hessian(params, inputs, "conv1.bias")
        np.testing.assert_allclose(found, file["conv/hessian conv1.bias"], rtol=1e-9, atol=1e-12)


def test_products_with_it_are_jvp_and_vjp(mixed: gs.Model) -> None:
    params, inputs = mixed.init(), mixed.draw()
    random = np.random.default_rng(0)
    v, u = random.standard_normal((3, 3)), random.standard_normal((3, 4))
    matrix = mixed.jacobian(params, inputs, "s", "x").reshape(12, 9)
    forward = mixed.jvp(params, inputs, {"x": v}, of="s")
    np.testing.assert_allclose(matrix @ v.ravel(), forward.ravel(), rtol=1e-12)
    backward = mixed.grad(params, inputs, "x", of="s", cotangent=u)["x"]
    np.testing.assert_allclose(u.ravel() @ matrix, backward.ravel(), rtol=1e-12)


def test_a_hessian_times_a_vector_is_hvp(mixed: gs.Model) -> None:
    params, inputs = mixed.init(), mixed.draw()
    v = np.random.default_rng(0).standard_normal((2, 3))
    hessian = mixed.hessian(params, inputs, "fc.weight", of="l")
    assert hessian.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(hessian, hessian.transpose(2, 3, 0, 1), atol=1e-14)
    product = mixed.hvp(params, inputs, {"fc.weight": v}, of="l")["fc.weight"]
    np.testing.assert_allclose(np.tensordot(hessian, v, 2), product, rtol=1e-11)


def test_intermediate_values_have_jacobians(mixed: gs.Model) -> None:
    params, inputs = mixed.init(), mixed.draw()
    found = mixed.jacobian(params, inputs, "s", "h")
    expected = np.einsum("nm,oi->nomi", np.eye(3), params["last.weight"])
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_it_is_checked_against_differences(mixed: gs.Model) -> None:
    params, inputs = mixed.init(), mixed.draw()
    for of, wrt in (("s", "x"), ("e", "a"), ("s", "h")):
        assert mixed.check_jacobian(params, inputs, of, wrt) < 1e-8
    assert mixed.check_jacobian(params, inputs, "s", "x", rows=[3, 1], cols=slice(2, 5)) < 1e-8


def test_the_layer_of_the_iris_scene_has_its_whole_jacobian() -> None:
    model = gs.load(SPECS / "requ_iris.gspec")
    params = model.init(seed=0)
    found = model.jacobian(params, {}, "hidden", "hidden.affine.weight", rows=slice(0, 32))
    assert found.shape == (32, 16, 4)
    x = model.default_data(["measurements"])["measurements"][:2]
    a = x @ params["hidden.affine.weight"].T + params["hidden.affine.bias"]
    expected = np.einsum("no,op,ni->nopi", 2 * np.maximum(a, 0), np.eye(16), x).reshape(32, 16, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


# --- what it costs --------------------------------------------------------------------------------------


def passes(model: gs.Model, of: str, wrt: str, y: tuple[int, ...], x: tuple[int, ...]) -> tuple[int, int]:
    """How many products a Jacobian takes by rows and by columns."""
    block = model._engine.derive(Request((of,), (wrt,), "rows"))
    assert isinstance(block, JacobianBlock)
    flipped = tuple((a, k) for k, a in block.links)
    return count_passes(Structure(y, x, block.links)), count_passes(Structure(x, y, flipped))


def test_a_chain_of_elementwise_functions_takes_one_pass() -> None:
    model = gs.loads(MIXED)
    assert passes(model, "e", "a", (4, 2), (4, 2)) == (1, 1)
    assert passes(model, "z", "fc.weight", (2, 3), (2, 3)) == (1, 1)
    assert passes(model, "grad(sum(e), a)", "a", (4, 2), (4, 2)) == (1, 1)


def test_examples_of_a_batch_share_their_passes() -> None:
    model = gs.loads(MIXED)
    assert passes(model, "s", "x", (3, 4), (3, 3)) == (4, 3)
    assert passes(model, "q", "a", (2,), (4, 2)) == (1, 4)
    assert passes(model, "s", "fc.weight", (3, 4), (2, 3)) == (12, 6)
    assert passes(model, "c", "a", (8,), (4, 2)) == (8, 8)


def test_a_large_diagonal_jacobian_is_not_computed_element_by_element() -> None:
    model = gs.loads("gspec 1\ninput x: f64[N] ~ normal()\noutput y = exp(sin(x)) * x\n")
    x = np.linspace(-2, 2, 3000)
    found = model.jacobian({}, {"x": x}, "y", "x")
    expected = np.exp(np.sin(x)) * (1 + x * np.cos(x))
    np.testing.assert_allclose(np.diagonal(found), expected, rtol=1e-12)
    assert np.count_nonzero(found) == np.count_nonzero(expected)


def test_what_would_not_fit_is_refused_before_it_is_computed() -> None:
    model = gs.loads("gspec 1\ninput x: f64[N] ~ normal()\noutput y = exp(x)\n", max_memory=10_000_000)
    with pytest.raises(gs.GraphSpecError, match="the request needs"):
        model.jacobian({}, {"x": np.zeros(3163)}, "y", "x")


def test_f32_stays_f32() -> None:
    model = gs.loads(MIXED, dtype="f32")
    params, inputs = model.init(), model.draw()
    for wrt in ("x", "fc.bias"):
        assert model.jacobian(params, inputs, "s", wrt).dtype == np.float32


# --- again and again ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("of", "wrt"), CASES)
@pytest.mark.parametrize("part", [{}, {"rows": 0}, {"cols": slice(0, 1), "chunk": 1}], ids=str)
def test_a_compiled_jacobian_is_the_same(mixed: gs.Model, of: str, wrt: str, part: dict[str, Any]) -> None:
    compiled = mixed.compile_jacobian(of, wrt, **part)
    params = mixed.init()
    for seed, count in ((0, 3), (1, 3), (2, 5), (3, 3)):  # of sizes that are known, and that are not
        inputs = gs.loads(MIXED, dims={"N": count}).draw(seed=seed)
        found = compiled(params, inputs)
        expected = mixed.jacobian(params, inputs, of, wrt, **part)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)
        assert not any(np.may_share_memory(found, a) for a in (*params.values(), *inputs.values()))


def test_a_compiled_jacobian_checks_what_it_has_not_seen(mixed: gs.Model) -> None:
    compiled = mixed.compile_jacobian("s", "x")
    params, inputs = mixed.init(), mixed.draw()
    whole = compiled(params, inputs)
    as_lists = {**inputs, "x": inputs["x"].tolist()}
    for _ in range(2):
        np.testing.assert_array_equal(compiled(params, as_lists), whole)
    with pytest.raises(gs.GraphSpecError) as caught:
        compiled(params, {**inputs, "x": inputs["x"][:, :2]})
    assert ids(caught) == ["argument-shape"]
    with pytest.raises(gs.GraphSpecError) as caught:
        compiled(inputs, params)
    assert ids(caught) == ["argument-in-wrong-place"]
    with pytest.raises(gs.GraphSpecError) as caught:
        mixed.compile_jacobian("s", "fc.wieght")
    assert ids(caught) == ["unknown-target"]


def test_noise_is_that_of_the_seed_in_every_call() -> None:
    text = "gspec 1\ninput x: f64[3] ~ normal()\noutput y = dropout(x, 0.5) * 2\n"
    model = gs.loads(text, mode="train")
    compiled = model.compile_jacobian("y", "x")
    x = {"x": np.ones(3)}
    for seed in (0, 1, 2, 1):
        np.testing.assert_array_equal(compiled({}, x, seed=seed), model.jacobian({}, x, "y", "x", seed=seed))


def test_all_rows_of_a_matrix_are_the_matrix() -> None:
    model = gs.loads("gspec 1\ninput x: f64[4] ~ normal()\noutput y = x -> linear(6) as fc -> tanh\n")
    params, inputs = model.init(), model.draw()
    columns = model.jacobian(params, inputs, "y", "x")
    some = model.jacobian(params, inputs, "y", "x", rows=[0, 2, 5])
    np.testing.assert_allclose(columns[[0, 2, 5]], some, rtol=1e-14)
    made = {program.plan.env[COUNT]: program.plan.steps for program in model._engine._programs.values()}
    assert any(step.op.name == "gather" for step in made[3])
    assert not any(step.op.name == "gather" for step in made[4])


# --- what is refused ------------------------------------------------------------------------------------


def ids(error: pytest.ExceptionInfo[gs.GraphSpecError]) -> list[str]:
    return [d.id for d in error.value.diagnostics]


def test_numbers_of_rows_may_be_numpys_and_are_whole(mixed: gs.Model) -> None:
    params, inputs = mixed.init(), mixed.draw()
    row = mixed.jacobian(params, inputs, "s", "x", rows=1)
    assert np.array_equal(mixed.jacobian(params, inputs, "s", "x", rows=np.int64(1)), row)
    assert np.array_equal(mixed.jacobian(params, inputs, "s", "x", rows=np.array([1])), row)
    with pytest.raises(TypeError):
        mixed.jacobian(params, inputs, "s", "x", rows=[1.5])


def test_wrong_requests_for_jacobians_are_diagnostics(mixed: gs.Model) -> None:
    params, inputs = mixed.init(), mixed.draw()
    wrong: list[tuple[str, str, dict[str, Any], str]] = [
        ("s", "@params", {}, "one-jacobian"),
        ("s", "a", {}, "not-reached"),
        ("s", "fc.wieght", {}, "unknown-target"),
        ("s", "x", {"rows": [12]}, "jacobian-part"),
        ("s", "x", {"rows": -1}, "jacobian-part"),
        ("s", "x", {"cols": slice(0, 10)}, "jacobian-part"),
        ("s", "x", {"rows": slice(5, 2)}, "empty-jacobian-part"),
        ("s", "x", {"cols": []}, "empty-jacobian-part"),
        ("s", "x", {"chunk": 0}, "no-chunks"),
    ]
    for of, wrt, more, id in wrong:
        with pytest.raises(gs.GraphSpecError) as error:
            mixed.jacobian(params, inputs, of, wrt, **more)
        assert ids(error) == [id], (of, wrt, more)
