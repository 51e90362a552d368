"""Random graphs of primitives, small enough to be run by the interpreter."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from graphspec.ir import (
    OPS,
    DType,
    Graph,
    Input,
    Literal,
    Size,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    literal,
    symbol,
)
from graphspec.ir.sizes import collect_assumptions
from graphspec.ops import arithmetic  # noqa: F401  (fills the registry)

ENV = {"N": 4, "M": 3}
N, M = symbol("N"), symbol("M")
SHAPES: list[tuple[Size, ...]] = [(N, M), (M,), (N, 1), (), (M, N), (1, M), (N, N), (N * M,)]


def make_input(name: str, shape: tuple[Size, ...], dtype: DType = DType.F64) -> Value:
    return apply(Input(name, TensorType(dtype, shape)))


def call(name: str, *inputs: Value, **statics: object) -> Value:
    """A node as a call in the language makes it."""
    made = OPS[name].make(*inputs, **statics)
    assert isinstance(made, Value)
    return made


def random_graph(seed: int, size: int = 25) -> Graph:
    """A graph of about `size` nodes over inputs of a few shapes, with views, numbers, and names."""
    choose = random.Random(seed)
    values = [make_input(f"x{i}", choose.choice(SHAPES)) for i in range(choose.randint(1, 4))]
    values += [literal(choose.choice([0, 0.5, -2, float("inf")]), DType.F64) for _ in range(2)]
    while len(values) < size:
        try:
            with collect_assumptions() as assumed:
                grown = _grow(choose, values)
        except TypeRuleError:
            continue  # these operands do not fit
        if not assumed:  # sizes that may turn out different are a user's mistake, found before
            values.append(grown)
    computed = [v for v in values if not isinstance(v.node.op, Literal)]
    outputs = {f"out.{i}": choose.choice(computed) for i in range(choose.randint(1, 4))}
    names = {f"h.{i}": v for i, v in enumerate(values) if choose.random() < 0.3}
    return Graph(outputs, names)


def _grow(choose: random.Random, values: list[Value]) -> Value:
    # recent values are likelier, so that graphs are deep as well as wide
    x, y = (choose.choice(values[-6:] if choose.random() < 0.7 else values) for _ in range(2))
    rank = len(x.shape)
    steps: list[Callable[[], Value]] = [
        lambda: call(choose.choice(["add", "sub", "mul", "maximum", "minimum"]), x, y),
        lambda: call(choose.choice(["tanh", "neg", "abs", "sign", "floor"]), x),
        lambda: x * choose.choice([0.25, -1.5]) + 1,
        lambda: call("where", call(choose.choice(["less", "equal"]), x, y), x, y),
        lambda: call("reshape", x, shape=choose.choice(SHAPES)),
        lambda: call("transpose", x, axes=tuple(choose.sample(range(rank), rank))),
        lambda: call("broadcast_to", x, shape=choose.choice(SHAPES)),
        lambda: call("flip", x, axis=(choose.randrange(rank),) if rank else ()),
        lambda: call(
            "sum", x, axis=(choose.randrange(rank),) if rank else (), keepdims=choose.random() < 0.5
        ),
        lambda: call("concat", x, y, axis=0),
        lambda: call("matmul", x, y),
        lambda: _slice(choose, x),
    ]
    return choose.choice(steps)()


def _slice(choose: random.Random, x: Value) -> Value:
    numbers = [s if isinstance(s, int) else None for s in x.shape]
    starts = tuple(0 if n in (None, 0) else choose.randrange(n) for n in numbers)
    return apply(OPS["slice"](starts, x.shape, tuple(choose.choice([1, 2]) for _ in numbers)), x)


def random_arrays(graph: Graph, seed: int) -> dict[Value, np.ndarray]:
    """Arrays for the inputs of a graph; some are views of larger ones, and none may be written."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for node in graph.nodes:
        if isinstance(node.op, Input):
            shape = tuple(s if isinstance(s, int) else _number(s) for s in node.op.type.shape)
            array = rng.standard_normal(shape).astype(node.op.type.dtype.array_name)
            if array.ndim > 1 and rng.random() < 0.3:
                array = np.asfortranarray(array)
            array.flags.writeable = False
            arrays[node.values[0]] = array
    return arrays


def _number(size: Size) -> int:
    from graphspec.ir import evaluate

    return evaluate(size, ENV)
