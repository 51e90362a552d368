"""The lines of a program for a group of fused ops that is worked on in array calls, block by block."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from graphspec.ir import TensorType
from graphspec.ops.blocks import Blocks, blocks
from graphspec.ops.fused import Fused
from graphspec.ops.reduction import Reduction, Sum


@dataclass(frozen=True)
class Lines:
    """The text of a step: lines before the loop, its head (none where there is one block), its body."""

    before: list[str]
    head: str
    body: list[str]
    ranges: list[tuple[int, int]]


def block_lines(
    op: Fused,
    operands: Sequence[TensorType],
    names: Sequence[str],
    outs: Sequence[str],
    buffers: Sequence[str],
    call: Callable[..., str],
) -> Lines:
    """The array calls of a group, block by block.

    `names` are the operands as the text has them (arrays or numbers), `outs` and `buffers` arrays;
    `call(op, out, operands)` is the text of one member's array call.
    """
    return _BlockWriter(op, blocks(op, operands), names, outs, buffers, call).write()


class _BlockWriter:
    def __init__(
        self,
        op: Fused,
        found: Blocks,
        names: Sequence[str],
        outs: Sequence[str],
        buffers: Sequence[str],
        call: Callable[..., str],
    ) -> None:
        self.op = op
        self.found = found
        self.names = names
        self.outs = outs
        self.buffers = buffers
        self.call = call
        self.body: list[str] = []
        self.before: list[str] = []

    def write(self) -> Lines:
        op, found, n = self.op, self.found, len(self.names)
        text: dict[int, str] = {}
        for k in sorted({i for m in op.members for i in m.inputs if i < n}):
            text[k] = self.part(self.names[k], found.types[k], "block")
        for k, member in enumerate(op.members):
            type = found.types[n + k]
            if k in op.results:
                array = self.outs[op.results.index(k)]
                if isinstance(member.op, Reduction) and self.is_spread(member.op):
                    self.add_up(member.op, array, text[member.inputs[0]])
                    continue
                text[n + k] = self.part(array, type, "block", member.op)
            else:
                text[n + k] = self.part(self.buffers[found.place[k]], type, "portion")
            inputs = [text[i] for i in member.inputs]
            self.body.append(self.call(member.op, text[n + k], inputs))
        head = (
            ""
            if found.is_whole
            else "for block in {blocks}:"
            if found.is_even
            else "for block, portion in {blocks}:"
        )
        stops = range(0, found.total, found.count)
        return Lines(self.before, head, self.body, [(s, min(s + found.count, found.total)) for s in stops])

    def part(self, array: str, type: TensorType, index: str, op: object = None) -> str:
        """The part of an array that belongs to a block: by `block`, of a buffer by `portion`."""
        found = self.found
        if found.is_whole or (index == "portion" and found.is_even):
            return array
        k = found.axis - (len(self.op.domain) - type.rank)
        if isinstance(op, Reduction) and not op.keepdims:
            k = found.axis - sum(a < found.axis for a in op.axis)
        if k < 0 or type.shape[k] == 1:
            return array
        return f"{array}[{':, ' * k}{index}]"

    def is_spread(self, op: Reduction) -> bool:
        """Whether the blocks' results are parts of a sum."""
        return not self.found.is_whole and self.found.axis in op.axis

    def add_up(self, op: Reduction, array: str, x: str) -> None:
        assert isinstance(op, Sum)
        self.before.append(f"{array}.fill(0)")
        part = f"xp.add.reduce({x}, {op.axis}, {array}.dtype, None, {op.keepdims})"
        self.body.append(f"xp.add({array}, {part}, out={array})")
