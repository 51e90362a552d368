"""Names: of calls, of values below applications, of parameters below owners, of repeated steps."""

from __future__ import annotations

import pytest

from graphspec.ir import Tap
from graphspec.lowering.lower import lower_expression
from tests.lowering.lowered import X, ids, lower, names, type_of

DENSE = "block dense(x[..., I], width: int) {\n  h = x -> linear(width) as fc\n  return relu(h)\n}\n"


def test_as_names_the_call_and_the_left_side_is_an_alias_of_the_value():
    module = lower(X + "h = x -> linear(3) as fc1 -> relu\ny = x -> linear(3) as fc2\noutput z = h + y\n")
    assert names(module) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert module.values["y"] is module.values["fc2"]
    assert module.values["h"] is not module.values["fc1"]


@pytest.mark.parametrize("right", ["linear(x, 3)", "x -> relu -> linear(3)", "linear(x, 3) if true else x"])
def test_the_left_side_names_the_call_that_the_right_side_is_or_ends_with(right: str):
    assert names(lower(X + f"y = {right}\noutput z = y\n")) == ["y.weight", "y.bias"]


def test_results_of_the_file_name_their_calls_too():
    assert names(lower(X + "output y = x -> linear(3)\nloss l = sum(linear(x, 1) as fc)\n")) == [
        "y.weight",
        "y.bias",
        "fc.weight",
        "fc.bias",
    ]


@pytest.mark.parametrize(
    "right", ["linear(x, 3) / 2", "linear(x, 3)[0]", "-linear(x, 3)", "relu(linear(x, 3))"]
)
def test_the_left_side_names_no_call_inside(right: str):
    assert ids(X + f"output y = {right}\n") == ["needs-a-name"]


def test_names_may_be_dotted_paths_with_numbers():
    module = lower(
        X
        + "output y = x -> linear(4) as downsample.0 -> linear(3) as downsample.1\n"
        + "layer a.b = linear(3)\nz = a.b(x)\noutput z\n"
    )
    assert names(module)[::2] == ["downsample.0.weight", "downsample.1.weight", "a.b.weight"]
    assert type_of(module, "downsample.0.weight") == "f32[4, 4]"


def test_values_live_below_the_application_and_parameters_below_their_owner():
    module = lower(
        DENSE + "layer enc = dense(width=3)\ninput l: f32[2, 5] ~ normal()\ninput r: f32[2, 5] ~ normal()\n"
        "a = enc(l)\nb = enc(r)\noutput y = a - b\n"
    )
    assert names(module) == ["enc.fc.weight", "enc.fc.bias"]
    assert {"a.h", "b.h", "a.fc", "a.fc.x", "a.x"} <= module.values.keys()
    assert not any(name.startswith("enc.fc") for name in module.values.keys() - set(names(module)))


def test_constructing_twice_makes_two_sets_of_weights():
    module = lower(X + DENSE + "output y = x -> dense(4) as a -> dense(4) as b\n")
    assert names(module) == ["a.fc.weight", "a.fc.bias", "b.fc.weight", "b.fc.bias"]


def test_an_argument_of_an_application_is_a_value_of_its_own():
    module = lower(X + "y = x -> linear(3) as fc\nz = x -> linear(3) as other\noutput s = y + z\n")
    tap = module.values["fc.x"]
    assert isinstance(tap.node.op, Tap)
    assert tap.node.inputs == (module.values["x"],)
    assert tap is not module.values["other.x"]


def test_locals_of_the_standard_library_are_private():
    module = lower(X + "output y = softmax(x, axis=1)\n")
    assert set(module.values) == {"x", "y", "y.x"}


def test_locals_of_an_op_have_names_where_the_op_is_applied_under_one():
    op = "op squash(x) {\n  e = exp(-x)\n  return 1 / (1 + e)\n}\n"
    module = lower(X + op + "a = squash(x)\noutput y = a + squash(x)\n")
    assert "a.e" in module.values
    assert type_of(module, "a.e") == "f32[N, 4]"
    by_hand = op.replace(
        "return 1 / (1 + e)", "s = 1 / (1 + e)\n  return s\n  gradient(dy) x = dy * s * (1 - s)"
    )
    assert "a.e" not in lower(X + by_hand + "output a = squash(x)\n").values


def test_a_parameter_is_a_value_in_any_expression():
    module = lower(
        "input ids: i64[N] ~ randint(9)\nlayer wte = embedding(9, dim=4)\nh = wte(ids)\n"
        "output y = h @ transpose(wte.weight)\n"
    )
    assert type_of(module, "y") == "f32[N, 9]"


def test_a_parameter_may_be_passed_into_a_block():
    module = lower(
        X
        + "param w: f32[3, 4] ~ normal()\nblock tied(x, w) { return x @ transpose(w) }\n"
        + "output y = tied(x, w)\n"
    )
    assert names(module) == ["w"]


def test_the_public_name_of_a_parameter_may_be_that_of_an_argument():
    module = lower(X + "output y = x -> linear(3, bias=true)\n")
    assert names(module) == ["y.weight", "y.bias"]
    block = (
        "block affine(x[..., I], scale: float = 2.0) {\n"
        "  param s[I] as scale = ones()\n  return x * s * scale\n}\n"
    )
    module = lower(X + block + "output y = affine(x)\n")
    assert names(module) == ["y.scale"]


def test_the_body_may_use_the_public_name_where_no_argument_has_it():
    block = "block shifted(x[..., I]) {\n  param s[I] as shift = zeros()\n  return x + shift\n}\n"
    assert names(lower(X + block + "output y = shifted(x)\n")) == ["y.shift"]


# ---------------------------------------------------------------- many of one kind


def test_repeat_chains_a_call_with_new_weights_each_step():
    module = lower(X + "output y = x -> repeat(3, linear(4)) as stage\n")
    assert names(module)[::2] == ["stage.0.weight", "stage.1.weight", "stage.2.weight"]
    assert module.values["stage"] is module.values["stage.2"] is module.values["y"]
    assert module.values["stage.2.x"].node.inputs == (module.values["stage.1"],)


def test_repeat_names_its_steps_by_the_variable_which_is_static():
    module = lower(X + "output y = x -> repeat(i in 1..3, linear(2 * i + 2)) as stage\n")
    assert type_of(module, "stage.1") == "f32[N, 4]"
    assert type_of(module, "y") == "f32[N, 6]"
    assert names(module)[::2] == ["stage.1.weight", "stage.2.weight"]


def test_repeat_over_a_layer_shares_its_weights():
    module = lower(X + "layer cell = linear(4)\noutput y = x -> repeat(3, cell) as steps\n")
    assert names(module) == ["cell.weight", "cell.bias"]
    assert "steps.2" in module.values


def test_repeat_of_a_chain_gives_the_piped_value_to_its_first_call():
    module = lower(X + "output y = x -> repeat(2, linear(4) as fc -> relu) as stage\n")
    assert names(module)[::2] == ["stage.0.fc.weight", "stage.1.fc.weight"]


def test_zero_steps_are_the_value_itself():
    module = lower(X + "output y = x -> repeat(0, linear(4)) as stage\n")
    assert module.values["y"] is module.values["x"] is module.values["stage"]


def test_values_inside_a_step_have_names():
    module = lower(X + DENSE + "output y = x -> repeat(2, dense(4)) as stage\nloss l = mean(stage.0.h)\n")
    assert {"stage.0.h", "stage.1.fc.x", "stage.1"} <= module.values.keys()


def test_each_is_a_list_with_a_name_for_each_element():
    module = lower(
        X + DENSE + "parts = each(e in 0..3, dense(x, 4)) as experts\noutput s = sum(parts)\n"
        "output t = stack(parts, axis=1)\noutput c = parts -> concat(axis=-1)\n"
    )
    assert [str(module.values[n].type) for n in ("s", "t", "c")] == [
        "f32[N, 4]",
        "f32[N, 3, 4]",
        "f32[N, 12]",
    ]
    assert names(module)[::2] == [f"experts.{e}.fc.weight" for e in range(3)]


def test_each_over_an_expression_hangs_its_calls_below_the_step():
    module = lower(
        X + DENSE + "output y = sum(each(e in 0..2, x[:, e:e + 1] * (dense(x, 4) as net)) as experts)\n"
    )
    assert "experts.1.net.fc.weight" in names(module)


def test_fold_runs_a_cell_along_an_axis():
    cell = (
        "block cell(h[B, H], x[B, I]) {\n"
        "  g = tanh((x -> linear(H) as ih) + (h -> linear(H) as hh))\n  return g, 2 * g\n}\n"
    )
    text = cell + "input xs: f32[B, 5, 3] ~ normal()\nlayer c = cell()\n"
    module = lower(
        text + "h, ys = fold(c, each=xs, axis=1, start=zeros([B, 7])) as rnn\noutput h\noutput ys\n"
    )
    assert names(module) == ["c.ih.weight", "c.ih.bias", "c.hh.weight", "c.hh.bias"]
    assert type_of(module, "ys") == "f32[B, 5, 7]"
    assert {"rnn.3.g", "rnn.0.ih"} <= module.values.keys()
    assert module.values["h"] is module.values["rnn.4.g"]


def test_fold_takes_an_op_and_a_call_that_lacks_the_carried_values():
    op = "op step(h, x, decay: float) {\n  g = decay * h + x\n  return g, g\n}\n"
    text = X + op + "input xs: f32[N, 6, 4] ~ normal()\n"
    module = lower(text + "h, ys = fold(step(decay=0.5), each=xs, axis=1, start=x)\noutput h\noutput ys\n")
    assert type_of(module, "ys") == "f32[N, 6, 4]"


def test_a_bound_by_a_dim_is_structural():
    module = lower("dim E = 3\ninput x: f32[N, E] ~ normal()\noutput y = sum(each(e in 0..E, x[:, e]))\n")
    assert module.structural == {"E": 3}
    assert lower(
        "dim E = 3\ninput x: f32[N, E] ~ normal()\noutput y = sum(each(e in 0..E, x[:, e]))\n", sets={"E": 5}
    ).structural == {"E": 5}


def test_a_structural_dim_is_its_number_where_the_file_compares_them():
    module = lower(
        "dim E = 3\ninput x: f32[N, E] ~ normal()\n"
        "output y: [E, N] = stack(each(e in 0..E, x[:, e]), axis=0)\n"
    )
    assert type_of(module, "y") == "f32[3, N]"
    declared = module.declared["x"]
    assert (str(declared.value.type), str(declared.type)) == ("f32[N, 3]", "f32[N, E]")


# ---------------------------------------------------------------- noise


def test_noise_belongs_to_the_application_also_of_a_shared_layer():
    block = "block noisy(x[...]) {\n  noise u[...] ~ normal()\n  return x + u\n}\n"
    module = lower(X + block + "layer n = noisy()\na = n(x)\nb = n(x)\noutput y = a + b\n")
    assert names(module, "noise") == ["a.u", "b.u"]


def test_noise_of_a_call_without_a_name_hangs_on_the_statement():
    module = lower(X + "h = x -> dropout -> relu\noutput y = h\n", training=True)
    assert names(module, "noise") == ["h.dropout.u"]
    block = "block b(x) {\n  h = x -> dropout -> relu\n  return h -> dropout\n}\n"
    module = lower(X + block + "output y = x -> repeat(2, b()) as s\n", training=True)
    assert names(module, "noise") == [
        f"s.{i}.{path}" for i in (0, 1) for path in ("h.dropout.u", "dropout.u")
    ]


# ---------------------------------------------------------------- scope


def test_a_value_may_have_the_name_of_a_function():
    module = lower(X + "norm = norm(x, axis=1)\nmlp = relu(norm)\noutput y = norm(mlp, axis=0)\n")
    assert type_of(module, "y") == "f32[]"


def test_an_argument_or_local_may_hide_a_const_or_a_definition():
    module = lower(
        X + "const width = 3\nop twice(x) = 2 * x\n"
        "block b(x, width: int = 5, twice: float = 1.0) {\n  return (x -> linear(width) as fc) * twice\n}\n"
        "block c(x) {\n  width = 7\n  return x -> linear(width) as fc\n}\n"
        "output y = b(x)\noutput z = c(x)\noutput w = twice(x) * width\n"
    )
    assert [type_of(module, n) for n in "yzw"] == ["f32[N, 5]", "f32[N, 7]", "f32[N, 4]"]


def test_a_pattern_may_hide_a_const():
    assert (
        type_of(lower(X + "const D = 9\nop f(x[..., D]) = x / D\noutput y = f(x) * D\n"), "y") == "f32[N, 4]"
    )


def test_a_definition_of_the_file_wins_over_the_standard_library_in_the_file_only():
    module = lower(X + "op relu(x) = x * 0\noutput y = relu(x)\noutput z = softplus(relu6(x))\n")
    defined = [n.op.definition for n in module.graph().nodes if n.op.name == "call"]
    assert "relu" in defined
    assert lower("input v: f32[3] ~ normal()\nop exp(x) = x\noutput y = softmax(v, axis=0)\n").values["y"]


def test_words_of_statements_are_names_elsewhere():
    module = lower(
        "input input: f32[3] ~ normal()\nparam param: f32[3] ~ normal()\noutput output = input * param\n"
    )
    assert type_of(module, "output") == "f32[3]"


def test_an_expression_from_outside_sees_the_names_of_the_file():
    module = lower(X + "const k = 2\ndim M = 3\nh = x -> linear(3) as fc\noutput y = h\n")
    assert type_of(module, "sum(h[:, 1] * fc.weight[0, 0]) * k / N") == "f32[]"
    before = set(module.values)
    assert [str(v.type) for v in lower_expression(module, "(h, relu(x) as r)")] == ["f32[N, 3]", "f32[N, 4]"]
    assert set(module.values) == before
