"""Operations from outside: registered by a program that embeds graphspec, or offered by installed packages.

A package offers operations by the entry point group `graphspec.ops`; importing what an entry point names
registers them.  That happens when a spec calls a function that nobody knows, and a package that fails
does not disturb the others.
"""

from __future__ import annotations

import os
import re
import threading
from typing import TYPE_CHECKING, TypeVar

from graphspec.diagnostics import Diagnostic, GraphSpecError
from graphspec.diagnostics.catalogue import plugins as say
from graphspec.ir import FUNCTIONS, OPS, Op
from graphspec.ir.plugins import adopt, describe, line_of
from graphspec.lowering.signatures import of_primitive
from graphspec.syntax.tables import RESERVED

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

T = TypeVar("T", bound=type[Op])

GROUP = "graphspec.ops"
_LOCK = threading.RLock()
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_asked = False
_failures: list[Diagnostic] = []


def op(cls: T) -> T:
    """Make a subclass of `Op` an operation that specs may call, by its name in snake_case or by `name`.

    The class defines a type rule (`infer`), its value (`source`, one call of the array library, or the
    name of a `kernel`), and as far as it has them a derivative (`vjp`), a batching rule (`batch`) and what
    a box of its result needs (`alignment` or `demand`); see the methods of `Op`.  Elementwise operations
    (`is_elementwise = True`) need no rule for batches and boxes.  `graphspec.testing.check_op` tests all
    of it, at operands that `samples` describes.

    What goes wrong in its methods is a GraphSpecError (`plugin-failed`) that names it.  Raises
    GraphSpecError where the name is taken, or the class lacks what it needs.
    """
    given: object = cls
    module = cls.__module__
    if not (isinstance(given, type) and issubclass(given, Op)):
        raise GraphSpecError(say.op_incomplete(cls.__name__, module, "it does not derive from `gs.Op`"))
    name = cls.__dict__.get("name") or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.__name__).lower()
    missing = _missing(cls, name)
    if missing:
        raise GraphSpecError(say.op_incomplete(cls.__name__, module, missing))
    other = _holder(cls, name)
    if other:
        raise GraphSpecError(say.op_name_taken(name, "the operation", module, other))
    made = adopt(cls)
    of_primitive.cache_clear()
    return made


def load() -> bool:
    """Import what installed packages offer, if that was not done yet; whether it was done now."""
    global _asked
    with _LOCK:
        if _asked or os.environ.get("GRAPHSPEC_NO_PLUGINS", "0") not in ("", "0"):
            return False
        _asked = True
        from importlib.metadata import entry_points

        offered = [(e.dist.name if e.dist else "?", e) for e in entry_points(group=GROUP)]
        for distribution, entry_point in sorted(offered, key=lambda pair: (pair[0], pair[1].name)):
            _load(entry_point, distribution)
        return True


def failures() -> tuple[Diagnostic, ...]:
    """A warning for each entry point that failed so far."""
    return tuple(_failures)


def _load(entry_point: EntryPoint, distribution: str) -> None:
    before = set(OPS)
    try:
        entry_point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # foreign code may raise anything, SystemExit too
        for name in set(OPS) - before:
            del OPS[name]
        _failures.append(
            say.plugin_not_loaded(entry_point.name, distribution, describe(error), line_of(error))
        )


def _missing(cls: type[Op], name: str) -> str:
    """What a class lacks to be an operation."""
    if not _NAME.fullmatch(name) or name.upper() in RESERVED:
        return f"`{name}` is no name in the language"
    if cls.infer is Op.infer:
        return "it has no type rule, `infer`"
    if cls.source is Op.source and not cls.kernel:
        return "it has neither a `source` nor a `kernel`"
    return ""


def _holder(cls: type[Op], name: str) -> str:
    """What has the name already, in words; nothing where it is free or the class's own."""
    from graphspec.lowering.calls import FORMS
    from graphspec.lowering.definitions import standard_library

    if name in standard_library().definitions:
        return "a definition of the standard library"
    if name in FORMS or name in FUNCTIONS:
        return "a function of the language"
    known = OPS.get(name)
    if known is None or (known.plugin, known.__qualname__) == (cls.__module__, cls.__qualname__):
        return ""
    return f"an operation of the module `{known.plugin}`" if known.plugin else "an operation of graphspec"
