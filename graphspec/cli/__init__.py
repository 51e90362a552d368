"""The command line.  Results go to stdout, everything else to stderr; no command computes anything itself.

Modules here import only typer and the standard library at their top: a command imports what it needs
when it runs, so that `graphspec --help` is instant.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from graphspec.cli.bench import bench
from graphspec.cli.checks import gradcheck
from graphspec.cli.compute import forward, grad, init
from graphspec.cli.emit import emit
from graphspec.cli.fmt import fmt
from graphspec.cli.inspect import check, explain, ops
from graphspec.cli.jacobian import jacobian
from graphspec.cli.options import app, spread
from graphspec.cli.report import INTERRUPTED
from graphspec.cli.show import show

#: the exit status of a bug: EX_SOFTWARE of sysexits.h
BUG = 70

for command in (check, show, forward, grad, jacobian, gradcheck, bench, emit, init, fmt, explain, ops):
    app.command()(spread(command))


def _version(wanted: bool) -> None:
    if wanted:
        from graphspec import __version__

        typer.echo(f"graphspec {__version__}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Describe a network in a small text file; get the gradient of anything in it, by name."""


def main() -> None:
    """Run the command line.  A bug ends in its traceback and one line asking for a report."""
    try:
        app(prog_name="graphspec")
    except BrokenPipeError:
        # the reader of our output is gone (`graphspec show ... | head`): nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(INTERRUPTED)
    except Exception:  # whatever is no diagnostic is our bug
        traceback.print_exc()
        sys.stderr.write("a bug in graphspec, not in your spec: please report it with the lines above\n")
        sys.exit(BUG)


__all__ = ["app", "main"]
