"""What was found: rows, their ratios and floors, as a table in Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processes import OWN, PEERS, label
from workloads import Workload


@dataclass
class Row:
    """What was measured of one workload: milliseconds (or MB) by side, and what is to be said."""

    workload: Workload
    found: dict[str, float] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)
    costs: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    is_wrong: bool = False

    def ratio(self, side: str) -> float | None:
        """A side's over the best peer's."""
        peers = [value for other, value in self.found.items() if other in PEERS]
        if not peers or side not in self.found or min(peers) <= 0:
            return None
        return self.found[side] / min(peers)

    @property
    def floor(self) -> float | None:
        """The milliseconds that the multiplications or the bytes take alone, whichever is more."""
        if not self.costs or self.workload.kind == "memory":
            return None
        c = self.costs
        return 1e3 * max(c["flops"] / c["gemm"], c["bytes"] / c["copy"])

    def fails(self, side: str, reason: str) -> None:
        """Say that a side is not in the row; graphspec has to be."""
        self.remarks.append(f"{label(side)}: {reason[:100]}")
        self.is_wrong |= side not in PEERS


def difference(a: Path, b: Path) -> str | float:
    """The largest difference of two sides' results, each array relative to its largest element; or, in
    words, what cannot be compared.
    """
    import numpy as np

    first, second = np.load(a), np.load(b)
    missing = set(first.files) ^ set(second.files)
    if missing:
        return f"only one has {', '.join(sorted(missing))}"
    gaps = [0.0]
    for name in first.files:
        x, y = np.asarray(first[name], "f8"), np.asarray(second[name], "f8")
        if x.shape != y.shape:
            return f"{name} is {x.shape} there and {y.shape} here"
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return f"{name} is not finite"
        gaps.append(float(np.abs(x - y).max(initial=0) / max(np.abs(y).max(initial=0), 1e-6)))
    return max(gaps)


def add_growth(rows: Sequence[Row]) -> None:
    """To a row that is a larger one of another, how much longer it takes."""
    by_name = {row.workload.name: row for row in rows}
    for row in rows:
        smaller = by_name.get(row.workload.smaller)
        if smaller is None:
            continue
        sides = [side for side in row.found if smaller.found.get(side)]
        told = [f"{label(side)} {row.found[side] / smaller.found[side]:.1f}" for side in sides]
        row.remarks.append(f"over {smaller.workload.name}: {', '.join(told)}")


def line_of(row: Row) -> str:
    """A row while the run goes on."""
    parts = [f"{row.workload.name}:", *(f"{label(side)} {value:.3g}" for side, value in row.found.items())]
    return "  ".join(parts + [f"({remark})" for remark in row.remarks])


def table(rows: Sequence[Row], sides: Iterable[str]) -> str:
    """The rows: milliseconds, but for memory."""
    sides = list(sides)
    own = [side for side in OWN if side in sides]
    ratios = [(side, f"ratio of {label(side)}" if len(own) > 1 else "ratio") for side in own]
    head = ["workload", "", *map(label, sides)]
    for _, title in ratios:
        head += [title, "to reach"]
    lines = [[*head, "floor", "remarks"]]
    for row in rows:
        cells = [_number(row.found.get(side)) for side in sides]
        for side, _ in ratios:
            goal = row.workload.ratio if side == "own" else row.workload.plain
            cells += [_number(row.ratio(side), 2), "" if goal is None else f"{goal:g}"]
        about = [row.workload.name, row.workload.title]
        lines.append([*about, *cells, _number(row.floor), "; ".join(row.remarks)])
    return markdown(lines)


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table whose first line is its head."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    ruled = [lines[0], ["-" * width for width in widths], *lines[1:]]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in ruled
    )


def as_json(row: Row) -> Mapping[str, Any]:
    return {
        "workload": row.workload.name,
        "found": row.found,
        "ratios": {side: row.ratio(side) for side in OWN if side in row.found},
        "to_reach": row.workload.ratio,
        "to_reach_in_numpy": row.workload.plain,
        "cores": row.cores,
        "floor": row.floor,
        "costs": row.costs,
        "remarks": row.remarks,
    }


def _number(value: float | None, digits: int = 3) -> str:
    return "" if value is None else f"{value:.{digits}g}"
