"""How much memory a process holds, and the most that it has held since a moment: in MB, as the system counts.

Linux says so in /proc, where the peak can be set back; elsewhere the peak is that of the whole process.
"""

from __future__ import annotations

import re
import sys
from contextlib import suppress
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start() -> float:
    """What the process holds now; the peak counts from here."""
    with suppress(OSError):
        CLEAR.write_text("5")  # the peak of the resident set: see proc(5)
    return _status("VmRSS") or _peak_of_process()


def peak() -> float:
    """The most that the process has held since the start."""
    return _status("VmHWM") or _peak_of_process()


def _status(entry: str) -> float | None:
    try:
        found = re.search(rf"^{entry}:\s*(\d+) kB", STATUS.read_text(), re.M)
    except OSError:
        return None
    return int(found[1]) / 1024 if found else None


def _peak_of_process() -> float:
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
