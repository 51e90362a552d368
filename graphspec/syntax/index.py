"""Where the definitions of a file stand, found by a scan of its lines, so that only those used are parsed.

A definition starts in the first column with `block NAME(` or `op NAME(`, together with the `##` lines right
above it, and ends before the next line that starts in the first column with anything but a closing bracket
or `->`.  The standard library is written so, as the formatter writes every file; a test compares the scan
with the parser.
"""

from __future__ import annotations

import re

_DEFINITION = re.compile(r"^(?:block|op)[ \t]+([A-Za-z_][A-Za-z_0-9]*)[ \t]*\(", re.MULTILINE)
_NEXT = re.compile(r"^(?!->)[^\s})\]#]", re.MULTILINE)


def index(text: str) -> dict[str, tuple[int, int]]:
    """The definitions of a file, as `parse_definition` takes them: name -> (start, end), documented."""
    found: dict[str, tuple[int, int]] = {}
    for match in _DEFINITION.finditer(text):
        start = match.start()
        following = _NEXT.search(text, match.end())
        end = following.start() if following else len(text)
        found[match.group(1)] = (_documentation(text, start), _last(text, match.end(), end))
    return found


def _documentation(text: str, start: int) -> int:
    """The start of the `##` lines that end right above `start`, or `start`."""
    while start > 0:
        above = text.rfind("\n", 0, start - 1) + 1
        line = text[above:start]
        if not line.startswith("##") or line.startswith("###"):
            break
        start = above
    return start


def _last(text: str, start: int, end: int) -> int:
    """The end of the last line of [start, end) that is neither blank nor a comment in the first column."""
    while True:
        while text[end - 1].isspace():
            end -= 1
        line = text.rfind("\n", start, end) + 1
        if line == 0 or not text.startswith("#", line):
            return end
        end = line
