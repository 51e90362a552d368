"""Long programs are linked instead of written: the same results, ownership, and places of errors."""

import itertools
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.diagnostics import GraphSpecError, Source, Span
from graphspec.ir import OPS, DType, Graph, Input, Origin, TensorType, apply, made_at
from graphspec.ops import convolution, indexing  # noqa: F401  (fills the registry)
from graphspec.runtime import program as programs
from graphspec.runtime.link import LONG
from graphspec.runtime.program import Program

_spec = spec_from_file_location("graphs", Path(__file__).with_name("graphs.py"))
graphs = module_from_spec(_spec)
_spec.loader.exec_module(graphs)
ENV, N, call, make_input = graphs.ENV, graphs.N, graphs.call, graphs.make_input


def linked(graph, env=ENV):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "LONG", -1)
        return Program(graph, env)


@given(st.integers(0, 2**32))
@settings(max_examples=80, deadline=None)
def test_a_linked_program_computes_the_same_to_the_bit(seed):
    graph = graphs.random_graph(seed)
    arrays = {v.node.op.label: a for v, a in graphs.random_arrays(graph, seed).items()}
    written, found = Program(graph, ENV)(arrays), linked(graph)(arrays)
    assert list(found) == list(written)
    for name, array in written.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_array_equal(found[name], array)


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_results_of_a_linked_program_are_the_callers(seed):
    graph = graphs.random_graph(seed)
    inputs = {v.node.op.label: a for v, a in graphs.random_arrays(graph, seed).items()}
    program = linked(graph)
    first = program(inputs)
    kept = {name: array.copy() for name, array in first.items()}
    second = program(inputs)
    for a, b in itertools.combinations([*inputs.values(), *first.values(), *second.values()], 2):
        assert not np.may_share_memory(a, b)
    for name, array in first.items():
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, kept[name])


def test_kernels_with_working_storage_and_attributes_are_linked():
    x = apply(Input("x", TensorType(DType.F64, (2, 3, 6, 5))))
    weight = apply(Input("weight", TensorType(DType.F64, (4, 3, 3, 2))))
    y = OPS["convolution"].make(x, weight, padding=1)
    graph = Graph({"y": y, "z": call("sum", y * 2.0)})
    arrays = {"x": np.arange(180.0).reshape(2, 3, 6, 5), "weight": np.ones((4, 3, 3, 2))}
    for name, array in Program(graph, {})(arrays).items():
        np.testing.assert_array_equal(linked(graph, {})(arrays)[name], array)


def test_an_error_names_the_node_it_happened_in():
    source = Source("map.gspec", "gspec 1\ny = table[ids]\n")
    with made_at(Origin(Span(source, 8, 22))):
        table, ids = make_input("table", (5, 2)), make_input("ids", (N,), DType.I64)
        y = apply(OPS["gather"](0), table, ids)
    program = linked(Graph({"y": call("tanh", y)}, {"y": y}))
    with pytest.raises(GraphSpecError) as raised:
        program({"table": np.zeros((5, 2)), "ids": np.array([0, 1, 7, 2])})
    assert "7" in str(raised.value)
    assert "map.gspec:2" in str(raised.value)


def test_only_long_programs_are_linked_and_their_text_can_be_read():
    x = y = make_input("x", (N,))
    for _ in range(LONG // 2 + 1):
        y = call("sin", call("tanh", y))
    program = Program(Graph({"y": y}), ENV)
    assert program._linked is not None
    assert program.source.count("xp.sin") == LONG // 2 + 1
    expected = array = np.linspace(-1, 1, 4)
    for _ in range(LONG // 2 + 1):
        expected = np.sin(np.tanh(expected))
    np.testing.assert_array_equal(program({"x": array})["y"], expected)
    assert Program(Graph({"x": call("tanh", x)}), ENV)._linked is None
