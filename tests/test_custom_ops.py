"""Operations from outside: registered by `gs.op`, offered by packages, and reported under their own names."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import graphspec as gs
from graphspec import testing
from graphspec.cli import app
from graphspec.diagnostics.catalogue import CATALOGUE
from graphspec.diagnostics.catalogue import plugins as messages
from graphspec.ir import OPS
from graphspec.lowering import plugins
from graphspec.lowering.signatures import of_primitive
from graphspec.runtime.kernels import KERNELS

WRONG = Path(__file__).parent / "wrong" / "plugins"
SPEC = "gspec 1\ndim N = 4\ninput x: f64[N, 3] ~ normal()\nh = {call}\nloss total = mean(h ** 2)\n"


@pytest.fixture(autouse=True)
def _registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test begins with the operations of graphspec only, and with packages not asked yet."""
    ops, kernels = dict(OPS), dict(KERNELS)
    monkeypatch.setattr(plugins, "_asked", False)
    monkeypatch.setattr(plugins, "_failures", [])
    yield
    for registry, before in ((OPS, ops), (KERNELS, kernels)):
        registry.clear()
        registry.update(before)
    of_primitive.cache_clear()


def make_squash() -> type[gs.Op]:
    @gs.op
    class Squash(gs.Op):
        """y = x / (k + |x|), elementwise.

        Shapes: x[...] -> y[...].  Domain: all reals, k > 0.
        Source: Bergstra et al. (2009), "Quadratic polynomials learn better image features", of k = 1.
        """

        k: float = 1.0
        is_elementwise = True

        def infer(self, x: gs.TensorType) -> gs.TensorType:
            if not x.dtype.is_float:
                raise gs.TypeRuleError(f"`squash` needs floating-point numbers, not {x.dtype}")
            return x

        def source(self, out: str, x: str) -> str:
            return f"xp.divide({x}, {self.k!r} + abs({x}), out={out})"

        def vjp(self, gy: gs.Value, y: gs.Value, x: gs.Value) -> tuple[gs.Value]:
            return (gy * self.k / (gs.call("abs", x) + self.k) ** 2,)

        @classmethod
        def samples(cls) -> tuple[gs.Sample, ...]:
            away_from_the_kink = gs.Box((3, 2), 0.1, 2)
            return (gs.Sample(cls(), (away_from_the_kink,)), gs.Sample(cls(0.5), (away_from_the_kink,)))

    return Squash


def make_running_sum() -> type[gs.Op]:
    @gs.op
    class RunningSum(gs.Op):
        """y[..., i] = sum of x[..., j] over j <= i; with `backwards` over j >= i.

        Shapes: x[..., N] -> y[..., N].
        Source: the definition.
        """

        backwards: bool = False
        kernel = "running_sum"

        def infer(self, x: gs.TensorType) -> gs.TensorType:
            if not x.dtype.is_float or not x.rank:
                raise gs.TypeRuleError(f"`running_sum` needs floating-point numbers with an axis, not {x}")
            return x

        def vjp(self, gy: gs.Value, y: gs.Value, x: gs.Value) -> tuple[gs.Value]:
            return (gs.call("running_sum", gy, backwards=not self.backwards),)

        def batch(self, size: object, inputs: tuple[gs.Value, ...], batched: tuple[bool, ...]) -> gs.Value:
            return gs.call("running_sum", *inputs, backwards=self.backwards)

        def alignment(self, x: gs.TensorType) -> tuple[tuple[int | None, ...], ...]:
            return (*((axis,) for axis in range(x.rank - 1)), (None,))

        @classmethod
        def samples(cls) -> tuple[gs.Sample, ...]:
            return tuple(gs.Sample(cls(way), (gs.Box((2, 3, 4)),)) for way in (False, True))

    gs.kernel("running_sum")(running_sum)
    return RunningSum


def running_sum(xp: Any, out: Any, x: Any, *, backwards: bool) -> None:
    """out[..., i] = the sum of x from its beginning to i, or from i to its end."""
    way = slice(None, None, -1 if backwards else 1)
    xp.cumsum(x[..., way], axis=-1, out=out[..., way])


def model(call: str, **options: Any) -> gs.Model:
    return gs.loads(SPEC.format(call=call), **options)


# --- what one can do ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [make_squash, make_running_sum])
def test_the_tests_of_graphspecs_own_primitives_are_there_for_others(make: Callable[[], type[gs.Op]]) -> None:
    testing.check_op(make())


def test_check_op_finds_wrong_rules() -> None:
    right = make_running_sum()
    for part, wrong in {
        "vjp": lambda op, gy, y, x: (gs.call("running_sum", gy),),
        "batch": lambda op, size, inputs, batched: gs.call("running_sum", *inputs, backwards=True),
        "alignment": lambda op, x: tuple((axis,) for axis in range(x.rank)),
    }.items():
        broken = type("Broken", (right,), {part: wrong, "__doc__": right.__doc__, "name": "broken"})
        with pytest.raises(AssertionError):
            testing.check_op(broken)


def test_a_registered_op_is_called_by_its_name_with_its_attributes() -> None:
    make_squash()
    m = model("squash(x, k=2)")
    inputs = m.draw()
    x = inputs["x"]
    np.testing.assert_allclose(m.forward({}, inputs, of="h")["h"], x / (2 + abs(x)), rtol=1e-15)
    h = x / (2 + abs(x))
    expected = 2 * h / x.size * 2 / (2 + abs(x)) ** 2
    np.testing.assert_allclose(m.grad({}, inputs, wrt="x")["x"], expected, rtol=1e-12)


def test_a_kernel_runs_and_its_op_batches_and_pushes_selections() -> None:
    make_running_sum()
    m = model("running_sum(x)")
    inputs = m.draw()
    np.testing.assert_array_equal(m.forward({}, inputs, of="h")["h"], np.cumsum(inputs["x"], axis=-1))
    each = m.grad({}, inputs, wrt="x", of="sum(h ** 2)", per_example=True)["x"]
    loop = [m.grad({}, {"x": inputs["x"][i : i + 1]}, wrt="x", of="sum(h ** 2)")["x"][0] for i in range(4)]
    np.testing.assert_allclose(each, loop, rtol=1e-12)
    row = m.grad({}, inputs, wrt="x", of="sum(h[1, :] ** 2)")["x"]
    np.testing.assert_allclose(row[1], loop[1], rtol=1e-12)
    assert not row[[0, 2, 3]].any()


def test_gradcheck_checks_it_by_itself_and_in_the_model() -> None:
    make_squash()
    m = model("squash(x, k=2)")
    report = m.gradcheck({}, m.draw(), order=2)
    assert report
    kinds = {row.name: row.kind for row in report.rows}
    assert kinds == {"x": "input", "squash: x": "primitive"}


def test_gradcheck_names_the_module_of_a_wrong_derivative(expect: Callable[[Path, str], None]) -> None:
    cls = make_squash()
    cls.vjp = lambda op, gy, y, x: (3 * gy,)
    m = model("squash(x, k=2)")
    report = m.gradcheck({}, m.draw())
    assert not report
    (found,) = report.diagnostics
    assert found.id == "gradient-wrong"
    assert found.message.startswith(f"the derivative of `squash` of the module `{__name__}` in `x` is wrong")


def test_it_is_listed_with_its_documentation() -> None:
    make_squash()
    result = CliRunner().invoke(app, ["ops", "squash"])
    assert "y = x / (k + |x|)" in result.stdout
    assert "squash(x, k: float = 1.0)" in result.stdout


def test_the_example_of_the_floor_plan_runs() -> None:
    page = (Path(gs.__file__).parent / "README.md").read_text(encoding="utf-8")
    (code,) = (
        b for b in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE) if "gs.op" in b
    )
    exec(compile(code, "README.md", "exec", dont_inherit=True), {"__name__": "my_package.ops"})
    m = model("running_sum(x, backwards=true)")
    assert m.gradcheck({}, m.draw(), order=2)


def test_a_written_program_holds_its_kernel() -> None:
    make_running_sum()
    make_squash()
    m = model("squash(running_sum(x), k=2)")
    inputs = m.draw()
    namespace: dict[str, Any] = {"__name__": "program"}
    exec(m.emit(wrt="x"), namespace)
    found = namespace["gradients"](inputs)["x"]
    np.testing.assert_allclose(found, m.grad({}, inputs, wrt="x")["x"], rtol=1e-12)


def test_a_cell_that_is_run_again_replaces_its_class() -> None:
    first, second = make_squash(), make_squash()
    assert OPS["squash"] is second is not first
    assert model("squash(x)").forward({}, {"x": np.ones((1, 3))})["total"] == 0.25


def test_a_refusal_of_operands_is_told_as_any_other() -> None:
    make_squash()
    with pytest.raises(gs.GraphSpecError, match="needs floating-point numbers, not bool"):
        model("squash(x > 0)")


# --- names ----------------------------------------------------------------------------------------------


def bare(name: str, **parts: Any) -> type[gs.Op]:
    """A class with a type rule and a source, and what else it is given."""
    own = {"infer": lambda self, x: x, "source": lambda self, out, x: f"xp.negative({x}, out={out})"}
    return type("Bare", (gs.Op,), {"name": name, "__module__": "theirs", **own, **parts})


def test_names_that_are_taken_and_classes_that_are_no_ops_are_refused(
    expect: Callable[[Path, str], None],
) -> None:
    gs.op(bare("mine"))
    wrong: dict[str, Callable[[], object]] = {
        "of the library": lambda: gs.op(bare("gelu")),
        "of graphspec": lambda: gs.op(bare("tanh")),
        "a form": lambda: gs.op(bare("repeat")),
        "of another module": lambda: gs.op(bare("mine", __module__="others")),
        "no name": lambda: gs.op(bare("not")),
        "no class of ours": lambda: gs.op(type("Plain", (), {"__module__": "theirs"})),
        "no type rule": lambda: gs.op(bare("fresh", infer=gs.Op.infer)),
        "no value": lambda: gs.op(bare("fresh", source=gs.Op.source)),
        "a kernel": lambda: gs.kernel("erf")(running_sum),
    }
    text = ""
    for title, register in wrong.items():
        with pytest.raises(gs.GraphSpecError) as error:
            register()
        text += f"{title}\n{error.value}\n\n"
    expect(WRONG / "refused.txt", text.replace(__name__, "this_module"))


# --- faults ---------------------------------------------------------------------------------------------


def boom(*arguments: Any, **named: Any) -> Any:
    raise ZeroDivisionError("not so fast")


def make_and_boom(cls: type[gs.Op], x: gs.Value) -> gs.Value:
    boom()


OWNER = "`faulty`, an operation of the module `theirs`"
#: what is wrong with an op, and the request that meets it
FAULTS: dict[str, tuple[dict[str, Any], Callable[[gs.Model], object] | None]] = {
    "infer_raises": ({"infer": boom}, None),
    "infer_gives_no_type": ({"infer": lambda self, x: x.shape}, None),
    "make_raises": ({"make": classmethod(make_and_boom)}, None),
    "vjp_raises": ({"vjp": boom}, lambda m: m.grad({}, m.draw(), wrt="x")),
    "vjp_gives_too_few": ({"vjp": lambda self, gy, y, x: ()}, lambda m: m.grad({}, m.draw(), wrt="x")),
    "vjp_gives_another_shape": (
        {"vjp": lambda self, gy, y, x: (gs.call("reshape", gy, [3, 4]),)},
        lambda m: m.grad({}, m.draw(), wrt="x", of="sum(h)"),
    ),
    "vjp_calls_what_is_not_there": (
        {"vjp": lambda self, gy, y, x: (gs.call("gelu", gy),)},
        lambda m: m.grad({}, m.draw(), wrt="x"),
    ),
    "source_raises": ({"source": boom}, lambda m: m.forward({}, m.draw())),
    "source_is_no_expression": (
        {"source": lambda self, out, x: f"{out} = {x}"},
        lambda m: m.forward({}, m.draw()),
    ),
    "source_fails_when_run": (
        {"source": lambda self, out, x: f"xp.negativ({x}, out={out})"},
        lambda m: m.forward({}, m.draw()),
    ),
    "result_has_another_shape": (
        {"infer": lambda self, x: x.with_shape((7, 7))},
        lambda m: m.forward({}, m.draw(), of="h"),
    ),
    "kernel_is_missing": ({"kernel": "nowhere"}, lambda m: m.forward({}, m.draw())),
    "kernel_raises": ({"kernel": "booming"}, lambda m: m.forward({}, m.draw())),
    "kernel_cannot_be_written": (
        {"kernel": "unwritten", "vjp": lambda self, gy, y, x: (gy,)},
        lambda m: m.emit(wrt="x"),
    ),
    "batch_is_missing": (
        {"vjp": lambda self, gy, y, x: (-gy * x,)},
        lambda m: m.grad({}, m.draw(), wrt="x", of="sum(h)", per_example=True),
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_reported_with_the_name_of_the_op_and_its_module(
    name: str, expect: Callable[[Path, str], None]
) -> None:
    parts, request = FAULTS[name]
    gs.op(bare("faulty", **parts))
    gs.kernel("booming")(boom)
    gs.kernel("unwritten")(eval("lambda xp, out, x: None"))
    with pytest.raises(gs.GraphSpecError) as error:
        (request or str)(model("faulty(x)"))
    (found,) = error.value.diagnostics
    assert found.id == "plugin-failed"
    owner = f"`<lambda>`, an operation of the module `{__name__}`" if "written" in name else OWNER
    assert owner in found.message
    kept = [line for line in str(error.value).split("\n") if not line.startswith("  = note: at ")]
    if name not in ("result_has_another_shape", "kernel_cannot_be_written"):  # other words elsewhere
        expect(WRONG / f"{name}.txt", "\n".join(kept) + "\n")
    raised = name.endswith("_raises")
    assert isinstance(error.value.__cause__, ZeroDivisionError) == raised
    if raised:
        assert f"at {__file__}" in str(error.value)


def test_an_op_without_a_derivative_says_so_as_any_other() -> None:
    gs.op(bare("faulty"))
    m = model("faulty(x)")
    with pytest.raises(gs.GraphSpecError) as error:
        m.grad({}, m.draw(), wrt="x")
    assert [d.id for d in error.value.diagnostics] == ["no-derivative"]


# --- packages -------------------------------------------------------------------------------------------

GOOD = """
import graphspec as gs

@gs.op
class Halved(gs.Op):
    is_elementwise = True
    def infer(self, x):
        return x
    def source(self, out, x):
        return f"xp.multiply({x}, 0.5, out={out})"
    def vjp(self, gy, y, x):
        return (gy / 2,)
"""
BAD = GOOD.replace("Halved", "Thirded") + "\nraise RuntimeError('no licence')\n"


def install(folder: Path, name: str, module: str, text: str) -> None:
    """A package as pip would leave it in a folder of the path."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[graphspec.ops]\n{module} = {module}\n")


@pytest.fixture
def _packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install(tmp_path, "good-ops", "good_ops_for_tests", GOOD)
    install(tmp_path, "bad-ops", "bad_ops_for_tests", BAD)
    install(tmp_path, "quitting-ops", "quitting_ops_for_tests", "raise SystemExit('bye')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("GRAPHSPEC_NO_PLUGINS", raising=False)
    yield
    for name in [name for name in sys.modules if name.endswith("_ops_for_tests")]:
        del sys.modules[name]


@pytest.mark.usefixtures("_packages")
def test_a_package_is_asked_for_a_function_that_nobody_knows() -> None:
    notices: list[gs.Diagnostic] = []
    m = model("halved(x)", notify=notices.append)
    assert m.forward({}, {"x": np.ones((1, 3))})["total"] == 0.25
    assert [d.id for d in notices] == ["plugin-not-loaded"] * 2
    again: list[gs.Diagnostic] = []
    model("halved(x)", notify=again.append)
    assert not again


@pytest.mark.usefixtures("_packages")
def test_no_package_is_asked_for_what_is_known() -> None:
    model("tanh(x)")
    assert "good_ops_for_tests" not in sys.modules


@pytest.mark.usefixtures("_packages")
def test_a_package_that_fails_is_named_beside_the_unknown_function(
    expect: Callable[[Path, str], None], tmp_path: Path
) -> None:
    for _ in range(2):
        with pytest.raises(gs.GraphSpecError) as error:
            model("thirded(x)")
        expect(WRONG / "not_loaded.txt", f"{error.value}\n".replace(str(tmp_path), "DIR"))
    assert "thirded" not in OPS


@pytest.mark.usefixtures("_packages")
def test_packages_are_left_out_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHSPEC_NO_PLUGINS", "1")
    with pytest.raises(gs.GraphSpecError) as error:
        model("halved(x)")
    assert [d.id for d in error.value.diagnostics] == ["unknown-function"]
    assert "good_ops_for_tests" not in sys.modules


@pytest.mark.usefixtures("_packages")
def test_the_list_of_functions_has_those_of_packages() -> None:
    result = CliRunner().invoke(app, ["ops"])
    assert "halved" in result.stdout
    assert "warning[plugin-not-loaded]" in result.stderr


def test_every_diagnostic_of_plugins_has_a_case() -> None:
    texts = "".join(path.read_text() for path in WRONG.glob("*.txt"))
    functions = {name.replace("_", "-") for name in vars(messages)}
    assert [id for id in CATALOGUE if id in functions and f"[{id}]" not in texts] == []
