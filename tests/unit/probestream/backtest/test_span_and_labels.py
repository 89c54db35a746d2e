"""Times, nights, and what operators said."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime

import pytest

from probestream.backtest.episodes import Episode, Remark
from probestream.backtest.labels import Label, LabelError, read, spoken, word_in, words
from probestream.backtest.span import Nights, Span, median, moment


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000.0


def test_a_time_is_a_duration_back_or_an_instant():
    """30d is counted back from the end; a date is its midnight in UTC."""
    end = at("2026-11-21")
    assert moment("36h", end) == at("2026-11-19T12:00")
    assert moment("2026-11-20", end) == at("2026-11-20")
    assert moment("2026-11-20T01:00+01:00", end) == at("2026-11-20")
    with pytest.raises(ValueError, match="'last week' is no time"):
        moment("last week", end)


def test_nights_are_by_the_clock_of_a_zone():
    """A night belongs to the date of its evening; 22-7 in Berlin is 21-6 UTC in winter."""
    nights = Nights.of("22-7", "Europe/Berlin")
    assert nights.night_of(at("2026-11-20T20:59")) is None
    assert nights.night_of(at("2026-11-20T21:00")) == date(2026, 11, 20)
    assert nights.night_of(at("2026-11-21T05:59")) == date(2026, 11, 20)
    assert nights.night_of(at("2026-11-21T06:00")) is None
    assert nights.count(Span(at("2026-11-20T12:00"), at("2026-11-22T12:00"))) == 2
    assert nights.count(Span(at("2026-11-20T12:00"), at("2026-11-21T01:30"))) == 0.5


@pytest.mark.parametrize(("text", "zone"), [("22", "UTC"), ("25-7", "UTC"), ("22-22", "UTC"), ("22-7", "Mars/Base")])
def test_what_is_no_night_is_refused(text, zone):
    """With what was written, and an example of what can be."""
    with pytest.raises(ValueError, match="write for instance"):
        Nights.of(text, zone)


def test_a_night_within_a_day():
    """Hours that do not pass midnight are of one date."""
    nights = Nights.of("1:30-5", "UTC")
    assert nights.night_of(at("2026-11-20T01:29")) is None
    assert nights.night_of(at("2026-11-20T01:30")) == date(2026, 11, 20)


def test_median():
    """The middle one, the mean of two, nothing of nothing."""
    assert (median([3, 1, 2]), median([4, 1, 2, 3])) == (2, 2.5)
    assert math.isnan(median([]))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("false positive, disk was being moved", "false_positive"),
        ("False-alarm", "false_positive"),
        ("fp", "false_positive"),
        ("just noise", "false_positive"),
        ("false_positive", "false_positive"),
        ("not a false positive!", None),
        ("true positive", "true_positive"),
        ("real outage of the provider", "true_positive"),
        ("looking into it", None),
        ("ftp is down", None),
        ("true positive, no: false positive", None),
    ],
)
def test_words_in_comments(text, word):
    """What people write when they mean that an alert was, or was not, about something; both at once is neither."""
    assert word_in(text) == word


def episode(name: str, target: str, fired: float, end: float, key: str = "", comment: str = "") -> Episode:
    found = Episode(key or f"{name}/{target}/{fired}", name, target, "critical", {"alertname": name}, fired)
    found.fired, found.end, found.states = fired, end, [("firing", fired), ("resolved", end)]
    found.remarks = [Remark("ada", comment)] if comment else []
    return found


def test_labels_come_from_comments_and_find_their_alerts():
    """By id; else the same target and time, the same rule first; a label that finds none is what is missed now."""
    did = [
        episode("down", "a", 10, 20, "1", "false alarm"),
        episode("down", "b", 10, 20, "2", "real incident"),
        episode("slow", "c", 10, 20, "3", "fp"),
        episode("slow", "d", 10, 20, "4"),
    ]
    would = [
        episode("down", "a", 10, 20, "1"),
        episode("renamed", "c", 15, 30),
        episode("down", "b", 50, 60),
    ]
    found, left = words(would, spoken(did))
    assert found == {"1": "false_positive", "renamed/c/15": "false_positive"}
    assert [(label.word, label.target) for label in left] == [("true_positive", "b")]


def test_a_file_of_labels(tmp_path):
    """A heading, and a line a label; empty cells mean any."""
    path = tmp_path / "l.csv"
    path.write_text(
        "alert,rule,target,from,to,label\nabc,,,,,fp\n,down,a,2026-11-20T00:00:00Z,2026-11-21T00:00:00Z,true_positive\n"
    )
    assert read(path) == [
        Label("false_positive", "abc"),
        Label("true_positive", "", "down", "a", at("2026-11-20"), at("2026-11-21")),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("alert,word\n1,fp\n", "l.csv:1: no column 'word'"),
        ("label\nfp\n", "l.csv:1: a heading is needed"),
        ("alert,label\n1,perhaps\n", "l.csv:2: label: 'perhaps' is neither"),
        ("target,from,label\na,soon,fp\n", "l.csv:2: from: 'soon' is no instant"),
        ("alert,target,label\n,,fp\n", "l.csv:2: names no alert"),
    ],
)
def test_what_is_wrong_with_a_file_of_labels_is_told_with_its_line(tmp_path, text, message):
    """File and line, and what was found there."""
    (tmp_path / "l.csv").write_text(text)
    with pytest.raises(LabelError) as error:
        read(tmp_path / "l.csv")
    assert message in str(error.value)
