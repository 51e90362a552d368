"""What the documents of `--json` hold: their schema as data.

`graphspec explain json` prints it, and the tests compare with it what every command writes.  A schema is a
text `"TYPE: meaning"` for a value, a mapping by key for an object, or a list with the schema of its elements.
The key `*` stands for names that the spec or the request chooses; a key that ends with `?` may be missing or
null.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

Schema: TypeAlias = "str | dict[str, Schema] | list[Schema]"

INTRODUCTION = """\
With --json a command writes one document to stdout and nothing to stderr, also when it fails; only what is
wrong with the command itself (exit status 2) is text.  A key does not change its meaning and does not go away
while `schema_version` stays the same; new keys may come at any time.  A number that is not finite is the
string "nan", "inf" or "-inf".  Lines and columns count from 1, offsets from 0 in characters.  Where `ok` is
false, `result` is null or holds what there was until then.

`*` stands for a name; a key with `?` may be missing or null."""

POSITION: Schema = {"line": "integer", "column": "integer", "offset": "integer"}
SPAN: dict[str, Schema] = {"file": "string: as it was given", "start": POSITION, "end": POSITION}
LABEL: Schema = {**SPAN, "label": "string: what is said about the place"}

DIAGNOSTIC: Schema = {
    "id": "string: `graphspec explain ID` has its long form",
    "severity": "string: error, warning or note",
    "message": "string",
    "primary?": LABEL,
    "secondary": [LABEL],
    "notes": ["string"],
    "help": ["string"],
    "fixes": [{"message": "string", "edits": [{**SPAN, "text": "string: what comes in place of it"}]}],
    "trace": [{"what": "string: the block or op that was being read", **SPAN}],
}

ARRAY: Schema = {
    "shape": ["integer"],
    "dtype": "string: f32, f64, i64 and so on",
    "norm": "number: the Euclidean norm, in double precision",
    "min": "number | null: null of an empty array",
    "max": "number | null",
}

SPREAD: dict[str, Schema] = {
    "median": "number: seconds",
    "low": "number: seconds, which a quarter of them took less than",
    "high": "number: seconds, which a quarter of them took more than",
    "count": "integer",
}
PLACE: dict[str, Schema] = {
    "file": "string",
    "line": "integer",
    "text": "string: the call or expression",
}
TALLY: dict[str, Schema] = {
    "seconds": "number",
    "flops": "integer: multiplications and additions of products and convolutions, by their definitions",
    "bytes": "integer: of operands and results",
    "least_seconds": "number: what the limits allow",
    "limit": "string: products, memory or, where there is so little to do that they take longer, calls",
    "share": "number | null: the part of the seconds that the limit explains; null of views",
}
LIMITS: dict[str, Schema] = {
    "threads": "integer: those that were measured together",
    "products": {"*": "number: FLOPs a second, by dtype"},
    "memory": "number: bytes a second, read and written, in no cache",
    "copies": {"*": "number: the same, by how many bytes one copy reads and writes"},
    "call": "number: seconds of a call that does nothing",
}
WORK: dict[str, Schema] = {
    "steps": "integer: without views",
    "flops": "integer",
    "intermediates": "integer: bytes of all values that are no results, and of working storage",
    "arena": "integer: bytes that they lie in",
}

DOCUMENT: dict[str, Schema] = {
    "schema_version": "integer",
    "command": "string",
    "ok": "boolean: whether the exit status is 0",
    "diagnostics": [DIAGNOSTIC],
    "result": "any: by command, below",
}

#: by command, what `result` is
RESULTS: dict[str, dict[str, Schema]] = {
    "check": {
        "specs": {
            "*": {"ok": "boolean", "nodes?": "integer: of the graph", "parameters?": "integer: tensors"}
        }
    },
    "show": {
        "nodes?": [
            {
                "names": ["string"],
                "op": "string",
                "attributes": {"*": "any"},
                "inputs": ["string"],
                "types": ["string: one for each result"],
                "parameters": "string | null: how many elements a parameter has",
                "values?": [
                    {
                        "shape": ["integer"],
                        "finite": "boolean: whether no element is NaN or infinite",
                        "norm": "number: the Euclidean norm, in double precision",
                        "min": "number | null: null of an empty array",
                        "max": "number | null",
                    }
                ],
            }
        ],
        "outputs?": ["string"],
        "text?": "string: the syntax, .gspec text or the drawing that was asked for",
        "steps?": [
            {
                "number": "integer",
                "names": ["string: one for each result"],
                "op": "string",
                "inputs": ["string"],
                "types": ["string: sizes are numbers"],
                "place": ["string: arena OFFSET, over NAME, view of NAME, result or number"],
                "bytes": "integer: of its own",
                "scratch": "integer: bytes that it works in",
                "last": "integer: the step that reads it last",
            }
        ],
        "sizes?": {"*": "integer: by dim"},
        "bytes?": {
            "arena": "integer",
            "results": "integer",
            "inputs": "integer",
            "without_reuse": "integer: what the arena would be",
        },
        "names?": [
            {"name": "string", "kind": "string: input, param, buffer, noise or value", "type": "string"}
        ],
    },
    "forward": {"values": {"*": ARRAY}},
    "grad": {
        "objectives": {
            "*": {
                "value?": ARRAY,
                "gradients?": {"*": ARRAY},
                "norms?": {"*": ARRAY},
            }
        }
    },
    "jacobian": {
        "of": "string",
        "wrt": "string",
        "jacobian": ARRAY,
        "error?": "number: with --check, the largest difference, relative to the largest element",
    },
    "gradcheck": {
        "ok": "boolean: whether no derivative is wrong",
        "derivatives": [
            {
                "name": "string: a parameter, an input, a value, or op.argument",
                "kind": "string",
                "of": "string: what is differentiated",
                "order": "integer: 1 or 2",
                "compared": "string",
                "error": "number | null: |g - g_est| / |g + g_est|",
                "verdict": "string: right, wrong, kink, too small, surrogate or unknown",
            }
        ],
    },
    "bench": {
        "of": ["string: the values, or what is differentiated"],
        "wrt": ["string: by what; none where only values are computed"],
        "per_example": "string | null: gradients or norms",
        "sizes": {"*": "integer: by dim"},
        "backend": "string",
        "threads": "integer: how many a call uses at most",
        "turns": "integer: how many pieces of the batch each thread works on, one after the other",
        "in_pieces": "boolean: whether these threads share the batch; nodes are timed in one thread then",
        "call": {
            **SPREAD,
            "least_seconds": "number: what this machine needs at least",
            "share": "number: of what this machine can do",
        },
        "run": {
            **SPREAD,
            "attributed": "number: seconds of all nodes, from runs that look at the clock",
            "waited": "number: the part of the runs in which other work had the processor",
        },
        "lines": [
            {
                "places": [PLACE],
                "steps": "integer",
                **TALLY,
                "forward_seconds": "number",
                "backward_seconds": "number: what only gradients need",
            }
        ],
        "nodes": [
            {
                "names": ["string: often none"],
                "inside": "string | null: of a node without a name, the value that it is a part of",
                "op": "string",
                "members": ["string: the ops that it does in one, where it does several"],
                "places": [PLACE],
                "direction": "string: forward or backward",
                "types": ["string: one for each result"],
                **TALLY,
            }
        ],
        "kernels": [{"op": "string", "members": ["string"], "steps": "integer", **TALLY}],
        "limits": {"nodes": LIMITS, "call": LIMITS},
        "ran": WORK,
        "written": WORK,
    },
    "emit": {"program": "string"},
    "init": {"seed": "integer", "parameters": {"*": ARRAY}},
    "fmt": {
        "files": {
            "*": {
                "changed": "boolean",
                "diff?": "string: with --diff, where it changed",
                "text?": "string: of stdin",
            }
        }
    },
    "explain": {
        "diagnostics?": [{"id": "string", "severity": "string", "explanation": "string"}],
        "schema?": "any: with `json`, what this page shows",
    },
    "ops": {
        "functions": [
            {
                "name": "string",
                "kind": "string: definition, primitive, form or sampler",
                "text": "string: the definition or the documentation",
            }
        ]
    },
}


def schema_page() -> str:
    """The page that `graphspec explain json` prints."""
    lines = [INTRODUCTION, "", "every document:", *_lines(DOCUMENT, 1)]
    for command, result in RESULTS.items():
        lines += ["", f"result of {command}:", *_lines(result, 1)]
    return "\n".join(lines)


def _lines(schema: dict[str, Schema], depth: int) -> Iterator[str]:
    """A line for each key, indented by its depth."""
    for key, value in schema.items():
        inner, sign = (value[0], " []") if isinstance(value, list) else (value, "")
        head = "    " * depth + key + sign
        if isinstance(inner, dict):
            yield head
            yield from _lines(inner, depth + 1)
        else:
            yield f"{head}: {inner}"
