"""Loops over many short rows: a row's elements are written out, and the compiler takes many rows at a time.

Rows of a few elements (three classes, ten digits) are too short to be computed several elements at a time;
rows there are many.  Some rows at a time are laid out column by column, so that neighbours are elements of
the same place in different rows; everything of a row stays in registers, so one pass is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphspec.ops.reduction import Reduction, Sum

if TYPE_CHECKING:
    from graphspec.runtime.loops import _Writer

#: elements of a row, and members times elements, that are written out at the most
LONGEST, MOST = 15, 240
#: rows that are laid out by columns at a time
TILE = 64


def is_short(writer: _Writer) -> bool:
    """Whether a group is worked on with its rows written out."""
    axes, op, found = writer.axes, writer.op, writer.found
    if len(axes) < 2 or len(axes[-1]) != 1:
        return False
    length = writer.length(len(axes) - 1)
    if length > LONGEST or length * len(op.members) > MOST or writer.length(len(axes) - 2) < 4 * length:
        return False
    return not found.rows or op.inner == tuple(axes[-1])


def write_short(writer: _Writer) -> None:
    """The text of the loop, into the writer's lines."""
    _Short(writer).write()


class _Short:
    def __init__(self, writer: _Writer) -> None:
        self.writer = writer
        self.op = writer.op
        self.n = writer.n
        self.last = len(writer.axes) - 1
        self.length = writer.length(self.last)
        self.row_axis = writer.axes[self.last][0]
        self.along = writer.axes[self.last - 1][0]  # an axis of the loop that is taken many rows at a time
        self.values: dict[tuple[int, int], str] = {}
        self.columns: dict[str, int] = {}  # by dtype, how many columns are in use
        #: arrays of which the loop sees a tile, whose places it counts itself: they cannot count from the end
        self.tiles: dict[str, None] = {}
        #: what is read before the loop over rows, laid out by columns, computed, and put back
        self.once: list[str] = []
        self.gather: list[str] = []
        self.compute: list[str] = []
        self.scatter: list[str] = []
        self.sums: list[tuple[str, str, int]] = []  # a running sum, the element it is for, the member

    def write(self) -> None:
        w = self.writer
        finals = sorted(w.found.finals)
        self.sums = [s for k in finals for s in self.running(k)]
        for k in range(len(self.op.members)):
            self.member(k + self.n)
        w.add(0, f"def loop({', '.join(w.arrays_in_order())}):")
        for g in range(self.last):
            w.add(1, f"n{g} = {w.size_text(g)}")
        for dtype, count in self.columns.items():
            w.add(1, f"{dtype}_columns = empty(({count}, {TILE}), {dtype})")
        for k in finals:
            w.add(1, f"{w.result_of[k]}[...] = {w.zero(k)}")
        depth = 1
        for g in range(self.last - 1):
            w.add(depth, f"for i{g} in range(n{g}):")
            depth += 1
        for text in self.once:
            w.add(depth, text)
        for name, _, _ in self.sums:
            w.add(depth, f"t{name} = float64(0.0)")
        rows = self.last - 1
        w.add(depth, f"for c in range(0, n{rows}, {TILE}):")
        w.add(depth + 1, f"d = min({TILE}, n{rows} - c)")
        for array in self.tiles:
            before = "".join(f"i{g}, " for g in self.axes_of(array) if g < rows)
            w.add(depth + 1, f"p{array} = {array}[{before}c:c + d]")
        for name, _, k in self.sums:
            w.add(depth + 1, f"s{name} = {w.zero(k)}")
        for lines in (self.gather, self.compute, self.scatter):
            if lines:
                w.add(depth + 1, "for b in range(d):")
                for text in [f"i{rows} = c + b", *lines]:
                    w.add(depth + 2, text)
        for name, _, _ in self.sums:
            w.add(depth + 1, f"t{name} += float64(s{name})")
        for name, element, k in self.sums:
            w.add(depth, f"{element} += {w.scalar_type(k)}(t{name})")

    def running(self, k: int) -> list[tuple[str, str, int]]:
        """The running sums of a final sum: one, or one for each place along the row."""
        gone = self.gone(k)
        if self.along not in gone:
            return []
        array = self.writer.result_of[k]
        if self.row_axis in gone:
            return [(f"{k}", self.at(array, 0), k)]
        return [(f"{k}_{j}", self.at(array, j), k) for j in range(self.length)]

    def gone(self, k: int) -> tuple[int, ...]:
        axes: tuple[int, ...] = self.op.members[k - self.n].op.attributes()["axis"]
        return axes

    def at(self, array: str, j: int) -> str:
        """An element of an array: of its tile where it has one, at place j of the row if it runs along it."""
        is_tiled = self.writer.arrays[array].present[self.along]
        if is_tiled:
            self.tiles[array] = None
        index = [
            f"{j}" if g == self.last else "b" if g == self.last - 1 else f"i{g}"
            for g in self.axes_of(array)
            if not is_tiled or g >= self.last - 1
        ]
        return f"{'p' if is_tiled else ''}{array}[{', '.join(index) or '()'}]"

    def axes_of(self, array: str) -> list[int]:
        """The axes of the loop along which an array runs."""
        present = self.writer.arrays[array].present
        return [g for g, group in enumerate(self.writer.axes) if present[group[0]]]

    def column(self, k: int) -> str:
        """A column for values of the dtype of a value."""
        dtype = self.writer.scalar_type(k)
        at = self.columns.get(dtype, 0)
        self.columns[dtype] = at + 1
        return f"{dtype}_columns[{at}, b]"

    def member(self, k: int) -> None:
        w, found = self.writer, self.writer.found
        member = self.op.members[k - self.n]
        if k in w.positions:
            return
        if isinstance(member.op, Reduction):
            self.reduction(k, [self.value(member.inputs[0], j) for j in range(self.length)])
            return
        if not found.is_full[k]:
            self.compute.append(f"w{k} = {member.op.element(*[self.value(i, 0) for i in member.inputs])}")
            self.values[k, -1] = f"w{k}"
            self.put(k, 0, f"w{k}")
            return
        for j in range(self.length):
            inputs = [self.value(i, j) for i in member.inputs]
            self.values[k, j] = f"w{k}_{j}"
            self.compute.append(f"w{k}_{j} = {member.op.element(*inputs)}")
            self.put(k, j, f"w{k}_{j}")

    def put(self, k: int, j: int, value: str) -> None:
        """Write an element of a result: if it runs along the row, by way of a column."""
        array = self.writer.result_of.get(k)
        if array is None:
            return
        if self.writer.arrays[array].present[self.row_axis]:
            column = self.column(k)
            self.compute.append(f"{column} = {value}")
            self.scatter.append(f"{self.at(array, j)} = {column}")
        else:
            self.compute.append(f"{self.at(array, j)} = {value}")

    def reduction(self, k: int, terms: list[str]) -> None:
        w = self.writer
        op = self.op.members[k - self.n].op
        if k in w.found.rows:
            text = terms[0]
            for term in terms[1:]:
                text = f"({text} + {term})" if isinstance(op, Sum) else f"{op.name}imum({text}, {term})"
            self.compute.append(f"w{k} = {text}")
            self.values[k, -1] = f"w{k}"
            self.put(k, 0, f"w{k}")
            return
        names = [name for name, _, of in self.sums if of == k]
        is_whole = self.row_axis in self.gone(k)
        for j, term in enumerate(terms):
            if names:
                name = f"s{names[0 if is_whole else j]}"
                self.compute.append(f"{name} = plus({name}, {term})")
            else:
                column = self.column(k)
                self.compute.append(f"{column} = {term}")
                self.scatter.append(f"{self.at(w.result_of[k], j)} += {column}")

    def value(self, i: int, j: int) -> str:
        """A value at place j of the row: a number, what was computed, or an element that is read now."""
        w = self.writer
        if i in w.numbers:
            from graphspec.runtime.loops import number_text

            return number_text(w.numbers[i], w.types[i].dtype)
        if i in w.positions:
            return f"int64({j})" if w.positions[i] == self.last else f"i{w.positions[i]}"
        if i >= self.n:
            return self.values[i, j if w.found.is_full[i] else -1]
        array = f"r{w.overwritten[i]}" if i in w.overwritten else f"a{i}"
        present = w.arrays[array].present
        is_along = present[self.row_axis]
        key = i, j if is_along else -1
        if key not in self.values:
            name = self.values[key] = f"x{i}_{j}" if is_along else f"x{i}"
            if not present[self.along]:
                self.once.append(f"{name} = {self.at(array, j)}")
            elif is_along:
                column = self.column(i)
                self.gather.append(f"{column} = {self.at(array, j)}")
                self.compute.append(f"{name} = {column}")
            else:
                self.compute.append(f"{name} = {self.at(array, j)}")
        return self.values[key]
