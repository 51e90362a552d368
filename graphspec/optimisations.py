"""Everything that makes a request faster or smaller and may be left out, by name, in one list.

Results are the same with and without, but for the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterable

from graphspec.diagnostics import GraphSpecError
from graphspec.diagnostics.catalogue import requests as say
from graphspec.runtime.means import NAMES as MEANS
from graphspec.transforms.gram_products import gram_products
from graphspec.transforms.pipeline import OPTIONAL
from graphspec.transforms.pool_first import pool_first
from graphspec.transforms.push_selections import push_selections
from graphspec.transforms.transpose_products import transpose_products

#: a transform before or beside the passes of the pipeline
POOL, PUSH, TRANSPOSE, GRAM = (
    f.__name__ for f in (pool_first, push_selections, transpose_products, gram_products)
)
#: pieces of the batch in several threads
THREADS = "threads"

OPTIMISATIONS: tuple[str, ...] = tuple(
    dict.fromkeys([POOL, PUSH, TRANSPOSE, *OPTIONAL, GRAM, THREADS, *MEANS])
)
ALL = frozenset(OPTIMISATIONS)


def left_out(names: Iterable[str]) -> frozenset[str]:
    """The names, as a set.  Raises GraphSpecError where one of them is no optimisation."""
    chosen = [names] if isinstance(names, str) else list(names)
    wrong = [say.unknown_optimisation(name, OPTIMISATIONS) for name in chosen if name not in ALL]
    if wrong:
        raise GraphSpecError(wrong)
    return frozenset(chosen)
