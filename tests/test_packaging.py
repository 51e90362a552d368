"""The wheel: built, installed elsewhere and used, so that nothing it needs stays behind in the checkout."""

from __future__ import annotations

import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the declared backend in this environment: no network is needed."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=ROOT, check=True, capture_output=True, timeout=60)
    (path,) = folder.glob("graphspec-*.whl")
    return path


def test_the_wheel_holds_all_that_runs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    tracked = {str(p.relative_to(ROOT)) for p in (ROOT / "graphspec").rglob("*.py")}
    tracked |= {str(p.relative_to(ROOT)) for p in (ROOT / "graphspec" / "std").glob("*.gspec")}
    assert tracked <= names
    assert {"graphspec/py.typed", "graphspec/grammars/gspec.lark"} <= names


def test_the_wheel_works_where_the_checkout_is_not(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    target = Path(subprocess.check_output([python, "-c", where], text=True, timeout=60).strip())
    with zipfile.ZipFile(wheel) as archive:  # what an installer does with a pure wheel
        archive.extractall(target)
    # the dependencies are those of this environment; graphspec itself must not come from it
    dependencies = [Path(p) for p in site.getsitepackages()]
    (target / "dependencies.pth").write_text("\n".join(map(str, dependencies)) + "\n")
    spec = tmp_path / "toy.gspec"
    spec.write_text(
        "gspec 1\ninput x: f32[4, 3] ~ normal()\noutput y = linear(x, 2) as fc\nloss l = sum(y ** 2)\n"
    )
    code = (
        "import graphspec, sys; assert graphspec.__file__.startswith(sys.prefix), graphspec.__file__\n"
        "from graphspec.cli import main; main()"
    )
    done = subprocess.run(
        [python, "-I", "-W", "error", "-c", code, "grad", spec, "--wrt", "fc.weight"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "fc.weight" in done.stdout


def test_the_command_is_the_declared_entry_point() -> None:
    import tomllib

    from graphspec import cli

    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, _, function = scripts["graphspec"].partition(":")
    assert (module, getattr(cli, function)) == ("graphspec.cli", cli.main)
