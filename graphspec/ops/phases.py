"""The passes over a row that a group of fused ops takes, and what is kept from one to the next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from graphspec.ir import TensorType
from graphspec.ops.fused import Fused
from graphspec.ops.reduction import Reduction

#: functions that are an instruction or two of the machine
CHEAP = frozenset({"maximum", "minimum", "abs", "float32", "float64"})


@dataclass(frozen=True)
class Phases:
    """Of each value of a group (operands first, then members): what it is, and in which pass it is known.

    A full member is worked out in pass `phase`; a row's member is known before the pass `phase`.  `rows` are
    the members that are reductions along rows, `finals` the sums that only leave the group.  `kept` are full
    members that later passes read from a buffer of one row.
    """

    types: tuple[TensorType, ...]
    phase: tuple[int, ...]
    is_full: tuple[bool, ...]
    rows: frozenset[int]
    finals: frozenset[int]
    kept: tuple[int, ...]

    @property
    def count(self) -> int:
        return 1 + max(self.phase)


def phases(op: Fused, operands: Sequence[TensorType]) -> Phases:
    """The passes of a group on operands whose sizes are numbers."""
    n = len(operands)
    types = [*operands, *op.member_types(operands)]
    phase = [0] * n
    is_full = [op.is_full(t) for t in types]
    rows: set[int] = set()
    finals: set[int] = set()
    for k, member in enumerate(op.members, start=n):
        first = max([phase[i] for i in member.inputs], default=0)
        if isinstance(member.op, Reduction):
            if tuple(a for a in member.op.axis if op.domain[a] != 1) == op.inner and member.op.keepdims:
                rows.add(k)
                first += 1
            else:
                finals.add(k)
            is_full[k] = False
        phase.append(first)
    found = Phases(tuple(types), tuple(phase), tuple(is_full), frozenset(rows), frozenset(finals), ())
    return replace(found, kept=_kept(op, found, n))


def is_cheap(op: Fused, k: int, operands: int) -> bool:
    """Whether a full member is worked out again in a later pass rather than kept."""
    member = op.members[k - operands]
    text = member.op.element(*[f"x{i}" for i in range(len(member.inputs))])
    return "/" not in text and CHEAP.issuperset(re.findall(r"(\w+)\(", text))


def needed_in(op: Fused, found: Phases, p: int, operands: int) -> list[int]:
    """The members that pass p must work out: what it reduces, and what leaves the group in it."""
    wanted: list[int] = []
    for k, member in enumerate(op.members, start=operands):
        if (k in found.rows and found.phase[k] == p + 1) or (k in found.finals and found.phase[k] == p):
            wanted.append(member.inputs[0])
        elif found.is_full[k] and found.phase[k] == p and k - operands in op.results:
            wanted.append(k)
    return wanted


def last_reads(op: Fused, found: Phases, operands: int) -> dict[int, int]:
    """The last pass in which each operand is read."""
    last = dict.fromkeys(range(operands), 0)
    for p in range(found.count):
        wanted = needed_in(op, found, p, operands) + [k for k in found.kept if found.phase[k] == p]
        todo, seen = list(wanted), set(wanted)
        while todo:
            k = todo.pop()
            if k < operands:
                last[k] = p
                continue
            is_read = found.phase[k] < p and (k - operands in op.results or k in found.kept)
            if is_read or not found.is_full[k]:
                continue
            new = [i for i in op.members[k - operands].inputs if i not in seen]
            seen.update(new)
            todo.extend(new)
    return last


def _kept(op: Fused, found: Phases, n: int) -> tuple[int, ...]:
    """Full members that cost much and are read in a later pass than their own, but do not leave the group."""
    kept: set[int] = set()
    for p in range(found.count):
        todo = [k for k in needed_in(op, found, p, n) if k >= n]
        seen: set[int] = set()
        while todo:
            k = todo.pop()
            if k in seen or not found.is_full[k]:
                continue
            seen.add(k)
            if found.phase[k] < p:
                if k - n in op.results:
                    continue  # it is read where it lies
                if not is_cheap(op, k, n):
                    kept.add(k)
                    continue
            todo.extend(i for i in op.members[k - n].inputs if i >= n)
    return tuple(sorted(kept))
