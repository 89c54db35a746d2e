"""The chance of so many failures."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from streams.kernel import surprise

COUNTS = (1, 2, 3, 5, 10, 17, 60, 100, 500, 3600, 100_000, 1_000_000)
RATES = (1e-12, 1e-6, 1e-3, 0.005, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.999, 1 - 1e-9)


def grid():
    """Numbers of failures from none to all, thickest about the mean, for each count and rate."""
    for n in COUNTS:
        for p in RATES:
            around = {
                int(n * p + d * math.sqrt(n * p * (1 - p))) for d in (-6, -2, -1, -0.1, 0, 0.1, 1, 2, 3, 6, 10, 30)
            }
            for k in sorted({0, 1, 2, 3, n // 10, n // 2, n - 1, n} | around):
                if 0 <= k <= n:
                    yield k, n, p


def test_chance_is_that_of_scipy():
    """Over a grid with every extreme the chance is scipy's within 1e-10 of itself, as long as a float can hold it."""
    checked = 0
    for k, n, p in grid():
        wanted = stats.binom.sf(k - 1, n, p)
        got = surprise.surprise(float(k), float(n), p)
        assert got >= 0
        if wanted > 1e-290:
            assert 10**-got == pytest.approx(wanted, rel=1e-10), (k, n, p)
            checked += 1
    assert checked > 800


def test_chances_too_small_for_a_float_still_have_a_score():
    """A whole day of failures is a surprise of thousands, not infinity."""
    assert surprise.surprise(86400.0, 86400.0, 0.01) == pytest.approx(172_800)
    # P(X >= k) lies between P(X = k) and, its terms falling by two thirds and more each, one and a half times that.
    least = -stats.binom.logpmf(5000, 10_000, 0.25) / math.log(10)
    assert least - math.log10(1.5) < surprise.surprise(5000.0, 10_000.0, 0.25) < least


def test_more_failures_are_more_surprising():
    """The score never falls as failures are added."""
    for n, p in ((7, 0.02), (60, 0.3), (4000, 0.01)):
        scores = [surprise.surprise(float(k), float(n), p) for k in range(n + 1)]
        assert all(a <= b for a, b in itertools.pairwise(scores))


def test_one_failure_of_two_is_no_outage():
    """At a usual rate of 1 %, one failure of two is likelier than 1 in 100; two of two are not."""
    assert surprise.surprise(1.0, 2.0, 0.01) < 2
    assert surprise.surprise(2.0, 2.0, 0.01) == pytest.approx(4)


def test_edges():
    """No failures are no surprise; any at a rate of 0 are an infinite one; without samples or rate there is none."""
    assert surprise.surprise(0.0, 10.0, 0.0) == 0
    assert surprise.surprise(1.0, 10.0, 0.0) == math.inf
    assert surprise.surprise(10.0, 10.0, 1.0) == 0
    for nothing in ((0.0, 0.0, 0.1), (1.0, 2.0, math.nan), (math.nan, 2.0, 0.1)):
        assert math.isnan(surprise.surprise(*nothing))


def fed(outcomes):
    s = np.zeros(surprise.SIZE)
    for failed in outcomes:
        surprise.learn(s, 0, float(failed))
    return s


def test_rate_is_learnt():
    """The learnt rate of steady failures is theirs, within a few standard errors."""
    rng = np.random.default_rng(5)
    for rate in (0.02, 0.2):
        learnt = surprise.expected(fed(rng.random(20_000) < rate), 0)
        assert learnt == pytest.approx(rate, rel=0.35)


def test_first_rates_are_careful():
    """No rate before fifty samples; a hundred good ones do not make failures impossible."""
    assert math.isnan(surprise.expected(fed([0] * 49), 0))
    assert surprise.LEAST <= surprise.expected(fed([0] * 100), 0) <= 0.01
    assert surprise.expected(fed([0] * 100_000), 0) == surprise.LEAST


def test_outage_is_not_learnt():
    """Ten minutes of failures leave the learnt rate as it was."""
    s = fed([0] * 1000)
    before = s[surprise.RATE]
    for _ in range(600):
        surprise.learn(s, 0, 1.0)
    assert s[surprise.RATE] == before


def test_failures_that_stay_become_normal():
    """A rate that has been high for a thousand samples and more is learnt."""
    s = fed([0] * 1000)
    for i in range(6000):
        surprise.learn(s, 0, float(i % 2))
    assert surprise.expected(s, 0) == pytest.approx(0.5, abs=0.05)


def test_no_outcome_changes_nothing():
    """A NaN leaves the rate as it was."""
    s = fed([0, 1] * 40)
    before = s.tobytes()
    surprise.learn(s, 0, math.nan)
    assert s.tobytes() == before
