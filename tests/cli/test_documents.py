"""Every command writes one JSON document that is as `graphspec explain json` says, also when it fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from graphspec.cli import app
from graphspec.cli.documents import DOCUMENT, RESULTS, Schema

SPECS = Path(__file__).parent.parent.parent / "specs"

SPEC = """gspec 1
dim N = 3
input x: f32[N, 2] ~ normal()
h = x -> linear(2) as fc -> relu
output y = sum(h)
"""
BAD = SPEC.replace("relu", "rleu")

#: of each command what it is given, `SPEC`, `BAD` and `OUT` being files
FINE: dict[str, list[list[str]]] = {
    "check": [["SPEC"], ["SPEC", "SPEC"]],
    "show": [
        ["SPEC"],
        ["SPEC", "--names"],
        ["SPEC", "--stage", "gradient", "--wrt", "fc.weight"],
        ["SPEC", "--stage", "ast"],
        ["SPEC", "--stage", "plan", "--wrt", "fc.weight"],
        ["SPEC", "--format", "svg"],
        ["SPEC", "--values"],
        ["SPEC", "--values", "--stage", "gradient", "--wrt", "fc.weight", "--format", "svg"],
    ],
    "forward": [["SPEC"], ["SPEC", "--of", "h", "--of", "x[0:0]"]],
    "grad": [
        ["SPEC", "--wrt", "@params"],
        ["SPEC", "--wrt", "x", "--of", "y", "--of", "mean(h)"],
        ["SPEC", "--wrt", "x", "--per-example"],
        ["SPEC", "--wrt", "@params", "--per-example-norms"],
    ],
    "jacobian": [
        ["SPEC", "--of", "h", "--wrt", "x", "--rows", "0:2"],
        ["SPEC", "--of", "h", "--wrt", "x", "--check"],
    ],
    "gradcheck": [["SPEC"]],
    "bench": [
        ["SPEC", "--repeat", "3"],
        ["SPEC", "--repeat", "3", "--wrt", "x", "--of", "h", "--cotangent", "ones", "--no-opt"],
        ["SPEC", "--repeat", "3", "--wrt", "@params", "--per-example-norms"],
    ],
    "emit": [["SPEC", "--wrt", "x"]],
    "init": [["SPEC", "--out", "OUT"]],
    "fmt": [["SPEC"], ["SPEC", "--diff"]],
    "explain": [[], ["not-reached"], ["json"]],
    "ops": [[], ["linear"]],
}
WRONG: dict[str, list[list[str]]] = {
    "check": [["BAD"], ["SPEC", "BAD"], ["missing.gspec"]],
    "show": [["BAD"]],
    "forward": [["BAD"], ["SPEC", "--of", "zz"], ["SPEC", "--set", "M=3"]],
    "grad": [["BAD", "--wrt", "x"], ["SPEC", "--wrt", "zz"], ["SPEC", "--wrt", "x", "--data", "no.npz"]],
    "jacobian": [["BAD", "--of", "h", "--wrt", "x"], ["SPEC", "--of", "h", "--wrt", "x", "--rows", "99"]],
    "gradcheck": [["BAD"], ["SPEC", "--op", "rleu"]],
    "bench": [["BAD"], ["SPEC", "--wrt", "zz"], ["SPEC", "--of", "h", "--wrt", "x"]],
    "emit": [["BAD", "--wrt", "x"]],
    "init": [["BAD", "--out", "OUT"], ["SPEC", "--out", "no/such/folder.npz"]],
    "fmt": [["missing.gspec"]],
    "explain": [["nothing-like-it"]],
    "ops": [["nothing_like_it"]],
}


@pytest.fixture
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "SPEC").write_text(SPEC)
    (tmp_path / "BAD").write_text(BAD)
    monkeypatch.chdir(tmp_path)


def run(command: str, arguments: list[str]) -> Result:
    return CliRunner().invoke(app, [command, *(a.replace("OUT", "out.npz") for a in arguments), "--json"])


TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "boolean": bool,
    "number": (int, float),
    "null": type(None),
    "any": object,
}


def disagreements(found: Any, schema: Schema, place: str) -> list[str]:
    """Where a part of a document is not as its schema says."""
    if isinstance(schema, str):
        kinds = schema.partition(":")[0].split(" | ")
        fits = any(isinstance(found, TYPES[kind]) for kind in kinds)
        not_finite = "number" in kinds and found in ("nan", "inf", "-inf")
        return [] if fits or not_finite else [f"{place} is {found!r}, not {' or '.join(kinds)}"]
    if isinstance(schema, list):
        if not isinstance(found, list):
            return [f"{place} is {found!r}, not a list"]
        return [w for i, x in enumerate(found) for w in disagreements(x, schema[0], f"{place}[{i}]")]
    if not isinstance(found, dict):
        return [f"{place} is {found!r}, not an object"]
    if "*" in schema:
        return [w for key, x in found.items() for w in disagreements(x, schema["*"], f"{place}.{key}")]
    wrong = [f"{place}.{key} is missing" for key in schema if not key.endswith("?") and key not in found]
    for key, value in found.items():
        if f"{key}?" in schema and value is None:
            continue
        inner = schema.get(key, schema.get(f"{key}?"))
        if inner is None:
            wrong.append(f"{place}.{key} is not in the schema")
        else:
            wrong += disagreements(value, inner, f"{place}.{key}")
    return wrong


def test_the_schema_has_every_command() -> None:
    commands = {info.name or getattr(info.callback, "__name__", "") for info in app.registered_commands}
    assert set(RESULTS) == set(FINE) == set(WRONG) == commands


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize(("command", "arguments"), [(c, a) for c, many in FINE.items() for a in many])
def test_a_document_is_as_its_schema_says(command: str, arguments: list[str]) -> None:
    result = run(command, arguments)
    found = json.loads(result.stdout)
    assert disagreements(found, DOCUMENT, "document") == []
    assert disagreements(found["result"], RESULTS[command], "result") == []
    assert (found["command"], result.stderr) == (command, "")
    assert found["ok"] is (result.exit_code == 0)
    assert list(found) == list(DOCUMENT)


@pytest.mark.usefixtures("_files")
@pytest.mark.parametrize(("command", "arguments"), [(c, a) for c, many in WRONG.items() for a in many])
def test_a_command_that_fails_writes_its_document_too(command: str, arguments: list[str]) -> None:
    result = run(command, arguments)
    found = json.loads(result.stdout)
    assert disagreements(found, DOCUMENT, "document") == []
    assert (result.exit_code, found["ok"], result.stderr) == (1, False, "")
    assert any(d["severity"] == "error" for d in found["diagnostics"])


@pytest.mark.usefixtures("_files")
def test_a_backend_that_is_not_there_is_in_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "cupy", None)
    result = run("forward", ["SPEC", "--backend", "cupy"])
    found = json.loads(result.stdout)
    assert (result.exit_code, [d["id"] for d in found["diagnostics"]]) == (3, ["backend-unavailable"])


def test_a_place_in_a_document_is_that_of_the_text(tmp_path: Path) -> None:
    spec = tmp_path / "bad.gspec"
    spec.write_text(BAD)
    (found,) = json.loads(run("check", [str(spec)]).stdout)["diagnostics"]
    assert (found["id"], found["primary"]["file"]) == ("unknown-function", str(spec))
    start = found["primary"]["start"]
    assert BAD[start["offset"] :].startswith("rleu")
    assert BAD.splitlines()[start["line"] - 1][start["column"] - 1 :] == "rleu"


def test_explain_json_prints_every_key() -> None:
    page = CliRunner().invoke(app, ["explain", "json"]).stdout
    for result in RESULTS.values():
        assert all(f"    {key}" in page for key in result)
    assert "schema_version: integer" in page
