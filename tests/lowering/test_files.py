"""Files: statements in any order, imports, what is used nowhere."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from graphspec.lowering.lower import lower_file
from tests.lowering.lowered import X, ids, lower, names, type_of, warnings


def test_statements_may_stand_in_any_order():
    lines = [
        "output y = h * k",
        "h = x -> dense(width) as fc",
        "block dense(x, width: int) { return x -> linear(width) as lin }",
        "const k = width",
        "const width = 3",
        "input x: f32[N, 4] ~ normal()",
        "dim N = 5",
    ]
    for order in list(permutations(lines))[::97]:
        module = lower("\n".join(order) + "\n")
        assert type_of(module, "y") == "f32[N, 3]"


def test_a_part_of_a_layer_waits_until_the_layer_is_applied():
    module = lower(
        X + "output t = cell.weight * 2\noutput y = x -> repeat(2, cell)\nlayer cell = linear(4)\n"
    )
    assert type_of(module, "t") == "f32[4, 4]"


def test_layers_are_used_before_they_are_declared():
    assert names(lower(X + "output y = enc(x)\nlayer enc = linear(3)\n")) == ["enc.weight", "enc.bias"]


# ---------------------------------------------------------------- imports


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "blocks").mkdir()
    (tmp_path / "blocks" / "deep").mkdir()
    (tmp_path / "blocks" / "net.gspec").write_text(
        'gspec 1\nimport "deep/parts.gspec" as parts\nconst scale = 3\nop relu(x) = scale * x\n'
        "block net(x, width: int = 2 * parts.base) { return x -> parts.part(width) as part -> relu }\n"
    )
    (tmp_path / "blocks" / "deep" / "parts.gspec").write_text(
        "gspec 1\nconst base = 4\nconst scale = 7\n"
        "block part(x, width: int) { return (x -> linear(width) as fc) * scale }\n"
    )
    return tmp_path


def test_blocks_ops_and_consts_are_imported_under_a_name(folder: Path):
    (folder / "main.gspec").write_text(
        'gspec 1\nimport "blocks/net.gspec" as net\nconst scale = 5\n'
        + X
        + "output y = net.net(x)\noutput z = net.relu(relu(x)) * net.scale\n"
    )
    module = lower_file(str(folder / "main.gspec"))
    assert names(module) == ["y.part.fc.weight", "y.part.fc.bias"]
    assert type_of(module, "y") == "f32[N, 8]"
    calls = {n.op.definition for n in module.graph().nodes if n.op.name == "call"}
    assert {"net.relu", "relu"} <= calls


def test_an_imported_body_sees_its_own_file_only(folder: Path):
    (folder / "blocks" / "net.gspec").write_text("gspec 1\nblock net(x) { return x * scale }\n")
    (folder / "main.gspec").write_text(
        'gspec 1\nimport "blocks/net.gspec" as net\nconst scale = 5\n' + X + "output y = net.net(x) * scale\n"
    )
    with pytest.raises(Exception, match=r"unknown-name.*\n --> .*blocks/net.gspec:2:27") as caught:
        lower_file(str(folder / "main.gspec"))
    assert "in: block `net`, used at" in str(caught.value)


def test_a_file_that_is_imported_twice_is_read_once(folder: Path):
    (folder / "other.gspec").write_text(
        'gspec 1\nimport "blocks/deep/parts.gspec" as p\nop one(x) = x * p.base\n'
    )
    (folder / "main.gspec").write_text(
        'gspec 1\nimport "blocks/net.gspec" as net\nimport "other.gspec" as other\n'
        + X
        + "output y = net.net(x)\noutput z = other.one(x)\n"
    )
    assert lower_file(str(folder / "main.gspec"))


def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path_factory: pytest.TempPathFactory):
    outside = tmp_path_factory.mktemp("outside") / "secret.gspec"
    outside.write_text("gspec 1\nconst k = 1\n")
    (folder / "link.gspec").symlink_to(outside)
    (folder / "main.gspec").write_text('gspec 1\nimport "link.gspec" as l\noutput y = ones([l.k])\n')
    with pytest.raises(Exception, match="import-outside-folder"):
        lower_file(str(folder / "main.gspec"))


# ---------------------------------------------------------------- what is used nowhere


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X + "output y = x\n", []),
        (X + "input z: f32[3] ~ normal()\noutput y = x\n", ["unused-declaration"]),
        (X + "h = relu(x)\noutput y = x\n", ["leads-nowhere"]),
        (X + "a, b = split(x, 2, axis=1)\noutput y = a\n", []),
        (X + "a, b = split(x, 2, axis=1)\noutput y = x\n", ["leads-nowhere"]),
        (X + "const k = 2\noutput y = x\n", ["unmentioned"]),
        (X + "const k = 2\nop f(x, by: float = k) = x * by\noutput y = f(x)\n", []),
        (X + "const k = 2\ninit y.weight ~ normal(std=k)\noutput y = linear(x, 3)\n", []),
        (X + "dim M = 2\noutput y = x\n", ["unmentioned"]),
        (X + "layer l = linear(3)\noutput y = x\n", ["unused-declaration"]),
        (
            X + "layer l = b()\nblock b(x) { return relu6(x) }\noutput y = x -> repeat(2, l)\n",
            [],
        ),
        (X + "op f(x, y) = x\noutput y = f(x, x)\n", ["unused-argument"]),
        (X + "op f(x, y[N, C]) = x * C\noutput y = f(x, x)\n", []),
        (X + "op f(x, y) = x {\n  gradient(dx) x = dx * y\n}\noutput y = f(x, x)\n", []),
        (X + "block b(x) {\n  gate = sigmoid(x)\n  return x\n}\noutput y = b(x)\n", ["leads-nowhere"]),
        (X + "block b(x) {\n  gate = sigmoid(x)\n  return x\n}\noutput y = b(x)\noutput z = y.gate\n", []),
        (X + "y = x\n", ["no-result"]),
        ("block b(x) { return x }\n", []),
    ],
)
def test_what_nothing_uses_is_a_warning(text: str, expected: list[str]):
    assert warnings(text) == expected


def test_values_of_gradients_and_updates_count_as_used():
    assert warnings(X + "l = sum(x)\noutput g = grad(l, x)\n") == []


def test_names_lost_to_syntax_errors_are_not_missed():
    assert ids(X + "h = relu(x +)\noutput y = h * fc.weight\nz = linear(x 3) as fc\n") == [
        "unexpected-token",
        "missing-comma",
    ]
