"""The command that formats specs: fmt."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from graphspec.cli import options
from graphspec.cli.report import Report

if TYPE_CHECKING:
    from graphspec.diagnostics import Diagnostic, Source

STDIN = "<stdin>"


def fmt(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Files, folders, or - for stdin.", show_default=False),
    ],
    check: Annotated[bool, typer.Option("--check", help="Only say what would change, by status 1.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="As --check, and print the changes.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Apply the repairs that diagnostics offer.")] = False,
    json: options.JsonFlag = False,
) -> None:
    """Format specs in the one style; comments stay, and what the spec says."""
    with Report("fmt", as_json=json) as report:
        from graphspec.diagnostics import GraphSpecError

        report.result = {"files": {}}
        for path in _files(files):
            try:
                source = _read(path)
                text = _repaired(report, source, path, quiet=diff) if fix else _formatted(source)
                if path is not None and text != source.text and not (check or diff):
                    _write(path, text)
            except GraphSpecError as error:
                report.fail(error)
                continue
            changed = text != source.text
            report.result["files"][source.name] = facts = {"changed": changed}
            if check or diff:
                report.exit_code = max(report.exit_code, int(changed))
                if changed and diff:
                    _to_stdout(report, facts, "diff", _difference(source, text))
                elif changed:
                    report.line(f"{source.name} would change")
            elif path is None:
                _to_stdout(report, facts, "text", text)
            elif changed:
                report.line(f"{source.name} formatted")


def _files(paths: list[Path]) -> list[Path | None]:
    """The files, those in folders too; None is stdin."""
    found: list[Path | None] = []
    for path in paths:
        if str(path) == "-":
            found.append(None)
        elif path.is_dir():
            found += sorted(path.rglob("*.gspec"))
        else:
            found.append(path)
    return found


def _read(path: Path | None) -> Source:
    from graphspec.diagnostics import GraphSpecError, Source
    from graphspec.diagnostics.catalogue.files import not_utf8
    from graphspec.lowering.definitions import read_source

    if path is not None:
        return read_source(str(path), str(path))
    data = sys.stdin.buffer.read()
    try:
        return Source(STDIN, data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise GraphSpecError(not_utf8(STDIN, data[: error.start].count(b"\n") + 1, None)) from None


def _formatted(source: Source) -> str:
    from graphspec.syntax.format import format_text

    return format_text(source)


def _repaired(report: Report, source: Source, path: Path | None, *, quiet: bool) -> str:
    """The text with its findings repaired where they say how; those that are left are told."""
    from graphspec.syntax.fix import fix_text

    folder = str((path or Path("-")).absolute().parent)
    fixed = fix_text(source, lambda text: _diagnose(text, folder))
    for finding in () if quiet or path is None else fixed.repaired:
        place = finding.primary.span if finding.primary else source.name
        report.line(f"{place}: {finding.message}: {finding.fixes[0].message}")
    for finding in fixed.remaining:
        report.tell(finding)
        if finding.severity == "error":
            report.exit_code = max(report.exit_code, 1)
    return fixed.text


def _diagnose(source: Source, folder: str) -> list[Diagnostic]:
    """Everything that is found in a text before arrays exist."""
    from graphspec.diagnostics import GraphSpecError
    from graphspec.lowering.lower import lower_text

    try:
        lower_text(source.text, folder, source.name)
    except GraphSpecError as error:
        return list(error.diagnostics)
    return []


def _to_stdout(report: Report, facts: dict[str, Any], key: str, text: str) -> None:
    """A text as it is, or under its key in the JSON document."""
    if report.as_json:
        facts[key] = text
    report.write(text)


def _difference(source: Source, text: str) -> str:
    from difflib import unified_diff

    before, after = source.text.splitlines(keepends=True), text.splitlines(keepends=True)
    lines = unified_diff(before, after, source.name, f"{source.name} (formatted)")
    missing = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + missing for line in lines)


def _write(path: Path, text: str) -> None:
    """Replace a file, whole or not at all, and keep its permissions; a link stays a link."""
    import os
    import shutil

    from graphspec.diagnostics import GraphSpecError
    from graphspec.diagnostics.catalogue.data import data_file_unwritable

    target = path.resolve()
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        try:
            draft.write_bytes(text.encode("utf-8"))
            shutil.copymode(target, draft)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise GraphSpecError(data_file_unwritable(str(path), error.strerror or str(error))) from None
