"""Maintenance windows: recurrence on the wall clock, through the changes of the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.instants import instant, iso
from streams.maintenance import Window


def window(**more):
    values = {"name": "w", "targets": ["shop"], "start": "2026-03-01T02:30", "duration": "1h", **more}
    return Window.model_validate(values)


def starts(w, at, count):
    return [iso(s) for s, _ in w.calendar.upcoming(instant(at), count)]


def test_spring_takes_the_time_that_is_not_there_with_the_offset_before():
    """02:30 on the day when Berlin's clocks jump from 2 to 3 is 03:30, as RFC 5545 has it."""
    w = window(timezone="Europe/Berlin", rrule="FREQ=WEEKLY;BYDAY=SU")
    assert starts(w, "2026-03-20T00:00:00Z", 3) == [
        "2026-03-22T01:30:00.000Z", "2026-03-29T01:30:00.000Z", "2026-04-05T00:30:00.000Z",
    ]  # fmt: skip


def test_autumn_takes_the_first_of_two():
    """02:30 comes twice when the clocks go back: the window is there once, at the first."""
    w = window(timezone="Europe/Berlin", rrule="FREQ=DAILY")
    assert starts(w, "2026-10-24T12:00:00Z", 2) == ["2026-10-25T00:30:00.000Z", "2026-10-26T01:30:00.000Z"]
    assert w.calendar.active(instant("2026-10-25T00:45:00Z")) is not None
    assert w.calendar.active(instant("2026-10-25T01:45:00Z")) is None


def test_the_duration_is_time_that_passes():
    """Four hours over the change of clocks are four hours, whatever the clocks show at their end."""
    w = window(timezone="Europe/Berlin", start="2026-03-29T00:00", duration="4h")
    assert w.calendar.upcoming(0.0, 1) == [(instant("2026-03-28T23:00:00Z"), instant("2026-03-29T03:00:00Z"))]


def test_south_of_the_equator_it_is_the_other_way_round():
    """Sydney leaves summer time in April."""
    w = window(timezone="Australia/Sydney", rrule="FREQ=DAILY", start="2026-04-01T02:30")
    assert starts(w, "2026-04-03T20:00:00Z", 2) == ["2026-04-04T15:30:00.000Z", "2026-04-05T16:30:00.000Z"]


@pytest.mark.parametrize("until", ["20260303T013000Z", "20260303", "20260303T023000"])
def test_until_is_the_last_that_counts(until):
    """An UNTIL in UTC, as RFC 5545 wants it, as a date, or as a local time."""
    w = window(timezone="Europe/Berlin", rrule=f"FREQ=DAILY;UNTIL={until}")
    assert starts(w, "2026-01-01T00:00:00Z", 9)[-1] == "2026-03-03T01:30:00.000Z"


def test_count_and_exceptions():
    """COUNT counts those that are left out as well."""
    w = window(rrule="FREQ=DAILY;COUNT=3", **{"except": ["2026-03-02T02:30"]})
    assert starts(w, "2026-01-01T00:00:00Z", 9) == ["2026-03-01T02:30:00.000Z", "2026-03-03T02:30:00.000Z"]


def test_the_last_friday_of_the_month():
    """BYDAY with a position, as calendars write it; the rule may begin with RRULE:."""
    w = window(start="2026-01-01T22:00", rrule="RRULE:FREQ=MONTHLY;BYDAY=-1FR")
    assert starts(w, "2026-01-01T00:00:00Z", 2) == ["2026-01-30T22:00:00.000Z", "2026-02-27T22:00:00.000Z"]


ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])


@given(ZONES, st.integers(0, 23), st.integers(0, 59), st.integers(1, 30 * 3600), st.integers(0, 500 * 24 * 60))
@settings(max_examples=150)
def test_a_daily_window_is_active_when_the_wall_clock_says_so(zone, hour, minute, length, later):
    """As a plain search over the days around: active where some day's start is at most `length` ago."""
    start = datetime(2026, 1, 1, hour, minute)  # noqa: DTZ001 - local, of any zone
    w = window(timezone=zone, start=start.isoformat(), duration=length, rrule="FREQ=DAILY")
    now = datetime(2026, 1, 3, tzinfo=UTC) + timedelta(minutes=later)
    at = now.timestamp() * 1000
    spans = []
    for day in range(-3, 4):
        local = datetime.combine((now + timedelta(days=day)).date(), start.time(), ZoneInfo(zone))
        begin = local.timestamp() * 1000
        if local.replace(tzinfo=None) >= start:
            spans.append((begin, begin + length * 1000))
    wanted = [s for s in spans if s[0] <= at < s[1]]
    assert w.calendar.active(at) == (max(wanted) if wanted else None)
    following = w.calendar.upcoming(at, 2)
    assert following == sorted(s for s in spans if s[1] > at)[: len(following)]
    assert len(following) == 2


def test_asked_in_any_order():
    """What was asked before does not change what is answered."""
    w, times = window(rrule="FREQ=DAILY"), ["2027-01-01T02:45:00Z", "2026-03-01T02:45:00Z", "2026-06-01T02:45:00Z"]
    assert all(w.calendar.active(instant(t)) is not None for t in times)
    assert window().calendar.active(instant("2026-03-02T02:45:00Z")) is None


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"timezone": "Europe/Berln"}, "did you mean Europe/Berlin"),
        ({"timezone": "../etc/passwd"}, "is no IANA time zone"),
        ({"rrule": "FREQ=HOURLY"}, "DAILY, WEEKLY, MONTHLY, YEARLY"),
        ({"rrule": "FREQ=DAILY;BYDAY=XX"}, "BYDAY"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL is at least 1"),
        ({"rrule": "FREQ=DAILY;COUNT=0"}, "COUNT is at least 1"),
        ({"rrule": "FREQ=DAILY;COUNT=2;UNTIL=20270101"}, "exclude each other"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "it never occurs"),
        ({"rrule": "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=31"}, "BYMONTHDAY goes with FREQ=MONTHLY"),
        ({"rrule": "FREQ=DAILY;INTERVAL=7;BYDAY=MO"}, "BYDAY and INTERVAL do not go together"),
        ({"rrule": "FREQ=WEEKLY;INTERVAL=52;BYMONTH=2"}, "BYMONTH and INTERVAL do not go together"),
        ({"rrule": "FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=31"}, "it never occurs"),
        ({"rrule": "FREQ=DAILY;BYSECOND=1"}, "none within a minute"),
        ({"rrule": "FREQ=DAILY;BYHOUR=1,2,3,4,5,6,7,8;BYMINUTE=0,5,10,15,20,25,30"}, "at most 48 starts a day"),
        ({"rrule": "FREQ=DAILY;NONSENSE=1"}, "cannot be used"),
        ({"rrule": "FREQ=DAILY\nDTSTART:20260101"}, "rrule"),
        ({"except": ["2026-03-01T02:30"]}, "it never occurs"),
        ({"targets": []}, "name targets or matchers"),
        ({"targets": [], "matchers": ['a=~".*"']}, "ask for a value"),
        ({"start": "tomorrow"}, "no date and time"),
        ({"duration": "32d"}, "less than or equal"),
    ],
)
def test_what_cannot_be_is_refused(more, told):
    """With what is wrong, and where it can be guessed, what was meant."""
    with pytest.raises(ValidationError, match=told):
        window(**more)


def test_targets_or_matchers():
    """A window hits the targets it names, and alerts that pass all of its matchers."""
    w = window(matchers=["team=web", "env!=test"])
    assert w.hits("shop", {})
    assert w.hits("api", {"team": "web"})
    assert not w.hits("api", {"team": "web", "env": "test"})
    assert window(targets=[], matchers=['target=~".+"']).hits("api", {"target": "api"})


def test_it_survives_being_written():
    """What goes to the log and comes back is the same window."""
    w = window(timezone="Europe/Berlin", rrule="FREQ=DAILY", **{"except": ["2026-03-02T02:30"]})
    assert Window.model_validate(w.model_dump(mode="json", by_alias=True)) == w
