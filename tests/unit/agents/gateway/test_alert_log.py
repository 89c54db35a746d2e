"""The gateway's memory of alerts."""

from __future__ import annotations

from typing import Any

from agents.gateway.alert_log import AlertLog, Entry
from tests.kit.records import alert


def entry(partition: int, offset: int, alert_id: str, number: int = 1, **more: Any) -> Entry:
    appended = more.pop("appended", float(offset))
    return Entry(partition, offset, appended, alert(alert_id, number, at=appended, **more))


def test_a_transition_sent_twice_counts_once() -> None:
    """(id, number) is taken the first time only, and so is a number below."""
    log = AlertLog(1)
    assert log.add(entry(0, 0, "a"))
    assert not log.add(entry(0, 1, "a"))
    assert log.add(entry(0, 2, "a", 3, state="resolved"))
    assert not log.add(entry(0, 3, "a", 2))
    assert [e.offset for e in log.since([0])] == [0, 2]


def test_active_alerts_of_a_target_come_the_most_severe_first() -> None:
    """Active is firing, acknowledged, snoozed, suppressed or escalated; pending and ended are not."""
    log = AlertLog(1)
    log.add(entry(0, 0, "a", severity="info"))
    log.add(entry(0, 1, "b", severity="critical"))
    log.add(entry(0, 2, "c", state="pending"))
    log.add(entry(0, 3, "d", severity="warning"))
    log.add(entry(0, 4, "d", 2, severity="warning", state="acknowledged"))
    assert [a.id for a in log.active("shop")] == ["b", "d", "a"]
    log.add(entry(0, 5, "b", 2, state="resolved"))
    assert [a.id for a in log.active("shop")] == ["d", "a"]
    assert log.active("other") == []


def test_what_was_missed_keeps_each_partitions_order() -> None:
    """Partitions are merged by the broker's clock, but an older clock never moves a record before its predecessor."""
    log = AlertLog(2)
    for e in (
        entry(0, 0, "a", appended=10.0), entry(0, 1, "a", 2, appended=5.0), entry(1, 0, "b", appended=7.0),
    ):  # fmt: skip
        log.add(e)
    told = [(e.alert.id, e.alert.number) for e in log.since([0, 0])]
    assert told.index(("a", 1)) < told.index(("a", 2))
    assert sorted(told) == [("a", 1), ("a", 2), ("b", 1)]
    assert [e.alert.id for e in log.since([1, 1])] == ["a"]
    assert [(a.id, a.number) for a in log.last(50)] == told


def test_memory_is_bounded_and_says_from_where_it_is_whole() -> None:
    """Only the last transitions can be resumed from; ended alerts are forgotten, active ones never."""
    log = AlertLog(1, keep=3, keep_ended=2)
    log.add(entry(0, 0, "fires"))
    for i in range(1, 9, 2):
        log.add(entry(0, i, f"a{i}"))
        log.add(entry(0, i + 1, f"a{i}", 2, state="resolved"))
    assert log.floor == [6]
    assert [e.offset for e in log.since([6])] == [6, 7, 8]
    assert set(log.by_id) == {"fires", "a5", "a7"}


def test_seeded_alerts_are_known_but_not_told() -> None:
    """What SQL adds at the start is no news for live clients."""
    log = AlertLog(1)
    log.seed([alert("old", 1), alert("old", 2, state="acknowledged")])
    assert log.since([0]) == []
    assert [a.state for a in log.active("shop")] == ["acknowledged"]
    assert log.add(entry(0, 0, "old", 3, state="resolved"))
    assert log.active("shop") == []
