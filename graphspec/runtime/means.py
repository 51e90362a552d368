"""What a program may do to be fast or small, each of which may be left out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Means:
    """Each is an optimisation of the same name; results are the same without, but for the order of sums."""

    #: elementwise ops and reductions that pass over the same elements are one step (`runtime.fusing`)
    fuse: bool = False
    #: what is held while the most memory is taken is made a second time (`transforms.recompute`)
    recompute: bool = False
    #: bias and relu are done where a convolution stores its result (`transforms.epilogues`)
    epilogues: bool = False
    #: products write their results in the order in which they are needed (`transforms.order_products`)
    order_products: bool = True
    #: a result takes the memory of an operand that nothing needs any more (`Op.in_place`)
    overwrite: bool = True
    #: values that are not needed at the same time lie in the same memory (`runtime.arena`)
    share_memory: bool = True
    #: pieces of a batch write where the result belongs (`runtime.parallel`)
    place_pieces: bool = True
    #: pieces of a batch are so small that they stay in the cache, one after the other (`runtime.parallel`)
    turns: bool = True
    #: kernels and loops are compiled (`runtime.fast`)
    fast: bool = False

    def without(self, names: Collection[str]) -> Means:
        """The rest of them."""
        return replace(self, **{name: False for name in NAMES if name in names})


NAMES: tuple[str, ...] = tuple(field.name for field in fields(Means))
EVERYTHING, PLAIN = Means(**dict.fromkeys(NAMES, True)), Means()
