"""Boxes and reshapes: which box of x a box of `reshape(x, shape)` is."""

from __future__ import annotations

from dataclasses import dataclass

from graphspec.ir import Size
from graphspec.ir.regions import Axis, Parts, Region, Simple, Span, as_span, axis_from, is_whole, normal
from graphspec.ir.sizes import product


@dataclass(slots=True)
class _Part:
    """An axis of the reshaped value, or one of the parts that it is seen as."""

    size: Size
    need: Simple


def regroup(
    region: Region, shape: tuple[Size, ...], target: tuple[Size, ...]
) -> tuple[Region, Region] | None:
    """A box of a value with `shape` as a box of the same elements in the shape `target`.

    Where the box is none in the other shape, the axes concerned are taken whole.  The result is the box
    made, which contains the one asked for, and that box in the other shape; None where nothing is saved.

        [0:2, 3] of [4, 6] is [0:2, 1, 0] of [4, 2, 3];  [0:2, 1:3] of [4, 6] as [24] is cut in [4, 6]
    """
    if 0 in shape or 0 in target:
        return None
    axes = [_parts_of(axis, size) for axis, size in zip(region, shape, strict=True)]
    parts = [part for own in axes for part in own if part.size != 1]
    places = [k for k, size in enumerate(target) if size != 1]
    found: list[Axis] = [None] * len(target)
    while parts and places:
        count, span = _group([part.size for part in parts], [target[k] for k in places])
        group, wanted = parts[:count], places[:span]
        parts, places = parts[count:], places[span:]
        needs = _convert(group, [target[k] for k in wanted])
        if needs is None:
            for part in group:
                part.need = None
            continue
        for k, need in zip(wanted, needs, strict=True):
            found[k] = need
    if parts or places:  # sizes that cannot be told to be 1
        return None
    made = normal(tuple(_axis_of(own) for own in axes), shape)
    return None if is_whole(made) else (made, normal(tuple(found), target))


def _parts_of(axis: Axis, size: Size) -> list[_Part]:
    parts = axis.parts if isinstance(axis, Parts) else ((size, axis),)
    return [_Part(*part) for part in parts]


def _axis_of(parts: list[_Part]) -> Axis:
    return parts[0].need if len(parts) == 1 else Parts(tuple((part.size, part.need) for part in parts))


def _group(left: list[Size], right: list[Size]) -> tuple[int, int]:
    """How many sizes from the front of each list have one product; all of them where none is found."""
    i = j = 1
    p, q = left[0], right[0]
    while p != q:
        grow_left = p < q if isinstance(p, int) and isinstance(q, int) else q % p == 0
        if grow_left and i < len(left):
            p, i = p * left[i], i + 1
        elif not grow_left and j < len(right) and (isinstance(p, int) or p % q == 0):
            q, j = q * right[j], j + 1
        else:
            return len(left), len(right)
    return i, j


def _convert(group: list[_Part], sizes: list[Size]) -> tuple[Axis, ...] | None:
    """What is needed of some axes as what is needed of axes of other sizes, which hold the same elements."""
    if all(part.need is None for part in group):
        return (None,) * len(sizes)
    if len(group) == len(sizes) == 1:
        return (group[0].need,)
    parts = Parts(tuple((part.size, part.need) for part in group))
    if len(sizes) == 1:
        return (parts,)
    if product(tuple(part.size for part in group)) != product(tuple(sizes)):
        return None
    flat: Axis = parts if len(group) > 1 else group[0].need
    span = as_span(flat)
    return axis_from(span, tuple(sizes)) if isinstance(span, Span) else None
