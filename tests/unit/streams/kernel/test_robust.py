"""Distance from the median in median absolute deviations."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import median_abs_deviation

from streams.kernel import robust

KINDS = {
    "normal": lambda rng, n: rng.normal(100, 10, n),
    "lognormal": lambda rng, n: rng.lognormal(4.6, 0.5, n),
    "uniform": lambda rng, n: rng.uniform(50, 150, n),
    "exponential": lambda rng, n: rng.exponential(100, n),
    "heavy tails": lambda rng, n: 100 + 10 * rng.standard_t(2, n),
    "one in twenty wild": lambda rng, n: np.where(rng.random(n) < 0.05, 1000.0, rng.normal(100, 10, n)),
}


def fed(values, s=None):
    s = np.zeros(robust.SIZE) if s is None else s
    return s, np.array([robust.update(s, 0, float(v), 1e-9) for v in values])


@pytest.mark.parametrize("kind", KINDS)
def test_median_and_deviation_are_those_of_the_batch(kind):
    """Over 50 series the median is off by 0.25 deviations (root mean square), the deviation by 20 %, without bias."""
    rng = np.random.default_rng(11)
    medians, spreads = [], []
    for _ in range(50):
        x = KINDS[kind](rng, 1000)
        s, _ = fed(x)
        mad = median_abs_deviation(x)
        medians.append((s[robust.MEDIAN] - np.median(x)) / mad)
        spreads.append(s[robust.SPREAD] / mad - 1)
    assert np.sqrt(np.mean(np.square(medians))) < 0.25
    assert np.sqrt(np.mean(np.square(spreads))) < 0.20
    assert abs(np.mean(medians)) < 0.1
    assert abs(np.mean(spreads)) < 0.1


def test_scores_are_those_of_the_batch():
    """The scores of normal values correlate with scipy's robust z over all of them to 0.97."""
    x = np.random.default_rng(12).normal(100, 10, 2000)
    _, scores = fed(x)
    batch = (x - np.median(x)) / median_abs_deviation(x, scale="normal")
    assert np.corrcoef(scores[100:], batch[100:])[0, 1] > 0.97


def test_wild_values_do_not_hide_each_other():
    """After five spikes the sixth is as far out as the first, where mean and variance would have given in."""
    x = np.random.default_rng(13).normal(100, 5, 300)
    spikes = [100, 104, 108, 112, 116, 120]
    x[spikes] = 400
    _, scores = fed(x)
    assert min(scores[spikes]) > 0.7 * scores[100] > 20


def test_outage_is_not_learnt():
    """Fifty wild values in a row move the median by no more than one step."""
    s, _ = fed(np.random.default_rng(14).normal(100, 5, 300))
    before = s.copy()
    fed([900.0] * 50, s)
    assert abs(s[robust.MEDIAN] - before[robust.MEDIAN]) <= 1.001 * robust.GAIN * before[robust.SPREAD]


def test_lasting_change_becomes_the_new_normal():
    """A level that stays is learnt in the end."""
    rng = np.random.default_rng(15)
    s, _ = fed(rng.normal(100, 5, 300))
    _, scores = fed(rng.normal(900, 5, 120), s)
    assert scores[0] > 50
    assert abs(scores[-1]) < 6
    assert s[robust.MEDIAN] == pytest.approx(900, abs=5)


def test_wild_start_is_unlearnt():
    """A start of outliers alone is forgotten, even if they come back now and then."""
    x = np.random.default_rng(16).normal(100, 10, 400)
    x[:5] = 1000
    x[50::20] = 1000
    s, _ = fed(x)
    assert s[robust.MEDIAN] == pytest.approx(100, abs=10)


def test_constant_series_has_a_score():
    """A constant has no deviation; a twentieth of it is the least."""
    s, scores = fed([200.0] * 50)
    assert scores[-1] == 0
    assert robust.score(s, 0, 260.0, 1e-9) == pytest.approx(6)


def test_no_score_in_the_grace_period_nor_without_a_value():
    """No score before twenty values; a NaN or infinite value has none and changes nothing."""
    s, scores = fed(np.arange(20) % 5)
    assert np.isnan(scores).all()
    before = s.tobytes()
    for nothing in (math.nan, math.inf, -math.inf):
        assert math.isnan(robust.update(s, 0, nothing, 1e-9))
    assert s.tobytes() == before
