"""Sliding windows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.panes import AHEAD, KEPT, PANE_MS, PANES_OF, Panes, pane_of

SAMPLE = st.tuples(
    st.integers(0, 4),  # row
    st.integers(-400, AHEAD),  # pane, from the head
    st.booleans(),
    st.one_of(st.just(float("nan")), st.floats(0, 1e6)),
)
STEP = st.tuples(st.integers(0, 500), st.lists(SAMPLE, max_size=8))


def fold(steps) -> tuple[Panes, list[tuple[int, int, bool, float]]]:
    panes, kept = Panes(256), []
    panes.grow(5)
    head = 1000
    for forward, samples in steps:
        head += forward
        panes.advance(head)
        rows = np.array([s[0] for s in samples], np.int64)
        at = np.array([head + s[1] for s in samples], np.int64)
        ok = np.array([s[2] for s in samples], np.bool_)
        values = np.array([s[3] for s in samples], np.float64)
        take = panes.accepts(at)
        assert take.tolist() == [head - KEPT < p <= head + AHEAD for p in at.tolist()]
        panes.add(rows[take], at[take], ok[take], values[take])
        kept += [
            (int(r), int(p), bool(o), float(v))
            for r, p, o, v in zip(rows[take], at[take], ok[take], values[take], strict=True)
        ]
    return panes, kept


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_window_is_the_sum_of_the_samples_in_it(steps):
    """A window counts each sample of its span once, late ones and those ahead of the clock in their own pane."""
    panes, kept = fold(steps)
    rows = np.arange(5)
    for window_s, length in PANES_OF.items():
        got = panes.window(window_s, rows)
        least, most = panes.extreme("value_min", window_s, rows), panes.extreme("value_max", window_s, rows)
        for row in range(5):
            inside = [s for s in kept if s[0] == row and panes.head - length < s[1] <= panes.head]
            values = [s[3] for s in inside if s[3] == s[3]]
            assert got.count[row] == len(inside)
            assert got.errors[row] == sum(not s[2] for s in inside)
            assert got.value_count[row] == len(values)
            assert got.value_sum[row] == pytest.approx(sum(values))
            assert np.isnan(least[row]) if not values else least[row] == pytest.approx(min(values), rel=1e-6)
            assert np.isnan(most[row]) if not values else most[row] == pytest.approx(max(values), rel=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_sums_do_not_depend_on_how_they_came_to_be(steps):
    """The sums of closed panes are, to the last bit, those of a state rebuilt from the panes alone."""
    panes, _ = fold(steps)
    before = {w: {n: c.copy() for n, c in sums.items()} for w, sums in panes._closed.items()}
    panes.sum_closed()
    for window, sums in before.items():
        for name, column in sums.items():
            assert column.tobytes() == panes._closed[window][name].tobytes()


def test_growing_keeps_what_is_there():
    """More rows than there is room for change nothing of the old ones."""
    panes = Panes(256)
    panes.grow(1)
    panes.advance(50)
    panes.add(np.array([0]), np.array([50]), np.array([False]), np.array([7.0]))
    panes.grow(3000)
    window = panes.window(60.0, np.array([0, 2999]))
    assert window.count.tolist() == [1, 0]
    assert window.errors.tolist() == [1, 0]


def test_head_never_moves_back():
    """A clock that goes back moves no window."""
    panes = Panes()
    assert panes.advance(10)
    assert not panes.advance(9)
    assert panes.head == 10


def test_pane_of_a_time():
    """A pane is ten seconds from its start on, without its end."""
    assert pane_of(np.array([0.0, PANE_MS - 1, PANE_MS, -1.0])).tolist() == [0, 0, 1, -1]
