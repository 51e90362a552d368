"""Fused groups compute what their ops compute one by one: in blocks, and in loops."""

from __future__ import annotations

import dataclasses
from functools import partial

import numpy as np
import pytest

import graphspec as gs
from graphspec import compiler
from graphspec.ir import Graph, verify
from graphspec.ops import blocks
from graphspec.ops.fused import Fused
from graphspec.runtime import fusing
from graphspec.runtime.means import Means
from graphspec.runtime.program import Program
from graphspec.transforms.fuse import Style, fuse
from graphspec.transforms.recompute import recompute
from graphspec.transforms.straighten import straighten
from graphspec.transforms.unpack_products import unpack_products
from tests.runtime.graphs import ENV, random_arrays, random_graph
from tests.runtime.loops_in_python import run_in_python

HEAD = "gspec 1\ndim N = 5\ninput x: f32[N, 4, 6] ~ normal()\ninput v: f32[6] ~ normal()\n"
CASES = {
    "a chain": f"{HEAD}loss s = sum(tanh(x * v + 1) ** 2)\n",
    "a softmax": f"{HEAD}loss s = sum(softmax(x, axis=-1) * v)\n",
    "a softmax along an axis that is not the last": f"{HEAD}loss s = sum(softmax(x, axis=1) * v)\n",
    "layer norm": f"{HEAD}h = x -> layer_norm as ln\nloss s = sum(h * h * v)\n",
    "batch norm and relu": """gspec 1
dim N = 4
input x: f32[N, 3, 4, 2] ~ normal()
loss s = sum((x -> batch_norm as bn -> relu) ** 3)
""",
    "gelu": f"{HEAD}loss s = mean(gelu(x - v))\n",
    "cross entropy": """gspec 1
dim N = 7
input x: f32[N, 6] ~ normal()
input label: i64[N] ~ randint(5)
loss s = cross_entropy(x -> linear(5) as fc, label)
""",
    "class weights, smoothing, and examples left out": """gspec 1
dim N = 7
input x: f32[N, 6] ~ normal()
input w: f32[5] ~ uniform(0.5, 2)
input label: i64[N] ~ randint(5)
loss s = cross_entropy(x -> linear(5) as fc, label, weight=w, label_smoothing=0.1, ignore_index=2)
""",
    "a mask by positions": f"{HEAD}t = arange(6)\nloss s = sum(where(t <= 3, exp(x), v * x))\n",
    "sums over each axis": f"""{HEAD}y = exp(x)
loss s = sum(sum(y, axis=0) ** 2) + sum(sum(y, axis=[0, 1]) ** 2 * v)
""",
    "rows of one element": """gspec 1
input x: f32[5, 1] ~ normal()
loss s = sum(softmax(x * 2, axis=-1) * x)
""",
    "extremes": f"{HEAD}loss s = sum(max(x * v, axis=-1) - min(x + v, axis=-1))\n",
    "huber and hinge": f"{HEAD}loss s = smooth_l1_loss(x, 0 * x + v) + sum(relu(1 - x) * abs(x))\n",
    "two precisions": f"{HEAD}loss s = sum(cast(exp(cast(x, f64) * 2), f32) * v)\n",
    "a transposed operand": f"{HEAD}loss s = sum(transpose(x) * transpose(exp(x * 0.5 - v)) + 1)\n",
    "a slice, and a value used in both passes": f"""{HEAD}y = exp(x)
loss s = sum(y / sum(y, axis=-1, keepdims=true)) + sum(y[:, 1:3, ::2] * v[::2])
""",
}


def programs(text: str) -> tuple[Program, Graph, dict, dict]:
    """The program of a spec's gradients without any of this, the graph of it, sizes and arrays."""
    model = gs.loads(text, mode="train")
    inputs = model.draw(seed=1)
    params = model.init(seed=0, inputs=inputs)
    floats = [
        n for n, t in model.names().items() if t.startswith("f") and model.kind(n) in ("input", "param")
    ]
    model.compile(floats)(params, inputs)
    program = list(model._engine._programs.values())[-1]
    arrays = {name: array for name, array in {**params, **inputs}.items() if name in program.needs}
    return program, program.graph, dict(program.plan.env), arrays


def in_python(monkeypatch) -> None:
    monkeypatch.setattr("graphspec.runtime.compiled.compiled", run_in_python)


def small_blocks(monkeypatch, size: int = 7) -> None:
    monkeypatch.setattr(blocks, "BLOCK", size)
    monkeypatch.setattr(fusing, "BLOCKS", dataclasses.replace(fusing.BLOCKS, least=0))


def same(found, expected, rtol, scale=1e-6):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        size = np.abs(array).max(initial=0) if array.dtype.kind == "f" else 0
        np.testing.assert_allclose(found[name], array, rtol=rtol, atol=scale * size)


@pytest.mark.parametrize("text", CASES.values(), ids=list(CASES))
def test_loops_compute_what_array_calls_do(text, monkeypatch):
    pytest.importorskip("numba", reason="numba says which functions loops may call")
    in_python(monkeypatch)
    _, graph, env, arrays = programs(text)
    ready = straighten(unpack_products(graph, env))
    verify(ready)
    for chained in (False, True):
        monkeypatch.setattr("graphspec.runtime.program.is_small", lambda graph, env, made=chained: made)
        program = Program(ready, env, means=Means(fuse=True, fast=True))
        assert any(isinstance(step.op, Fused) for step in program.plan.steps)
        same(program(arrays), Program(graph, env)(arrays), rtol=3e-5)


@pytest.mark.parametrize("text", CASES.values(), ids=list(CASES))
def test_blocks_compute_what_array_calls_do(text, monkeypatch):
    small_blocks(monkeypatch)
    _, graph, env, arrays = programs(text)
    program = Program(straighten(graph), env, means=Means(fuse=True))
    assert any(isinstance(step.op, Fused) for step in program.plan.steps)
    same(program(arrays), Program(graph, env)(arrays), rtol=1e-5)


@pytest.mark.parametrize("name", ["a softmax", "batch norm and relu", "cross entropy", "gelu", "extremes"])
def test_compiled_loops_compute_what_array_calls_do(name, fast):
    _, graph, env, arrays = programs(CASES[name])
    program = Program(straighten(unpack_products(graph, env)), env, means=Means(fuse=True, fast=True))
    same(program(arrays), Program(graph, env)(arrays), rtol=3e-5)


@pytest.mark.parametrize("seed", range(120))
def test_random_graphs_in_loops_and_in_blocks(seed, monkeypatch):
    pytest.importorskip("numba", reason="numba says which functions loops may call")
    in_python(monkeypatch)
    small_blocks(monkeypatch, size=5)
    monkeypatch.setattr(fusing, "recompute", partial(recompute, least=0))
    graph = random_graph(seed)
    arrays = {v.node.op.label: array for v, array in random_arrays(graph, seed).items()}
    expected = Program(graph, ENV)(arrays)
    for fast, chained in ((False, False), (True, False), (True, True)):
        monkeypatch.setattr("graphspec.runtime.program.is_small", lambda graph, env, made=chained: made)
        ready = straighten(unpack_products(graph, ENV))
        verify(ready)
        means = Means(fuse=True, recompute=True, fast=fast)
        same(Program(ready, ENV, means=means)(arrays), expected, rtol=1e-9, scale=1e-12)


def test_what_is_made_again_needs_less_memory_and_is_the_same():
    model = gs.loads("""gspec 1
dim N = 64
input x: f32[N, 64] ~ normal()
block layer(x[N, D]) -> [N, D] {
  return x + (x -> layer_norm as ln -> linear(2 * D) as fc1 -> relu -> linear(D) as fc2)
}
loss s = mean((x -> repeat(6, layer) as layers) ** 2)
""")
    graph = straighten(compiler.simplify(model.gradient_graph("@params"), check=True))
    arrays = {**model.init(seed=0), **model.draw(seed=0)}
    env = {"N": 4096}
    arrays["x"] = np.random.default_rng(0).standard_normal((4096, 64)).astype("f4")
    held, again = (
        Program(graph, env, means=Means(fuse=True, recompute=recompute)) for recompute in (False, True)
    )
    assert again.plan.arena_bytes < 0.8 * held.plan.arena_bytes
    expected = held(arrays)
    for name, array in again(arrays).items():
        np.testing.assert_array_equal(array, expected[name])


def test_a_softmax_is_one_group():
    _, graph, env, _ = programs(
        "gspec 1\ninput x: f32[5, 8] ~ normal()\noutput y = softmax(x, axis=-1)\nloss s = sum(y)\n"
    )
    graph = straighten(Graph({"y": graph.outputs["s"]}))
    everything = Style(lambda op, operands, result: True, is_compiled=True)
    fused = fuse(graph, env, {}, everything).graph
    verify(fused)
    names = [node.op.name for node in fused.nodes if node.inputs]
    assert names == ["fused"]


def test_a_group_whose_values_are_all_worked_out_again_is_gone():
    graph = straighten(compiler.simplify(gs.loads(f"{HEAD}output y = exp(x * v) - v\n").graph, check=True))
    stages = {node: int(node.op.name != "mul") for node in graph.nodes}
    everything = Style(lambda op, operands, result: True, is_compiled=True)
    fused = fuse(graph, {"N": 5}, stages, everything).graph
    verify(fused)
    (made,) = [node.op for node in fused.nodes if isinstance(node.op, Fused)]
    assert [member.op.name for member in made.members] == ["mul", "exp", "sub"]


def test_a_group_never_waits_for_its_own_result():
    text = "gspec 1\ninput x: f32[6, 6] ~ normal()\nh = exp(x)\nloss s = sum(h * (h @ h))\n"
    _, graph, env, arrays = programs(text)
    fused = fuse(straighten(graph), env, {}, Style(fusing.BLOCKS.accepts, is_compiled=False)).graph
    verify(fused)
    same(Program(fused, env)(arrays), Program(graph, env)(arrays), rtol=1e-5)


def test_the_program_as_compiled_fuses_and_unoptimised_does_not():
    model = gs.loads(CASES["a chain"])
    graph = compiler.simplify(model.graph, check=True)
    big = {"N": 20000}
    assert any(
        isinstance(s.op, Fused)
        for s in compiler.assemble(graph, big, "numpy", means=Means(fuse=True)).plan.steps
    )
    assert not any(isinstance(s.op, Fused) for s in compiler.assemble(graph, big, "numpy").plan.steps)


@pytest.mark.needs_optimisation("epilogues", "fuse", "fast")
@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("wrt", ["@params", "x"])
def test_an_epilogue_holds_no_more_and_gives_the_same(wrt):
    text = """gspec 1
dim N = 3
input x: f32[N, 16, 16, 16] ~ normal()
h = x -> conv2d(16, kernel_size=3, padding=1) as c1 -> relu -> conv2d(16, kernel_size=3, padding=1) as c2
y = h -> relu -> conv2d(17, kernel_size=3, padding=1) as c3
loss s = sum(relu(y) ** 2) + sum(y)
"""
    found, arenas = [], []
    for without in (["epilogues", "threads"], ["threads"], []):
        model = gs.loads(text, without=without)
        inputs = model.draw(seed=0)
        params = model.init(seed=1, inputs=inputs)
        _, grads, _ = model.compile(wrt)(params, inputs)
        (program,) = [p for p in model._engine._programs.values() if p.means.fast]
        ops = [step.op for step in program.plan.steps if step.op.name == "convolution_epilogue"]
        assert [op.is_rectified for op in ops] == ([] if "epilogues" in without else [True, True, False])
        found.append(grads)
        arenas.append(program.plan.arena_bytes)
    assert arenas[1] <= arenas[0]
    for grads in found[1:]:
        for name, array in found[0].items():
            np.testing.assert_allclose(grads[name], array, rtol=1e-5, atol=1e-5 * np.abs(array).max())
