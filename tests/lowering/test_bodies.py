"""Blocks and ops: arguments and patterns, static branches, results, state, gradients by hand."""

from __future__ import annotations

import numpy as np
import pytest

from graphspec.ir import Call
from graphspec.lowering.module import Module
from graphspec.testing import evaluate
from tests.lowering.lowered import X, ids, lower, names, number, refused, type_of


def op_call(module: Module, name: str = "y") -> Call:
    """The call that made a value."""
    call = module.values[name].node.op
    assert isinstance(call, Call)
    return call


# ---------------------------------------------------------------- arguments


def test_a_pattern_binds_sizes_that_are_static_integers():
    module = lower(
        "input x: f32[N, 3, 8] ~ normal()\nop f(x[N, C, ...]) = reshape(x, [N * C, -1]) / (N * C)\n"
        "output y = f(x)\n"
    )
    assert type_of(module, "y") == "f32[3*N, 8]"


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("[N, C, H, W]", True),
        ("[..., W]", True),
        ("[N, ..., W]", True),
        ("[...]", True),
        ("[N, 3, 8, 8]", True),
        ("[N, C, S, S]", True),
        ("[N, C, ..., 2 * C + 2]", True),
        ("[N, C, H]", False),
        ("[N, 4, ...]", False),
        ("[A, B, C, D, ..., E]", False),
    ],
)
def test_patterns_hold_literals_arithmetic_and_one_ellipsis(pattern: str, fits: bool):
    text = f"input x: f32[N, 3, 8, 8] ~ normal()\nop f(x{pattern}) = 2 * x\noutput y = f(x)\n"
    if fits:
        assert lower(text)
    else:
        assert ids(text) == ["pattern-mismatch"]


def test_patterns_of_several_arguments_must_agree():
    op = "op f(a[..., D], b[D, E], c[..., E] = none) = a @ b if c is none else a @ b + c\n"
    inputs = (
        "input a: f32[N, 2, 4] ~ normal()\ninput b: f32[4, 5] ~ normal()\ninput c: f32[N, 2, 5] ~ normal()\n"
    )
    assert type_of(lower(inputs + op + "output y = f(a, b) + f(a, b, c=c)\n"), "y") == "f32[N, 2, 5]"
    assert ids(inputs + op + "output y = f(a, b, c=c[0])\n") == ["pattern-mismatch"]


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        ("k: int", "3", 3),
        ("k: float", "3", 3.0),
        ("k: float = 0.5", "", 0.5),
        ("k: bool", "true", True),
        ("k: str", '"a"', "a"),
        ("k: int[]", "3", (3,)),
        ("k: int[]", "[1, 2, 3]", (1, 2, 3)),
        ("k: int[]", "(1, 2)", (1, 2)),
        ("k: int[2]", "5", (5, 5)),
        ("k: int[2]", "[5, 6]", (5, 6)),
        ("k: int[] = none", "", None),
        ("k: int = none", "none", None),
        ("k: float[2] = [1, 2]", "", (1.0, 2.0)),
    ],
)
def test_static_arguments_take_the_form_that_is_declared(parameter: str, given: str, expected: object):
    argument = f", k={given}" if given else ""
    module = lower(
        X
        + f"op f(x, {parameter}) {{\n  used = k is none\n  return x if used else 2 * x\n}}\n"
        + f"output s = f(x{argument}) + 0\n"
    )
    (call,) = [n.op for n in module.graph().nodes if isinstance(n.op, Call)]
    assert dict(call.statics)["k"] == expected


def test_the_first_static_argument_is_positional_and_the_others_are_named():
    op = "op f(x, a: float, b: float = 2.0) = x * a + b\n"
    assert type_of(lower(X + op + "output y = f(x, 2, b=3)\n"), "y") == "f32[N, 4]"
    assert type_of(lower(X + op + "output y = x -> f(2)\n"), "y") == "f32[N, 4]"
    assert ids(X + op + "output y = f(x, 2, 3)\n") == ["too-many-positional"]


def test_a_default_may_name_earlier_arguments_and_their_sizes():
    op = "op f(x[..., D], k: int = 2 * D, s: float = 1 / sqrt(k)) = x * k * s\n"
    module = lower("input x: f64[3, 8] ~ normal()\n" + op + "output y = f(x)\n")
    np.testing.assert_allclose(number(module, "y", x=np.ones((3, 8))), 16 / 4.0)


def test_optional_tensors_are_asked_for_with_is_none():
    op = "op f(x, w = none) {\n  if w is not none { return x * w }\n  return x\n}\n"
    module = lower(X + op + "output y = f(x) + f(x, w=2 * x) + f(x, w=none)\n")
    assert np.all(number(module, "y", {"N": 1}, x=np.ones((1, 4), "f")) == 4)


def test_numbers_are_tensors_where_tensors_are_asked_for():
    assert type_of(lower(X + "op f(x, y) = maximum(x, y)\noutput y = f(x, 2)\n"), "y") == "f32[N, 4]"


# ---------------------------------------------------------------- bodies


def test_branches_are_decided_first_up_to_the_first_return():
    block = (
        'block b(x, kind: str = "none") {\n'
        '  if kind == "none" { return x } else if kind == "double" { return 2 * x }\n'
        "  h = x -> linear(4) as fc\n  if not training { return h }\n  return dropout(h)\n}\n"
    )
    assert names(lower(X + block + 'output y = b(x, kind="double")\n')) == []
    assert names(lower(X + block + 'output y = b(x, kind="linear")\n')) == ["y.fc.weight", "y.fc.bias"]
    assert names(lower(X + block + 'output y = b(x, kind="linear")\n', training=True), "noise") == [
        "y.dropout.u"
    ]


def test_statements_of_a_path_are_unordered_and_conditions_may_use_locals():
    block = (
        "block b(x[..., D]) {\n  y = h * 2\n  if small { return y } else { z = y + 1 }\n  h = relu(x)\n"
        "  return z\n  small = D < 3\n}\n"
    )
    with pytest.raises(Exception, match="unknown-name"):
        lower(X + block + "output y = b(x)\n")  # `small` stands behind the return: not on the path
    assert lower(
        X
        + block.replace("  return z\n  small = D < 3\n", "  small = D < 3\n  return z\n")
        .replace("  y = h * 2\n  if small", "  small = D < 3\n  y = h * 2\n  if small")
        .replace("  small = D < 3\n  return", "  return")
        + "output y = b(x)\n"
    )


def test_the_mode_matters_only_where_it_is_asked_for():
    assert lower(X + "output y = dropout(x)\n").mode_matters
    assert not lower(X + "output y = relu(x)\n").mode_matters


def test_require_refuses_a_call_with_its_own_words():
    op = 'op f(x[..., D], k: int) {\n  require D % k == 0, "`k` must divide"\n'
    op += "  return reshape(x, [-1, k])\n}\n"
    assert lower(X + op + "output y = f(x, 2)\n")
    (found,) = refused(X + op + "output y = f(x, 3)\n")
    assert (found.id, found.message, found.notes) == (
        "requirement-failed",
        "`k` must divide",
        ("here `D` = 4, `k` = 3",),
    )
    assert found.primary is not None
    assert found.primary.span.text == "f(x, 3)"


def test_several_results_are_named_or_passed_on():
    block = "block two(x) -> [...], [...] { return x, 2 * x }\n".replace("(x)", "(x[...])")
    module = lower(X + block + "a, b = two(x)\noutput c = two(x) -> concat(axis=0)\noutput d = a + b\n")
    assert type_of(module, "c") == "f32[2*N, 4]"


def test_result_types_are_checked_and_bind_what_means_nothing_yet():
    assert lower(X + "op f(x[N, D]) -> [N, D] = x\noutput y = f(x)\n")
    assert lower(X + "op f(x[N, D]) -> [N, ..., E] = x\noutput y = f(x)\n")
    assert lower(X + "op f(x[...]) -> f32[...] = x\noutput y = f(x)\n")
    assert ids(X + "op f(x[N, D]) -> [D, N] = x\noutput y = f(x)\n") == ["annotation-mismatch"]
    assert ids(X + "op f(x[...]) -> f64[...] = x\noutput y = f(x)\n") == ["annotation-mismatch"]


def test_bodies_see_their_arguments_consts_and_definitions_only():
    text = (
        X
        + "const k = 2\nparam w: f32[4] = ones()\nop twice(x) = k * x\n"
        + "block b(x) { return twice(x) + w }\noutput y = b(x) * w\n"
    )
    assert ids(text) == ["not-visible-in-a-body"]
    assert lower(text.replace("+ w }", "}"))


def test_an_op_owns_nothing_also_through_blocks_that_it_uses():
    assert ids(X + "op f(x) = linear(x, 3)\noutput y = f(x)\n") == ["op-owns-nothing"]
    assert lower(X + "op f(x) = dropout(x)\noutput y = f(x)\n")  # in eval mode it owns no noise
    assert ids(X + "op f(x) = dropout(x)\noutput y = f(x)\n", training=True) == ["op-owns-nothing"]


def test_calls_of_one_op_with_the_same_types_share_their_body():
    module = lower(
        X
        + "op f(x, k: float) = k * tanh(x)\ny = f(x, 2)\nz = f(2 * x, 2)\nw = f(x, 3)\noutput s = y + z + w\n"
    )
    assert op_call(module, "y") == op_call(module, "z")
    assert op_call(module, "y") is not op_call(module, "w")
    assert op_call(module, "w").statics == (("k", 3.0),)


# ---------------------------------------------------------------- state


COUNTED = (
    "block counted(x[..., D], momentum: float = 0.5) {\n  buffer running[D] = zeros()\n"
    "  if training { update running = momentum * running + x[0] }\n  return x - running\n}\n"
)


def test_updates_are_results_of_train_mode_only():
    text = X + COUNTED + "output y = counted(x)\n"
    assert lower(text).updates == {}
    module = lower(text, training=True)
    assert [(n, str(v.type)) for n, v in module.updates.items()] == [("y.running", "f32[4]")]
    assert module.mode_matters


def test_updates_leave_the_calls_that_hold_them():
    module = lower(X + "output y = x -> batch_norm as bn\n", training=True)
    assert list(module.updates) == ["bn.running_mean", "bn.running_var", "bn.num_batches_tracked"]
    assert names(module, "buffer") == list(module.updates)


@pytest.mark.parametrize("block", ["counted()", "batch_norm(momentum=0.5)"])
def test_a_layer_that_is_applied_twice_updates_its_state_twice(block: str):
    """As in PyTorch: the second application goes on from what the first has made of the buffer."""
    text = f"input x: f64[3, 4] ~ normal()\n{COUNTED}layer c = {block}\n"
    module = lower(text + "a = c(x)\nb = c(2 * x)\noutput y = a + b\n", training=True)
    x = np.arange(12.0).reshape(3, 4)
    name, new = ("c.running", x[0]) if block == "counted()" else ("c.running_mean", 0.5 * x.mean(axis=0))
    needed = {module.values["x"]: x}
    others = [d.value for d in module.declared.values() if d.kind != "input"]
    needed |= {v: np.zeros(v.shape, v.dtype.array_name) for v in others}
    np.testing.assert_allclose(evaluate([module.updates[name]], needed)[0], 0.5 * new + 2 * new)


# ---------------------------------------------------------------- gradients by hand


def test_a_gradient_line_belongs_to_its_argument():
    op = "op f(x, w) = x * w {\n  gradient(dy) x = dy * w\n}\n"
    body = op_call(lower(X + op + "output y = f(x, 2 * x)\n")).body
    assert list(body.gradients) == [0]
    assert not body.gradients[0].surrogate


def test_gradient_lines_may_name_locals_and_the_returned_result():
    op = (
        "op sigma(x, slope: float = 1.0) {\n  e = exp(-slope * x)\n  y = 1 / (1 + e)\n  return y\n"
        "  gradient(dy) x = slope * y * (1 - y) * dy\n}\n"
    )
    assert list(op_call(lower(X + op + "output y = sigma(x, slope=2)\n")).body.gradients) == [0]


def test_several_results_have_a_cotangent_each():
    op = (
        "op polar(a, b) {\n  r = sqrt(a ** 2 + b ** 2)\n  t = atan2(b, a)\n  return r, t\n"
        "  gradient(dr, dt) a = dr * a / r - dt * b / r ** 2\n}\n"
    )
    body = op_call(lower(X + op + "r, t = polar(x, 2 * x)\noutput y = r + t\n"), "r").body
    assert len(body.gradients[0].cotangents) == 2


def test_a_surrogate_is_another_derivative_on_purpose():
    body = op_call(lower(X + "op f(x) = round(x) { surrogate(dy) x = dy }\noutput y = f(x)\n")).body
    assert body.gradients[0].surrogate


def test_a_gradient_of_an_argument_that_is_not_given_is_left_out():
    op = "op f(x, w = none) {\n  y = x if w is none else x * w\n  return y\n  gradient(dy) w = dy * x\n}\n"
    assert op_call(lower(X + op + "output y = f(x)\n")).body.gradients == {}
    assert list(op_call(lower(X + op + "output y = f(x, w=x)\n")).body.gradients) == [1]


def test_broadcasting_of_a_gradient_is_undone_by_the_compiler():
    op = "op scaled(x, k) = x * k {\n  gradient(dy) k = dy * x\n}\n"
    assert lower(X + op + "param k: f32[4] = ones()\noutput y = scaled(x, k)\n")
