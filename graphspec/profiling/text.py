"""A profile as tables: the call as a whole, where its time goes, and what that is to be held against."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from graphspec.profiling.report import KernelTime, NodeTime, Place, PlaceTime, ProfileReport, Tally
from graphspec.tables import aligned

#: the widths of names and of text of the spec
NAMES, TEXT = 32, 44
#: from which part of the time on it is said that other work had the processor
BUSY = 0.1

_KEYS: dict[str, Callable[[Tally], float]] = {
    "time": lambda tally: tally.seconds,
    "flops": lambda tally: tally.flops,
    "bytes": lambda tally: tally.bytes,
}


class Row(Protocol):
    """A row of a table."""

    @property
    def tally(self) -> Tally: ...


R = TypeVar("R", bound=Row)


def print_report(report: ProfileReport, *, top: int | None, sort: str) -> str:
    """The report with at most `top` rows in each table, sorted by one of `SORTS`."""
    return "\n".join(_Page(report, top, sort).lines())


class _Page:
    def __init__(self, report: ProfileReport, top: int | None, sort: str) -> None:
        self.report = report
        self.total = report.total
        self.top = top
        self.sort = sort
        # one unit for all times of the page
        is_long = max(report.call.median, report.run.median) >= 1e-3
        self.unit, self.scale, self.digits = ("ms", 1e3, 3) if is_long else ("us", 1e6, 1)
        self.has_backward = any(node.direction == "backward" for node in report.nodes)

    def lines(self) -> list[str]:
        return [
            *self.head(),
            *("", "by line of the spec", *self.places(self.report.places)),
            *("", "by node", *self.nodes(self.report.nodes)),
            *("", "by kernel", *self.kernels(self.report.kernels)),
            *("", "what was saved", *self.saved()),
            *("", self.limits()),
        ]

    # --- the call as a whole ---

    def head(self) -> list[str]:
        call, threads = self.report.call, _count(self.report.threads, "thread")
        if self.report.threads > 1 and not self.report.in_pieces:
            threads = f"1 thread, products up to {self.report.threads}"
        elif self.report.turns > 1:
            threads += f", each on {self.report.turns} pieces of the batch in turn"
        sizes = "".join(f", {name} = {size}" for name, size in self.report.sizes.items())
        most = f"{self.number(call.low)} to {self.time(call.high)}"
        return [
            f"{self.what()}{sizes}: {self.time(call.median)} a call, in {threads}",
            f"  the median of {_count(call.count, 'call')}, half of which took {most}",
            *self.warning(),
            f"  {self.work()}",
            f"  {self.attributed()}",
        ]

    def warning(self) -> list[str]:
        """What makes all times doubtful."""
        if self.report.waited < BUSY:
            return []
        waited = percent(self.report.waited)
        return [f"  the machine is busy: other work had the processor for {waited} of the time"]

    def what(self) -> str:
        report = self.report
        of = shortened(report.of, 60)
        if not report.wrt:
            return of
        by = shortened(report.wrt, 60) if len(report.wrt) < 4 else f"{len(report.wrt)} names"
        gradient = "the norm of its gradient" if report.per_example == "norms" else "its gradient"
        return f"{of} and {gradient} by {by}{', example by example' if report.per_example else ''}"

    def work(self) -> str:
        """What is done, and how long this machine needs for it at least."""
        report, total = self.report, self.total
        done = f"{prefixed(total.flops)}FLOP of products" if total.flops else "no products"
        done += f", {prefixed(total.bytes)}B read and written"
        if total.limit == "calls":
            least, what = total.calls, f"calling {report.backend} alone takes {self.time(total.calls)}"
        else:
            least, what = report.least, f"this machine needs at least {self.time(report.least)}"
        return f"{done}: {what}, {percent(least / report.call.median)} of a call"

    def attributed(self) -> str:
        """How the times of nodes relate to that of a call."""
        report, total = self.report, self.total
        nodes = f"{self.time(total.seconds)} in {_count(report.ran.steps, 'node')}"
        if report.in_pieces:
            rest = self.time(max(0.0, report.run.median - total.seconds))
            how = "pieces" if report.turns > 1 else f"{report.threads} threads"
            gain = f"{how} are {report.run.median / report.call.median:.2f} times as fast"
            return f"one by one, in 1 thread: {nodes}, {rest} between them; {gain}"
        rest = self.time(max(0.0, report.call.median - total.seconds))
        outside = "checks, noise, results handed over, the interpreter"
        return f"one by one: {nodes}, {rest} outside of them ({outside})"

    # --- tables ---

    def places(self, rows: Sequence[PlaceTime]) -> list[str]:
        def cells(row: PlaceTime) -> tuple[list[str], list[str]]:
            times = [row.forward, row.backward.seconds] if self.has_backward else []
            return [self.line(row.places), text_of(row.places)], [self.number(t) if t else "" for t in times]

        extra = ("forward", "backward") if self.has_backward else ()
        return self.table(("line", "call"), rows, cells, extra=extra, main=1)

    def nodes(self, rows: Sequence[NodeTime]) -> list[str]:
        def cells(row: NodeTime) -> tuple[list[str], list[str]]:
            return [name_of(row), op_of(row), self.line(row.places)], []

        return self.table(("name", "op", "line"), rows, cells)

    def kernels(self, rows: Sequence[KernelTime]) -> list[str]:
        return self.table(("op", "nodes"), rows, lambda row: ([op_of(row), str(row.tally.count)], []))

    def table(
        self,
        lead: tuple[str, ...],
        rows: Sequence[R],
        cells: Callable[[R], tuple[list[str], list[str]]],
        *,
        extra: tuple[str, ...] = (),
        main: int = 0,
    ) -> list[str]:
        """The first rows as they are sorted, and the others in one.

        `cells` are those of the columns `lead`, of which `main` has the names of rows, and those of `extra`.
        """
        ordered = list(rows)
        if self.sort in _KEYS:
            ordered.sort(key=lambda row: -_KEYS[self.sort](row.tally))
        top = len(ordered) if self.top is None else self.top
        body = [self.row(*cells(row), row.tally) for row in ordered[:top]]
        others = [row.tally for row in ordered[top:]]
        if others:
            names = [""] * len(lead)
            names[main] = _count(len(others), "other")
            body.append(self.row(names, [""] * len(extra), sum(others, Tally())))
        head = [*lead, self.unit, "%", *extra, "FLOP", "bytes", "of limit"]
        return aligned([head, *body], range(main + 1, len(head)) if main else range(len(lead), len(head)))

    def row(self, lead: list[str], extra: list[str], tally: Tally) -> list[str]:
        share = "" if tally.share is None else f"{percent(tally.share)} {tally.limit}"
        return [
            *lead,
            self.number(tally.seconds),
            f"{100 * tally.seconds / (self.total.seconds or 1):.1f}",
            *extra,
            prefixed(tally.flops).rstrip() if tally.flops else "",
            f"{prefixed(tally.bytes)}B",
            share,
        ]

    # --- what it is held against ---

    def saved(self) -> list[str]:
        """What the compiler left out, and what the planner put into the same memory."""
        rows = [["", "nodes", "FLOP", "intermediate values", "in memory of"]]
        for name, work in (("as written (--no-opt)", self.report.written), ("as it runs", self.report.ran)):
            sizes = [f"{prefixed(size)}B" for size in (work.intermediates, work.arena)]
            rows.append([name, str(work.steps), prefixed(work.flops).rstrip(), *sizes])
        return aligned(rows, range(1, 5))

    def limits(self) -> str:
        limits = self.report.limits
        rates = [f"products {prefixed(rate)}FLOP/s in {dtype}" for dtype, rate in limits.products.items()]
        fastest = max(limits.copies.values())
        rates += [
            f"copies {prefixed(limits.memory)}B/s, in caches up to {prefixed(fastest)}B/s",
            f"a call that does nothing {limits.call * 1e6:.2f} us",
        ]
        threads = f"{'' if self.report.in_pieces else 'up to '}{_count(limits.threads, 'thread')}"
        return f"limits, as measured in {threads}: {'; '.join(rates)}"

    # --- cells ---

    def number(self, seconds: float) -> str:
        return f"{seconds * self.scale:.{self.digits}f}"

    def time(self, seconds: float) -> str:
        return f"{self.number(seconds)} {self.unit}"

    def line(self, places: Sequence[Place]) -> str:
        """The line, or the first and the last, with the file if that is another one than the spec."""
        if not places:
            return ""
        found = sorted({(place.file, place.line) for place in places})
        (file, line), (_, end) = found[0], found[-1]
        prefix = "" if file == self.report.file else f"{posixpath.basename(file)}:"
        is_run = end != line and file == found[-1][0]
        return f"{prefix}{line}-{end}" if is_run else f"{prefix}{line}"


def text_of(places: Sequence[Place], width: int = TEXT) -> str:
    """The text of the calls of the spec, on one line."""
    if not places:
        return "(made by the compiler)"
    return shortened([place.text for place in places], width)


def op_of(row: NodeTime | KernelTime) -> str:
    """The op; of what is done in one, its members."""
    return shortened(row.members, NAMES) if row.members else row.op


def name_of(node: NodeTime) -> str:
    """The names of a node, or in parentheses what it is a part of."""
    if node.names:
        return shortened(node.names, NAMES)
    return f"({node.inside or text_of(node.places, NAMES - 2)})"


def shortened(names: Iterable[str], width: int) -> str:
    """Names with commas, as many as fit, and how many more there are."""
    listed = list(names)
    shown, more = ", ".join(listed), ""
    for count in range(len(listed) - 1, 0, -1):
        if len(shown) + len(more) <= width:
            break
        shown, more = ", ".join(listed[:count]), f", +{len(listed) - count}"
    room = width - len(more)
    return f"{shown if len(shown) <= room else f'{shown[: room - 3]}...'}{more}"


def percent(part: float) -> str:
    """A part of 1."""
    return f"{100 * part:.0f}%" if part >= 0.0095 or not part else f"{100 * part:.1f}%"


def prefixed(count: float) -> str:
    """Three digits and a prefix of the SI, to be followed by a unit: `21.3 M`."""
    for prefix in ("", "k", "M", "G"):
        if count < 999.5:
            return f"{count:.{0 if not prefix or count >= 99.95 else 1}f} {prefix}"
        count /= 1000
    return f"{count:.1f} T"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
