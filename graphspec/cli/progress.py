"""A sign of life on the terminal for what takes more than a second."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

#: seconds that pass before anything is shown
PATIENCE = 1.0


class LifeSign:
    """A spinner on stderr with what is being done and for how long; only where stderr is a terminal.

    It appears when `PATIENCE` seconds have passed, goes away when something is written (`hide`), and comes
    back when nothing was for as long again.
    """

    def __init__(self, doing: str, stream: TextIO | None = None, patience: float = PATIENCE) -> None:
        self.doing = doing
        self._stream = stream or sys.stderr
        self._patience = patience
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._shown: Progress | None = None
        self._is_over = not self._stream.isatty()
        self._wait()

    def hide(self) -> None:
        """Leave the terminal to what is written now."""
        self._clear()
        self._wait()

    def close(self) -> None:
        """Leave the terminal for good."""
        self._is_over = True
        self._clear()

    def _clear(self) -> None:
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
            if self._shown is not None:
                self._shown.stop()
                self._shown = None

    def _wait(self) -> None:
        if self._is_over:
            return
        timer = threading.Timer(self._patience, self._show)
        timer.daemon = True
        with self._lock:
            self._timer = timer
        timer.start()

    def _show(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        progress = Progress(*columns, console=Console(file=self._stream), transient=True)
        progress.add_task(self.doing, total=None)
        progress.tasks[0].start_time = self._began
        with self._lock:
            if self._timer is threading.current_thread():
                self._shown = progress
                progress.start()
