"""Stand-alone programs compute what programs of a plan compute, whatever the graph and its names."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphspec.ops  # noqa: F401  (fills the registry)
from graphspec import testing
from graphspec.diagnostics import Source, Span
from graphspec.ir import OPS, DType, Graph, Origin, Sample, literal, made_at
from graphspec.runtime import standalone
from graphspec.runtime.page import Head
from graphspec.runtime.plan import plan
from graphspec.runtime.standalone import write_program

_spec = spec_from_file_location("graphs", Path(__file__).with_name("graphs.py"))
assert _spec
assert _spec.loader
graphs = module_from_spec(_spec)
_spec.loader.exec_module(graphs)
ENV, N, call, make_input = graphs.ENV, graphs.N, graphs.call, graphs.make_input
HEAD = Head("small.gspec", ["y"], ["x"], {}, "1.0")
SAMPLES = [
    pytest.param(sample, id=f"{name}-{i}")
    for name, op in OPS.items()
    if name not in {"input", "literal", "tap", "call", "grad", "jvp"}
    for i, sample in enumerate(op.samples())
]


def write(graph: Graph, env: dict[str, int] | None = None, head: Head = HEAD) -> str:
    return write_program(plan(graph, env or {}), {}, {name: name for name in graph.outputs}, head)


def run(text: str, arrays: dict[str, Any]) -> dict[str, Any]:
    module = ModuleType("program")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "program", module)
        exec(compile(text, "program.py", "exec", dont_inherit=True), vars(module))
    found: dict[str, Any] = module.gradients(arrays)
    return found


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_op_has_the_same_value_shape_and_dtype(sample: Sample) -> None:
    arrays = testing.draw(sample, DType.F32)
    y, inputs = testing.apply_sample(sample, arrays)
    (expected,) = testing.evaluate([y], inputs)
    found = run(write(Graph({"y": y}, {})), {v.node.op.label: a for v, a in inputs.items()})["y"]
    assert (np.shape(found), found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=2e-6)


@given(st.integers(0, 2**32))
@settings(deadline=None, max_examples=50)
def test_random_graphs_have_the_same_results(seed: int) -> None:
    graph = graphs.random_graph(seed)
    arrays = graphs.random_arrays(graph, seed)
    expected = testing.evaluate(list(graph.outputs.values()), arrays, ENV)
    found = run(write(graph, ENV), {v.node.op.label: a for v, a in arrays.items()})
    for array, wanted in zip(found.values(), expected, strict=True):
        assert (np.shape(array), array.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_allclose(array, wanted, rtol=1e-9, atol=1e-9)
        assert not any(np.shares_memory(array, given) for given in arrays.values())


HOSTILE = [
    '"""',
    "'",
    '"',
    "\\",
    "\n",
    "x\n__import__('os')",
    "{0}",
    "a.b",
    "\x00",
    "é",
    "np",
    "arrays",
    "file",
]


def test_hostile_names_and_texts_change_nothing() -> None:
    inputs = [make_input(name, (N,)) for name in HOSTILE]
    source = Source('"""\nimport os', "'''\"\"\" {x} \\\n" * 3)
    with made_at(Origin(Span(source, 0, 5))):
        results = {name: call("tanh", x) for name, x in zip(HOSTILE, inputs, strict=True)}
    head = Head('a"""b\\', HOSTILE, HOSTILE, {"N": 4}, "1.0")
    arrays = {name: np.full(4, i / 10) for i, name in enumerate(HOSTILE)}
    found = run(write(Graph(results, dict(results)), ENV, head), arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], np.tanh(array))


def test_large_arrays_are_deleted_after_their_last_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(standalone, "_LARGE", 1)
    x = make_input("x", (N,))
    a = call("tanh", x)
    b = call("exp", a) * a
    text = write(Graph({"y": b + literal(1, DType.F64)}, {"a": a, "b": b}), ENV)
    lines = [line.strip() for line in text.partition("def compute")[2].splitlines()[1:8]]
    assert lines == [
        "a = np.tanh(x)",
        "b = np.exp(a) * a",
        "del a",
        "add_1 = b + 1.0",
        "del b",
        "",
        'return {}, {"y": add_1}',
    ]


def test_numbers_that_are_no_literals_of_python_are_numpys() -> None:
    x = make_input("x", (N,))
    text = write(Graph({"y": call("maximum", x, literal(float("-inf"), DType.F64))}, {}), ENV)
    assert "np.maximum(x, -np.inf)" in text
