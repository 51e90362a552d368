"""Where examples of a batch run, and where they are coupled."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from graphspec.ir import DType, Graph, Size, Value, apply, symbol
from graphspec.ops.construction import ones, stack
from graphspec.ops.indexing import Gather
from graphspec.ops.shape import slice_axis
from graphspec.transforms.coupling import (
    Carried,
    Coupled,
    Mixed,
    Places,
    State,
    batches,
    explain_coupling,
    follow_examples,
)
from tests.transforms.models import F64, call, exp, given, sin, total

N, T = symbol("N"), symbol("T")
I64 = DType.I64


def state(y: Value) -> State:
    return follow_examples(Graph({"y": y}), "N").get(y)


def x() -> Value:
    return given("x", N, T, 3)


CARRIED: dict[str, tuple[Callable[[], Value], Carried]] = {
    "an input": (x, Carried(0)),
    "elementwise": (lambda: exp(x()) * sin(given("w", 3)), Carried(0)),
    "a transposition": (lambda: call("transpose", x(), axes=(1, 0, 2)), Carried(1)),
    "a reduction over another axis": (lambda: call("sum", x(), axis=(1,)), Carried(0)),
    "a product with weights": (lambda: x() @ given("w", 3, 5), Carried(0)),
    "weights with it": (lambda: given("w", 5, 3) @ given("a", 3, N), Carried(1)),
    "merged axes": (lambda: call("reshape", x(), shape=(N * T, 3)), Carried(0, 1, T)),
    "merged behind another": (
        lambda: call("reshape", call("transpose", x(), axes=(1, 0, 2)), shape=(T * N, 3)),
        Carried(0, T, 1),
    ),
    "merged and cut again": (
        lambda: call("reshape", sin(call("reshape", x(), shape=(N * T, 3))), shape=(N, T, 3)),
        Carried(0),
    ),
    "a new axis in front": (lambda: call("reshape", x(), shape=(1, N, T, 3)), Carried(1)),
    "joined batches": (lambda: call("concat", x(), exp(x()), axis=0), Carried(0, 2)),
    "a batch and what is the same for all": (
        lambda: call("concat", x(), ones((N, T, 3), F64), axis=0),
        Carried(0, 2),
    ),
    "one of joined batches": (lambda: _sliced(call("concat", x(), exp(x()), axis=0), N, 2 * N), Carried(0)),
    "a slice of another axis": (lambda: _sliced(call("transpose", x(), axes=(2, 0, 1)), 0, 1), Carried(1)),
    "stacked along a new axis": (lambda: stack(x(), exp(x()), axis=1), Carried(0)),
    "a repeated value": (lambda: call("broadcast_to", given("a", N, 1), shape=(4, N, 5)), Carried(1)),
    "an embedding": (
        lambda: _gather(given("table", 7, 2), given("i", N, T, dtype=I64), axis=0),
        Carried(0),
    ),
    "its own place of each": (
        lambda: _gather(given("a", N, 4), call("arange", size=N), given("i", N, dtype=I64), axis=0),
        Carried(0),
    ),
}


def _sliced(a: Value, start: Size, stop: Size) -> Value:
    return slice_axis(a, 0, start, stop)


def _gather(a: Value, *indices: Value, axis: int) -> Value:
    return apply(Gather(axis), a, *indices)


@pytest.mark.parametrize("name", CARRIED)
def test_examples_run_along(name: str) -> None:
    make, expected = CARRIED[name]
    assert state(make()) == expected


COUPLED: dict[str, tuple[Callable[[], Value], str]] = {
    "statistics of the batch": (lambda: x() - call("sum", x(), axis=(0,)), "meets"),
    "softmax over the batch": (
        lambda: exp(given("a", N)) / total(exp(given("a", N))),
        "meets",
    ),
    "every pair": (lambda: given("a", N, 3) @ call("transpose", given("b", N, 3)), "pairs"),
    "every pair, by broadcasting": (lambda: given("a", N, 1) * given("b", 1, N), "pairs"),
    "in reverse order": (lambda: given("a", N) * call("flip", given("b", N)), "meets"),
    "the first example": (lambda: _sliced(x(), 0, 1), "indexes"),
    "those at places": (lambda: _gather(x(), given("i", 2, dtype=I64), axis=0), "indexes"),
    "its place as a number": (
        lambda: given("a", N) * call("cast", call("arange", size=N), dtype=F64),
        "indexes",
    ),
    "running sums of ones": (lambda: given("a", N) * call("cumsum", ones((N,), F64), axis=0), "indexes"),
    "an adjacency matrix": (lambda: given("a", N, N) * 2.0, "uncut"),
    "half a batch": (lambda: given("a", 2 * N), "uncut"),
}


@pytest.mark.parametrize("name", COUPLED)
def test_examples_are_coupled_by(name: str) -> None:
    make, how = COUPLED[name]
    y = make()
    found = state(y)
    assert isinstance(found, Coupled)
    assert found.how == how
    assert "N" in explain_coupling(Graph({"y": y}), "N", found).message
    assert state(exp(y)) == found  # and what is computed from it names the first place


def test_a_mean_at_the_end_is_no_obstacle() -> None:
    loss = total(x()) / (3.0 + total(exp(x())))
    assert isinstance(state(loss), Mixed)


def test_what_is_the_same_for_all_has_no_state() -> None:
    assert state(exp(given("w", 3))) is None
    assert state(total(ones((N, 3), F64))) is None


def test_places_stay_places_while_they_are_moved() -> None:
    places = call("arange", size=N)
    assert state(places) == Places(0)
    assert state(call("reshape", places, shape=(1, N))) == Places(1)
    assert isinstance(state(call("arange", size=N * T)), Mixed)


def test_the_batches_are_the_symbols_that_lead_inputs() -> None:
    a, b, c = given("a", N, 2), given("b", T), given("c", 2 * N)
    graph = Graph({"y": total(a) * total(b) * total(c)})
    assert batches(graph, {"a": a, "b": b, "c": c, "unused": given("unused", symbol("M"))}) == {
        "N": ["a"],
        "T": ["b"],
    }


def test_long_chains_are_no_obstacle() -> None:
    y = x()
    for _ in range(10_000):
        y = sin(y)
    assert state(y) == Carried(0)
