"""When targets are checked."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.probe.schedule import first_due, next_due, phase

SECONDS = st.floats(0.05, 86400)
SHARE = st.floats(0, 1, exclude_max=True)


@given(st.floats(0, 1e6), SECONDS, SHARE)
def test_the_first_check_comes_within_two_seconds(start, every, share):
    """Nobody waits longer than two seconds, or one interval, for the first sample."""
    assert start <= first_due(start, every, share) <= start + min(every, 2.0)


@given(st.floats(0, 1e6), SECONDS, SHARE, st.floats(0, 1e5))
def test_the_next_check_is_on_the_grid_and_soon(start, every, share, later):
    """The next check is after now, at most an interval away, and on start + (share + k) * every."""
    now = start + later
    due = next_due(start, every, share, now)
    assert now < due <= now + every * (1 + 1e-9) + 1e-9 or due <= start + 2 * every
    k = (due - start) / every - share
    assert abs(k - round(k)) < 1e-6 * max(1.0, abs(due) / every)


def test_phases_are_spread_and_stable():
    """A thousand targets fall evenly into ten parts of the interval; a name keeps its place, another probe has another."""
    parts = [0] * 10
    for i in range(1000):
        parts[int(phase("p", f"target-{i}") * 10)] += 1
    assert min(parts) > 60
    assert phase("p", "a") == phase("p", "a") != phase("q", "a")
