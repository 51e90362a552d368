"""A shortcut to a program: a call with arrays of a kind that has been checked, written out as Python text.

What can be known of such calls is in the text: which arrays the program needs and where they are, what they
must be like, and what the answer looks like.  So little is left to do at each call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from graphspec.runtime.program import Program, as_plain

Arrays: TypeAlias = "Mapping[str, Any]"
#: names of a program's outputs, in tuples and dicts
Answer: TypeAlias = "str | tuple[Answer, ...] | Mapping[str, Answer]"
#: gives the answer, or None where it does not fit the arrays
Shortcut: TypeAlias = "Callable[[Arrays, Arrays], Any]"


def make_shortcut(program: Program, params: Arrays, inputs: Arrays, answer: Answer) -> Shortcut:
    """What calls a program with arrays like these, whose types, dtypes and shapes are all right.

    It checks that arrays are like these: mappings of the same names, and of what the program needs the same
    types, dtypes and shapes.
    """
    known: dict[str, Any] = {"run": program.run, "as_plain": as_plain}
    fetched: list[str] = []
    conditions = [f"len(params) == {len(params)}", f"len(inputs) == {len(inputs)}"]
    arguments: list[str] = []
    for i, name in enumerate(program.needs):
        place, array = ("params", params[name]) if name in params else ("inputs", inputs[name])
        fetched.append(f"a{i} = {place}[{name!r}]")
        conditions += [
            f"type(a{i}) is type{i}",
            f"a{i}.dtype == dtype{i}",
            f"a{i}.shape == {tuple(array.shape)!r}",
        ]
        known |= {f"type{i}": type(array), f"dtype{i}": array.dtype}
        strides = tuple(as_plain(array).strides)
        is_any = program.backend.name != "numpy"
        arguments.append(f"a{i}" if is_any else f"a{i} if a{i}.strides == {strides!r} else as_plain(a{i})")
    for place, arrays in (("params", params), ("inputs", inputs)):
        conditions += [f"{name!r} in {place}" for name in arrays if name not in program.needs]
    results = {name: f"r{k}" for k, name in enumerate(program.outputs)}
    lines = [
        "def call(params, inputs):",
        "    try:",
        *(f"        {line}" for line in fetched),
        f"        if not ({' and '.join(conditions)}):",
        "            return None",
        "    except (AttributeError, KeyError, TypeError):  # what is wrong, the checks say",
        "        return None",
        f"    [{', '.join(results.values())}] = run({', '.join(arguments)})",
        f"    return {_text(answer, results)}",
    ]
    exec(compile("\n".join(lines), "<graphspec call>", "exec"), known)
    shortcut: Shortcut = known["call"]
    return shortcut


def _text(answer: Answer, results: Mapping[str, str]) -> str:
    if isinstance(answer, str):
        return results[answer]
    if isinstance(answer, tuple):
        return f"({', '.join(_text(part, results) for part in answer)},)"
    return f"{{{', '.join(f'{name!r}: {_text(part, results)}' for name, part in answer.items())}}}"
