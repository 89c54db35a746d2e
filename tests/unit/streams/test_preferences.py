"""What a person wants to be told of, when and where."""

from __future__ import annotations

from datetime import datetime

import pytest
import yaml
from pydantic import ValidationError

from streams.preferences import Preference

NIGHT = {"quiet_hours": [{"from": "22:00", "to": "07:00"}], "timezone": "Europe/Berlin"}


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp() * 1000.0


def reason(wish: dict, severity: str = "warning", now: str = "2026-11-21T12:00Z", channel: str = "slack") -> str:
    preference = Preference.model_validate(wish)
    against = preference.against(channel, severity, at(now))
    assert preference.keeps(channel, severity, at(now)) == (against is not None)
    return against[0].removeprefix("preference_") if against else ""


def test_without_a_wish_everything_is_told():
    """An empty preference withholds nothing."""
    assert reason({}, "info") == ""


def test_what_is_below_the_least_severity_is_withheld():
    """The level itself is told; none withholds all of them."""
    told = {level: [reason({"least_severity": level}, s) == "" for s in ("info", "warning", "critical")]
            for level in ("info", "warning", "critical", "none")}  # fmt: skip
    assert told == {
        "info": [True, True, True],
        "warning": [False, True, True],
        "critical": [False, False, True],
        "none": [False, False, False],
    }
    assert reason({"minSeverity": "critical"}) == "severity"


def test_other_channels_than_wanted_are_withheld():
    """Only the named channels tell."""
    assert [reason({"channels": ["email"]}, channel=c) for c in ("slack", "email")] == ["channel", ""]


def test_muted_is_muted_until_its_end():
    """For good, or up to an instant and not after it; critical too."""
    assert reason({"muted": True}, "critical") == "muted"
    wish = {"muted_until": "2026-11-21T13:00:00+01:00"}
    assert [reason(wish, "critical", f"2026-11-21T{t}Z") for t in ("11:59:59", "12:00")] == ["muted", ""]


@pytest.mark.parametrize(
    ("now", "quiet"),
    [
        ("2026-11-21T20:59Z", False),  # 21:59 in Berlin
        ("2026-11-21T21:00Z", True),
        ("2026-11-22T05:59Z", True),
        ("2026-11-22T06:00Z", False),
        ("2026-07-21T20:00Z", True),  # summer: two hours ahead
        ("2026-07-22T05:00Z", False),
        ("2026-10-25T00:30Z", True),  # 02:30, which comes twice this night
        ("2026-10-25T01:30Z", True),
    ],
)
def test_quiet_hours_go_by_the_persons_clock(now, quiet):
    """Past midnight, in summer and in winter; what is critical is told."""
    assert reason(NIGHT, "warning", now) == ("quiet_hours" if quiet else "")
    assert reason(NIGHT, "critical", now) == ""


@pytest.mark.parametrize(
    ("wish", "now", "end"),
    [
        (NIGHT, "2026-11-21T21:00Z", "2026-11-22T06:00:00.000Z"),
        (NIGHT, "2026-11-22T05:59:59Z", "2026-11-22T06:00:00.000Z"),
        (NIGHT, "2026-10-24T20:30Z", "2026-10-25T06:00:00.000Z"),  # the night in which summer time ends
        ({"quiet_hours": [{"from": "22:00", "to": "02:30"}], "timezone": "Europe/Berlin"},
         "2026-03-28T22:00Z", "2026-03-29T01:00:00.000Z"),  # 02:30 is left out: it is 03:00 then
        ({"quiet_hours": [{"from": "22:00", "to": "07:00"}, {"from": "06:00", "to": "09:30"}]},
         "2026-11-21T22:00Z", "2026-11-22T09:30:00.000Z"),
        ({"quiet_hours": [{"from": "22:00", "to": "07:00"}, {"from": "06:00", "to": "09:30", "least_severity": "info"}]},
         "2026-11-21T22:00Z", "2026-11-22T07:00:00.000Z"),  # the second lets it through
        ({"quiet_hours": [{"from": "00:00", "to": "24:00"}]}, "2026-11-21T22:00Z", ""),
    ],
)  # fmt: skip
def test_what_quiet_hours_withhold_says_when_they_end(wish, now, end):
    """Whatever the clocks do that night, and where several meet; hours without an end say none."""
    _, text = Preference.model_validate(wish).against("slack", "warning", at(now))
    assert text.partition(", until ")[2] == end


def test_whether_it_is_quiet_is_known_without_their_end(monkeypatch):
    """To look for that takes milliseconds, and what is withheld is asked about every second."""
    wish = Preference.model_validate(NIGHT)
    monkeypatch.delattr("streams.preferences._end")
    times = ("2026-11-21T21:00Z", "2026-11-22T06:00Z")
    assert [wish.keeps("slack", "warning", at(t)) for t in times] == [True, False]


def test_quiet_hours_of_a_day_belong_to_the_day_they_begin_on():
    """Friday night lasts until Saturday morning; Saturday's day is another; all of a Sunday can be quiet to anything."""
    friday = {"quiet_hours": [{"from": "22:00", "to": "07:00", "days": ["fri"]}]}
    times = ("2026-11-20T06:00Z", "2026-11-20T23:00Z", "2026-11-21T06:00Z", "2026-11-21T23:00Z")
    assert [reason(friday, now=t) for t in times] == ["", "quiet_hours", "quiet_hours", ""]
    sunday = {"quiet_hours": [{"from": "00:00", "to": "24:00", "days": ["sun"], "least_severity": "none"}]}
    times = ("2026-11-21T23:59Z", "2026-11-22T00:00Z", "2026-11-22T23:59Z", "2026-11-23T00:00Z")
    assert [reason(sunday, "critical", t) for t in times] == ["", "quiet_hours", "quiet_hours", ""]


def test_times_may_stand_in_yaml_without_quotes():
    """YAML 1.1 takes 22:00 for a number; it is read as what was meant, and written as such."""
    wish = Preference.model_validate(yaml.safe_load("quiet_hours: [{from: 22:00, to: 07:30}]"))
    assert wish.model_dump(mode="json", by_alias=True)["quiet_hours"][0] | {"days": []} == {
        "from": "22:00", "to": "07:30", "days": [], "least_severity": "critical",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "text"),
    [
        ({"quiet_hours": [{"from": "25:00", "to": "07:00"}]}, "a time of day is written 07:30"),
        ({"quiet_hours": [{"from": "7", "to": "08:00"}]}, "a time of day is written 07:30"),
        ({"quiet_hours": [{"from": "07:00", "to": "07:00"}]}, "no time lies between the two"),
        ({"timezone": "Europe/Berln"}, "did you mean Europe/Berlin"),
        ({"least_severity": "loud"}, "least_severity"),
        ({"muted_until": "tomorrow"}, "is no instant"),
    ],
)
def test_what_makes_no_sense_is_refused(wish, text):
    """With the field and what to write."""
    with pytest.raises(ValidationError, match=text):
        Preference.model_validate(wish)
