"""Several elementwise ops and reductions as one op, which passes over its operands once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from graphspec.ir import DType, Op, Origin, Size, TensorType


@dataclass(frozen=True, slots=True)
class Member:
    """One op of a group; its inputs are operands of the group, then results of earlier members.

    `name` and `origin` are those of the value that it was, for who looks at the group; one that is worked out
    a second time has none.
    """

    op: Op
    inputs: tuple[int, ...]
    name: str = field(default="", compare=False)
    origin: Origin | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False, repr=False)
class Position(Op):
    """y[..., i, ...] = i along one axis: how far an element is along it.  Only a member of a group.

    Shapes: -> y[shape], whose other axes are of size 1.
    """

    axis: int
    shape: tuple[Size, ...]
    name = "position"
    field_names = ("axis", "shape")
    is_internal = True

    def infer(self) -> TensorType:
        return TensorType(DType.I64, self.shape)


@dataclass(frozen=True, eq=False, repr=False)
class Fused(Op):
    """Members over one domain, a shape: element by element, and row by row.

    A row runs along the axes `inner` of the domain, for one place along the others.  A member is full (of
    the shape of the domain), or has one element for each row (sizes 1 along `inner`): what a reduction over
    `inner` gives may be used by other members.  Other sums only leave the group.  `results` are the members
    that leave it.

    Shapes: as the members'.  Made by the compiler (`transforms.fuse`), after differentiation.
    """

    members: tuple[Member, ...]
    results: tuple[int, ...]
    domain: tuple[int, ...]
    inner: tuple[int, ...]
    #: it runs as a compiled loop (`runtime.loops`), else as array calls on blocks (`runtime.blocks`)
    is_compiled: bool
    name = "fused"
    field_names = ("members", "results", "domain", "inner", "is_compiled")
    is_internal = True

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        types = self.member_types(inputs)
        return tuple(types[k] for k in self.results)

    def member_types(self, inputs: Sequence[TensorType]) -> list[TensorType]:
        """The type of each member's result."""
        known = list(inputs)
        for member in self.members:
            made = member.op.infer(*[known[i] for i in member.inputs])
            assert isinstance(made, TensorType)
            known.append(made)
        return known[len(inputs) :]

    def at(self, env: Mapping[str, int]) -> Fused:
        return replace(self, members=tuple(replace(m, op=m.op.at(env)) for m in self.members))

    def scratch(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if not self.is_compiled:
            from graphspec.ops.blocks import blocks

            return blocks(self, inputs).buffers
        from graphspec.ops.phases import phases

        found = phases(self, inputs)
        row = tuple(size for k, size in enumerate(self.domain) if k in self.inner and size != 1)
        return tuple(found.types[k].with_shape(row) for k in found.kept)

    def in_place(self, result: int, inputs: Sequence[TensorType]) -> Collection[int]:
        k = self.results[result]
        full = [i for i, type in enumerate(inputs) if self.is_full(type)]
        if not self.is_compiled:  # what later members read must be there still
            last = {i: m for m, member in enumerate(self.members) for i in member.inputs}
            is_call = self.members[k].op.is_elementwise and not self.members[k].op.kernel
            return [i for i in full if last[i] <= k] if is_call else ()
        from graphspec.ops.phases import last_reads, phases

        found = phases(self, inputs)
        if not found.is_full[len(inputs) + k]:
            return ()
        last = last_reads(self, found, len(inputs))
        return [i for i in full if last[i] <= found.phase[len(inputs) + k]]

    def is_full(self, type: TensorType) -> bool:
        """Whether a member, or an operand, of a type has an element for each place of the domain."""
        return type.shape == self.domain
