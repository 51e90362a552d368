"""Pieces of a batch in several threads: what is cut where, and the same results as the whole."""

import dataclasses
import threading
from functools import partial

import numpy as np
import pytest

import graphspec as gs
from graphspec.diagnostics import GraphSpecError
from graphspec.ir import verify
from graphspec.ops import blocks
from graphspec.runtime import fusing, threads, worth
from graphspec.runtime.cost import is_shared_by_blas, seconds
from graphspec.runtime.means import Means
from graphspec.runtime.parallel import ParallelProgram
from graphspec.runtime.pieces import cut, find_symbols
from graphspec.runtime.plan import plan
from graphspec.runtime.program import Program
from graphspec.runtime.threads import blas_in_one_thread, count_threads, run_together
from graphspec.runtime.worth import count_turns, find_pieces, is_worth_it, use_pieces
from graphspec.transforms.recompute import recompute
from graphspec.transforms.straighten import straighten
from tests.runtime.loops_in_python import run_in_python

HEAD = "gspec 1\ndim N = 11\ninput x: f64[N, 6] ~ normal()\n"
MLP = f"""{HEAD}
input label: i64[N] ~ randint(4)
logits = x -> linear(5) as fc1 -> relu -> linear(4) as fc2
loss nll = cross_entropy(logits, label)
"""
CASES = {
    "a mean over the batch, used by every example": MLP,
    "batch statistics": f"""{HEAD}
h = x -> linear(5) as fc1 -> batch_norm as bn -> tanh
loss s = mean(h ** 2)
""",
    "examples in a block of rows": """gspec 1
dim B = 7, T = 3
input x: f64[B, T, 4] ~ normal()
h = x -> linear(8) as fc -> reshape([B * T, 8]) -> softmax(axis=-1) -> reshape([B, T, 8])
loss s = sum(h ** 3)
""",
    "images": """gspec 1
dim N = 7
input x: f64[N, 2, 8, 8] ~ normal()
h = x -> conv2d(3, kernel_size=3, padding=1) as c1 -> relu -> max_pool2d(2) -> flatten -> linear(2) as fc
loss s = mean(h ** 2)
""",
    "a table of vectors": """gspec 1
dim N = 9
input ids: i64[N] ~ randint(4)
loss s = sum(embedding(ids, 4, dim=3) as e -> tanh) + sum(e.weight ** 2)
""",
    "what needs the whole batch": """gspec 1
dim N = 8
input x: f64[N, 3] ~ normal()
h = x -> linear(3) as fc
g = h @ transpose(h)
loss s = mean(tanh(g)) + max(h) + mean(cumsum(h, axis=0))
""",
    "a batch that does not lead": """gspec 1
dim N = 6
input x: f64[N, 4] ~ normal()
input y: f64[4, N] ~ normal()
h = tanh(transpose(x) * y)
loss s = sum(h @ x)
""",
    "numbers that are sizes": """gspec 1
dim N = 10
input x: f64[N, 2] ~ normal()
loss s = sum(x ** 2 * N) / (N + 1) + sum(exp(x) / N)
""",
}


#: of each example by itself, and how many arrays the pieces write where they belong
PER_EXAMPLE = {
    "layers": (MLP, 6),
    "images": (
        """gspec 1
dim N = 5
input x: f64[N, 2, 8, 8] ~ normal()
h = x -> conv2d(3, kernel_size=3, padding=1) as c1 -> relu -> conv2d(4, kernel_size=3, groups=1) as c2
loss s = mean(h ** 2)
""",
        6,
    ),
}


def whole_program(text, *, per_example=False, **settings):
    """A program of a spec's gradients, and its arrays."""
    model = gs.loads(text, dtype="f64", without=["fast"], **settings)
    inputs = model.draw(seed=1)
    params = model.init(seed=0, inputs=inputs)
    kinds = ("input", "param")
    targets = [name for name, t in model.names().items() if model.kind(name) in kinds and t.startswith("f")]
    step = model.compile(targets, per_example=per_example)
    step(params, inputs)
    program = list(model._engine._programs.values())[-1]  # the first may be that of the initial values
    arrays = {name: array for name, array in {**params, **inputs}.items() if name in program.needs}
    program.parallel = None
    return program, arrays


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("text", CASES.values(), ids=list(CASES))
def test_pieces_give_what_the_whole_gives(text, parts):
    program, arrays = whole_program(text, mode="train")
    pieces = cut(program.plan.graph, find_symbols(program.graph)[0])
    assert pieces is not None
    for side in (pieces.pieces, pieces.once):
        verify(side.graph)
    found = ParallelProgram(pieces, program.plan.env, parts)(arrays)
    expected = program(arrays)
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype)
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-12)


def in_one_stage(program):
    """The pieces of a program, with all that would end a stage done once."""
    cost = dict.fromkeys(program.graph.nodes, 0.0)
    return cut(program.graph, find_symbols(program.graph)[0], cost, a_stage=1.0)


@pytest.mark.parametrize(
    ("threads", "turns", "is_placed"), [(1, 2, True), (1, 3, False), (2, 2, False), (2, 3, True)]
)
@pytest.mark.parametrize("text", CASES.values(), ids=list(CASES))
def test_pieces_in_turns_give_what_the_whole_gives(text, threads, turns, is_placed):
    program, arrays = whole_program(text, mode="train")
    means = Means(fuse=True, recompute=True, place_pieces=is_placed)
    run = ParallelProgram(in_one_stage(program), program.plan.env, threads, means, turns)
    assert (run.threads, run.turns) == (threads, turns)
    expected, found, again = program(arrays), run(arrays), run(arrays)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(found[name], again[name])
        others = (*again.values(), *arrays.values())
        assert not any(np.may_share_memory(found[name], other) for other in others)


@pytest.mark.parametrize("turns", [2, 3])
def test_per_example_gradients_in_turns_are_written_where_they_belong(turns):
    program, arrays = whole_program(MLP, per_example=True)
    found = ParallelProgram(in_one_stage(program), program.plan.env, 2, turns=turns)(arrays)
    for name, array in program(arrays).items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-12)


WIDE = """gspec 1
dim N = 4, D = 4
input x: f32[N, D] ~ normal()
loss s = x -> linear(D) as a -> tanh -> linear(D) as b -> tanh -> sum
"""


@pytest.mark.parametrize(
    ("count", "width", "seconds", "turns"),
    [
        (100_000, 64, 0.1, 18),  # as many as keep it in the cache
        (1_000, 64, 0.1, 1),  # it is there anyway
        (100_000, 64, 0.002, 2),  # so many that calls take a tenth of the time
        (4_000, 2048, 0.5, 1),  # weights would be read, and their gradients added up, too often
    ],
)
def test_turns_are_taken_where_they_save_memory_traffic(count, width, seconds, turns):
    program, _ = whole_program(WIDE)
    laid_out = plan(program.graph, {"N": count, "D": width})
    assert count_turns(laid_out, "N", 2, seconds) == turns


def test_turns_take_memory_for_pieces_only(monkeypatch):
    monkeypatch.setenv("GRAPHSPEC_THREADS", "2")
    arrays = {}
    for without in ([], ["turns"]):
        model = gs.loads(
            WIDE, dims={"N": 100_000, "D": 64}, without=[*without, "fast"], max_memory=60_000_000
        )
        inputs = model.draw(seed=0)
        params = model.init(seed=0, inputs=inputs)
        step = model.compile("@params")
        if without:
            with pytest.raises(GraphSpecError, match="the limit is 60 MB"):
                step(params, inputs)
        else:
            _, found, _ = step(params, inputs)
            arrays.update(found)
    model = gs.loads(WIDE, dims={"N": 100_000, "D": 64}, without=["turns", "fast"])
    for name, array in model.grad(params, inputs, wrt="@params").items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-3, atol=0.5)  # sums of 1e5 in f32


@pytest.mark.parametrize(
    ("case", "little", "counts"),
    [
        ("a mean over the batch, used by every example", 0.5, (2, 1)),
        ("a mean over the batch, used by every example", 0.0, (2, 2)),
        ("batch statistics", 0.5, (5, 5)),  # a product leads to each stage
        ("batch statistics", 9.5, (5, 1)),
        ("what needs the whole batch", 9.5, (3, 1)),
    ],
)
def test_what_is_little_is_done_once_where_that_saves_a_stage(case, little, counts):
    program, arrays = whole_program(CASES[case], mode="train")
    graph = program.graph
    cost = {node: 1.0 if node.op.name == "matmul" else 1e-6 for node in graph.nodes}
    pieces = cut(graph, "N", cost, a_stage=little)
    assert (cut(graph, "N").count, pieces.count) == counts
    found = ParallelProgram(pieces, program.plan.env, 2)(arrays)
    for name, array in program(arrays).items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize(("text", "count"), PER_EXAMPLE.values(), ids=list(PER_EXAMPLE))
def test_pieces_write_what_belongs_to_examples_where_it_belongs(text, count, parts):
    program, arrays = whole_program(text, per_example=True)
    pieces = cut(program.plan.graph, "N")
    fused = ParallelProgram(pieces, program.plan.env, parts, Means(fuse=True, recompute=True))(arrays)
    run = ParallelProgram(pieces, program.plan.env, parts)
    assert len(run._placed) == count
    expected, found, again = program(arrays), run(arrays), run(arrays)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-12)
        np.testing.assert_array_equal(found[name], again[name])
        np.testing.assert_allclose(fused[name], array, rtol=1e-10, atol=1e-12)
        assert found[name].flags.c_contiguous
        others = (*again.values(), *arrays.values())
        assert not any(np.may_share_memory(found[name], other) for other in others)


def test_the_weights_of_each_image_are_differentiated_in_pieces():
    program, _ = whole_program(PER_EXAMPLE["images"][0], per_example=True)
    done = cut(program.plan.graph, "N").done_in_pieces
    adjoints = [s.node for s in program.plan.steps if s.op.name == "convolution_weight_adjoint"]
    assert len(adjoints) == 2
    assert done.issuperset(adjoints)


@pytest.mark.parametrize("fast", [False, True], ids=["blocks", "loops"])
@pytest.mark.parametrize("text", CASES.values(), ids=list(CASES))
def test_pieces_are_fused_within_their_stages(text, fast, monkeypatch):
    if fast:
        pytest.importorskip("numba", reason="numba says which functions loops may call")
    monkeypatch.setattr("graphspec.runtime.compiled.compiled", run_in_python)
    monkeypatch.setattr(blocks, "BLOCK", 16)
    monkeypatch.setattr(fusing, "BLOCKS", dataclasses.replace(fusing.BLOCKS, least=0))
    monkeypatch.setattr(fusing, "recompute", partial(recompute, least=0))
    program, arrays = whole_program(text, mode="train")
    pieces = cut(straighten(program.graph), find_symbols(program.graph)[0])
    found = ParallelProgram(pieces, program.plan.env, 2, Means(fuse=True, recompute=True, fast=fast))(arrays)
    for name, array in Program(program.graph, program.plan.env)(arrays).items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-11)


def test_everything_but_what_is_summed_is_done_in_pieces():
    program, _ = whole_program(MLP)
    pieces = cut(program.plan.graph, "N")
    once = {s.op.name for s in program.plan.steps if s.node not in pieces.done_in_pieces and not s.op.is_view}
    assert once == {"div"}
    assert pieces.count == 2


def test_a_graph_without_a_batch_is_not_cut():
    program, _ = whole_program("gspec 1\ninput x: f64[6] ~ normal()\nloss s = sum(linear(x, 3) as fc)\n")
    assert not find_symbols(program.graph)


def test_results_are_the_callers_own():
    program, arrays = whole_program(MLP)
    run = ParallelProgram(cut(program.plan.graph, "N"), program.plan.env, 2)
    first = run(arrays)
    kept = {name: array.copy() for name, array in first.items()}
    second = run(arrays)
    for name, array in first.items():
        np.testing.assert_array_equal(array, kept[name])
        np.testing.assert_array_equal(second[name], kept[name])
        assert not np.may_share_memory(array, second[name])
        assert not any(np.may_share_memory(array, given) for given in arrays.values())


def test_many_callers_at_once():
    program, arrays = whole_program(MLP)
    run = ParallelProgram(cut(program.plan.graph, "N"), program.plan.env, 3)
    expected = run(arrays)
    wrong = []

    def call():
        for _ in range(20):
            found = run(arrays)
            if any(not np.array_equal(found[name], array) for name, array in expected.items()):
                wrong.append(found)

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong


def test_a_mistake_in_a_piece_is_shown_where_it_was_made():
    text = "gspec 1\ndim N = 6\ninput ids: i64[N] ~ randint(4)\nloss s = sum(embedding(ids, 4, dim=3) as e)\n"
    program, arrays = whole_program(text)
    run = ParallelProgram(cut(program.plan.graph, "N"), program.plan.env, 2)
    with pytest.raises(GraphSpecError, match="9"):
        run({**arrays, "ids": np.array([0, 1, 2, 3, 9, 0])})
    assert run(arrays).keys() == program(arrays).keys()


def test_threads_are_used_where_there_is_much_to_do(monkeypatch):
    monkeypatch.setenv("GRAPHSPEC_THREADS", "2")
    program, _ = whole_program(MLP)
    use_pieces(program, threshold=1.0)
    assert program.parallel is None
    monkeypatch.setattr(worth, "STAGE", 0.0)
    use_pieces(program, threshold=0.0)
    assert program.parallel is not None


PRODUCTS = """gspec 1
dim N = 64, D = 64
input x: f64[N, D] ~ normal()
param w: f64[D, D] ~ normal()
loss s = sum({}) + sum(w)
"""


@pytest.mark.parametrize(
    ("work", "count", "is_shared"),
    [
        ("x @ w", 300, True),
        ("x @ w", 30, False),  # each product is small
        ("reshape(x, [N, 1, D]) @ w", 300, True),  # one product of all rows
        ("reshape(x, [N, 1, D]) @ reshape(x, [N, D, 1])", 300, False),  # many small ones
        ("reshape(x, [N, D, 1]) @ reshape(x, [N, 1, D])", 300, False),  # outer products
    ],
)
def test_pieces_are_not_made_for_products_that_the_blas_shares(work, count, is_shared):
    program, _ = whole_program(PRODUCTS.format(work))
    env = {"N": count, "D": count}
    cost = {node: seconds(node, env) for node in program.graph.nodes}
    products = [node for node in cost if node.op.name == "matmul"]
    assert products
    assert all(is_shared_by_blas(node, env) is is_shared for node in products)
    in_pieces = {node: 1.0 if node in products else 0.0 for node in cost}
    assert is_worth_it(cut(program.graph, "N"), env, in_pieces, 2) is not is_shared


def test_the_batch_is_the_dim_that_lets_the_most_be_done_in_pieces():
    program, _ = whole_program(WIDE)
    assert find_symbols(program.graph) == ["D", "N"]  # weights have more leading axes than inputs
    cost = dict.fromkeys(program.graph.nodes, 1.0)
    env = {"N": 100, "D": 100}
    assert find_pieces(program.graph, env, cost, 2).symbol == "N"
    assert find_pieces(program.graph, {**env, "N": 3}, cost, 2).symbol == "D"
    assert find_pieces(program.graph, {"N": 3, "D": 3}, cost, 2) is None


def test_the_number_of_threads_is_the_users(monkeypatch):
    monkeypatch.setenv("GRAPHSPEC_THREADS", "3")
    assert count_threads() == 3
    monkeypatch.setenv("GRAPHSPEC_THREADS", "")
    with blas_in_one_thread():
        assert count_threads() == 1


def test_the_blas_has_its_threads_back():
    before = [library.num_threads for library in threads._libraries()]
    with blas_in_one_thread(), blas_in_one_thread():
        assert all(library.num_threads == 1 for library in threads._libraries())
    assert [library.num_threads for library in threads._libraries()] == before


def test_tasks_run_in_threads_and_their_first_error_is_raised():
    found = run_together([threading.get_ident] * 3)
    assert found[0] == threading.get_ident()
    assert len(set(found)) == 3
    with pytest.raises(ZeroDivisionError):
        run_together([lambda: 1, lambda: 1 // 0, lambda: {}[0]])
    assert run_together([lambda: 1, lambda: 2]) == [1, 2]


def test_a_program_in_stages_keeps_what_it_gave_while_it_pauses():
    program, arrays = whole_program(CASES["batch statistics"], mode="train")
    run = ParallelProgram(cut(program.plan.graph, "N"), program.plan.env, 1)
    for name, array in program(arrays).items():
        np.testing.assert_allclose(run(arrays)[name], array, rtol=1e-12)
    assert isinstance(program, Program)
