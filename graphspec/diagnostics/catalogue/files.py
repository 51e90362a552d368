"""Diagnostics about the files of a spec: those it imports, and the text itself."""

from __future__ import annotations

from collections.abc import Sequence

from graphspec.diagnostics.catalogue._register import diagnostic, finding, suggestions
from graphspec.diagnostics.model import Diagnostic, Edit, Fix, Label
from graphspec.diagnostics.source import Span


@diagnostic()
def import_without_folder(path: str, place: Span) -> Diagnostic:
    """A text that is no file has no folder to import from; give `gs.loads` a `base`."""
    return finding(f'"{path}" cannot be imported: this text has no folder', primary=Label(place))


@diagnostic()
def import_outside_folder(path: str, place: Span) -> Diagnostic:
    """Imports are relative to the importing file, and stay below the folder of the file asked for."""
    return finding(f'"{path}" is not below the folder of the spec', primary=Label(place))


@diagnostic()
def import_cycle(chain: Sequence[str], place: Span) -> Diagnostic:
    """A file imports itself, directly or through others."""
    return finding(f"an import goes in a circle: {' -> '.join(chain)}", primary=Label(place))


@diagnostic()
def spec_not_found(path: str, neighbours: Sequence[str], place: Span | None) -> Diagnostic:
    """There is no file of that name."""
    folder, slash, name = path.replace("\\", "/").rpartition("/")
    close = suggestions(name.removesuffix(".gspec"), [n.removesuffix(".gspec") for n in neighbours])
    guess = f"did you mean `{folder}{slash}{close[0]}.gspec`?" if close else ""
    if place is None:
        return finding(f"there is no file `{path}`", help=(guess,) if guess else ())
    written = place.text.strip('"')
    edit = Edit(place, f'"{written[: len(written) - len(name)]}{close[0]}.gspec"') if close else None
    return finding(
        f"there is no file `{path}`",
        primary=Label(place, guess),
        fixes=(Fix(guess, (edit,)),) if edit else (),
    )


@diagnostic()
def spec_is_a_directory(path: str, place: Span | None) -> Diagnostic:
    """A folder is given where a `.gspec` file is needed."""
    return finding(f"`{path}` is a folder, not a spec", primary=Label(place) if place else None)


@diagnostic()
def spec_unreadable(path: str, why: str, place: Span | None) -> Diagnostic:
    """The file exists and cannot be read."""
    return finding(f"`{path}` cannot be read: {why}", primary=Label(place) if place else None)


@diagnostic()
def spec_too_large(path: str, limit: int, place: Span | None) -> Diagnostic:
    """A spec is a small text file; 2 MiB, some fifty thousand lines, are the limit."""
    return finding(f"`{path}` is larger than {limit // 2**20} MiB", primary=Label(place) if place else None)


@diagnostic()
def not_utf8(path: str, line: int, place: Span | None) -> Diagnostic:
    """A spec is UTF-8 text."""
    return finding(f"`{path}` is not UTF-8 text: line {line}", primary=Label(place) if place else None)
