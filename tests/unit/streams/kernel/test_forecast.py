"""When a value will reach a limit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.tsa.holtwinters import Holt

from streams.kernel import forecast

START = 1.7e12


def fed(values, step_s=30.0, s=None, start=START):
    """The state after `values`, one each `step_s` seconds."""
    s = np.zeros(forecast.SIZE) if s is None else s
    for i, v in enumerate(values):
        forecast.update(s, 0, float(v), start + i * step_s * 1000)
    return s


def test_trend_is_a_discounted_least_squares_line():
    """From the first samples on level and trend are those of numpy's straight line, each sample weighted by its age."""
    rng = np.random.default_rng(1)
    for n in (8, 15, 25):
        y = 40 + 0.7 * np.arange(n) + rng.normal(0, 1, n)
        s = fed(y, 1.0)
        slope, origin = np.polyfit(np.arange(n), y, 1, w=forecast.THETA ** (np.arange(n)[::-1] / 2))
        assert s[forecast.TREND] == pytest.approx(slope, rel=1e-9)
        assert s[forecast.LEVEL] == pytest.approx(origin + slope * (n - 1), rel=1e-9)


def test_later_samples_are_holts_method():
    """In the long run level and trend are those of statsmodels' Holt with the same weights."""
    y = 40 + 0.7 * np.arange(600) + np.random.default_rng(2).normal(0, 1, 600)
    alpha, beta = 1 - forecast.THETA**2, (1 - forecast.THETA) ** 2 / (1 - forecast.THETA**2)
    fit = Holt(y, initialization_method="known", initial_level=40.0, initial_trend=0.7).fit(
        smoothing_level=alpha, smoothing_trend=beta, optimized=False
    )
    s = fed(y, 1.0)
    assert s[forecast.LEVEL] == pytest.approx(fit.level[-1], rel=1e-9)
    assert s[forecast.TREND] == pytest.approx(fit.trend[-1], rel=1e-9)


def test_rate_limit_reached_in_12_min():
    """A rate limit of 5,000 whose use grows by 100 a minute and stands at 3,800 is reached in 12 minutes."""
    used = 2000 + 50.0 * np.arange(37) + np.random.default_rng(3).normal(0, 8, 37)
    assert forecast.seconds_to(fed(used), 0, 5000.0) == pytest.approx(12 * 60, rel=0.05)


def test_disk_full_in_3_h():
    """A disk that fills by 5 % an hour and stands at 85 % is full in 3 hours, within a tenth, despite its noise."""
    used = 75 + 5 / 120 * np.arange(241) + np.random.default_rng(4).normal(0, 0.1, 241)
    assert forecast.seconds_to(fed(used), 0, 100.0) == pytest.approx(3 * 3600, rel=0.1)


def test_falling_value_reaches_a_floor():
    """Free memory that shrinks reaches 0."""
    assert forecast.seconds_to(fed(1000.0 - 10 * np.arange(50)), 0, 0.0) == pytest.approx(51 * 30, rel=0.01)


def test_uneven_intervals_do_not_bend_the_trend():
    """Samples at random times along a line give numpy's line through them, each weighted by its discount."""
    rng = np.random.default_rng(5)
    times = np.round(np.cumsum(1 + rng.exponential(30, 300)), 3)
    y = 7 + 0.25 * times + rng.uniform(-1, 1, 300)  # none so far off that it is passed over
    s, discounts, usual = np.zeros(forecast.SIZE), [1.0], 0.0
    for i, (t, v) in enumerate(zip(times, y, strict=True)):
        if i:
            usual = usual or t - times[i - 1]
            discounts.append(forecast.THETA ** ((t - times[i - 1]) / usual))
        forecast.update(s, 0, v, START + round(t * 1000))
        usual = s[forecast.INTERVAL]
    weights = np.array([np.prod(discounts[i + 1 :]) for i in range(300)])
    slope, _ = np.polyfit(times - times[-1], y, 1, w=np.sqrt(weights))
    assert s[forecast.TREND] == pytest.approx(slope, rel=1e-6)
    assert forecast.seconds_to(s, 0, 7 + 0.25 * (times[-1] + 3600)) == pytest.approx(3600, rel=0.05)


def test_long_gap_ends_a_trend():
    """After a silence of a hundred usual intervals the forecast is unknown, then that of the new samples alone."""
    s = fed(10.0 * np.arange(40))
    fed(1000.0 - 10 * np.arange(5), s=s, start=START + 10 * 3600_000)
    assert math.isnan(forecast.seconds_to(s, 0, 0.0))
    fed(950.0 - 10 * np.arange(5), s=s, start=START + 10 * 3600_000 + 5 * 30_000)
    assert forecast.seconds_to(s, 0, 0.0) == pytest.approx(91 * 30)


def test_noise_goes_nowhere():
    """A value without trend is practically never said to reach a limit, near as the limit is."""
    rng = np.random.default_rng(6)
    ends = []
    for _ in range(200):
        s = fed(rng.normal(80, 1, 120))
        ends.append(forecast.seconds_to(s, 0, 90.0))
    assert np.mean(np.isfinite(ends)) < 0.01


def test_moving_away_never_arrives():
    """The time to a limit that lies behind is infinite; so is that of a constant value."""
    s = fed(50.0 - np.arange(40))
    assert forecast.seconds_to(s, 0, 100.0) == math.inf
    assert forecast.seconds_to(fed([50.0] * 40), 0, 100.0) == math.inf


def test_limit_passed_is_reached():
    """Once the value has passed the limit, or stands on it, the time left is 0."""
    s = fed(90.0 + np.arange(40))
    assert forecast.seconds_to(s, 0, 100.0) == 0
    assert forecast.seconds_to(fed([100.0] * 40), 0, 100.0) == 0


def test_counter_that_starts_over_starts_its_trend_over():
    """A rate limit's new window makes the forecast unknown for a few samples; then it is of the new use alone."""
    s = fed(100.0 * np.arange(40))
    assert forecast.seconds_to(s, 0, 5000.0) == pytest.approx(11 * 30, rel=0.01)
    fed([0.0, 20.0], s=s, start=START + 40 * 30_000)
    assert math.isnan(forecast.seconds_to(s, 0, 5000.0))
    fed(20.0 * np.arange(2, 20), s=s, start=START + 42 * 30_000)
    assert forecast.seconds_to(s, 0, 5000.0) == pytest.approx((5000 - 380) / 20 * 30, rel=0.01)


def test_one_wild_value_is_passed_over():
    """A single glitch leaves the forecast as it was."""
    s = fed(100.0 * np.arange(40))
    before = forecast.seconds_to(s, 0, 5000.0)
    forecast.update(s, 0, 0.0, START + 40 * 30_000)
    assert forecast.seconds_to(s, 0, 5000.0) == before


def test_unknown_until_enough_samples():
    """Fewer than eight samples have no forecast."""
    assert math.isnan(forecast.seconds_to(fed(np.arange(7)), 0, 100.0))
    assert math.isfinite(forecast.seconds_to(fed(np.arange(8)), 0, 100.0))
    assert math.isnan(forecast.seconds_to(np.zeros(forecast.SIZE), 0, 100.0))


def test_late_doubled_or_missing_values_change_nothing():
    """A sample not younger than the latest, a NaN and an infinite value leave the state as it was."""
    s = fed(np.arange(20))
    before = s.tobytes()
    forecast.update(s, 0, 1e9, START)
    forecast.update(s, 0, 1e9, START + 19 * 30_000)
    assert math.isnan(forecast.update(s, 0, math.nan, 2e12))
    assert math.isnan(forecast.update(s, 0, math.inf, 2e12))
    assert s.tobytes() == before
