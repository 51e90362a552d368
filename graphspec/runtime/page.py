"""The file around the steps of a stand-alone program: what it needs, files, the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graphspec.ir import TensorType
from graphspec.runtime.bundle import Bundle
from graphspec.runtime.text import text_of

#: what the file itself calls something
NAMES = frozenset(
    {
        "np",
        "arrays",
        "given",
        "name",
        "values",
        "found",
        "compute",
        "gradients",
        "values_and_gradients",
        "main",
    }
    | {"checked", "read", "write", "argparse", "sys", "zipfile", "ARRAYS", "annotations"}
)


@dataclass(frozen=True, slots=True)
class Head:
    """What the head of the file says: the spec, what is differentiated, the dims, and who wrote it."""

    spec: str
    objectives: Sequence[str]
    targets: Sequence[str]
    sizes: Mapping[str, int]
    version: str
    #: the order in which the arrays that are needed are listed
    order: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Array:
    """An array that the program needs: its name, that of the variable, its type, the type in the spec."""

    name: str
    variable: str
    type: TensorType
    declared: str


def page(head: Head, arrays: Sequence[Array], body: Sequence[str], kernels: Bundle) -> str:
    """The whole file."""
    imports = sorted({"import argparse", "import sys", "import zipfile", *kernels.imports})
    plain = [line for line in imports if line.startswith("import ")]
    others = [line for line in imports if line.startswith("from ")]
    start = f'"""{_docstring(head)}"""\n\n'
    if kernels.text:
        start += "from __future__ import annotations\n\n"
    sections = [
        start + "\n".join([*plain, *others, "", "import numpy as np", "", _table(arrays)]),
        _GRADIENTS,
        _compute(arrays, body),
    ]
    if kernels.text:
        sections.append(f"# --- what numpy has no function for ---\n\n\n{kernels.text}")
    return "\n\n\n".join([*sections, _REST]) + "\n"


def quoted(name: str) -> str:
    """A string as Python has it, in double quotes where they do."""
    text = ascii(name)
    return text if '"' in text or "\\'" in text else f'"{text[1:-1]}"'


def _docstring(head: Head) -> str:
    of, by = (" and ".join(f"`{name}`" for name in names) for names in (head.objectives, head.targets))
    sizes = ", ".join(f"{name} = {size}" for name, size in sorted(head.sizes.items()))
    text = f"""The gradient of {of} by {by}, as described in {head.spec}.

    python PROGRAM.py ARRAYS.npz... --out GRADIENTS.npz

or `gradients(arrays)` from Python, with a dict of the arrays that `ARRAYS` lists.  Needs numpy only.
Written by graphspec {head.version}{f" for {sizes}" if sizes else ""}.
"""
    return ascii(text)[1:-1].replace("\\n", "\n").replace('"', "'")


def _table(arrays: Sequence[Array]) -> str:
    rows = ["#: the arrays that are needed: dtype and shape by name", "ARRAYS = {"]
    for array in arrays:
        row = f'    {quoted(array.name)}: ("{array.type.dtype.array_name}", {text_of(array.type.shape)}),'
        declared = ascii(array.declared)[1:-1]
        rows.append(row if declared == str(array.type) else f"{row}  # {declared}")
    return "\n".join([*rows, "}"])


_GRADIENTS = '''def gradients(arrays):
    """The gradients by name."""
    return values_and_gradients(arrays)[1]


def values_and_gradients(arrays):
    """What is differentiated, and its gradients, both by name."""
    with np.errstate(all="ignore"):  # an infinity is a result like any other
        return compute(*checked(arrays))'''


def _compute(arrays: Sequence[Array], body: Sequence[str]) -> str:
    parameters = ", ".join(array.variable for array in arrays)
    start = f"def compute({parameters}):"
    if len(start) > 100:
        lines, line = ["def compute("], "   "
        for array in arrays:
            if len(line) + len(array.variable) + 2 > 100:
                lines.append(line)
                line = "   "
            line += f" {array.variable},"
        start = "\n".join([*lines, line, "):"])
    return "\n".join([start, *(f"    {line}" if line else "" for line in body)])


_REST = '''# --- reading and writing ---


def checked(given):
    """The arrays in the order of `ARRAYS`.  Raises ValueError that lists all that is wrong."""
    found, wrong = [], []
    for name, (dtype, shape) in ARRAYS.items():
        if name not in given:
            wrong.append(f"{name}: {dtype}{list(shape)} is missing")
            continue
        array = np.asarray(given[name])
        if array.shape != shape:
            wrong.append(f"{name}: {dtype}{list(shape)} is needed, and its shape is {list(array.shape)}")
        elif array.dtype.kind != np.dtype(dtype).kind:
            wrong.append(f"{name}: {dtype}{list(shape)} is needed, and its dtype is {array.dtype}")
        else:
            found.append(array.astype(dtype, copy=False))
    if wrong:
        raise ValueError("\\n".join(wrong))
    return found


def read(path):
    """The arrays of an .npz file by name."""
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def write(path, arrays):
    """Write arrays by name to an .npz file; `np.savez` cannot write one that is called `file`."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\\n")[0])
    parser.add_argument("files", nargs="+", metavar="ARRAYS.npz", help="the arrays that are needed, by name")
    parser.add_argument("--out", metavar="GRADIENTS.npz", help="where the gradients go")
    options = parser.parse_args()
    given = {}
    try:
        for path in options.files:
            given |= read(path)
        values, found = values_and_gradients(given)
    except (OSError, ValueError, IndexError) as error:
        sys.exit(str(error))
    for name, value in values.items():
        print(name, "=", value)
    for name, array in found.items():
        print(name, list(array.shape), f"norm {np.linalg.norm(array):.6g}")
    if options.out:
        write(options.out, found)


if __name__ == "__main__":
    main()'''
