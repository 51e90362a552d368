"""Run the workloads, graphspec and its peers side by side: `python tests/benchmarks/run.py [W1 W6 ...]`.

Each side is a process of its own, and they work in turn: idle threads of one library disturb another.
Results are compared before anything is timed.  `--peer-python` is a Python with PyTorch or JAX, may be
given several times, and is this one by default; what is not installed there is left out, visibly.
With `--ablate` graphspec is compared with itself instead, without one optimisation after the other.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import workloads
from processes import (
    COMPILERS,
    HERE,
    PEERS,
    ROOT,
    Side,
    SideFailedError,
    describe,
    installed_peers,
    label,
    own_sides,
    run_command,
)
from report import Row, add_growth, as_json, difference, line_of, markdown, table
from workloads import Workload

#: a round of calls lasts so many seconds; a side that compiles for longer than this is not asked again
ROUND, LONG = 0.25, 10.0
#: what the whole command is in Python, by the peer
SCRIPTS = {"pytorch": "process_pytorch.py", "xla": "process_jax.py"}


def main() -> None:
    options = _options()
    chosen = workloads.by_name(options.workloads)
    own = own_sides()
    pythons = options.peer_python or [sys.executable]
    peers = {} if options.ablate else installed_peers(pythons, with_compile=not options.no_compile)
    names = ", ".join(PEERS[peer][1] for peer in peers) or "none"
    write(describe(options.threads) + ("" if options.ablate else f"; peers: {names}"))
    if "own" not in own:
        write("numba, the extra `fast`, is not installed: graphspec runs on numpy alone")
    rows: list[Row] = []
    for workload in chosen:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(_measure(workload, own, peers, Path(folder), options))
        if not options.ablate:
            add_growth(rows[-1:] + [row for row in rows if row.workload.name == workload.smaller])
        write(line_of(rows[-1]))
        if options.json:
            Path(options.json).write_text(json.dumps([as_json(row) for row in rows], indent=2) + "\n")
    write("")
    write(ablations(rows) if options.ablate else table(rows, [*own, *peers]))
    sys.exit(1 if any(row.is_wrong for row in rows) else 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workloads", nargs="*", help="names; all if none is given")
    parser.add_argument("--peer-python", action="append", metavar="PYTHON", help="a Python with a peer")
    parser.add_argument("--quick", action="store_true", help="reduced sizes, one short round: does it work?")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of each side (5)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads of each side")
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out")
    parser.add_argument("--ablate", action="store_true", help="graphspec without each of its optimisations")
    parser.add_argument("--only", metavar="NAMES", help="of the optimisations (with commas) to leave out")
    parser.add_argument(
        "--patience", type=float, default=300, metavar="SECONDS", help="for each answer of a side (300)"
    )
    parser.add_argument("--json", metavar="FILE", help="write what was measured to a file, too")
    parser.add_argument("--verbose", action="store_true", help="show what the sides write to stderr")
    return parser.parse_args()


def _measure(
    workload: Workload, own: dict[str, str], peers: dict[str, str], folder: Path, options: Any
) -> Row:
    if workload.kind == "process":
        return time_processes(workload, own, peers, options)
    row = Row(workload)
    try:
        command = [sys.executable, str(HERE / "worker.py"), "data", workload.name, str(folder)]
        run_command(command + ["--quick"] * options.quick, options)
    except SideFailedError as reason:
        row.fails("own", f"no data: {reason}")
        return row
    if options.ablate:
        return ablate(row, "own" if "own" in own else "own-numpy", folder, options)
    if workload.kind == "compile":
        peers = {peer: python for peer, python in peers.items() if peer in COMPILERS}
    sides = [Side(name, python, workload, folder, options) for name, python in {**own, **peers}.items()]
    return compare(row, sides)


def compare(row: Row, sides: Sequence[Side]) -> Row:
    """Start the sides, compare what they find with what the first finds, and time them in turn."""
    working: list[Side] = []
    try:
        for side in sides:
            if _survives(row, side, side.start) and _agrees(row, working[0] if working else side, side):
                working.append(side)
        _time(row, working)
    finally:
        for side in working:
            side.stop()
    for side in working:
        if side.times:
            row.found[side.name] = _figure(side)
            row.cores[side.name] = statistics.median(side.cores) if side.cores else 0.0
        if not row.costs:
            row.costs = {
                key: side.facts[key] for key in ("flops", "bytes", "gemm", "copy") if key in side.facts
            }
    return row


def _survives(row: Row, side: Side, act: Callable[[], None]) -> bool:
    try:
        act()
    except SideFailedError as reason:
        row.fails(side.name, str(reason))
        write(f"  {row.workload.name}, {row.remarks[-1]}")
        side.times = []
        return False
    return True


def _agrees(row: Row, first: Side, side: Side) -> bool:
    """Whether a side has found what the first has; where it has not, it is not timed."""
    gap = difference(side.folder / f"{side.name}.npz", first.folder / f"{first.name}.npz")
    if isinstance(gap, float) and gap <= row.workload.tolerance:
        return True
    said = gap if isinstance(gap, str) else f"by {gap:.1e}"
    row.is_wrong = True
    row.remarks.append(f"WRONG: {label(side.name)} differs from {label(first.name)}: {said}")
    side.stop()
    return False


def _time(row: Row, sides: list[Side]) -> None:
    """Rounds of calls, in turn; memory and what takes long to compile was measured in the first call."""
    if not sides:
        return
    kind, options = row.workload.kind, sides[0].options
    asked = [s for s in sides if kind != "memory" and (kind != "compile" or s.facts["first"] < LONG)]
    for side in sides:
        if side not in asked:
            side.times = [[side.facts["memory" if kind == "memory" else "first"]]]
    for _ in range(1 if options.quick else options.rounds):
        for side in list(asked):
            time.sleep(0 if options.quick else 0.05)
            seconds = 0 if options.quick or kind == "compile" else ROUND
            if not _survives(row, side, lambda side=side, seconds=seconds: side.round(seconds)):
                asked.remove(side)


def _figure(side: Side) -> float:
    """The median call of the quietest round, in milliseconds; MB.  What compiles has a call a round."""
    medians = [statistics.median(times) for times in side.times]
    if side.workload.kind == "memory":
        return medians[0]
    return 1e3 * (statistics.median(medians) if side.workload.kind == "compile" else min(medians))


def time_processes(workload: Workload, own: dict[str, str], peers: dict[str, str], options: Any) -> Row:
    """Whole commands, alternating; the median of each."""
    row = Row(workload)
    sizes = workload.reduced if options.quick else workload.dims
    count = str(sizes["N"])
    grad = ["-m", "graphspec", "grad", str(workload.spec), "--wrt", workload.wrt, "--set", f"N={count}"]
    commands = {side: [python, *grad] for side, python in own.items()}
    commands |= {
        peer: [peers[peer], str(HERE / file), count] for peer, file in SCRIPTS.items() if peer in peers
    }
    times: dict[str, list[float]] = {side: [] for side in commands}
    for _ in range(1 if options.quick else options.rounds + 1):
        for side, command in list(commands.items()):
            extra = {"GRAPHSPEC_FAST": "0"} if side == "own-numpy" else {}
            try:
                times[side].append(run_command(command, options, extra))
            except SideFailedError as reason:
                row.fails(side, str(reason))
                del commands[side]
    row.found = {side: 1e3 * statistics.median(times[side][-options.rounds :]) for side in commands}
    return row


def ablate(row: Row, own: str, folder: Path, options: Any) -> Row:
    """graphspec without each optimisation, one after the other beside the whole; `found` are the times."""
    names = options.only.split(",") if options.only else [*_optimisations(own), "everything"]
    ratios: dict[str, float] = {}
    for name in names:
        part = Row(row.workload)
        without = f"own-without-{name}"
        sides = [Side(side, sys.executable, row.workload, folder, options) for side in (own, without)]
        compare(part, sides)
        row.remarks += [remark for remark in part.remarks if remark not in row.remarks]
        row.is_wrong |= part.is_wrong
        if own in part.found and without in part.found and part.found[own] > 0:
            row.found.setdefault(own, part.found[own])
            ratios[name] = part.found[without] / part.found[own]
    row.found |= ratios
    return row


def _optimisations(own: str) -> list[str]:
    sys.path.insert(0, str(ROOT))
    from graphspec.optimisations import FAST, OPTIMISATIONS

    return [name for name in OPTIMISATIONS if own == "own" or name != FAST]


def ablations(rows: Sequence[Row]) -> str:
    """The time (or memory) without each optimisation over that with all."""
    names = list(dict.fromkeys(name for row in rows for name in row.found if not name.startswith("own")))
    lines = [["workload", "with all", *names, "remarks"]]
    for row in rows:
        whole = next((f"{v:.3g}" for side, v in row.found.items() if side.startswith("own")), "")
        cells = [f"{row.found[name]:.2f}" if name in row.found else "" for name in names]
        lines.append([row.workload.name, whole, *cells, "; ".join(row.remarks)])
    return markdown(lines)


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
