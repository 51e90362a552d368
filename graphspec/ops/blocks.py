"""How a group of fused ops is worked on in array calls: block by block, each of which stays in the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from graphspec.ir import TensorType
from graphspec.ops.fused import Fused
from graphspec.ops.reduction import Reduction

#: elements of one array in a block
BLOCK = 1 << 15


@dataclass(frozen=True)
class Blocks:
    """A group cut along one axis of its domain, `count` places at a time, of `total`.

    `buffers` are the arrays that members write into which do not leave the group; `place` says into which of
    them each member does, by its number.  Several members may share one.
    """

    axis: int
    count: int
    total: int
    types: tuple[TensorType, ...]
    buffers: tuple[TensorType, ...]
    place: dict[int, int]

    @property
    def is_whole(self) -> bool:
        """Whether there is a single block."""
        return self.count >= self.total

    @property
    def is_even(self) -> bool:
        """Whether all blocks are of one size."""
        return self.total % self.count == 0


def block_axis(domain: Sequence[int], inner: Sequence[int], has_rows: bool) -> int | None:
    """The axis along which a group can be cut; None where there is none."""
    return next((k for k, size in enumerate(domain) if size != 1 and not (has_rows and k in inner)), None)


def blocks(op: Fused, operands: Sequence[TensorType]) -> Blocks:
    """The blocks of a group on operands whose sizes are numbers."""
    n = len(operands)
    types = (*operands, *op.member_types(operands))
    has_rows = any(is_row(op, k) for k in range(len(op.members)))
    axis = block_axis(op.domain, op.inner, has_rows)
    total = 1 if axis is None else op.domain[axis]
    per_place = prod(op.domain) // total
    count = total if axis is None else max(1, min(total, BLOCK // max(per_place, 1)))
    portions = -(-total // count)
    count = -(-total // portions)
    buffers: list[TensorType] = []
    place: dict[int, int] = {}
    free: list[int] = []
    last = {i: k for k, member in enumerate(op.members) for i in member.inputs}
    for k, member in enumerate(op.members):
        dying = [i - n for i in set(member.inputs) if last[i] == k and i - n in place]
        if k not in op.results:
            type = _cut(types[n + k], op.domain, axis, count)
            overwritten = next((i for i in dying if _may_overwrite(op, k, i, types)), None)
            if overwritten is not None:
                place[k] = place[overwritten]
                dying.remove(overwritten)
            else:
                at = next((b for b in free if buffers[b] == type), None)
                if at is None:
                    at = len(buffers)
                    buffers.append(type)
                else:
                    free.remove(at)
                place[k] = at
        free += [place[i] for i in dying]
    return Blocks(axis or 0, count, total, types, tuple(buffers), place)


def is_row(op: Fused, k: int) -> bool:
    """Whether a member is a reduction along the rows, which others may use."""
    member = op.members[k].op
    if not isinstance(member, Reduction) or not member.keepdims:
        return False
    return tuple(a for a in member.axis if op.domain[a] != 1) == op.inner


def _may_overwrite(op: Fused, k: int, i: int, types: Sequence[TensorType]) -> bool:
    """Whether member k may be written over member i, one of its inputs, which nobody needs any more."""
    n = len(types) - len(op.members)
    member = op.members[k].op
    return member.is_elementwise and not member.kernel and types[n + k] == types[n + i]


def _cut(type: TensorType, domain: Sequence[int], axis: int | None, count: int) -> TensorType:
    """The type of one block of a value."""
    if axis is None:
        return type
    k = axis - (len(domain) - type.rank)
    if k < 0 or type.shape[k] == 1:
        return type
    return type.with_shape((*type.shape[:k], count, *type.shape[k + 1 :]))
