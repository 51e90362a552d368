"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import data as say

AnyPath: TypeAlias = "str | os.PathLike[str]"


def is_stream(path: AnyPath) -> bool:
    """Whether this is a device or a pipe: not to be replaced, nor sought in."""
    target = Path(path)
    return target.exists() and not target.is_file()


@contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """A new file beside `path`, which takes its place when the context ends well, and else is gone.

    Raises GraphSpecError where it cannot be written.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    with explained(path):
        try:
            with draft.open("xb"):
                pass
            mode = draft.stat().st_mode
            yield draft
            draft.chmod(mode)  # whoever wrote it may have made another file, for its owner only
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)


@contextmanager
def explained(path: AnyPath) -> Iterator[None]:
    """Failing to write becomes a diagnostic."""
    try:
        yield
    except OSError as error:
        raise GraphSpecError(say.data_file_unwritable(str(path), error.strerror or str(error))) from None
