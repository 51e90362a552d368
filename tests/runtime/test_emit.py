"""The text of a program: readable, stable, and safe whatever names and texts the spec has."""

import ast
import itertools
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.diagnostics import Source, Span
from graphspec.ir import DType, Graph, Origin, TensorType, literal, made_at
from graphspec.runtime import emit as emitting
from graphspec.runtime.emit import emit
from graphspec.runtime.plan import Slot, plan
from graphspec.runtime.program import Program
from graphspec.runtime.text import Namer, comment_for, number_text, storage, text_of
from graphspec.testing import evaluate

GOLDEN = Path(__file__).with_name("golden_program.py.txt")

_spec = spec_from_file_location("graphs", Path(__file__).with_name("graphs.py"))
graphs = module_from_spec(_spec)
_spec.loader.exec_module(graphs)
ENV, M, N, call, make_input = graphs.ENV, graphs.M, graphs.N, graphs.call, graphs.make_input

TEXT = """gspec 1
input x: f32[N, 3]
fc1 = x -> linear(4) -> tanh
output y = fc1 @ transpose(fc1)
loss class = sum(fc1 / N)
"""


def small_network() -> Graph:
    source = Source("small.gspec", TEXT)

    def line(number):
        start = source.line_starts[number - 1]
        return made_at(Origin(Span(source, start, start + 3)))

    x = make_input("x", (N, 3), DType.F32)
    weight, bias = make_input("fc1.weight", (4, 3), DType.F32), make_input("fc1.bias", (4,), DType.F32)
    with line(3):
        fc1 = call("tanh", x @ call("transpose", weight) + bias)
    with line(4):
        y = fc1 @ call("transpose", fc1)
    with line(5):
        loss = call("sum", fc1 / literal(N, DType.F32), axis=(0, 1), keepdims=False)
    names = {"x": x, "fc1.weight": weight, "fc1.bias": bias, "fc1": fc1, "y": y, "class": loss}
    return Graph({"y": y, "class": loss}, names)


def test_a_program_reads_like_this():
    assert emit(plan(small_network(), {"N": 2})).text == GOLDEN.read_text()


def test_the_text_does_not_depend_on_what_was_built_before():
    first = emit(plan(small_network(), {"N": 2})).text
    graphs.random_graph(0)
    assert emit(plan(small_network(), {"N": 2})).text == first


def test_each_line_knows_its_node():
    program = emit(plan(small_network(), {"N": 2}))
    lines = program.text.splitlines()
    for number, node in program.nodes.items():
        if "xp.tanh" in lines[number - 1]:
            assert node.op.name == "tanh"
    assert {node.op.name for node in program.nodes.values()} >= {"matmul", "add", "tanh", "sum", "div"}


@given(st.lists(st.text(max_size=8), unique=True, max_size=20))
@settings(deadline=None)
def test_different_names_stay_different(names):
    namer = Namer()
    found = [namer.name(name) for name in names]
    assert len(set(found)) == len(found)
    assert all(name.isidentifier() for name in found)


def test_names_stay_close_to_the_specs():
    namer = Namer()
    wanted = ["conv1.weight", "conv1_weight", "class", "sum", "2", "été", "arena", "conv1_weight_2"]
    assert [namer.name(name) for name in wanted] == [
        "conv1_weight",
        "conv1_weight_2",
        "_class",
        "_sum",
        "_2",
        "_t_",
        "arena_2",
        "conv1_weight_2_2",
    ]


@given(st.text(max_size=30), st.text(max_size=60))
@settings(deadline=None)
def test_text_of_the_spec_stays_within_its_comment(name, text):
    source = Source(name, text)
    comment = comment_for(Span(source, 0, len(text)))
    assert len(comment.splitlines()) == 1
    assert ast.parse(comment).body == []


HOSTILE = ['"""', "'", "\\", "\n", "x\n__import__('os')", "{0}", "a.b", "\x00", "é", "__class__", "xp", "run"]


@pytest.mark.parametrize("parts", [1000, 2])
def test_hostile_names_of_values_inputs_and_results_change_nothing(monkeypatch, parts):
    monkeypatch.setattr(emitting, "PART_LINES", parts)
    inputs = [make_input(name, (N,)) for name in HOSTILE]
    sums = list(itertools.accumulate(inputs, lambda a, b: call("tanh", a) + b))[1:]
    graph = Graph(dict(zip(HOSTILE, sums, strict=False)), dict(zip(HOSTILE[::-1], sums, strict=False)))
    arrays = {name: np.full(4, i / 10) for i, name in enumerate(HOSTILE)}
    found = Program(graph, ENV)(arrays)
    expected = evaluate(sums, dict(zip(inputs, arrays.values(), strict=True)), ENV)
    for result, wanted in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


@given(st.integers(0, 2**32), st.integers(1, 5))
@settings(deadline=None)
def test_programs_in_many_parts_compute_the_same(seed, lines):
    graph = graphs.random_graph(seed)
    arrays = {v.node.op.label: a for v, a in graphs.random_arrays(graph, seed).items()}
    whole = Program(graph, ENV)(arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(emitting, "PART_LINES", lines)
        parts = Program(graph, ENV)(arrays)
    for name, array in whole.items():
        np.testing.assert_array_equal(parts[name], array)


def test_numbers_are_written_in_their_dtype():
    assert number_text(1, DType.F32) == "1.0"
    assert number_text(2, DType.I64) == "2"
    assert number_text(True, DType.BOOL) == "True"
    assert number_text(float("-inf"), DType.F64) == "-inf"
    assert number_text(float("nan"), DType.F64) == "nan"


def test_attributes_are_written_as_python():
    assert text_of((1,)) == "(1,)"
    assert text_of((1, (2.5, float("inf")), "it's", None, True)) == '(1, (2.5, inf), "it\'s", None, True)'
    assert text_of(DType.F32) == "'float32'"
    with pytest.raises(AssertionError):
        text_of({1: 2})


def test_storage_is_a_view_of_the_arena():
    text = storage(Slot(64, TensorType(DType.F32, (2, 3))))
    assert text == 'arena[64:88].view("float32").reshape((2, 3))'
    array = eval(text, {"arena": np.zeros(100, dtype="uint8")})
    assert (array.shape, array.dtype) == ((2, 3), np.float32)
