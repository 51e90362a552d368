"""Files that nobody means well with, made when they are needed: some are large."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from typing import Any

import numpy as np


def spec(body: str) -> bytes:
    return f"gspec 1\ninput x: f32[3] ~ normal()\n{body}\n".encode()


def npy(shape: str, dtype: str = "'<f4'", data: bytes = b"1234") -> bytes:
    """An `.npy` file whose header says what it likes."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (63 - (len(header) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def npz(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def zipped(members: dict[str, bytes], zeros: int = 0) -> bytes:
    """A compressed archive; each member goes on with so many zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as member:
                member.write(content)
                block = bytes(1 << 20)
                for _ in range(zeros // len(block)):
                    member.write(block)
    return buffer.getvalue()


def tensors(header: dict[str, Any] | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A `.safetensors` file whose header says what it likes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def tensor(shape: list[int], start: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


_DOUBLING = "".join(f"op a{i}(x) = a{i - 1}(a{i - 1}(x))\n" for i in range(1, 60))
_TENFOLD = "".join(f"const a{i} = [{', '.join([f'a{i - 1}'] * 10)}]\n" for i in range(1, 12))

#: what is wrong with each spec, by the id of the first diagnostic
SPECS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "empty-file"),
    "binary": (bytes(range(256)) * 400, "not-utf8"),
    "nul": (b"gspec 1\n" + b"\0" * 1000, "unknown-character"),
    "utf-16": ("gspec 1\n".encode("utf-16"), "not-utf8"),
    "invalid UTF-8 in a comment": (b"gspec 1\n# \xff\xfe\n", "not-utf8"),
    "a line of 10 MB": (spec("output y = x" + " + x" * 2_500_000), "spec-too-large"),
    "a name of 10 MB": (spec("y" * 10_000_000 + " = x"), "spec-too-large"),
    "a string without end": (spec('const a = "' + "a" * 1_000_000), "unterminated-string"),
    "a number of a million digits": (spec("const a = " + "9" * 1_000_000), "number-too-large"),
    "a line of garbage": (spec("$" * 200_000), "unknown-character"),
    "lines of garbage": (spec("= = 3\n" * 50_000), "unexpected-token"),
    "round brackets": (spec("output y = " + "(" * 20_000 + "x" + ")" * 20_000), "nested-too-deep"),
    "open brackets": (spec("output y = " + "(" * 100_000), "nested-too-deep"),
    "square brackets": (spec("const a = " + "[" * 20_000 + "1" + "]" * 20_000), "nested-too-deep"),
    "signs": (spec("output y = " + "-" * 50_000 + "x"), "nested-too-deep"),
    "powers": (spec("output y = x" + " ** x" * 50_000), "nested-too-deep"),
    "conditionals": (spec("const a = " + "1 if true else " * 50_000 + "2"), "nested-too-deep"),
    "a newer version": (b"gspec 2\n", "newer-version"),
    "a version of thousands of digits": (b"gspec " + b"9" * 5000 + b"\n", "newer-version"),
    "no version": (b"gspec one\n", "malformed-header"),
    "a number too large to be computed": (
        spec("const a = 9 ** 9 ** 9 ** 9\noutput y = x * a"),
        "no-static-value",
    ),
    "a list that grows tenfold": (spec("const a0 = [1, 2]\n" + _TENFOLD + "output y = x"), "no-static-value"),
    "repeated a thousand million times": (spec("output y = x -> repeat(1000000000, relu)"), "too-many-steps"),
    "each of a million million": (
        spec("output y = stack(each(e in 0..1000000000000, x * e))"),
        "too-many-steps",
    ),
    "a definition that uses itself": (spec("op f(x) = f(x)\noutput y = f(x)"), "recursive-definition"),
    "definitions that double": (
        spec("op a0(x) = x + x\n" + _DOUBLING + "output y = a59(x)"),
        "nested-deeper-than-read",
    ),
    "itself": (spec('import "spec.gspec" as me\noutput y = x'), "import-cycle"),
    "an import outside the folder": (
        spec('import "../other.gspec" as it\noutput y = x'),
        "import-outside-folder",
    ),
    "an import from the root": (spec('import "/etc/passwd" as it\noutput y = x'), "import-outside-folder"),
    "a link out of the folder": (spec('import "link.gspec" as it\noutput y = x'), "import-outside-folder"),
    "data outside the folder": (
        spec('input z: f32[3] = file("../z.npy")\noutput y = x + z'),
        "file-outside-folder",
    ),
    "data through a link": (
        spec('input z: f32[3] = file("link.npy")\noutput y = x + z'),
        "file-outside-folder",
    ),
}

#: arrays for `x`, by the id of the diagnostic
ARRAYS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "data-file-unreadable"),
    "text": (b"1, 2, 3\n", "data-file-unreadable"),
    "cut short": (npy("(3,)", data=b"12345678"), "data-file-unreadable"),
    "cut in the header": (npy("(3,)")[:40], "data-file-unreadable"),
    "a million million numbers": (npy("(1000000000000,)"), "data-file-unreadable"),
    "more numbers than there are": (
        npy("(4611686018427387904, 4611686018427387904)"),
        "data-file-unreadable",
    ),
    "a negative size": (npy("(-3,)"), "data-file-unreadable"),
    "a hundred axes": (npy("(" + "1," * 100 + ")"), "data-file-unreadable"),
    "brackets in the header": (npy("(" * 4000 + ")" * 4000), "data-file-unreadable"),
    "a call in the header": (npy("__import__('os').mkdir('pwned')"), "data-file-unreadable"),
    "a header of 4 GB": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 4_000_000_000), "data-file-unreadable"),
    "records": (npy("(3,)", "[('a', '<f4')]", bytes(12)), "data-file-unreadable"),
    "elements of a gigabyte": (npy("(3,)", "('<f4', (250000000,))"), "data-file-unreadable"),
    "objects": (npy("(3,)", "'|O'", b"cos\nmkdir\n(S'pwned'\ntR."), "data-of-objects"),
    "a pickle": (b"\x80\x04cos\nmkdir\n(S'pwned'\ntR.", "data-pickled"),
    "no elements of many": (npy("(1000000000000, 0)", data=b""), "argument-shape"),
}

_THREE = tensor([3], 0, 12)
_OTHER = npz(w=np.zeros(3, "f4"))

#: files of parameters, for a spec whose only one is `w: f32[3]`
PARAMETERS: dict[str, tuple[bytes, str]] = {
    "a zip cut short": (_OTHER[:-40], "data-file-unreadable"),
    "a zip with another sum": (_OTHER.replace(bytes(12), b"x" * 12), "data-file-unreadable"),
    "a zip of objects": (
        zipped({"w.npy": npy("(3,)", "'|O'", b"cos\nmkdir\n(S'pwned'\ntR.")}),
        "parameters-do-not-fit",
    ),
    "a zip that lies": (zipped({"w.npy": npy("(3,)", data=bytes(4))}), "data-file-unreadable"),
    "a zip bomb": (zipped({"w.npy": npy("(1000000000,)", data=b"")}, 1 << 24), "parameters-do-not-fit"),
    "a zip bomb behind the right shape": (
        zipped({"w.npy": npy("(3,)", data=b"")}, 1 << 24),
        "data-file-unreadable",
    ),
    "a zip of a pickle": (zipped({"archive/data.pkl": b"cos\nmkdir\n(S'pwned'\ntR."}), "data-pickled"),
    "a zip of thousands": (zipped({f"a{i}.npy": npy("(3,)") for i in range(3000)}), "parameters-do-not-fit"),
    "a header that is too long": (tensors({"w": _THREE}, bytes(12), 1 << 62), "data-file-unreadable"),
    "a header beyond the file": (tensors({"w": _THREE}, bytes(12), 90_000_000), "data-file-unreadable"),
    "a header cut short": (tensors({"w": _THREE}, bytes(12))[:20], "data-file-unreadable"),
    "tensors cut short": (tensors({"w": _THREE}, bytes(7)), "data-file-unreadable"),
    "tensors over each other": (tensors({"w": _THREE, "v": _THREE}, bytes(12)), "data-file-unreadable"),
    "tensors of 4 TB": (tensors({"w": tensor([10**12], 0, 4 * 10**12)}, bytes(12)), "data-file-unreadable"),
    "tensors beyond 64 bits": (tensors({"w": tensor([2**63, 2], 0, 4)}, bytes(12)), "data-file-unreadable"),
    "negative tensors": (tensors({"w": tensor([-3], 0, 12)}, bytes(12)), "data-file-unreadable"),
    "a nested header": (tensors(b'{"w":' + b"[" * 100_000), "data-file-unreadable"),
    "a header of noise": (tensors(b'{"\xff\xfe": 1}'), "data-file-unreadable"),
    "tensors of 8 bits": (tensors({"w": tensor([3], 0, 3, "F8_E4M3")}, bytes(3)), "parameters-do-not-fit"),
}
