"""Vectors of a cache line, for compiled kernels whose inner loops must stay in registers.

A loop over elements is vectorised by the compiler; a block of a matrix product is not: its sums have to
stay in registers over the whole inner loop.  So that loop is written in vectors, which LLVM splits into
registers as wide as the machine has: a vector of 64 bytes is one of AVX-512, two of AVX2, four of NEON.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

#: bytes of a vector
BYTES = 64


class VectorType(numba.types.Type):  # type: ignore[misc]  # numba has no types
    """As many elements as a cache line holds; it exists only inside compiled functions."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Vector({dtype})")

    @property
    def lanes(self) -> int:
        return lanes_of(self.dtype)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba has no types
    def __init__(self, manager: Any, vector: VectorType) -> None:
        element = manager.lookup(vector.dtype).get_value_type()
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def lanes_of(dtype: Any) -> int:
    """Elements in a vector."""
    return BYTES * 8 // int(dtype.bitwidth)


def _address(context: Any, builder: Any, kind: Any, pointer: Any, index: Any) -> Any:
    """Where the vector is that begins with the element at an index."""
    vector = context.get_value_type(VectorType(kind.dtype))
    return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())


@intrinsic
def pointer(typing: Any, array: Any) -> Any:
    """Where the elements of a plain array are: like a flat array, but without indices from the end.

    It is one number, and nobody counts how often it is referred to: to hand it on costs nothing.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_array(array)(context, builder, args[0]).data

    return numba.types.CPointer(array.dtype)(array), generate


def _index(context: Any, builder: Any, index_type: Any, index: Any) -> Any:
    return context.cast(builder, index, index_type, numba.types.intp)


@intrinsic
def load(typing: Any, data: Any, index: Any) -> Any:
    """The vector that begins with data[index]."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _index(context, builder, signature.args[1], args[1])
        pointer = _address(context, builder, signature.args[0], args[0], at)
        return builder.load(pointer, align=data.dtype.bitwidth // 8)

    return VectorType(data.dtype)(data, index), generate


@intrinsic
def store(typing: Any, data: Any, index: Any, vector: Any) -> Any:
    """data[index : index + lanes] = vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        at = _index(context, builder, signature.args[1], args[1])
        pointer = _address(context, builder, signature.args[0], args[0], at)
        builder.store(args[2], pointer, align=data.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return numba.types.void(data, index, vector), generate


def _mask(context: Any, builder: Any, dtype: Any, count: Any) -> Any:
    """Which lanes are before `count`."""
    lanes = lanes_of(dtype)
    number = ir.IntType(32)
    steps = ir.Constant(ir.VectorType(number, lanes), list(range(lanes)))
    return builder.icmp_signed("<", steps, _spread(builder, builder.trunc(count, number), lanes))


def _spread(builder: Any, element: Any, lanes: int) -> Any:
    """An element in every lane."""
    vector = ir.VectorType(element.type, lanes)
    first = builder.insert_element(ir.Constant(vector, ir.Undefined), element, ir.IntType(32)(0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), order)


@intrinsic
def load_first(typing: Any, data: Any, index: Any, count: Any) -> Any:
    """data[index : index + count] and zeros behind; what lies behind is not touched."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        dtype = signature.args[0].dtype
        at = _index(context, builder, signature.args[1], args[1])
        place = _address(context, builder, signature.args[0], args[0], at)
        vector = context.get_value_type(VectorType(dtype))
        mask = _mask(context, builder, dtype, _index(context, builder, signature.args[2], args[2]))
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(vector, [place.type, number, mask.type, vector]),
            f"llvm.masked.load.v{lanes_of(dtype)}f{dtype.bitwidth}.p0",
        )
        zeros = ir.Constant(vector, None)
        return builder.call(function, [place, number(dtype.bitwidth // 8), mask, zeros])

    return VectorType(data.dtype)(data, index, count), generate


@intrinsic
def store_first(typing: Any, data: Any, index: Any, vector: Any, count: Any) -> Any:
    """data[index : index + count] = the first elements of the vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        dtype = signature.args[0].dtype
        at = _index(context, builder, signature.args[1], args[1])
        pointer = _address(context, builder, signature.args[0], args[0], at)
        mask = _mask(context, builder, dtype, _index(context, builder, signature.args[3], args[3]))
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [args[2].type, pointer.type, number, mask.type]),
            f"llvm.masked.store.v{lanes_of(dtype)}f{dtype.bitwidth}.p0",
        )
        builder.call(function, [args[2], pointer, number(dtype.bitwidth // 8), mask])
        return context.get_dummy_value()

    return numba.types.void(data, index, vector, count), generate


@intrinsic
def lanes_in(typing: Any, data: Any) -> Any:
    """How many elements are in a vector of these."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.get_constant(numba.types.intp, lanes_of(data.dtype))

    return numba.types.intp(data), generate


@intrinsic
def zeros_like(typing: Any, data: Any) -> Any:
    """A vector of zeros, of such elements."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return ir.Constant(context.get_value_type(signature.return_type), None)

    return VectorType(data.dtype)(data), generate


def _factor(context: Any, builder: Any, kind: Any, factor: Any, vector: Any) -> Any:
    """A factor of a vector: a vector as it is, a number in every lane."""
    if isinstance(kind, VectorType):
        return factor
    return _spread(builder, context.cast(builder, factor, kind, vector.dtype), vector.lanes)


@intrinsic
def fma(typing: Any, factor: Any, vector: Any, total: Any) -> Any:
    """factor * vector + total, rounded once where the machine can; the factor is a number or a vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = args[1].type
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(kind, [kind, kind, kind]),
            f"llvm.fmuladd.v{vector.lanes}f{vector.dtype.bitwidth}",
        )
        return builder.call(function, [_factor(context, builder, factor, args[0], vector), *args[1:]])

    return total(factor, vector, total), generate


@intrinsic
def scale(typing: Any, factor: Any, vector: Any) -> Any:
    """factor * vector, the factor being a number or a vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(_factor(context, builder, factor, args[0], vector), args[1])

    return vector(factor, vector), generate


@intrinsic
def filled(typing: Any, number: Any, vector: Any) -> Any:
    """A number in every lane, of a vector like another."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _factor(context, builder, number, args[0], vector)

    return vector(number, vector), generate


@intrinsic
def total_of(typing: Any, vector: Any) -> Any:
    """The sum of the elements of a vector."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, lanes = args[0], signature.args[0].lanes
        number = ir.IntType(32)
        while lanes > 1:  # halves are added to halves
            lanes //= 2
            low, high = (
                ir.Constant(ir.VectorType(number, lanes), list(range(start, start + lanes)))
                for start in (0, lanes)
            )
            undefined = ir.Constant(value.type, ir.Undefined)
            value = builder.fadd(
                builder.shuffle_vector(value, undefined, low), builder.shuffle_vector(value, undefined, high)
            )
        return builder.extract_element(value, number(0))

    return vector.dtype(vector), generate


@intrinsic
def where_less(typing: Any, left: Any, right: Any, vector: Any, other: Any) -> Any:
    """`vector` in the lanes where left < right, `other` in those where it is not, or one is NaN."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", args[0], args[1]), args[2], args[3])

    return vector(left, right, vector, other), generate


def _arithmetic(name: str) -> Callable[..., Any]:
    @intrinsic
    def apply(typing: Any, left: Any, right: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, name)(args[0], args[1])

        return left(left, right), generate

    made: Callable[..., Any] = apply
    return made


add, subtract = _arithmetic("fadd"), _arithmetic("fsub")


def _shuffle(order: Callable[[int], list[int]]) -> Callable[..., Any]:
    """A choice of lanes of two vectors, those of the second one counted on."""

    @intrinsic
    def choose(typing: Any, left: Any, right: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            lanes = signature.args[0].lanes
            wanted = ir.Constant(ir.VectorType(ir.IntType(32), lanes), order(lanes))
            return builder.shuffle_vector(args[0], args[1], wanted)

        return left(left, right), generate

    made: Callable[..., Any] = choose
    return made


def _woven(first: int, lanes: int) -> list[int]:
    return [lane for k in range(first, first + lanes // 2) for lane in (k, lanes + k)]


#: every second element of two vectors that follow one another
evens = _shuffle(lambda lanes: list(range(0, 2 * lanes, 2)))
odds = _shuffle(lambda lanes: list(range(1, 2 * lanes, 2)))
#: the elements of two vectors in turn: the first half of all, and the second
woven_low = _shuffle(lambda lanes: _woven(0, lanes))
woven_high = _shuffle(lambda lanes: _woven(lanes // 2, lanes))
