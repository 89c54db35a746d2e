"""Lines by target and interval."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.logs.app import counting_of
from agents.logs.settings import LogsSettings
from streams.log_counts import Book, Interval

NOW = 1_700_000_000_000.0


def book(**settings: object) -> Book:
    return Book("api", counting_of(LogsSettings.model_validate({"interval": 10, "learn": 60, **settings})))


def closed(b: Book, at: float = NOW) -> dict[str, float]:
    return b.close(int(at // 10_000)).metrics


def test_counts_by_level_and_class() -> None:
    """Each line counts once by its level, given or read, and once in each of its classes."""
    b = book()
    for text, level in (("ERROR a timed out", ""), ("b", "fatal"), ("WARN c", ""), ("ERROR d", "info"), ("e", "")):
        b.add(text, NOW, level, NOW)
    found = closed(b)
    assert (found["log.lines"], found["log.errors"], found["log.warnings"], found["log.timeouts"]) == (5, 2, 1, 1)


def test_new_is_what_comes_after_the_first_minutes() -> None:
    """While a target is learnt its templates are not new; afterwards they are, once."""
    b = book()
    b.add("ERROR known from the start", NOW, "", NOW)
    b.add("INFO known as well", NOW + 59_000, "", NOW + 59_000)
    b.add("ERROR not seen before", NOW + 61_000, "", NOW + 61_000)
    b.add("ERROR not seen before", NOW + 61_000, "", NOW + 61_000)
    assert closed(b)["log.new_templates"] == 0
    sample = b.close(int((NOW + 61_000) // 10_000))
    assert (sample.metrics["log.new_templates"], sample.metrics["log.new_errors"]) == (1, 1)
    assert sample.status == "new error"
    assert sample.message.startswith("new error: ERROR not seen before; for example: ERROR not seen before")


def test_repeats_are_the_most_frequent_error() -> None:
    """`log.repeats` is its count, and the most frequent few have a metric each, by a small number."""
    b = book(top_templates=2)
    for n, text in ((5, "ERROR disk is full"), (3, "ERROR net is gone again"), (1, "ERROR once"), (9, "INFO ok")):
        for _ in range(n):
            b.add(text, NOW, "", NOW)
    sample = b.close(int(NOW // 10_000))
    assert sample.metrics["log.repeats"] == 5
    assert {k: v for k, v in sample.metrics.items() if ".template." in k} == {"log.template.1": 5, "log.template.2": 3}
    assert (sample.status, sample.message.partition(";")[0]) == ("errors", "5x ERROR disk is full")


@pytest.mark.parametrize(("off_s", "mistimed"), [(0, 0), (-2900, 0), (-7200, 1), (30, 0), (7200, 1)])
def test_impossible_times_become_the_arrival(off_s: float, mistimed: int) -> None:
    """A clock that is hours off moves no line into an interval that nobody would look at any more."""
    b = book()
    b.add("x", NOW + off_s * 1000, "", NOW)
    number = int((NOW if mistimed else NOW + off_s * 1000) // 10_000)
    assert b.close(number).metrics["log.mistimed"] == mistimed
    assert not b.open


def test_long_lines_are_cut_and_secrets_go() -> None:
    """What is stored and told has neither."""
    b = book(max_line=100, learn=0)
    b.add("ERROR password=hunter2 " + "x" * 500, NOW, "", NOW)
    assert b.open[int(NOW // 10_000)].cut == 1
    stored = json.dumps([b.dump(), [i.dump() for i in b.open.values()]])
    sample = b.close(int(NOW // 10_000))
    assert "hunter2" not in stored + sample.message
    assert "password=<secret>" in sample.message
    assert "x" * 101 not in stored


def test_an_interval_without_lines_is_all_zeros() -> None:
    """Zeros for every metric but those of single templates."""
    assert set(closed(book()).values()) == {0.0}


@given(st.lists(st.tuples(st.sampled_from(["ERROR a b c", "ERROR d e", "WARN timeout", "x 1"]), st.floats(0, 50_000))))
def test_open_intervals_survive(lines: list[tuple[str, float]]) -> None:
    """What is stored and loaded, by way of JSON, closes to the same sample; nothing is lost between intervals."""
    b = book()
    for text, off in lines:
        b.add(text, NOW + off, "", NOW + off)
    copy = book()
    copy.load(json.loads(json.dumps(b.dump())))
    copy.open = {n: Interval.load(json.loads(json.dumps(i.dump()))) for n, i in b.open.items()}
    numbers = sorted(b.open)
    samples = [b.close(n) for n in numbers]
    assert [copy.close(n) for n in numbers] == samples
    assert sum(s.metrics["log.lines"] for s in samples) == len(lines)
