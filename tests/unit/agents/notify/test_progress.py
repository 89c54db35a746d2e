"""Offsets that are finished out of order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.notify.progress import Progress


def test_nothing_begun_is_nothing_to_commit():
    """A partition without records has no offset to commit."""
    assert Progress().committable() is None
    assert Progress(5).committable() == 5


def test_a_record_with_two_deliveries_needs_both():
    """The offset moves on when the last delivery of the record has ended."""
    progress = Progress()
    progress.begin(7, 2)
    progress.finish_one(7)
    assert progress.committable() == 7
    progress.finish_one(7)
    assert progress.committable() == 8


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_the_committable_offset_is_the_lowest_unfinished_one(counts, random):
    """Whatever the order of the ends and with holes in the offsets, it never passes an unfinished record."""
    progress, offsets = Progress(), [3 * n for n in range(len(counts))]
    left = dict(zip(offsets, counts, strict=True))
    for offset, n in left.items():
        progress.begin(offset, n)
    ends = [offset for offset, n in left.items() for _ in range(n)]
    random.shuffle(ends)
    for offset in ends:
        unfinished = [o for o, n in left.items() if n]
        assert progress.committable() == min(unfinished)
        assert len(progress) == sum(o >= min(unfinished) for o in offsets)
        progress.finish_one(offset)
        left[offset] -= 1
    assert progress.committable() == offsets[-1] + 1
    assert len(progress) == 0
