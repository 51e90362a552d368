"""What can be wrong with operations from outside graphspec, registered by `gs.op` or offered by a package."""

from __future__ import annotations

from graphspec.diagnostics.catalogue._register import diagnostic, finding
from graphspec.diagnostics.model import Diagnostic, Label
from graphspec.diagnostics.source import Span

Trace = tuple[tuple[str, Span], ...]


@diagnostic()
def plugin_failed(
    op: str,
    module: str,
    part: str,
    reason: str,
    *,
    at: str = "",
    place: Span | None = None,
    trace: Trace = (),
) -> Diagnostic:
    """An operation that is not part of graphspec raised an exception, or gave what it may not give.

    `part` is the method at fault, `module` where the operation is defined, `at` the line of it that raised.
    In Python the exception is the `__cause__` of the error.  `graphspec.testing.check_op` runs all tests
    of an operation.
    """
    return finding(
        f"the {part} of `{op}`, an operation of the module `{module}`, failed: {reason}",
        primary=Label(place) if place else None,
        notes=(f"at {at}",) if at else (),
        trace=trace,
    )


@diagnostic("warning")
def plugin_not_loaded(entry_point: str, distribution: str, reason: str, at: str) -> Diagnostic:
    """A package offers operations by the entry point group `graphspec.ops`, but importing them failed.

    Its operations are unknown functions now; everything else works.  With `GRAPHSPEC_NO_PLUGINS=1` in the
    environment no package is asked.
    """
    return finding(
        f"the entry point `{entry_point}` of the package `{distribution}` failed: {reason}",
        notes=(f"at {at}",) if at else (),
        help=("`GRAPHSPEC_NO_PLUGINS=1` leaves out what packages offer",),
    )


@diagnostic()
def op_name_taken(name: str, what: str, module: str, other: str) -> Diagnostic:
    """`gs.op` or `gs.kernel` registers a name that something else has: a definition of the standard
    library, a form of the language, or an operation of another module.
    """
    return finding(
        f"the module `{module}` registers {what} `{name}`, but that is the name of {other}",
        help=("a class says its name by `name = ...`",) if what == "the operation" else (),
    )


@diagnostic()
def op_incomplete(name: str, module: str, missing: str) -> Diagnostic:
    """A class given to `gs.op` cannot be an operation.

    It derives from `gs.Op`, has a name that the language can say, a type rule (`infer`), and either a
    `source`, one call of the array library, or a `kernel`.
    """
    return finding(f"`{name}` of the module `{module}` cannot be an operation: {missing}")
