"""Operations from outside graphspec: what goes wrong in them is reported as theirs, not as a bug of ours."""

from __future__ import annotations

import functools
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import plugins as say
from graphspec.ir.op import FUNCTIONS, OPS, Op, Value, current_origin, op
from graphspec.ir.types import TensorType, TypeRuleError, broadcast

T = TypeVar("T", bound=type[Op])

#: the methods of a plug-in that may fail, and what messages call them
PARTS = {
    "infer": "type rule",
    "vjp": "derivative",
    "make": "constructor",
    "batch": "batching rule",
    "alignment": "alignment of axes",
    "demand": "demand rule",
    "source": "source",
    "scratch": "working storage",
    "samples": "samples",
}


def adopt(cls: T) -> T:
    """Register a class as `op` does, with its methods guarded.

    A class of the same module and name replaces the one that was registered before, as when a cell of a
    notebook is run again.
    """
    cls.plugin = cls.__module__
    for method, part in PARTS.items():
        if _is_foreign(cls, method):
            _guard_method(cls, method, part)
    if cls.batch is Op.batch and not cls.is_elementwise:
        setattr(cls, "batch", _without_batching_rule)  # noqa: B010  (a method is no variable for mypy)
    for name in [name for name, known in OPS.items() if _is_same(known, cls)]:
        del OPS[name]
    return op(cls)


def call(name: str, *inputs: Any, **statics: Any) -> Value:
    """A call of a primitive of the language, by its name, for the derivatives of one's own: `call("exp", x)`.

    Sums, products and powers are written as such (`gy * (1 - y * y)`).  Raises LookupError where there is
    none of that name: a definition of the library is none.
    """
    make = FUNCTIONS.get(name) or (OPS[name].make if name in OPS else None)
    if make is None:
        raise LookupError(f"there is no primitive `{name}`")
    made = make(*inputs, **statics)
    assert isinstance(made, Value)
    return made


def failure(error: BaseException, name: str, module: str, part: str, *, reason: str = "") -> GraphSpecError:
    """The error to raise from what a plug-in raised; it names the plug-in and the line at fault."""
    origin = current_origin()
    return GraphSpecError(
        say.plugin_failed(
            name,
            module,
            part,
            reason or describe(error),
            at=line_of(error),
            place=origin.span if origin else None,
            trace=origin.trace if origin else (),
        )
    )


def describe(error: BaseException) -> str:
    """`ValueError: no such thing`, on one line."""
    if isinstance(error, GraphSpecError):
        return error.diagnostics[0].message
    text = " ".join(str(error).split())
    return f"{error.__class__.__name__}: {text}" if text else error.__class__.__name__


def line_of(error: BaseException) -> str:
    """The line of Python that raised: `/home/me/ops.py:12`."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _without_batching_rule(self: Op, *arguments: Any) -> Value:
    """What stands in for a rule that a plug-in does not define."""
    reason = "it has none, so it cannot run over a batch of examples; define `batch`"
    raise failure(NotImplementedError(reason), self.name, self.plugin, PARTS["batch"], reason=reason)


_without_batching_rule.is_missing = True  # type: ignore[attr-defined]  # a mark on a function


def _is_same(known: type[Op], cls: type[Op]) -> bool:
    return (known.__module__, known.__qualname__) == (cls.__module__, cls.__qualname__)


def _is_foreign(cls: type[Op], method: str) -> bool:
    """Whether a method comes from outside graphspec, and is not guarded yet."""
    owner = next(base for base in cls.__mro__ if method in base.__dict__)
    guarded = getattr(getattr(cls, method), "is_guarded", False)
    return not guarded and not owner.__module__.startswith("graphspec.")


def _guard_method(cls: type[Op], method: str, part: str) -> None:
    owner = next(base for base in cls.__mro__ if method in base.__dict__)
    plain = owner.__dict__[method]
    if isinstance(plain, classmethod):
        setattr(cls, method, classmethod(_guarded(plain.__func__, part)))
    else:
        setattr(cls, method, _guarded(plain, part))


def _guarded(function: Callable[..., Any], part: str) -> Callable[..., Any]:
    """The function, whose exceptions and wrong results become errors that name the plug-in.

    What it says on purpose goes through: a refusal of operands, and errors that have their words already.
    """

    @functools.wraps(function)
    def guarded(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            result = function(self, *arguments, **named)
        except GraphSpecError:
            raise
        except Exception as error:  # foreign code may raise anything
            if isinstance(error, TypeRuleError) and part in _REFUSING:
                raise
            raise failure(error, self.name, self.plugin, part) from error
        wrong = _RESULTS[part](result, arguments) if part in _RESULTS else ""
        if wrong:
            raise failure(TypeError(wrong), self.name, self.plugin, part, reason=wrong)
        return result

    guarded.is_guarded = True  # type: ignore[attr-defined]  # a mark on a function
    return guarded


def _wrong_type(result: Any, operands: tuple[Any, ...]) -> str:
    types = result if isinstance(result, tuple) else (result,)
    if types and all(isinstance(t, TensorType) for t in types):
        return ""
    return f"it gave {result!r}, not a TensorType or a tuple of them"


def _wrong_value(result: Any, operands: tuple[Any, ...]) -> str:
    values = result if isinstance(result, tuple) else (result,)
    if values and all(isinstance(v, Value) for v in values):
        return ""
    return f"it gave {result!r}, not a Value or a tuple of them"


def _wrong_text(result: Any, operands: tuple[Any, ...]) -> str:
    return "" if isinstance(result, str) else f"it gave {result!r}, not the text of an expression"


def _wrong_cotangents(result: Any, arguments: tuple[Any, ...]) -> str:
    """What is wrong with the cotangents that `vjp(gy, y, *inputs)` gave."""
    inputs = arguments[2:]
    if not isinstance(result, tuple) or len(result) != len(inputs):
        found = f"{len(result)} of them" if isinstance(result, tuple) else repr(result)
        return f"it gave {found}, not a tuple of {len(inputs)}, one cotangent for each operand"
    for i, (g, x) in enumerate(zip(result, inputs, strict=True), start=1):
        if g is None:
            continue
        if not isinstance(g, Value):
            return f"the cotangent of operand {i} is {g!r}, not a Value or None"
        if x.dtype.is_float and (g.dtype is not x.dtype or not _fits(g, x)):
            return f"the cotangent of operand {i}, which is {x.type}, is {g.type}"
    return ""


def _fits(g: Value, x: Value) -> bool:
    """Whether a cotangent has the shape of its operand, but for broadcasting."""
    try:
        broadcast(g.shape, x.shape)
    except TypeRuleError:
        return False
    return True


#: the parts that may refuse operands; elsewhere the operands have been accepted
_REFUSING = (PARTS["infer"], PARTS["make"])
_RESULTS: dict[str, Callable[[Any, tuple[Any, ...]], str]] = {
    "type rule": _wrong_type,
    "constructor": _wrong_value,
    "batching rule": _wrong_value,
    "source": _wrong_text,
    "derivative": _wrong_cotangents,
}
