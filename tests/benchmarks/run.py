"""Run the workloads, graphspec and its peers side by side: `python tests/benchmarks/run.py [W1 W6 ...]`.

Each side is a process of its own, and they work in turn: idle threads of one library disturb another.
Results are compared before anything is timed.  `--peer-python` is a Python with PyTorch or JAX, may be
given several times, and is this one by default; what is not installed there is left out, visibly.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import workloads
from workloads import Workload

HERE = Path(__file__).parent

#: the peers: which module a Python must have, and what the column is called
PEERS = {"pytorch": ("torch", "PyTorch"), "pytorch-compile": ("torch", "compile"), "xla": ("jax", "JAX")}
#: settings of OpenBLAS that slow it down on machines that it knows
HARMFUL = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")


@dataclass
class Row:
    """What was measured of one workload: milliseconds (or MB) by side, the floor, and what is to be said."""

    workload: Workload
    found: dict[str, float] = field(default_factory=dict)
    floor: float | None = None
    remarks: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """graphspec's over the best peer's."""
        peers = [value for side, value in self.found.items() if side in PEERS]
        return self.found["own"] / min(peers) if peers and "own" in self.found else None


class Side:
    """A worker process, asleep until it is asked for a round."""

    def __init__(self, name: str, python: str, workload: Workload, folder: Path, options: Any) -> None:
        self.name = name
        self.times: list[list[float]] = []
        command = [python, str(HERE / "worker.py"), name, workload.name, str(folder)]
        self.process = subprocess.Popen(
            command + ["--quick"] * options.quick,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if not options.verbose else None,
            text=True,
            env=environment(options.threads),
        )
        self.facts = self._answer()

    def round(self, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()
        self.times.append(self._answer())

    def close(self) -> None:
        self.process.communicate()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            errors = self.process.communicate()[1] or ""
            return {"skip": (errors.strip().splitlines() or ["ended"])[-1]}
        return json.loads(line)

    @property
    def best(self) -> float:
        """The median call of the quietest round, in seconds."""
        return min(statistics.median(times) for times in self.times)


def main() -> None:
    options = _options()
    peers = _installed(options.peer_python or [sys.executable], options.no_compile)
    chosen = workloads.by_name(options.workloads)
    write(f"{describe(options.threads)}; peers: {', '.join(PEERS[p][1] for p in peers) or 'none installed'}")
    rows: list[Row] = []
    wrong = False
    for workload in chosen:
        with tempfile.TemporaryDirectory() as folder:
            if workload.kind == "process":
                row = time_processes(workload, peers, options)
            else:
                row = compare(workload, peers, Path(folder), options)
        wrong = wrong or any(remark.startswith("WRONG") for remark in row.remarks)
        rows.append(row)
        write(line_of(row, list(peers)))
    if options.json:
        Path(options.json).write_text(json.dumps([as_json(row) for row in rows], indent=2) + "\n")
    write("")
    write(table(rows, list(peers)))
    sys.exit(1 if wrong else 0)


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
    parser.add_argument("--json", metavar="FILE", help="write what was measured to a file, too")
    parser.add_argument("--verbose", action="store_true", help="show what the sides write to stderr")
    return parser.parse_args()


def _installed(pythons: list[str], no_compile: bool) -> dict[str, str]:
    """The Python of each peer that is installed in one of them."""
    found: dict[str, str] = {}
    for side, (module, _) in PEERS.items():
        for python in pythons:
            probe = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
            if side not in found and subprocess.run([python, "-c", probe], check=False).returncode == 0:
                found[side] = python
    if no_compile:
        found.pop("pytorch-compile", None)
    return found


def compare(workload: Workload, peers: dict[str, str], folder: Path, options: argparse.Namespace) -> Row:
    """Start the sides, compare what they find, and time them in turn."""
    row = Row(workload)
    own = Side("own", sys.executable, workload, folder, options)
    if "skip" in own.facts:
        row.remarks.append(f"graphspec: {own.facts['skip']}")
        return row
    sides = [own]
    for name, python in peers.items():
        side = Side(name, python, workload, folder, options)
        if "skip" in side.facts:
            row.remarks.append(f"{PEERS[name][1]}: {side.facts['skip'][:80]}")
            side.close()
            continue
        gap = difference(folder / "own.npz", folder / f"{name}.npz")
        if gap > workload.tolerance:
            row.remarks.append(f"WRONG: differs from {PEERS[name][1]} by {gap:.1e}")
        sides.append(side)
    once = options.quick or workload.kind in ("memory", "compile")
    for _ in range(1 if once else options.rounds):
        for side in sides:
            time.sleep(0 if options.quick else 0.05)
            side.round(0 if once else 0.25)
    for side in sides:
        side.close()
        scale = 1 if workload.kind == "memory" else 1e3
        row.found[side.name] = side.best * scale
    if own.facts.get("flops") and workload.kind != "memory":
        row.floor = 1e3 * max(own.facts["flops"] / own.facts["gemm"], own.facts["bytes"] / own.facts["copy"])
    return row


def time_processes(workload: Workload, peers: dict[str, str], options: argparse.Namespace) -> Row:
    """Whole commands, alternating."""
    row = Row(workload)
    sizes = workload.reduced if options.quick else workload.dims
    count = str(sizes["N"])
    own = ["-m", "graphspec", "grad", str(workload.spec), "--wrt", workload.wrt, "--set", f"N={count}"]
    commands = {"own": [sys.executable, *own]}
    if "pytorch" in peers:
        commands["pytorch"] = [peers["pytorch"], str(HERE / "process_pytorch.py"), count]
    times: dict[str, list[float]] = {side: [] for side in commands}
    for _ in range(1 if options.quick else options.rounds + 1):
        for side, command in commands.items():
            start = time.perf_counter()
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                env=environment(options.threads),
                cwd=HERE.parents[1],
            )
            times[side].append(time.perf_counter() - start)
    row.found = {side: 1e3 * min(seconds) for side, seconds in times.items()}
    return row


def difference(a: Path, b: Path) -> float:
    """The largest difference of two sides' results, each array relative to its largest element."""
    import numpy as np

    first, second = np.load(a), np.load(b)
    missing = set(first.files) ^ set(second.files)
    if missing:
        raise SystemExit(f"only one side has {', '.join(sorted(missing))}")
    gaps = [0.0]
    for name in first.files:
        x, y = np.asarray(first[name], "f8"), np.asarray(second[name], "f8")
        if x.shape != y.shape:
            raise SystemExit(f"{name} is {x.shape} on one side and {y.shape} on the other")
        gaps.append(float(np.abs(x - y).max(initial=0) / max(np.abs(y).max(initial=0), 1e-6)))
    return max(gaps)


def environment(threads: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in HARMFUL}
    return kept | {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}


def describe(threads: int) -> str:
    """The machine, and how busy it was."""
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {threads} threads, load {os.getloadavg()[0]:.1f}"


def line_of(row: Row, peers: list[str]) -> str:
    parts = [f"{row.workload.name}:"]
    parts += [f"{_label(side)} {row.found[side]:.3g}" for side in ["own", *peers] if side in row.found]
    return "  ".join(parts + [f"({remark})" for remark in row.remarks])


def table(rows: list[Row], peers: list[str]) -> str:
    """Markdown; milliseconds, but for memory."""
    head = ["workload", "", "graphspec", *(_label(side) for side in peers), "ratio", "to reach", "floor"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        cells = [f"{row.found[side]:.3g}" if side in row.found else "" for side in ["own", *peers]]
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        goal = "" if row.workload.ratio is None else f"{row.workload.ratio:g}"
        floor = "" if row.floor is None else f"{row.floor:.3g}"
        lines.append([row.workload.name, row.workload.title, *cells, ratio, goal, floor])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in lines
    )


def as_json(row: Row) -> dict[str, Any]:
    return {
        "workload": row.workload.name,
        "found": row.found,
        "ratio": row.ratio,
        "to_reach": row.workload.ratio,
        "floor": row.floor,
        "remarks": row.remarks,
    }


def _label(side: str) -> str:
    return "graphspec" if side == "own" else PEERS[side][1]


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
