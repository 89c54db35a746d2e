"""Whether the level of a series has changed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.tsa.ar_model import AutoReg
from statsmodels.tsa.stattools import acf

from streams.kernel import change
from streams.rules import words


def fed(values, s=None):
    s = np.zeros(change.SIZE) if s is None else s
    return s, np.array([change.update(s, 0, v, 1e-9, change.TREND_ALPHA) for v in values])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(0.02, 1), st.floats(0, 9)), min_size=1, max_size=60))
def test_sums_are_those_of_the_batch_definition(values):
    """Each sum is the greatest of any stretch that ends now: of what is new, of its opposite, of its size less the usual
    one, less the slack."""
    s = np.zeros(change.SIZE)
    s[change.SEEN] = change.GRACE
    for n, value in enumerate(values, 1):
        got = change.accumulate(s, 0, *value)
        news, weight, size = np.array(values[:n]).T
        step = np.sqrt(weight) * np.clip(news, -change.CLIP, change.CLIP)
        terms = {
            change.UP: step - weight * change.SLACK,
            change.DOWN: -step - weight * change.SLACK,
            change.WIDE: np.minimum(size, change.WIDE_CLIP) - round(math.sqrt(2 / math.pi), 1) - change.WIDE_SLACK,
        }
        if max(s[list(terms)]) == change.MOST:
            return  # from here on the sums are held down
        for cell, term in terms.items():
            assert s[cell] == pytest.approx(max(0.0, *(term[j:].sum() for j in range(n))), abs=1e-9)
        assert abs(got) == max(s[list(terms)])
        assert (got < 0) == (s[change.DOWN] > s[change.UP])


@pytest.mark.parametrize("like", [0.0, 0.3, 0.6, 0.8])
def test_correlation_and_what_is_new_are_those_of_the_batch(like):
    """The learnt correlation is statsmodels' autocorrelation of the same values, and the size of what is new that of the
    residuals of its autoregression, within a few standard errors."""
    off = []
    for seed in range(20):
        x = np.zeros(2000)
        for i, news in enumerate(np.random.default_rng(seed).normal(0, 5, 2000)[1:], 1):
            x[i] = like * x[i - 1] + news
        s, _ = fed(100 + x)
        residuals = AutoReg(x[-500:], 1).fit().resid / x[-500:].std()
        off.append((s[change.LAG] - acf(x[-1000:], nlags=1)[1], s[change.NEWS] / np.abs(residuals).mean() - 1.0))
    correlation, size = np.array(off).T
    assert np.sqrt(np.mean(correlation**2)) < 0.08
    assert np.sqrt(np.mean(size**2)) < 0.15


def test_small_shift_is_found():
    """A lasting shift of one and a half deviations, which no z-score of 4 sees, adds up, with its sign."""
    for sign in (1, -1):
        values = np.random.default_rng(7).normal(100, 10, 400)
        values[200:] += sign * 15
        _, scores = fed(values)
        assert np.nanmax(np.abs(scores[:200])) < change.CHANGED
        found = np.flatnonzero(sign * scores[200:] > change.CHANGED)
        assert found[0] < 30


@pytest.mark.parametrize("like", [0.0, 0.6])
def test_shift_downwards_is_never_one_upwards(like):
    """However far values fall, and though noise wanders, the score says downwards for as long as it says changed."""
    told = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = np.zeros(300)
        for i, news in enumerate(rng.normal(0, 5, 300)[1:], 1):
            x[i] = like * x[i - 1] + news
        x[200:] -= rng.uniform(30, 90)
        _, scores = fed(100 + x)
        told += min(scores[200:260]) < -change.CHANGED
        assert max(scores[200:260]) < change.CHANGED
    assert told > 17


def test_spike_is_no_change():
    """One value, however far out, does not make a change."""
    values = np.random.default_rng(8).normal(100, 10, 300)
    values[150] = 1e6
    _, scores = fed(values)
    assert np.nanmax(np.abs(scores)) < change.CHANGED


def test_stronger_noise_is_a_change():
    """Noise that becomes five times as strong is found within ten values, though its mean stays."""
    rng = np.random.default_rng(17)
    _, scores = fed(np.concatenate([rng.normal(100, 10, 300), rng.normal(100, 50, 30)]))
    assert np.nanmax(np.abs(scores[:300])) < change.CHANGED
    assert np.flatnonzero(scores[300:] > change.CHANGED)[0] < 10


def test_likeness_of_neighbours_is_not_a_change():
    """Noise that wanders, each value 0.8 of the one before plus news, is not taken for changes of level."""
    rng = np.random.default_rng(9)
    beyond = []
    for _ in range(20):
        x = np.zeros(1000)
        for i, news in enumerate(rng.normal(0, 6, 1000)[1:], 1):
            x[i] = 0.8 * x[i - 1] + news
        beyond.append(np.mean(np.abs(fed(100 + x)[1][change.GRACE :]) > change.CHANGED))
    assert np.mean(beyond) < 0.05


def test_the_reference_follows_the_hours_of_the_day():
    """A wave of 40 % over a day of 2,880 values is no change, and its slope is known; a rise five times as steep is one."""
    n = np.arange(8 * 2880)
    wave = 100 * (1 + 0.4 * np.sin(n / 2880 * 2 * math.pi)) + np.random.default_rng(11).normal(0, 10, n.size)
    s, scores = fed(wave)
    assert np.mean(np.abs(scores[change.GRACE :]) > change.CHANGED) < 0.001
    assert s[change.TREND] == pytest.approx(40 * 2 * math.pi / 2880, rel=0.5)
    _, scores = fed(100 + 0.4 * np.arange(200) + np.random.default_rng(12).normal(0, 10, 200), s)
    assert np.nanmax(scores) > change.CHANGED


def test_what_is_stuck_is_not_left_behind():
    """A value that was rising when it stuck stays as near to the reference as it was."""
    n = np.arange(600)
    s, _ = fed(100 + 0.02 * n + np.random.default_rng(13).normal(0, 1, n.size))
    assert s[change.TREND] > 0
    at = s[change.MEAN]
    fed([s[change.LAST]] * 500, s)
    assert s[change.MEAN] == pytest.approx(at, abs=0.1)


def test_new_level_becomes_the_reference():
    """A change is told for sixty values, then the new level is normal."""
    values = np.random.default_rng(10).normal(100, 5, 600)
    values[200:] += 50
    s, scores = fed(values)
    assert np.nanmax(scores[200:270]) > change.CHANGED
    assert np.nanmax(np.abs(scores[-100:])) < change.CHANGED
    assert s[change.MEAN] == pytest.approx(150, abs=3)


def test_score_goes_as_far_as_rules_are_told():
    """The score stays between the limits that rules are checked against, and reaches both."""
    for sign in (1, -1):
        _, scores = fed(np.concatenate([100 + np.arange(60) % 5, np.full(59, 100 + sign * 90.0)]))
        assert max(sign * scores[60:]) == words.MOST_CHANGE == change.MOST


def test_no_score_in_the_grace_period_nor_without_a_value():
    """No score before forty values; a NaN or infinite value has none and changes nothing."""
    s, scores = fed([1.0, 2.0] * 20)
    assert np.isnan(scores).all()
    assert not math.isnan(change.update(s, 0, 1.0, 1e-9, 0.0))
    before = s.tobytes()
    for nothing in (math.nan, math.inf, -math.inf):
        assert math.isnan(change.update(s, 0, nothing, 1e-9, 0.0))
    assert s.tobytes() == before
    assert not math.isnan(change.score(s, 0))
