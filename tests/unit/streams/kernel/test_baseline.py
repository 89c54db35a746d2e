"""What is normal for a series, one value at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kernel import baseline


def slow(values, least):
    """The same by the book, with whole arrays of one entry; every z-score and the state after it."""
    mean = variance = seen = streak = np.zeros(1)
    for number in values:
        value = np.array([number])
        deviation = np.maximum(np.sqrt(variance), np.maximum(0.05 * np.abs(mean), least))
        z = np.where(seen < 20, np.nan, (value - mean) / deviation)
        has = ~np.isnan(value)
        odd = has & (np.abs(np.nan_to_num(z)) > 4.0)
        streak = np.where(has, np.where(odd, streak + 1, 0.0), streak)
        restart = odd & (streak >= 60)
        seen = np.where(restart, 0.0, seen)
        streak = np.where(restart, 0.0, streak)
        takes = has & (~odd | restart)
        alpha = np.maximum(0.05, 1.0 / (seen + 1.0))
        step = np.where(takes, value - mean, 0.0)
        new_mean = np.where(seen == 0, value, mean + alpha * step)
        new_variance = np.where(seen == 0, 0.0, (1.0 - alpha) * (variance + alpha * step * step))
        mean, variance = np.where(takes, new_mean, mean), np.where(takes, new_variance, variance)
        seen = seen + takes
        yield float(z[0]), [float(x[0]) for x in (mean, variance, seen, streak)]


def fed(values, least=1e-9):
    """The state after `values`, and every score."""
    s = np.zeros(baseline.SIZE)
    return s, [baseline.update(s, 0, v, least) for v in values]


stretches = st.lists(
    st.tuples(st.floats(-1e6, 1e6) | st.just(math.nan), st.integers(1, 70), st.floats(0, 100)), min_size=1, max_size=6
)


@settings(max_examples=150, deadline=None)
@given(stretches, st.sampled_from([1e-9, 0.5, 25.0]))
def test_each_step_is_that_of_the_slow_reference(stretches, least):
    """Scores and state are bit for bit those of the formulas on arrays, through anomalies, gaps and new levels."""
    values = [level + spread * math.sin(7.0 * i) for level, length, spread in stretches for i in range(length)]
    s = np.zeros(baseline.SIZE + 2)
    for value, (z, state) in zip(values, slow(values, least), strict=True):
        got = baseline.update(s, 1, value, least)
        assert got == z or (math.isnan(got) and math.isnan(z))
        assert s[1:-1].tolist() == state
    assert s[0] == s[-1] == 0.0


def test_no_score_in_the_grace_period():
    """The first values have no score: nothing is known yet to compare them with."""
    _, scores = fed([10.0] * 19 + [500.0])
    assert all(math.isnan(z) for z in scores)


def test_anomaly_is_scored_and_not_learnt():
    """A value far outside has a high score and leaves the baseline as it was."""
    s, _ = fed([100.0, 110.0] * 20)
    before = s.copy()
    assert baseline.update(s, 0, 1000.0, 1e-9) > 4
    assert s[: baseline.SEEN + 1].tolist() == before[: baseline.SEEN + 1].tolist()


def test_lasting_change_becomes_the_new_normal():
    """A level that stays, sixty values long, is learnt in the end."""
    s, _ = fed([100.0, 110.0] * 20 + [1000.0] * 80)
    assert s[baseline.MEAN] == pytest.approx(1000)
    assert s[baseline.SEEN] == 21


@pytest.mark.parametrize("nothing", [math.nan, math.inf, -math.inf])
def test_no_value_changes_nothing(nothing):
    """A NaN or infinite value has no score and leaves the series as it was."""
    s, _ = fed([100.0, 110.0] * 20)
    before = s.tobytes()
    assert math.isnan(baseline.update(s, 0, nothing, 1e-9))
    assert s.tobytes() == before


def test_least_deviation_is_the_callers():
    """A series near zero is judged by the deviation the caller says is the least that matters."""
    s, _ = fed([0.0] * 30)
    assert baseline.score(s, 0, 2.0, 1.0) == 2.0
