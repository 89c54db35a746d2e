"""What is normal for the hour of the week."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from streams.kernel import seasonal


class Table:
    """Three series; the tests feed the middle one."""

    def __init__(self):
        self.mean = np.zeros((seasonal.HOURS, 3), np.float32)
        self.weeks = np.zeros((seasonal.HOURS, 3), np.uint8)
        self.spread = np.zeros(3, np.float32)

    def observe(self, hour, value):
        seasonal.observe(self.mean, self.weeks, self.spread, 1, hour, float(value), 1e-6)

    def expected(self, hour):
        return seasonal.expected(self.mean, self.weeks, 1, hour)


def test_hour_of_week_is_the_calendars():
    """Hour 0 is Monday's first, in UTC, over leap years and before the epoch."""
    for days in (0, 3, 59.99, 10_000.5, 19_999.05, -3.2):
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=days)
        assert seasonal.hour_of_week(int(when.timestamp() * 1000)) == when.weekday() * 24 + when.hour
    assert seasonal.hour_of_week(int(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)) == 0


def test_unknown_before_two_weeks():
    """An hour is expected only once it was seen in two weeks; the others stay unknown."""
    table = Table()
    table.observe(9, 100)
    assert math.isnan(table.expected(9))
    table.observe(9, 110)
    assert table.expected(9) == pytest.approx(105)
    assert math.isnan(table.expected(10))
    assert table.mean[:, [0, 2]].any() == False  # noqa: E712 - numpy's own bool


def test_mean_is_the_weighted_one_of_the_weeks():
    """Without anomalies an hour's mean is the plain mean of three weeks, then 0.3 of the latest each week."""
    table, weeks = Table(), [100, 104, 99, 102, 97, 101]
    for value in weeks:
        table.observe(9, value)
    wanted = np.mean(weeks[:3])
    for value in weeks[3:]:
        wanted += 0.3 * (value - wanted)
    assert table.expected(9) == pytest.approx(wanted, rel=1e-5)


def traffic(hour, week, rng):
    return 1000 + 800 * math.sin(hour / 24 * 2 * math.pi) + (300 if hour < 120 else 0) + rng.normal(0, 20)


@pytest.mark.parametrize("weeks", [2, 3])
def test_first_weeks_are_those_of_the_batch(weeks):
    """After two weeks, and after three, what is usual for an hour is numpy's mean of its weeks."""
    table, values = Table(), np.random.default_rng(6).normal(100, 2, (weeks, seasonal.HOURS))
    for week in values:
        for hour, value in enumerate(week):
            table.observe(hour, value)
    got = [table.expected(hour) for hour in range(seasonal.HOURS)]
    np.testing.assert_allclose(got, values.mean(axis=0), rtol=1e-6)


def test_season_is_learnt():
    """After a few weeks each hour's expectation is near its true mean, where the mean of all hours is far off."""
    table, rng = Table(), np.random.default_rng(1)
    for week in range(8):
        for hour in range(seasonal.HOURS):
            table.observe(hour, traffic(hour, week, rng))
    truth = [1000 + 800 * math.sin(h / 24 * 2 * math.pi) + (300 if h < 120 else 0) for h in range(seasonal.HOURS)]
    assert max(abs(table.expected(h) - truth[h]) for h in range(seasonal.HOURS)) < 60


def test_outage_leaves_its_hour_nearly_as_it_was():
    """One dead hour moves its expectation by less than a twelfth; a change for good is learnt within weeks."""
    table, rng = Table(), np.random.default_rng(2)
    for week in range(6):
        for hour in range(seasonal.HOURS):
            table.observe(hour, traffic(hour, week, rng))
    before = table.expected(10)
    table.observe(10, 0.0)
    assert abs(table.expected(10) - before) < before / 12
    for _ in range(6):
        for hour in range(seasonal.HOURS):
            table.observe(hour, 3 * traffic(hour, 0, rng))
    assert table.expected(10) > 2 * before


def test_weeks_fit_a_byte():
    """Years of weeks do not overflow the count."""
    table = Table()
    for _ in range(400):
        table.observe(0, 1)
    assert table.weeks[0, 1] == seasonal.MOST


def test_no_value_changes_nothing():
    """An hour without samples is no observation."""
    table = Table()
    table.observe(0, 1)
    before = table.mean.tobytes() + table.weeks.tobytes() + table.spread.tobytes()
    for nothing in (math.nan, math.inf):
        table.observe(0, nothing)
    assert table.mean.tobytes() + table.weeks.tobytes() + table.spread.tobytes() == before


def test_between_hours_lies_a_straight_line():
    """A moment's expectation is its hour's in the middle of it, half of each neighbour's at the turn, over Sunday too;
    the hour's own where the neighbour is not known, and none where the hour is not."""
    table = Table()
    for _ in range(2):
        for hour in range(seasonal.HOURS):
            table.observe(hour, hour)

    def at(hours):
        return seasonal.expected_at(table.mean, table.weeks, 1, int((4 * 24 + hours) * seasonal.HOUR_MS))

    assert at(9.5) == 9
    assert at(10.0) == 9.5
    assert at(10.25) == 9.75
    assert at(0.0) == at(168.0) == 167 / 2
    table.weeks[11, 1] = 1
    assert at(10.75) == 10
    assert math.isnan(at(11.25))
