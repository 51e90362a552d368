"""The sides of the comparison, a module each.

`warm_up(variant)` computes one small gradient, so that what a side imports lazily is there, and
`prepare(workload, sizes, arrays, variant)` gives the call that is timed, which returns arrays by name.
"""

from __future__ import annotations


def split(arrays):
    """Parameters and inputs: the names of parameters have a dot."""
    params = {name: a for name, a in arrays.items() if "." in name}
    return params, {name: a for name, a in arrays.items() if "." not in name}


def is_trained(name: str, array) -> bool:
    return array.dtype.kind == "f" and "running" not in name
