"""Packing buffers: those alive together never overlap, and the block is about as small as can be."""

from hypothesis import given, settings
from hypothesis import strategies as st

from graphspec.runtime.arena import ALIGNMENT, Interval, _most_alive, pack
from tests.effort import growth

INTERVALS = st.lists(
    st.builds(
        lambda start, length, size: Interval(start, start + length, size),
        st.integers(0, 40),
        st.integers(0, 20),
        st.integers(0, 1000),
    ),
    max_size=40,
)


def rounded(buffers):
    return [-(-b.size // ALIGNMENT) * ALIGNMENT for b in buffers]


def overlaps(buffers, offsets):
    """Pairs of buffers that share a byte at one moment."""
    found = []
    for i, a in enumerate(buffers):
        for j, b in enumerate(buffers[:i]):
            in_time = a.start <= b.end and b.start <= a.end
            in_space = offsets[i] < offsets[j] + b.size and offsets[j] < offsets[i] + a.size
            if in_time and in_space and a.size and b.size:
                found.append((i, j))
    return found


@given(INTERVALS)
@settings(deadline=None)
def test_buffers_alive_together_never_overlap(buffers):
    offsets, total = pack(buffers)
    assert overlaps(buffers, offsets) == []
    assert all(offset % ALIGNMENT == 0 for offset in offsets)
    assert all(offset + b.size <= total for offset, b in zip(offsets, buffers, strict=True))
    assert _most_alive(buffers, rounded(buffers)) <= total <= sum(rounded(buffers))


def test_nested_lifetimes_are_packed_without_a_gap():
    # forward and backward: what is made first is needed last
    depth = 50
    buffers = [Interval(i, 2 * depth - i, 100 * (i + 1)) for i in range(depth)]
    offsets, total = pack(buffers)
    assert total == sum(rounded(buffers))
    assert overlaps(buffers, offsets) == []


def test_a_chain_takes_two_buffers():
    buffers = [Interval(i, i + 1, 4096) for i in range(100)]
    assert pack(buffers)[1] == 2 * 4096


def test_the_largest_are_placed_first_where_a_sweep_in_time_leaves_gaps():
    # at step 1 the sweep puts the middle buffer above a gap that is too small for the last one
    buffers = [Interval(0, 0, 128), Interval(0, 2, 128), Interval(1, 2, 192), Interval(3, 3, 320)]
    assert pack(buffers)[1] == 320


def test_packing_is_close_to_linear():
    def prepare(count):
        buffers = [Interval(i, i + 1 + (i * 7919) % 50, 64 + (i * 104729) % 5000) for i in range(count)]
        buffers += [Interval(i, 2 * count - i, 256) for i in range(count)]
        return lambda: pack(buffers)

    assert growth(prepare, 1000) < 2.6  # searches in what is sorted
