"""Size: effort grows with the file, and nothing recurses over its graph."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.effort import IN_PROPORTION, Work, growth
from tests.lowering.lowered import ids, lower, refused, type_of

MANY = 2_000  # far more than functions may be inside one another

V = "input x: f32[8] ~ normal()\n"

LONG = {
    "statements": lambda n: (
        "h0 = relu(x)\n"
        + "".join(f"h{i} = h{i - 1} * 2 + x\n" for i in range(1, n))
        + f"output y = h{n - 1}\n"
    ),
    "statements the other way round": lambda n: (
        f"output y = h{n}\n" + "".join(f"h{i} = h{i - 1} + x\n" for i in range(n, 0, -1)) + "h0 = relu(x)\n"
    ),
    "terms": lambda n: "output y = " + " + ".join(["x"] * n) + "\n",
    "stages": lambda n: "output y = x" + " -> relu" * n + "\n",
    "indices": lambda n: "output y = x" + "[0:8]" * n + "\n",
    "parameters": lambda n: (
        "".join(f"param p{i}: f32[8] ~ normal()\n" for i in range(n))
        + "output y = x + "
        + " + ".join(f"p{i}" for i in range(n))
        + "\n"
    ),
    "steps": lambda n: f"output y = x -> repeat({n}, relu) as s\n",
    "layers": lambda n: (
        "h0 = x\n"
        + "".join(f"h{i} = h{i - 1} -> linear(8) as fc{i} -> relu\n" for i in range(1, n // 5))
        + f"output y = h{n // 5 - 1}\n"
    ),
    "consts": lambda n: (
        "".join(f"const c{i} = c{i - 1} + 1\n" for i in range(n, 0, -1))
        + f"const c0 = 1\noutput y = x * c{n}\n"
    ),
    "values that nothing uses": lambda n: "".join(f"h{i} = relu(x)\n" for i in range(n)) + "output y = x\n",
}


def preparing(use: Callable[[str], object], make: Callable[[int], str]) -> Callable[[int], Work]:
    """What is to be done for the file of size n, as `growth` asks for it."""

    def prepare(n: int) -> Work:
        text = V + make(n)
        return lambda: use(text)

    return prepare


@pytest.mark.parametrize("name", LONG)
def test_the_effort_of_lowering_a_long_file_grows_with_it(name: str):
    assert type_of(lower(V + LONG[name](MANY)), "y") == "f32[8]"
    assert growth(preparing(lower, LONG[name]), 200) < IN_PROPORTION


WRONG = {
    "names that nothing has": lambda n: "".join(f"h{i} = unknown{i} + 1\n" for i in range(n)),
    "one name given again and again": lambda n: "h = relu(x)\n" * n,
    "a cycle": lambda n: "".join(f"h{i} = h{(i + 1) % n} + x\n" for i in range(n)),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_effort_a_long_file_full_of_errors_takes_grows_with_it(name: str):
    def text(n: int) -> str:
        return WRONG[name](n) + "output y = x\n"

    assert refused(V + text(MANY))
    assert growth(preparing(refused, text), 200) < IN_PROPORTION


def test_expressions_as_deep_as_the_parser_reads_are_lowered():
    assert lower(V + "output y = " + "relu(" * 95 + "x" + ")" * 95 + "\n")
    assert lower(V + "output y = " + "-" * 190 + "x\n")


def test_definitions_inside_one_another_end_in_a_diagnostic():
    deep = "op f0(x) = relu(x)\n" + "".join(f"op f{i}(x) = f{i - 1}(x) + 1\n" for i in range(1, 200))
    assert ids(V + deep + "output y = f199(x)\n") == ["nested-deeper-than-read"]
    assert lower(V + deep + "output y = f30(x)\n")


@pytest.mark.parametrize("expression", ["10 ** 10 ** 10", "N ** 1000000", "(N + M + K + 1) ** 60", "2 ** 64"])
def test_static_numbers_stay_within_reason(expression: str):
    text = f"dim N, M, K\ninput z: f32[N, M, K] ~ normal()\noutput y = z * ({expression})\n"
    assert ids(text) == ["no-static-value"]


def test_a_list_of_lists_of_lists_is_not_counted_forever():
    doubled = "const c0 = [1, 2]\n" + "".join(f"const c{i} = [c{i - 1}, c{i - 1}]\n" for i in range(1, 40))
    assert set(ids(doubled + V + "output y = x if c39 == c38 else -x\n")) == {"no-static-value"}
