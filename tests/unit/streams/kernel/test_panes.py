"""Sliding windows over rings of panes, against a list of every sample."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kernel import panes

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
WINDOWS = [10.0, 60.0, 300.0, 600.0, 3600.0, 7200.0, 86_400.0]
ROWS = 3


class Slow:
    """Every sample that some ring may hold: (pane, row, ok, value) by tier."""

    def __init__(self):
        self.kept = {tier: [] for tier in range(panes.TIERS)}

    def add(self, head, pane, row, ok, value):
        for tier, step in enumerate(panes.STEPS):
            ahead = pane // step - head // step
            if -panes.BEHIND[tier] < ahead <= panes.AHEAD[tier]:
                self.kept[tier].append((pane // step, row, ok, value))

    def window(self, head, row, tier, length):
        newest = head // panes.STEPS[tier]
        some = [(ok, v) for p, r, ok, v in self.kept[tier] if r == row and newest - length < p <= newest]
        values = [v for _, v in some if v == v]
        sums = (len(some), sum(not ok for ok, _ in some), len(values), sum(values))
        return sums, min(values, default=None), max(values, default=None)


class Fast:
    """The ring, driven as the fold drives it."""

    def __init__(self, rows=ROWS):
        self.ring, self.head = panes.fresh(rows, WINDOWS), -1

    def advance(self, head):
        panes.advance(self.ring, self.head, head, self.ring.part.shape[1])
        self.head = head

    def add(self, pane, row, ok, value):
        for tier in range(panes.TIERS):
            slot = panes.slot_of(pane, tier, self.head)
            if slot >= 0:
                panes.add(self.ring, row, slot, ok, value)
        if pane < self.head:
            self.ring.closed_at[row] = -1

    def window(self, row, w):
        panes.close(self.ring, row, self.head)
        least, most = (panes.extreme(self.ring, row, w, self.head, f) for f in (panes.LEAST, panes.MOST))
        found = panes.window(self.ring, row, w)
        tier, length = int(self.ring.tier[w]), int(self.ring.length[w])
        assert panes.sums(self.ring, row, tier, length, self.head) == found
        return found, None if least != least else least, None if most != most else most


# How far the clock moves, in panes: mostly little, at times so that rings wrap, whole or in part.
moves = st.sampled_from([0, 0, 1, 1, 2, 7, 29, 30, 31, 36, 37, 300, 361, 720, 8640, 9000, 100_000])
# Whose sample, how far from the newest pane, whether good, which value.
samples = st.tuples(
    st.integers(0, ROWS - 1),
    st.sampled_from([0, 0, 0, -1, -2, -5, -6, -29, -30, -31, -59, -359, -360, -720, -8640, 1, 6, 7, 30, 720]),
    st.booleans(),
    st.sampled_from([float("nan"), 0.0, 1.0, 250.0, -3.0, 1e6]),
)


@given(st.lists(st.tuples(moves, st.lists(samples, max_size=6)), max_size=25), st.integers(0, 30))
@settings(deadline=None, max_examples=150)
def test_every_window_holds_the_samples_of_its_span(steps, grow_at):
    """Count, errors, values, sum, least and greatest of every window are those of the samples in it, at each step.

    Late ones, early ones, clock jumps of two hours and more, rings that wrap, and rows that are added on the way.
    """
    fast, slow, head = Fast(), Slow(), 170_000_000
    for i, (move, some) in enumerate(steps):
        head += move
        fast.advance(head)
        if i == grow_at:
            fast.ring = panes.grown(fast.ring, 2 * ROWS)
        for row, ahead, ok, value in some:
            fast.add(head + ahead, row, ok, value)
            slow.add(head, head + ahead, row, ok, value)
            w = (row + i) % len(WINDOWS)  # read between samples too: a sum that was made must not go stale
            assert fast.window(row, w) == slow.window(head, row, *panes.window_of(WINDOWS[w]))
        for row in range(ROWS):
            for w, seconds in enumerate(WINDOWS):
                assert fast.window(row, w) == slow.window(head, row, *panes.window_of(seconds))


def test_sums_do_not_depend_on_how_they_came_to_be():
    """A window summed at every sample and one summed once are the same to the last bit."""
    dice = np.random.default_rng(5)
    often, once = Fast(), Fast()
    for pane in range(1_000, 1_100):
        often.advance(pane)
        once.advance(pane)
        for value in dice.normal(100, 30, 5).tolist():
            late = int(dice.integers(0, 25))
            often.add(pane - late, 0, True, value)
            once.add(pane - late, 0, True, value)
            for w in range(len(WINDOWS)):
                often.window(0, w)
    assert [often.window(0, w) for w in range(len(WINDOWS))] == [once.window(0, w) for w in range(len(WINDOWS))]


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [(10, (0, 1)), (60, (0, 6)), (300, (0, 30)), (600, (1, 2)), (3600, (1, 12)), (7200, (2, 2)), (86_400, (2, 24)),
     (5, None), (15, None), (310, None), (90_000, None), (0, None), (-60, None)],
)  # fmt: skip
def test_window_has_a_tier_or_none(seconds, wanted):
    """A window is whole panes of the shortest that reach as far; what no tier holds is refused, in words."""
    assert panes.window_of(seconds) == wanted
    if wanted is None:
        with pytest.raises(ValueError, match=f"no panes for a window of {seconds} s"):
            panes.fresh(1, [float(seconds)])


def test_cleared_slot_is_empty_for_its_rows_only():
    """What is given up is gone, and the neighbour's stays."""
    fast = Fast()
    fast.advance(50)
    for row in range(ROWS):
        fast.add(50, row, False, 5.0)
    for slot in range(panes.EVERY_SLOT):
        panes.clear(fast.ring, slot, 1, 2)
    fast.ring.closed_at[:] = -1
    assert [fast.window(row, 1) for row in range(ROWS)] == [
        ((1, 1, 1, 5.0), 5.0, 5.0),
        ((0, 0, 0, 0), None, None),
        ((1, 1, 1, 5.0), 5.0, 5.0),
    ]


def test_busy_pane_is_counted_to_the_last_sample():
    """Counts go on where a float of 32 bits stands still, at 16.7 million."""
    ring = panes.fresh(1, [86_400.0])
    panes.advance(ring, -1, 0, 1)
    slot = panes.slot_of(0, 2, 0)
    ring.counts[slot, 0, :3] = 1 << 24
    for ok in (True, False, False):
        panes.add(ring, 0, slot, ok, 1.0)
    panes.close(ring, 0, 0)
    assert panes.window(ring, 0, 0)[:3] == ((1 << 24) + 3, (1 << 24) + 2, (1 << 24) + 3)
    assert panes.sums(ring, 0, 2, 24, 0)[:3] == ((1 << 24) + 3, (1 << 24) + 2, (1 << 24) + 3)
