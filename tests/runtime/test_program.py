"""Programs: they compute what the interpreter computes, own their results, and may be shared by threads."""

import itertools
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.diagnostics import GraphSpecError, Source, Span
from graphspec.ir import DType, Graph, Literal, Origin, Scalar, TensorType, apply, literal, made_at, symbol
from graphspec.runtime import kernels, memory
from graphspec.runtime.errors import IndexOutOfRange
from graphspec.runtime.plan import plan
from graphspec.runtime.program import Program
from graphspec.testing import evaluate
from tests.effort import IN_PROPORTION, effort, growth


def _load(name):
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


graphs = _load("graphs")
ENV, M, N, call, make_input = graphs.ENV, graphs.M, graphs.N, graphs.call, graphs.make_input


def run(graph, arrays, env=ENV):
    program = Program(graph, env)
    return program({value.node.op.label: array for value, array in arrays.items()})


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_program_computes_what_the_interpreter_computes(seed):
    graph = graphs.random_graph(seed)
    arrays = graphs.random_arrays(graph, seed)
    expected = evaluate(list(graph.outputs.values()), arrays, ENV)
    found = run(graph, arrays)
    assert list(found) == list(graph.outputs)
    for result, array in zip(found.values(), expected, strict=True):
        assert (result.shape, result.dtype) == (array.shape, array.dtype)
        # layouts differ from the interpreter's, and with them the order of sums: a few roundings
        np.testing.assert_allclose(result, array, rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_results_are_plain_arrays_of_their_own(seed):
    graph = graphs.random_graph(seed)
    arrays = graphs.random_arrays(graph, seed)
    program = Program(graph, ENV)
    inputs = {value.node.op.label: array for value, array in arrays.items()}
    first = program(inputs)
    kept = {name: array.copy() for name, array in first.items()}
    second = program(inputs)
    everything = [*inputs.values(), *first.values(), *second.values()]
    for a, b in itertools.combinations(everything, 2):
        assert not np.may_share_memory(a, b)
    for name, array in first.items():
        assert isinstance(array, np.ndarray)
        assert array.flags.c_contiguous
        assert array.flags.writeable
        np.testing.assert_array_equal(array, kept[name])


@given(st.integers(0, 2**32))
@settings(max_examples=50, deadline=None)
def test_the_arena_is_never_larger_than_all_intermediate_values(seed):
    made = plan(graphs.random_graph(seed, 60), ENV)
    # each buffer is rounded up to a multiple of 64 bytes
    buffers = len(made.slots) + sum(len(step.scratch) for step in made.steps)
    assert made.arena_bytes <= made.intermediate_bytes + 63 * buffers


def chain(length, names=("tanh", "neg")):
    x = y = make_input("x", (N, M))
    for name in itertools.islice(itertools.cycle(names), length):
        y = call(name, y)
    return x, y


def test_elementwise_ops_work_in_place_of_values_that_are_not_needed_again():
    x, y = chain(10)
    made = plan(Graph({"y": y}), {"N": 100, "M": 10})
    assert (made.arena_bytes, made.intermediate_bytes) == (8000 // 64 * 64, 9 * 8000)
    array = np.ones((100, 10))
    found = run(Graph({"y": y}), {x: array}, {"N": 100, "M": 10})
    np.testing.assert_array_equal(array, 1)
    assert found["y"].shape == (100, 10)


def test_a_value_that_is_needed_again_is_not_overwritten():
    x = make_input("x", (N, M))
    a = call("tanh", x)
    b = -a
    c = call("abs", b) + call("reshape", a, shape=(N, M)) + call("transpose", a, axes=(0, 1))
    array = np.linspace(-2, 2, 12).reshape(4, 3)
    found = run(Graph({"c": c}), {x: array})
    np.testing.assert_allclose(found["c"], np.abs(np.tanh(array)) + 2 * np.tanh(array), rtol=1e-15)


def test_a_result_is_not_written_over_a_value_that_is_also_read_through_a_view():
    x = make_input("x", (N, N))
    a = call("tanh", x)
    y = (a - call("transpose", a)) * 1.0
    made = plan(Graph({"y": y}), ENV)
    (difference,) = [v for v in made.slots if v.node.op.name == "sub"]
    assert difference not in made.in_place


def test_a_value_waits_until_it_is_needed_where_its_operands_wait_anyway():
    x = make_input("x", (N, M))
    w = make_input("w", (M, M))
    early = call("tanh", w)  # its operand is the caller's: it can be made at any time
    y = call("tanh", x)
    for _ in range(3):
        y = call("tanh", y @ w)
    z = y @ early
    names = [step.node.op.name for step in plan(Graph({"z": z}), ENV).steps]
    assert names[-2:] == ["tanh", "matmul"]
    assert names.index("matmul") == 1


def test_numbers_inputs_and_views_of_them_may_be_results():
    x = make_input("x", (N, M))
    one = literal(1, DType.F32)
    graph = Graph(
        {
            "x": x,
            "again": x,
            "turned": call("transpose", x),
            "one": one,
            "ones": call("broadcast_to", one, shape=(N,)),
            "two": one + 1,
        }
    )
    array = np.arange(12.0).reshape(4, 3)
    found = run(graph, {x: array})
    np.testing.assert_array_equal(found["x"], array)
    np.testing.assert_array_equal(found["turned"], array.T)
    np.testing.assert_array_equal(found["ones"], [1, 1, 1, 1])
    assert (found["one"].shape, found["one"].dtype, found["two"]) == ((), np.float32, 2)
    assert not np.may_share_memory(found["x"], found["again"])


def test_one_value_may_be_several_results():
    x, y = chain(3)
    found = run(Graph({"a": y, "b": y, "c": call("reshape", y, shape=(N * M,))}), {x: np.ones((4, 3))})
    np.testing.assert_array_equal(found["a"], found["b"])
    np.testing.assert_array_equal(found["a"].ravel(), found["c"])


def test_a_view_of_a_whole_value_is_returned_without_a_copy():
    y = chain(2)[1]
    made = Program(Graph({"y": call("reshape", y, shape=(N * M,))}), ENV)
    assert "owned(" not in made.source
    assert "xp.array(" not in made.source
    result = made({"x": np.ones((4, 3))})["y"]
    assert result.base is not None
    assert result.base.size == result.size


def test_a_result_that_lies_otherwise_is_made_the_callers_own():
    y = chain(2)[1]
    made = Program(Graph({"y": call("transpose", y, axes=(1, 0))}), ENV)
    assert "owned(transpose_1)" in made.source
    assert made({"x": np.ones((4, 3))})["y"].flags.c_contiguous


def test_reshapes_of_an_input_are_made_of_the_input_and_only_those_that_are_read():
    x = make_input("x", (N, M))
    again = call("reshape", call("reshape", x, shape=(N * M,)), shape=(M, N))
    made = Program(Graph({"y": call("neg", again)}), ENV)
    assert made.source.count("reshape(") == 1
    np.testing.assert_array_equal(made({"x": np.ones((4, 3))})["y"], -np.ones((3, 4)))


def test_only_the_inputs_that_the_results_need_are_asked_for():
    x, unused = make_input("x", (N,)), make_input("unused", (N,))
    program = Program(Graph({"y": x * 2}, {"z": unused * 2}), ENV)
    assert program.inputs == {"x": TensorType(DType.F64, (4,))}
    assert program.outputs == {"y": TensorType(DType.F64, (4,))}


def test_attributes_and_numbers_may_depend_on_sizes():
    x = make_input("x", (N, M))
    mean = call("sum", x, axis=(0,), keepdims=False) / apply(Literal(N, TensorType(DType.F64)))
    scaled = mean * apply(Literal(Scalar("sqrt", (N,)), TensorType(DType.F64)))
    found = run(Graph({"y": scaled}), {x: np.ones((4, 3))})
    np.testing.assert_array_equal(found["y"], [2, 2, 2])


def test_infinities_and_nans_need_no_warning_and_are_spelled_in_the_program():
    x = make_input("x", (N,))
    y = call("minimum", x / 0.0, literal(float("inf"), DType.F64)) * float("nan") + call("exp", x * 1000)
    found = run(Graph({"y": y}), {x: np.ones(4)})
    assert np.isnan(found["y"]).all()


def test_empty_arrays_run():
    x = make_input("x", (N - 4, M))
    y = call("tanh", x) * 2
    found = run(Graph({"y": y, "sum": call("sum", y, axis=(0,), keepdims=False)}), {x: np.ones((0, 3))})
    assert found["y"].shape == (0, 3)
    np.testing.assert_array_equal(found["sum"], [0, 0, 0])


def test_several_threads_may_call_one_program():
    x = make_input("x", (N, N))
    y = x
    for _ in range(30):
        y = call("tanh", y @ x) * 2 - y
    program = Program(Graph({"y": y}), {"N": 32})
    inputs = [np.full((32, 32), i / 100) for i in range(40)]
    expected = [program({"x": a})["y"] for a in inputs]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda a: program({"x": a})["y"], inputs * 3))
    for result, wanted in zip(found, expected * 3, strict=True):
        np.testing.assert_array_equal(result, wanted)


def test_a_call_does_little_besides_its_kernels():
    y = chain(1)[1]
    program = Program(Graph({"y": y}), ENV)
    arrays = {"x": np.ones((4, 3))}
    program(arrays)
    assert effort(lambda: program(arrays)) < 50


def graph_of_a_chain(length):
    return Graph({"y": chain(length, ("tanh", "floor", "abs"))[1]})


def test_the_effort_of_compiling_grows_with_the_graph():
    def prepare(length):
        graph = graph_of_a_chain(length)
        return lambda: Program(graph, ENV)

    assert growth(prepare, 500) < IN_PROPORTION


def test_a_chain_of_thousands_of_nodes_is_compiled_and_runs():
    program = Program(graph_of_a_chain(3000), ENV)
    assert program.plan.arena_bytes == 128
    assert program.source.count("def part_") == 3
    assert np.isfinite(program({"x": np.ones((4, 3))})["y"]).all()


def test_a_long_program_hands_views_results_and_inputs_from_part_to_part():
    x = make_input("x", (N, M))
    first = call("tanh", x)
    own = call("exp", first)
    turned = call("transpose", own)
    flat = call("reshape", turned, shape=(N * M,))
    y = first
    for _ in range(1100):
        y = call("tanh", y) + x
    z = call("reshape", flat, shape=(N, M)) * y + first
    graph = Graph({"own": own, "z": z, "flat": flat, "y": y})
    array = np.random.default_rng(0).standard_normal((4, 3))
    found = run(graph, {x: array})
    expected = evaluate(list(graph.outputs.values()), {x: array}, ENV)
    for result, wanted in zip(found.values(), expected, strict=True):
        np.testing.assert_array_equal(result, wanted)


def test_an_index_out_of_range_is_a_diagnostic_that_shows_the_line():
    table, index = make_input("table", (M, N)), make_input("index", (N,), DType.I64)
    source = Source("lookup.gspec", "gspec 1\nrows = table[index]\n")
    with made_at(Origin(Span(source, 15, 27))):
        rows = apply(_gather(), table, index)
    program = Program(Graph({"rows": rows}, {"rows": rows}), ENV)
    arrays = {"table": np.ones((3, 4)), "index": np.array([0, 1, 3, 2])}
    with pytest.raises(GraphSpecError) as caught:
        program(arrays)
    (found,) = caught.value.diagnostics
    assert found.id == "index-out-of-range"
    assert found.message == "`rows` takes element 3 of axis 0, which has size 3"
    assert found.primary.span == Span(source, 15, 27)
    assert program({**arrays, "index": np.array([0, 1, 0, 2])})["rows"].shape == (4, 4)


def _gather():
    from graphspec.ops.indexing import Gather

    return Gather(0)


def test_a_failure_of_ours_keeps_its_traceback_and_names_the_node(monkeypatch):
    def broken(xp, out, *inputs, **attributes):
        raise RuntimeError("cannot happen")

    monkeypatch.setitem(kernels.KERNELS, ("where", "numpy"), broken)
    x = make_input("x", (N,))
    with made_at(Origin(Span(Source("a.gspec", "gspec 1\ny = where(x < 0, x, 1)\n"), 12, 30))):
        y = call("where", call("less", x, literal(0, DType.F64)), x, literal(1, DType.F64))
    with pytest.raises(RuntimeError) as caught:
        run(Graph({"y": y}, {"y": y}), {x: np.ones(4)})
    assert caught.value.__notes__ == [
        "while computing `y` (where of bool[4], f64[4], f64[]), made at a.gspec:2:5"
    ]
    # the traceback shows the line of the program
    assert "kernels.where(xp, y, less_1, x, 1.0)" in "".join(traceback.format_exception(caught.value))


def test_too_little_memory_is_a_diagnostic():
    graph = Graph({"y": chain(3)[1]})
    with pytest.raises(GraphSpecError) as caught:
        Program(graph, {"N": 2**40, "M": 2**40})
    assert caught.value.diagnostics[0].id == "memory-limit"
    # 96 kB of input, 96 kB of results
    message = "the request needs 288 kB, and the limit is 200 kB"
    with memory.limited(200_000), pytest.raises(GraphSpecError, match=message):
        Program(graph, {"N": 4000, "M": 3})
    with memory.limited(2**62):
        program = Program(graph, {"N": 2**20, "M": 2**28})
    with pytest.raises(GraphSpecError) as caught:
        program({"x": np.broadcast_to(1.0, (2**20, 2**28))})
    assert caught.value.diagnostics[0].id == "out-of-memory"
    assert "2.25 PB" in caught.value.diagnostics[0].message


def test_sizes_and_numbers_that_do_not_exist_are_diagnostics():
    x = make_input("x", (N - 5,))
    with pytest.raises(GraphSpecError) as caught:
        Program(Graph({"y": x * 2}), {"N": 4})
    assert caught.value.diagnostics[0].message == "f64[N - 5] is [-1] where N = 4: no size is negative"
    root = apply(Literal(Scalar("sqrt", (N - 5,)), TensorType(DType.F64)))
    with pytest.raises(GraphSpecError) as caught:
        Program(Graph({"y": root * 2}), {"N": 4})
    assert caught.value.diagnostics[0].id == "number-undefined"


def test_programs_leave_nothing_behind():
    import gc
    import linecache

    gc.collect()
    before = sum(name.startswith("<graphspec program") for name in linecache.cache)
    program = Program(Graph({"y": chain(3)[1]}), ENV)
    program({"x": np.ones((4, 3))})
    assert sum(name.startswith("<graphspec program") for name in linecache.cache) == before + 1
    program.release()
    del program
    gc.collect()
    assert sum(name.startswith("<graphspec program") for name in linecache.cache) == before


def test_an_index_error_of_a_kernel_carries_index_size_and_axis():
    error = IndexOutOfRange(12, 10, 1)
    assert (error.index, error.size, error.axis) == (12, 10, 1)


def test_symbols_of_other_dims_do_not_matter():
    x = make_input("x", (symbol("K"),))
    found = run(Graph({"y": x * 2}), {x: np.ones(7)}, {"K": 7, "N": 3})
    assert found["y"].sum() == 14


def test_the_package_does_not_import_an_array_library():
    import subprocess

    code = "import sys, graphspec, graphspec.ir, graphspec.ops; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
