"""Which moment is meant by what people type after the @."""

from __future__ import annotations

import pytest

from streams.explain.when import moment, split
from streams.instants import instant

NOW = instant("2026-11-21T14:00:30Z")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("now", "2026-11-21T14:00:30Z"),
        ("-10m", "2026-11-21T13:50:30Z"),
        ("-1h30m", "2026-11-21T12:30:30Z"),
        ("03:12", "2026-11-21T03:12:00Z"),
        ("03:12:04", "2026-11-21T03:12:04Z"),
        ("15:00", "2026-11-20T15:00:00Z"),
        ("2026-11-21T03:12:00Z", "2026-11-21T03:12:00Z"),
        ("2026-11-21T03:12:00+02:00", "2026-11-21T01:12:00Z"),
        ("1795269600", "2026-11-21T14:00:00Z"),
        ("1795269600.5", "2026-11-21T14:00:00.500Z"),
        ("1795269600500", "2026-11-21T14:00:00.500Z"),
    ],
)
def test_times_as_people_write_them(text, wanted):
    """A time of the day is the last one in UTC; a number is seconds or milliseconds; a duration counts from now back."""
    assert moment(text, NOW) == instant(wanted)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("25:00", "no time of the day"),
        ("2026-11-21T03:12:00", "write 2026-11-21T03:12:00Z for UTC"),
        ("-soon", "no duration"),
        ("yesterday", "or now, -10m, 03:12"),
        ("2026-11-22T00:00:00Z", "is yet to come"),
        ("99999999999999", "is yet to come"),
    ],
)
def test_a_time_that_cannot_be_meant_is_refused_with_what_to_write(text, complaint):
    """The error says what would be right."""
    with pytest.raises(ValueError, match=complaint):
        moment(text, NOW)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("api", ("api", None)),
        ("api@now", ("api", "now")),
        ("api@-10m", ("api", "-10m")),
        ("api@03:12", ("api", "03:12")),
        ("ops@example.org", ("ops@example.org", None)),
        ("ops@example.org@-5m", ("ops@example.org", "-5m")),
        ("api@25:00", ("api", "25:00")),
        ("api@", ("api", "")),
    ],
)
def test_a_subject_may_have_an_at_of_its_own(text, wanted):
    """What follows the last @ is a time if it reads, or was meant, as one."""
    assert split(text) == wanted
