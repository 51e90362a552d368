"""The processes that are compared: who can take part, workers that are asked for rounds, whole commands."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workloads import Workload

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

#: the peers: which module a Python must have, and what the column is called
PEERS = {"pytorch": ("torch", "PyTorch"), "pytorch-compile": ("torch", "compile"), "xla": ("jax", "JAX")}
#: those that make programs of a graph of thousands of single operations
COMPILERS = ("xla",)
#: our own sides: with compiled kernels, and with numpy alone
OWN = {"own": "graphspec", "own-numpy": "numpy"}
#: settings of OpenBLAS that slow it down on machines that it knows, and what this is to measure
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE", "GRAPHSPEC_FAST")


class SideFailedError(Exception):
    """Why a side can give no more answers."""


@dataclass
class Side:
    """A worker process, asleep until it is asked for a round; it has `patience` seconds for each answer."""

    name: str
    python: str
    workload: Workload
    folder: Path
    options: Any
    times: list[list[float]] = field(default_factory=list)
    cores: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def start(self) -> None:
        """Raises SideFailedError."""
        command = [self.python, str(HERE / "worker.py"), self.name, self.workload.name, str(self.folder)]
        self._errors = self.folder / f"{self.name}.txt"
        with self._errors.open("w") as errors:
            self._process = subprocess.Popen(
                command + ["--quick"] * self.options.quick,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if self.options.verbose else errors,
                text=True,
                env=environment(self.options.threads),
            )
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.facts = self._answer()

    def round(self, seconds: float) -> None:
        """Raises SideFailedError."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended: the answer says so
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        answer = self._answer()
        self.times.append(answer["times"])
        self.cores.append(answer["cores"])

    def stop(self) -> None:
        """End the process: it has nothing to finish."""
        self._process.kill()
        self._process.wait()
        self._listener.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put("")

    def _answer(self) -> Any:
        patience = self.options.patience
        try:
            line = self._answers.get(timeout=patience)
        except queue.Empty:
            self.stop()
            raise SideFailedError(f"no answer within {patience:g} s") from None
        if line:
            return json.loads(line)
        self.stop()
        said = self._errors.read_text().strip().splitlines()
        raise SideFailedError(f"ended: {said[-1] if said else f'status {self._process.returncode}'}")


def run_command(command: list[str], options: Any, extra: dict[str, str] | None = None) -> float:
    """The seconds that a whole command takes.  Raises SideFailedError."""
    start = time.perf_counter()
    try:
        ended = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env=environment(options.threads) | (extra or {}),
            cwd=ROOT,
            timeout=options.patience,
        )
    except subprocess.TimeoutExpired:
        raise SideFailedError(f"no end within {options.patience:g} s") from None
    if ended.returncode:
        raise SideFailedError((ended.stderr.strip().splitlines() or [f"status {ended.returncode}"])[-1])
    return time.perf_counter() - start


def installed_peers(pythons: list[str], *, with_compile: bool) -> dict[str, str]:
    """The Python of each peer that is installed in one of them."""
    found: dict[str, str] = {}
    for side, (module, _) in PEERS.items():
        for python in pythons:
            if side not in found and has_module(python, module):
                found[side] = python
    if not with_compile:
        found.pop("pytorch-compile", None)
    return found


def own_sides() -> dict[str, str]:
    """The Python of our own sides: without numba there is only the plain one."""
    is_fast = has_module(sys.executable, "numba")
    return {side: sys.executable for side in OWN if is_fast or side != "own"}


def has_module(python: str, module: str) -> bool:
    probe = f"import importlib.util as u; raise SystemExit(u.find_spec({module!r}) is None)"
    return subprocess.run([python, "-c", probe], check=False).returncode == 0


def label(side: str) -> str:
    """What a side is called."""
    return OWN[side] if side in OWN else PEERS[side][1] if side in PEERS else side


def environment(threads: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    count = str(threads)
    return kept | {
        "OMP_NUM_THREADS": count,
        "OPENBLAS_NUM_THREADS": count,
        "MKL_NUM_THREADS": count,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]),
    }


def describe(threads: int) -> str:
    """The machine, and how busy it was."""
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} cores, {threads} threads, load {os.getloadavg()[0]:.1f}"
