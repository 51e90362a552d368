"""From a group of fused ops to a compiled loop: Python text that numba turns into machine code.

The text has no name of the spec in it and no outer size, so that groups of one kind share one loop.

    def loop(r0, a0, a1):                       # y = relu(x + b), x[N, C, H, W], b[C, 1, 1]
        for i0 in range(r0.shape[0]):
            for i1 in range(r0.shape[1]):
                for i2 in range(r0.shape[2]):
                    x0 = a0[i0, i1, i2]
                    ...
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from types import MappingProxyType
from typing import TypeAlias

from graphspec.ir import DType, Op, TensorType
from graphspec.ops.comparison import Where
from graphspec.ops.fused import Fused, Position
from graphspec.ops.phases import Phases, is_cheap, needed_in, phases
from graphspec.ops.reduction import Reduction, Sum

Shape: TypeAlias = "tuple[int, ...]"
Number: TypeAlias = "int | float | bool"
#: terms of a sum in single precision before it goes on in double
RUN = 4096


@dataclass(frozen=True)
class Loop:
    """The text of a loop, and the shapes in which it takes its arrays: results, operands, buffers.

    An operand of shape None is none of its arguments: a number, or an array that a result takes the place of.
    """

    text: str
    results: tuple[Shape, ...]
    operands: tuple[Shape | None, ...]
    buffers: tuple[Shape, ...]


@dataclass(frozen=True)
class _Array:
    """An array by the axes of the domain: along which it runs, and how many elements lie between neighbours.

    `strides` is None where that is not known.
    """

    present: tuple[bool, ...]
    strides: tuple[int, ...] | None


def accepts(op: Op, operands: Sequence[TensorType], result: TensorType) -> bool:
    """Whether an op can be part of a loop: numbers of 32 and 64 bits, and what the functions can do."""
    from graphspec.runtime.kernels.fast.functions import ANY, SINGLE

    if isinstance(op, Reduction):
        return result.dtype in (DType.F32, DType.F64) and operands[0].dtype is result.dtype
    is_choice = isinstance(op, Where) and result.dtype is DType.I64
    if result.dtype not in (DType.F32, DType.F64, DType.BOOL) and not is_choice:
        return False
    if any(t.dtype is DType.F16 for t in operands):
        return False
    text = op.element(*[f"x{i}" for i in range(len(operands))])
    called = set(re.findall(r"(\w+)\(", text)) - {"abs", "float32", "float64"}
    known = ANY.keys() | (SINGLE.keys() if result.dtype is DType.F32 else set())
    return bool(text) and called <= known


def loop(
    op: Fused,
    operands: Sequence[TensorType],
    strides: Sequence[tuple[int, ...] | None],
    numbers: Mapping[int, Number],
    overwritten: Mapping[int, int] = MappingProxyType({}),
) -> Loop:
    """The loop of a group; `strides` are those of the operands, `numbers` the operands that are numbers.

    `overwritten` operands lie where a result is written: operand i where result `overwritten[i]` is.
    """
    return _Writer(op, operands, strides, numbers, overwritten).write()


class _Writer:
    def __init__(
        self,
        op: Fused,
        operands: Sequence[TensorType],
        strides: Sequence[tuple[int, ...] | None],
        numbers: Mapping[int, Number],
        overwritten: Mapping[int, int],
    ) -> None:
        self.op = op
        self.numbers = numbers
        self.overwritten = overwritten
        self.n = len(operands)
        self.found: Phases = phases(op, operands)
        self.types = self.found.types
        self.lines: list[str] = []
        self.arrays: dict[str, _Array] = {}
        for k, type in enumerate(operands):
            if k not in numbers and k not in overwritten:
                self.arrays[f"a{k}"] = self.of_operand(type, strides[k])
        for j, k in enumerate(op.results):
            self.arrays[f"r{j}"] = self.of_result(k + self.n)
        for j, _ in enumerate(self.found.kept):
            inner = tuple(a in op.inner for a in range(len(op.domain)))
            self.arrays[f"b{j}"] = self.plain(inner)
        self.counted = {m.op.axis for m in op.members if isinstance(m.op, Position)}
        self.axes = self.collapsed()
        self.positions = {
            k: next(g for g, group in enumerate(self.axes) if m.op.axis in group)
            for k, m in enumerate(op.members, start=self.n)
            if isinstance(m.op, Position)
        }
        self.result_of = {k + self.n: f"r{j}" for j, k in enumerate(op.results)}
        self.buffer_of = {k: f"b{j}" for j, k in enumerate(self.found.kept)}

    # --- arrays and axes ---

    def of_operand(self, type: TensorType, strides: tuple[int, ...] | None) -> _Array:
        domain, lead = self.op.domain, len(self.op.domain) - type.rank
        present = tuple(k >= lead and type.shape[k - lead] != 1 for k in range(len(domain)))
        if strides is not None:
            strides = (0,) * lead + strides
        return _Array(present, strides)

    def of_result(self, k: int) -> _Array:
        domain = self.op.domain
        if k in self.found.finals:
            gone = self.op.members[k - self.n].op.attributes()["axis"]
            return self.plain(tuple(a not in gone for a in range(len(domain))))
        shape = self.types[k].shape
        return self.plain(tuple(size != 1 for size in shape))

    def plain(self, along: tuple[bool, ...]) -> _Array:
        """An array of its own along some axes."""
        domain = self.op.domain
        present = tuple(p and size != 1 for p, size in zip(along, domain, strict=True))
        strides, step = [0] * len(domain), 1
        for k in reversed(range(len(domain))):
            if present[k]:
                strides[k] = step
                step *= domain[k]
        return _Array(present, tuple(strides))

    def collapsed(self) -> list[list[int]]:
        """The axes of the domain with more than one element, those together that can be gone along as one."""
        domain = self.op.domain
        groups: list[list[int]] = []
        for k in [k for k, size in enumerate(domain) if size != 1]:
            if groups and self.continue_each_other(groups[-1][-1], k):
                groups[-1].append(k)
            else:
                groups.append([k])
        return groups

    def continue_each_other(self, k: int, after: int) -> bool:
        """Whether one step along axis k is a whole length along the next, in every array."""
        if (k in self.op.inner) != (after in self.op.inner) or not self.counted.isdisjoint((k, after)):
            return False
        for array in self.arrays.values():
            if array.present[k] != array.present[after]:
                return False
            if array.present[k]:
                if array.strides is None:
                    return False
                if array.strides[k] != array.strides[after] * self.op.domain[after]:
                    return False
        return True

    def shape_of(self, name: str) -> Shape:
        present = self.arrays[name].present
        sizes = []
        for group in self.axes:
            if present[group[0]]:
                size = 1
                for k in group:
                    size *= self.op.domain[k]
                sizes.append(size)
        return tuple(sizes)

    def at(self, name: str) -> str:
        present = self.arrays[name].present
        index = [f"i{g}" for g, group in enumerate(self.axes) if present[group[0]]]
        return f"{name}[{', '.join(index) or '()'}]"

    def length(self, g: int) -> int:
        size = 1
        for k in self.axes[g]:
            size *= self.op.domain[k]
        return size

    def size_text(self, g: int) -> str:
        """Where the text finds the size of an axis."""
        for name, array in self.arrays.items():
            if array.present[self.axes[g][0]]:
                before = sum(array.present[group[0]] for group in self.axes[:g])
                return f"{name}.shape[{before}]"
        raise AssertionError("no array runs along an axis of the domain")

    # --- text ---

    def write(self) -> Loop:
        from graphspec.runtime.short_rows import is_short, write_short

        write_short(self) if is_short(self) else self.write_rows()
        return Loop(
            "\n".join(self.lines) + "\n",
            tuple(self.shape_of(f"r{j}") for j in range(len(self.op.results))),
            tuple(self.shape_of(f"a{k}") if f"a{k}" in self.arrays else None for k in range(self.n)),
            tuple(self.shape_of(f"b{j}") for j in range(len(self.found.kept))),
        )

    def write_rows(self) -> None:
        """Loops over rows, and in them loops along a row, one for each pass."""
        op = self.op
        outer = [g for g, group in enumerate(self.axes) if group[0] not in op.inner]
        inner = [g for g, group in enumerate(self.axes) if group[0] in op.inner]
        self.add(0, f"def loop({', '.join(self.arrays_in_order())}):")
        for g in range(len(self.axes)):
            self.add(1, f"n{g} = {self.size_text(g)}")
        totals = [k for k in sorted(self.found.finals) if not any(self.arrays[self.result_of[k]].present)]
        for k in sorted(self.found.finals):
            if k in totals:
                self.add(1, f"g{k} = float64(0.0)")
            else:
                self.add(1, f"{self.result_of[k]}[...] = {self.zero(k)}")
        depth = 1
        for g in outer:
            self.add(depth, f"for i{g} in range(n{g}):")
            depth += 1
        self.row_values: dict[int, str] = {}
        for p in range(self.found.count):
            self.row_members(p, depth)
            self.pass_over(p, inner, depth, totals)
        for k in totals:
            self.add(1, f"{self.result_of[k]}[()] = {self.scalar_type(k)}(g{k})")

    def arrays_in_order(self) -> list[str]:
        return sorted(self.arrays, key=lambda name: ("rab".index(name[0]), int(name[1:])))

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def scalar_type(self, k: int) -> str:
        return self.types[k].dtype.array_name

    def zero(self, k: int) -> str:
        return f"{self.scalar_type(k)}(0.0)"

    def row_members(self, p: int, depth: int) -> None:
        """What has one element for each row and is known before pass p."""
        op, n = self.op, self.n
        for k, member in enumerate(op.members, start=n):
            if self.found.phase[k] != p or self.found.is_full[k] or k in self.found.finals:
                continue
            if k in self.positions:
                continue
            if k not in self.found.rows:
                inputs = [self.row_value(i, depth) for i in member.inputs]
                self.add(depth, f"v{k} = {member.op.element(*inputs)}")
            self.row_values[k] = f"v{k}"
            if k in self.result_of:
                self.add(depth, f"{self.at(self.result_of[k])} = v{k}")

    def row_value(self, i: int, depth: int) -> str:
        """A number, an operand, or a member with one element for each row."""
        if i in self.numbers:
            return number_text(self.numbers[i], self.types[i].dtype)
        if i in self.row_values:
            return self.row_values[i]
        if i in self.positions:
            return f"i{self.positions[i]}"
        assert i < self.n, "a row's member needs a whole row"
        self.add(depth, f"x{i} = {self.at(f'a{i}')}")
        return f"x{i}"

    def pass_over(self, p: int, inner: Sequence[int], depth: int, totals: Sequence[int]) -> None:
        """The loop along a row, in pass p."""
        op, n = self.op, self.n
        wanted = needed_in(op, self.found, p, n)
        wanted += [k for k in self.found.kept if self.found.phase[k] == p]
        if not wanted:
            return
        rows = [k for k in sorted(self.found.rows) if self.found.phase[k] == p + 1]
        finals = [k for k in sorted(self.found.finals) if self.found.phase[k] == p]
        whole = [k for k in finals if set(op.inner) <= set(op.members[k - n].op.attributes()["axis"])]
        by_place = [k for k in finals if k not in whole]
        sums = [k for k in [*rows, *whole] if isinstance(op.members[k - n].op, Sum)]
        extremes = [k for k in rows if k not in sums]
        for k in sums:
            self.add(depth, f"t{k} = float64(0.0)")
        for k in extremes:
            sign = "-" if op.members[k - n].op.name == "max" else ""
            self.add(depth, f"t{k} = {self.scalar_type(k)}({sign}inf)")
        body = depth
        for g in inner[:-1]:
            self.add(body, f"for i{g} in range(n{g}):")
            body += 1
        start, stop = "0", f"n{inner[-1]}" if inner else ""
        if sums and self.length(inner[-1]) > RUN:
            self.add(body, f"for c in range(0, {stop}, {RUN}):")
            body += 1
            self.add(body, f"d = min(c + {RUN}, {stop})")
            start, stop = "c", "d"
        for k in sums:
            self.add(body, f"s{k} = {self.zero(k)}")
        if inner:  # else it is a single element
            self.add(body, f"for i{inner[-1]} in range({start}, {stop}):")
        else:
            body -= 1
        known: dict[int, str] = {}
        for k in wanted:
            self.element(k, p, body + 1, known)
        for k in self.found.kept:
            if self.found.phase[k] == p:
                self.add(body + 1, f"{self.at(self.buffer_of[k])} = {known[k]}")
        for k, name in self.result_of.items():
            if self.found.is_full[k] and self.found.phase[k] == p:
                self.add(body + 1, f"{self.at(name)} = {known[k]}")
        for k in by_place:
            target = self.at(self.result_of[k])
            self.add(body + 1, f"{target} += {known[op.members[k - n].inputs[0]]}")
        for k in sums:
            self.add(body + 1, f"s{k} = plus(s{k}, {known[op.members[k - n].inputs[0]]})")
        for k in extremes:
            which = "maximum" if op.members[k - n].op.name == "max" else "minimum"
            self.add(body + 1, f"t{k} = {which}(t{k}, {known[op.members[k - n].inputs[0]]})")
        for k in sums:
            self.add(body, f"t{k} += float64(s{k})")
        for k in rows:
            self.add(depth, f"v{k} = {self.scalar_type(k)}(t{k})" if k in sums else f"v{k} = t{k}")
        for k in whole:
            if k in totals:
                self.add(depth, f"g{k} += t{k}")
            else:
                self.add(depth, f"{self.at(self.result_of[k])} += {self.scalar_type(k)}(t{k})")

    def element(self, k: int, p: int, depth: int, known: dict[int, str]) -> str:
        """The name of one element of a value in pass p, which is worked out or read if need be."""
        todo = [k]
        while todo:
            k = todo[-1]
            if k in known:
                todo.pop()
                continue
            made = self.simple(k, p)
            if made is None:
                missing = [i for i in self.op.members[k - self.n].inputs if i not in known]
                if missing:
                    todo.extend(missing)
                    continue
                member = self.op.members[k - self.n]
                made = f"w{p}_{k}"
                self.add(depth, f"{made} = {member.op.element(*[known[i] for i in member.inputs])}")
            elif "[" in made:
                self.add(depth, f"y{p}_{k} = {made}")
                made = f"y{p}_{k}"
            known[k] = made
            todo.pop()
        return known[k]

    def simple(self, k: int, p: int) -> str | None:
        """A value that need not be worked out: a number, an array's element, a row's number; else None."""
        if k in self.numbers:
            return number_text(self.numbers[k], self.types[k].dtype)
        if k < self.n:
            return self.at(f"r{self.overwritten[k]}" if k in self.overwritten else f"a{k}")
        if k in self.positions:
            return f"i{self.positions[k]}"
        if k in self.row_values:
            return self.row_values[k]
        if self.found.phase[k] < p:
            if k in self.result_of:
                return self.at(self.result_of[k])
            if k in self.buffer_of:
                return self.at(self.buffer_of[k])
            assert is_cheap(self.op, k, self.n)
        return None


def number_text(number: Number, dtype: DType) -> str:
    """A number as the text of a loop has it: of its own precision."""
    if dtype is DType.BOOL:
        return repr(bool(number))
    if dtype.is_integer:
        return f"{dtype.array_name}({int(number)})"
    value = float(number)
    text = "nan" if isnan(value) else ("inf" if value > 0 else "-inf") if abs(value) == inf else repr(value)
    return f"{dtype.array_name}({text})"
