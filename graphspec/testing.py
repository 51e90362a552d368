"""Checks for ops and graphs: a plain interpreter, and derivatives against finite differences.

`check_op(MyOp)` is all that the author of a primitive needs to call.

`evaluate` runs a graph node by node, allocating as it goes: slow, simple, and independent of the planner
and of the emitted program, which are tested against it.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from graphspec.ir import (
    Box,
    Call,
    DType,
    Graph,
    Input,
    Literal,
    Node,
    Op,
    Sample,
    TensorType,
    TypeRuleError,
    Value,
    apply,
    evaluate_number,
    literal,
    reachable,
    symbol,
)
from graphspec.ir import evaluate as evaluate_size
from graphspec.ops.fused import Fused, Position
from graphspec.ops.reduction import Sum
from graphspec.ops.shape import Reshape, Slice
from graphspec.runtime.kernels import find_kernel
from graphspec.transforms.push_selections import push_selections

Array = npt.NDArray[Any]

_DTYPES = {dtype.array_name: dtype for dtype in DType}


def evaluate(
    values: Sequence[Value], inputs: Mapping[Value, Any], env: Mapping[str, int] | None = None
) -> list[Array]:
    """The arrays that `values` are, where `inputs` gives those they depend on and `env` the dims.

    Calls of definitions are evaluated through their bodies.
    """
    env = env or {}
    known: dict[Value, Array] = {value: np.asarray(array) for value, array in inputs.items()}
    with np.errstate(all="ignore"):
        for node in reachable(values, stop=frozenset(inputs)):
            if isinstance(node.op, Input):
                raise ValueError(f"no array was given for the input `{node.op.label}`")
            if isinstance(node.op, Call):
                body = node.op.body
                arguments = dict(zip(body.parameters, (known[v] for v in node.inputs), strict=True))
                results = evaluate(body.results, arguments, env)
            elif isinstance(node.op, Fused):
                results = _members(node.op, node, known, env)
            else:
                operands = [_operand(v, node.op, known, env) for v in node.inputs]
                results = [run(node.op.at(env), operands, node.types[0].at(env))]
            for value, array in zip(node.values, results, strict=True):
                known.setdefault(value, array)
    return [known[value] for value in values]


def _members(fused: Fused, node: Node, known: Mapping[Value, Array], env: Mapping[str, int]) -> list[Array]:
    """The results of a group of ops, computed one after the other."""
    arrays: list[Any] = [known[v] for v in node.inputs]
    types = fused.member_types([v.type for v in node.inputs])
    for member, type in zip(fused.members, types, strict=True):
        operands = [arrays[i] for i in member.inputs]
        if isinstance(member.op, Position):
            shape = type.at(env).shape
            arrays.append(np.arange(evaluate_size(shape[member.op.axis], {})).reshape(shape))
        else:
            arrays.append(run(member.op.at(env), operands, type.at(env)))
    return [arrays[len(node.inputs) + k] for k in fused.results]


def _operand(value: Value, op: Op, known: Mapping[Value, Array], env: Mapping[str, int]) -> Any:
    """What an op is run on: a literal enters an elementwise op as a number."""
    literal = value.node.op
    if op.is_elementwise and isinstance(literal, Literal):
        return evaluate_number(literal.value, env)
    return known[value]


def run(op: Op, operands: Sequence[Any], result: TensorType) -> Array:
    """The result of one op, its dims being known, on arrays (and numbers, for an elementwise op)."""
    if isinstance(op, Literal):
        return np.asarray(op.value, dtype=result.dtype.array_name)
    if op.is_view:
        view: Array = np.asarray(_execute(op, None, operands))
        return view
    out = _empty(result)
    if op.kernel:
        types = [type_of(x) for x in operands] if not op.is_elementwise else []
        scratch = [_empty(t) for t in op.scratch(*types)]
        find_kernel(op.kernel, "numpy")(np, out, *operands, *scratch, **op.attributes())
    else:
        _execute(op, out, operands)
    return out


def _empty(type: TensorType) -> Array:
    """Storage of a type.  It is never clean: what an op forgets to write is garbage here too."""
    array = np.empty([evaluate_size(size, {}) for size in type.shape], dtype=type.dtype.array_name)
    array.reshape(-1).view(np.uint8).fill(0x7B)
    return array


def _execute(op: Op, out: Array | None, operands: Sequence[Any]) -> Any:
    """Run the op's source text, with numbers written into it."""
    names = [f"x{i}" if isinstance(x, np.ndarray) else repr(x) for i, x in enumerate(operands)]
    arrays = {f"x{i}": x for i, x in enumerate(operands)}
    return eval(op.source("out", *names), {"xp": np, "inf": np.inf, "nan": np.nan, "out": out, **arrays})


def type_of(array: Array) -> TensorType:
    """The type of an array."""
    return TensorType(_DTYPES[array.dtype.name], array.shape)


def cotangents(y: Value, gy: Value, wrt: Sequence[Value]) -> list[Value | None]:
    """The cotangents of `wrt` for the cotangent `gy` of `y`, by one walk back; None where y does not depend.

    The shortest form of reverse mode: it knows no calls, no taps and no request to prune to.
    """
    total: dict[Value, Value] = {y: gy}
    for node in reversed(reachable([y])):
        (value,) = node.values
        if value not in total or not node.inputs:
            continue
        for x, gx in zip(node.inputs, node.op.vjp(total[value], value, *node.inputs), strict=True):
            if gx is not None and x.dtype.is_float:
                gx = _undo_broadcast(gx, x)
                total[x] = total[x] + gx if x in total else gx
    return [total.get(value) for value in wrt]


def _undo_broadcast(gx: Value, x: Value) -> Value:
    """`gx` summed over the axes along which x was repeated."""
    new = len(gx.shape) - len(x.shape)
    axes = [i for i, size in enumerate(gx.shape) if i < new or (x.shape[i - new] == 1 and size != 1)]
    if axes:
        gx = apply(Sum(tuple(axes)), gx)
    return gx if gx.shape == x.shape else apply(Reshape(x.shape), gx)


def check_gradient(outputs: Sequence[Value], inputs: Mapping[Value, Array], *, order: int = 1) -> None:
    """Compare derivatives of `outputs`, up to `order`, with central differences along random directions.

    All arrays of floating-point numbers must be f64: in f32 the differences drown in rounding.
    Raises AssertionError where they disagree.
    """
    rng = np.random.default_rng(1)
    smooth = [value for value in inputs if value.dtype.is_float]
    weights = [apply(Input(f"weight{i}", y.type)) for i, y in enumerate(outputs)]
    point = {**inputs, **{w: rng.uniform(0.5, 1.5, w.shape) for w in weights}}
    objective = _weighted_sum(outputs, weights)
    gradients = cotangents(objective, literal(1, DType.F64), smooth)
    _compare(objective, smooth, gradients, point, rng)
    flowing = [g for g in gradients if g is not None]
    if order > 1 and flowing:
        check_gradient(flowing, point, order=order - 1)


def _weighted_sum(values: Sequence[Value], weights: Sequence[Value]) -> Value:
    """The sum of all elements, each with its weight: one number that depends on every element."""
    terms = [apply(Sum(tuple(range(len(v.shape)))), v * w) for v, w in zip(values, weights, strict=True)]
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _compare(
    objective: Value,
    wrt: Sequence[Value],
    gradients: Sequence[Value | None],
    point: Mapping[Value, Array],
    rng: np.random.Generator,
    step: float = 1e-5,
) -> None:
    """Analytic and numerical slope along three random directions, which must agree to 1e-6."""
    known = [g for g in gradients if g is not None]
    arrays = iter(evaluate(known, point))
    slopes = {x: next(arrays) for x, g in zip(wrt, gradients, strict=True) if g is not None}
    for _ in range(3):
        way = {x: rng.standard_normal(x.shape) * np.maximum(1, np.abs(point[x])) for x in wrt}
        near, far = (
            _value(objective, point, way, reach) - _value(objective, point, way, -reach)
            for reach in (step, 2 * step)
        )
        numerical = (8 * near - far) / (12 * step)  # Abramowitz & Stegun (1964), 25.3.6
        terms = [float(np.sum(slopes[x] * way[x])) for x in slopes]
        analytic = sum(terms)
        # the error of the difference: rounding of the objective, magnified by the step
        noise = 1e-10 * max(1.0, abs(_value(objective, point, way, 0)))
        scale = max(abs(numerical), *(abs(t) for t in terms), noise) if terms else abs(numerical)
        assert abs(analytic - numerical) <= 1e-6 * scale + noise, (
            f"the derivative along a random direction is {analytic}, but the difference quotient {numerical}"
        )


def _value(y: Value, point: Mapping[Value, Array], way: Mapping[Value, Array], reach: float) -> float:
    """The number y, so far along the way from the point."""
    moved = {x: point[x] + reach * step for x, step in way.items()}
    return float(evaluate([y], {**point, **moved})[0])


def draw(sample: Sample, dtype: DType = DType.F64, seed: int = 0, integer: DType = DType.I64) -> list[Array]:
    """The operands of a sample, with floating-point numbers of `dtype`."""
    rng = np.random.default_rng(seed)
    return [_draw_box(box, dtype, integer, rng) for box in sample.inputs]


def _draw_box(box: Box, dtype: DType, integer: DType, rng: np.random.Generator) -> Array:
    name = {"float": dtype, "int": integer, "bool": DType.BOOL}[box.kind].array_name
    if box.values is not None:
        return np.asarray(box.values, dtype=name).reshape(box.shape)
    if box.kind == "float":
        # numbers that f32 holds too: at both precisions the op meets the same operands
        return rng.uniform(box.low, box.high, box.shape).astype(np.float32).astype(name)
    low, high = (0, 2) if box.kind == "bool" else (int(box.low), int(box.high))
    return rng.integers(low, high, box.shape).astype(name)


def apply_sample(sample: Sample, arrays: Sequence[Array]) -> tuple[Value, dict[Value, Array]]:
    """The sample's op on inputs that stand for the arrays, and which input stands for which."""
    inputs = [apply(Input(f"x{i}", type_of(array))) for i, array in enumerate(arrays)]
    return apply(sample.op, *inputs), dict(zip(inputs, arrays, strict=True))


def check_op(op_class: type[Op]) -> None:
    """Everything that must hold of an op, on each of its samples; raises AssertionError where it does not.

    These are the tests that every primitive of graphspec meets: each `check_...` below, of which a test
    suite may also make one test each.  A batching rule and what boxes need are checked where the op has
    them.
    """
    check_documentation(op_class)
    assert op_class.samples(), f"`{op_class.name}` has no samples"
    for sample in op_class.samples():
        for dtype in (DType.F32, DType.F64):
            check_type(sample, dtype)
        check_refusals(sample)
        check_precision(sample)
        check_layouts(sample)
        if sample.op.is_elementwise:
            check_overwriting(sample)
            check_numbers(sample)
        if sample.differentiable:
            check_derivatives(sample)
        if has_batching_rule(sample.op):
            for batched in itertools.product((False, True), repeat=len(sample.inputs)):
                if any(batched):
                    check_batching(sample, batched)
        check_alignment(sample)
        check_boxes(sample)


def check_documentation(documented: Any) -> None:
    """The docstring has a formula or says in words what the result is, the shapes, and the source."""
    text = inspect.getdoc(documented) or ""
    for needed in ("=", "Shapes: ", "->", "Source: "):
        assert needed in text, f"the docstring of `{documented.__name__}` has no `{needed.strip()}`"


def check_type(sample: Sample, dtype: DType) -> None:
    """`infer` says what comes out, in shape and dtype."""
    y, inputs = apply_sample(sample, draw(sample, dtype))
    (array,) = evaluate([y], inputs)
    assert type_of(array) == y.type, f"{sample} gives {type_of(array)}, but its type rule says {y.type}"


def check_derivatives(sample: Sample, order: int = 2) -> None:
    """The vjp, and the vjp of what it builds, agree with finite differences."""
    y, inputs = apply_sample(sample, draw(sample))
    if y.dtype.is_float and any(x.dtype.is_float for x in inputs):
        check_gradient([y], inputs, order=order)


def check_refusals(sample: Sample) -> None:
    """Operands of wrong rank or dtype are accepted as a matter of the rule, or refused in a sentence."""
    types = [type_of(array) for array in draw(sample)]
    for i, type in enumerate(types):
        wrong = [type.with_dtype(dtype) for dtype in DType if dtype is not type.dtype]
        wrong += [type.with_shape(()), type.with_shape((7, *type.shape)), type.with_shape((5, 7))]
        for other in wrong:
            with contextlib.suppress(TypeRuleError):
                sample.op.infer(*types[:i], other, *types[i + 1 :])


def check_precision(sample: Sample) -> None:
    """f32 agrees with f64 up to rounding."""
    single, double = (
        evaluate([y], inputs)[0].astype("f8")
        for y, inputs in (apply_sample(sample, draw(sample, dtype)) for dtype in (DType.F32, DType.F64))
    )
    # a few roundings of 6e-8 each, in sums of up to 30 terms
    np.testing.assert_allclose(single, double, rtol=2e-6, atol=2e-6)


def check_layouts(sample: Sample) -> None:
    """Operands need not be contiguous, and one that is repeated by a stride of 0 counts as its copies."""
    arrays = draw(sample)
    y, inputs = apply_sample(sample, arrays)
    (expected,) = evaluate([y], inputs)
    spaced = [_spaced(array) for array in arrays]
    (found,) = evaluate([y], dict(zip(inputs, spaced, strict=True)))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)
    repeated = [_constant_along_rows(array) for array in arrays]
    copies = [np.array(array, order="C") for array in repeated]
    found, expected = (evaluate([y], dict(zip(inputs, a, strict=True)))[0] for a in (repeated, copies))
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


def _spaced(array: Array) -> Array:
    """An equal array with gaps between its elements, stored last axis first."""
    if array.ndim == 0:
        return array
    store = np.zeros([2 * n for n in reversed(array.shape)], array.dtype)
    view = store.transpose()[(slice(None, None, 2),) * array.ndim]
    view[...] = array
    return view


def _constant_along_rows(array: Array) -> Array:
    """The first element of each row repeated with stride 0."""
    return np.broadcast_to(array[..., :1], array.shape) if array.ndim and array.shape[-1] else array


def check_overwriting(sample: Sample) -> None:
    """An elementwise op may write its result into the memory of an operand of the result's type."""
    arrays = draw(sample)
    y, inputs = apply_sample(sample, arrays)
    (expected,) = evaluate([y], inputs)
    for i, array in enumerate(arrays):
        if type_of(array) == y.type:
            operands = [a.copy() for a in arrays]
            out = operands[i]
            if sample.op.kernel:
                find_kernel(sample.op.kernel, "numpy")(np, out, *operands, **sample.op.attributes())
            else:
                _execute(sample.op, out, operands)
            np.testing.assert_array_equal(out, expected)


def check_numbers(sample: Sample) -> None:
    """An elementwise op takes a plain number where an operand has no axes."""
    arrays = draw(sample, DType.F32)
    types = [type_of(a) for a in arrays]
    for i, array in enumerate(arrays):
        if array.size == 0:
            continue
        scalar = array.ravel()[0]
        operands = [np.asarray(scalar) if k == i else a for k, a in enumerate(arrays)]
        result = sample.op.infer(*(type_of(operands[i]) if k == i else t for k, t in enumerate(types)))
        assert isinstance(result, TensorType)
        with np.errstate(all="ignore"):
            expected = run(sample.op, operands, result)
            found = run(sample.op, [scalar.item() if k == i else a for k, a in enumerate(operands)], result)
        # erf and pow take other ways for one number than for many, which may differ in the last digit
        np.testing.assert_allclose(found, expected, rtol=3e-7)


def has_batching_rule(op: Op) -> bool:
    """Whether an op can run over a batch: by its own rule, or because it is elementwise."""
    rule = type(op).batch
    return op.is_elementwise or not (rule is Op.batch or getattr(rule, "is_missing", False))


#: sets of operands in one batch
_SETS = 3


def check_batching(sample: Sample, batched: tuple[bool, ...]) -> None:
    """The batching rule gives what a loop gives, where the operands marked in `batched` are batched."""
    sets = [draw(sample, seed=seed) for seed in range(_SETS)]
    for i, (box, own) in enumerate(zip(sample.inputs, batched, strict=True)):
        for k, arrays in enumerate(sets):
            if not own:
                arrays[i] = sets[0][i]
            elif box.values is not None and k:  # the same elements in another order
                arrays[i] = np.roll(arrays[i].ravel(), k).reshape(arrays[i].shape)
    operands = [
        np.stack([arrays[i] for arrays in sets]) if own else sets[0][i] for i, own in enumerate(batched)
    ]
    # the new axis has a size that is not known yet: rules may not rely on its number
    count = symbol("B")
    types = [
        TensorType(type_of(a).dtype, (count, *a.shape[1:]) if own else a.shape)
        for a, own in zip(operands, batched, strict=True)
    ]
    inputs = tuple(apply(Input(f"x{i}", t)) for i, t in enumerate(types))
    y = sample.op.batch(count, inputs, batched)
    assert isinstance(y, Value)
    loop = [apply_sample(sample, arrays) for arrays in sets]
    assert y.type == TensorType(loop[0][0].dtype, (count, *loop[0][0].shape))
    expected = [evaluate([one], at)[0] for one, at in loop]
    (found,) = evaluate([y], dict(zip(inputs, operands, strict=True)), {"B": _SETS})
    assert found.dtype == expected[0].dtype
    np.testing.assert_allclose(found, np.stack(expected), rtol=1e-12, atol=1e-12)


def check_alignment(sample: Sample) -> None:
    """What changes at one place of an aligned axis of an operand changes the result at that place only."""
    arrays = draw(sample)
    y, inputs = apply_sample(sample, arrays)
    alignment = sample.op.alignment(*(type_of(a) for a in arrays))
    (before,) = evaluate([y], inputs)
    assert len(alignment) in (0, len(y.shape))
    for k, axes in enumerate(alignment):
        assert len(axes) == len(arrays)
        for i, axis in enumerate(axes):
            if axis is None:
                continue
            assert y.shape[k] == arrays[i].shape[axis]
            for place in range(arrays[i].shape[axis]):
                changed = arrays[i].copy()
                at = (slice(None),) * axis + (place,)
                changed[at] = np.roll(changed[at].ravel(), 1).reshape(changed[at].shape)
                if changed.dtype.kind == "f":
                    changed[at] = changed[at] * 0.9 + 0.05
                (after,) = evaluate([y], {**inputs, list(inputs)[i]: changed})
                elsewhere = [p for p in range(y.shape[k]) if p != place]
                np.testing.assert_array_equal(np.take(after, elsewhere, k), np.take(before, elsewhere, k))


def check_boxes(sample: Sample) -> None:
    """A box of the result, made of what it needs of the operands only, is that box of the whole result."""
    y, inputs = apply_sample(sample, draw(sample))
    (whole,) = evaluate([y], inputs)
    for axis, size in enumerate(whole.shape):
        for start, stop in {(0, 1), (size // 2, size // 2 + 1), (size - 1, size), (1, size)}:
            if not 0 <= start < stop <= size:
                continue
            box = [(start, stop) if k == axis else (0, n) for k, n in enumerate(whole.shape)]
            starts, stops = zip(*box, strict=True)
            part = apply(Slice(starts, stops, (1,) * len(box)), y)
            pushed = push_selections(Graph({"y": part}), differentiated=True).outputs["y"]
            assert pushed.type == part.type
            (found,) = evaluate([pushed], inputs)
            np.testing.assert_allclose(found, whole[tuple(slice(*b) for b in box)], rtol=1e-12, atol=1e-12)
