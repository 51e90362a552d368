"""Stores that pass the caches by, for results that are larger than these.

An ordinary store reads its cache line first, and pushes another one out: for a large result, twice the
traffic, and what was in the cache is lost.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

#: bytes of a vector, at a multiple of which a stream begins
VECTOR = 32
#: bytes from which on a result is not in the caches by the time it is read
STREAMED = 1 << 24


def _stream(context: Any, out: Any, start: Any, source: Any, count: Any) -> Any:
    """out[start : start + count] = source[:count] for plain arrays with one axis.

    out[start] lies at a multiple of VECTOR bytes, and `count` is a number of whole vectors.  Others see the
    elements after `settle`.
    """
    bits = out.dtype.bitwidth

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        to, first, source, count = arguments
        target = context.make_array(signature.args[0])(context, builder, to)
        origin = context.make_array(signature.args[2])(context, builder, source)
        lanes = VECTOR * 8 // bits
        vector = ir.VectorType(context.get_data_type(out.dtype), lanes).as_pointer()
        writes = builder.bitcast(builder.gep(target.data, [first]), vector)
        reads = builder.bitcast(origin.data, vector)
        past_caches = builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)])
        vectors = builder.udiv(count, ir.Constant(count.type, lanes))
        with cgutils.for_range(builder, vectors) as loop:
            read = builder.load(builder.gep(reads, [loop.index]))
            read.align = bits // 8
            store = builder.store(read, builder.gep(writes, [loop.index]), align=VECTOR)
            store.set_metadata("nontemporal", past_caches)
        return context.get_dummy_value()

    return types.void(out, types.intp, source, types.intp), generate


def _settle(context: Any) -> Any:
    """Wait until every thread sees what this one has streamed."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), generate


# for compiled code only, without the context
stream: Any = intrinsic(_stream)
settle: Any = intrinsic(_settle)
