"""What the tests of passes share: small graphs built by hand, run by the plain interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import graphspec.ops  # noqa: F401  (registers the primitives)
from graphspec.ir import (
    OPS,
    Body,
    Call,
    DType,
    Graph,
    HandGradient,
    Input,
    Node,
    Tap,
    TensorType,
    Value,
    apply,
    literal,
    reachable,
    verify,
)
from graphspec.testing import evaluate

F64 = DType.F64
SIZES = {"N": 3, "M": 4}


def given(label: str, *shape: Any, dtype: DType = F64) -> Value:
    """An input."""
    return apply(Input(label, TensorType(dtype, shape)))


def tap(label: str, x: Value) -> Value:
    return apply(Tap(label), x)


def call(name: str, *inputs: Value, **statics: Any) -> Value:
    """A primitive by its name in the language."""
    made = OPS[name].make(*inputs, **statics)
    assert isinstance(made, Value)
    return made


def exp(x: Value) -> Value:
    return call("exp", x)


def sin(x: Value) -> Value:
    return call("sin", x)


def relu(x: Value) -> Value:
    return call("maximum", x, literal(0.0, x.dtype))


def total(x: Value) -> Value:
    """The sum of all elements."""
    return call("sum", x)


def one(y: Value) -> Value:
    """The cotangent of a scalar."""
    return literal(1.0, y.dtype)


def definition(
    name: str,
    results: Callable[..., Value | tuple[Value, ...]],
    *types: TensorType,
    gradients: Mapping[int, Callable[..., Value]] | None = None,
    surrogate: bool = False,
) -> Callable[..., tuple[Value, ...]]:
    """A definition as lowering makes it: a function from values to the results of a call.

    `gradients` gives hand-written ones as functions of (parameters, results, cotangents).
    """
    parameters = tuple(apply(Input(f"x{i}", t)) for i, t in enumerate(types))
    made = results(*parameters)
    made = (made,) if isinstance(made, Value) else made
    by_hand: dict[int, HandGradient] = {}
    for i, line in (gradients or {}).items():
        cotangents = tuple(apply(Input(f"dy{k}", y.type)) for k, y in enumerate(made))
        by_hand[i] = HandGradient(line(parameters, made, cotangents), cotangents, surrogate)
    op = Call(name, (), Body(parameters, made, by_hand))
    return lambda *inputs: Node(op, inputs).values


def arrays(values: Sequence[Value], seed: int = 0, env: Mapping[str, int] = SIZES) -> dict[Value, Any]:
    """Random numbers for each input that `values` depend on."""
    rng = np.random.default_rng(seed)
    found: dict[Value, Any] = {}
    for node in reachable(values):
        if isinstance(node.op, Input):
            shape = tuple(s if isinstance(s, int) else evaluate_size(s, env) for s in node.op.type.shape)
            numbers = (
                rng.uniform(0.5, 1.5, shape) if node.op.type.dtype.is_float else rng.integers(0, 2, shape)
            )
            found[node.values[0]] = numbers.astype(node.op.type.dtype.array_name)
    return found


def evaluate_size(size: Any, env: Mapping[str, int]) -> int:
    from graphspec.ir import evaluate as number_of

    return number_of(size, env)


def run(values: Sequence[Value], inputs: Mapping[Value, Any], env: Mapping[str, int] = SIZES) -> list[Any]:
    return evaluate(values, inputs, env)


def differences(y: Value, x: Value, inputs: Mapping[Value, Any], env: Mapping[str, int] = SIZES) -> Any:
    """dy/dx of a scalar y by central differences, element by element; the error is about 1e-9."""
    (at,) = run([x], inputs, env)
    gradient = np.zeros(at.shape)
    for index in np.ndindex(*at.shape):
        step = np.zeros(at.shape)
        step[index] = 1e-5
        above, below = (run([y], {**inputs, x: at + s}, env)[0] for s in (step, -step))
        gradient[index] = (above - below) / 2e-5
    return gradient


def same_before_and_after(before: Graph, after: Graph, rtol: float = 0.0) -> None:
    """Both graphs are legal and compute the same on random inputs; by default to the bit."""
    verify(after)
    assert list(after.outputs) == list(before.outputs)
    inputs = arrays([*before.outputs.values(), *after.outputs.values()])
    for old, new in zip(before.outputs.values(), after.outputs.values(), strict=True):
        assert new.type == old.type
        np.testing.assert_allclose(
            run([new], inputs)[0], run([old], inputs)[0], rtol=rtol, atol=0, strict=True
        )


def op_names(graph: Graph) -> list[str]:
    """The ops of a graph in order, without inputs and literals."""
    return [n.op.name for n in graph.nodes if n.op.name not in ("input", "literal")]
