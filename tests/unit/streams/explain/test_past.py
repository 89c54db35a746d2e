"""What was in force at a time, who had set it, and what has been changed since."""

from __future__ import annotations

from streams.changes import Changes
from streams.control import FILE_UNKNOWN
from streams.explain.past import Past, moments, stood
from streams.explain.setup import Setup
from streams.rules import Rule
from tests.kit.changes import change, written

SLOW = {"name": "slow", "metric": "latency", "value": 100.0}
FAST = SLOW | {"value": 50.0}


def past(*changes, rules=()) -> Past:
    return Past(Setup(rules=rules), Changes(written(*changes)))


def test_a_rule_as_it_stood_has_its_version_and_who_set_it():
    """Before any change it was as the file had it; each time says what was in force, and what came since."""
    changes = past(change(1, 10_000.0, SLOW, note="launch"), change(2, 20_000.0, FAST, SLOW, actor="eve"))
    told = {at: stood(changes, ("slow", ""), at) for at in (5_000.0, 15_000.0, 25_000.0)}
    assert {at: (s.version, s.by, s.at) for at, s in told.items()} == {
        5_000.0: (0, "", None), 15_000.0: (1, "ada", 10_000.0), 25_000.0: (2, "eve", 20_000.0),
    }  # fmt: skip
    assert {at: s.said for at, s in told.items()} == {
        5_000.0: 'as the file had it; it was changed since: version 1, set by ada at 00:00:10, "launch", and changed 1 '
        "more time since",
        15_000.0: 'version 1, set by ada at 00:00:10, "launch"; it was changed since: version 2, value 100 → 50 by '
        "eve at 00:00:20",
        25_000.0: "version 2, value 100 → 50 by eve at 00:00:20",
    }
    assert stood(changes, ("other",), 25_000.0).said == ""


def test_the_version_that_decided_counts_though_the_clock_says_otherwise():
    """An alert knows the version of its rule: hops hear of a change some moments after each other."""
    changes = past(change(1, 10_000.0, SLOW), change(2, 20_000.0, FAST, SLOW))
    assert stood(changes, ("slow",), 20_050.0, version=1).version == 1


def test_thresholds_are_told_beside_the_rule():
    """A threshold of the pair counts for each of the two; what was not known is said to be so."""
    changes = past(
        change(1, 10_000.0, {"critical": 900.0}, kind="threshold"),
        change(1, 30_000.0, FAST, actor="file", message=FILE_UNKNOWN),
    )
    assert stood(changes, ("slow:critical", "slow"), 20_000.0).said == (
        f"what it was then is not known for certain: {FILE_UNKNOWN}; its threshold set to critical 900 by ada at "
        "00:00:10; it was changed since: version 1, set by file at 00:00:30"
    )


def test_the_terms_of_an_alert_change_with_its_rule():
    """A duration that was edited while it was pending: each time has its own, and there is none after the end."""
    longer = SLOW | {"for": "5m"}
    changes = past(change(1, 10.0, longer), change(2, 20.0, None, longer), rules=(Rule.model_validate(SLOW),))
    found = [(at, policy and policy.for_ms) for at, policy in changes.policies("slow", 5.0, 30.0)]
    assert found == [(5.0, 0.0), (10.0, 300_000.0), (20.0, None)]
    assert changes.terms(15.0) is changes.terms(19.0)


def test_changes_of_the_time_are_moments_where_they_are_about_the_target():
    """Its rules, by name or by matchers, and silences and windows that hit it; nothing of others."""
    silence = {"matchers": ["team=web"], "starts": 1.0, "ends": 99.0}
    db = {"name": "d", "metric": "latency", "value": 1, "match": ['team="db"']}
    changes = past(
        change(1, 10.0, SLOW),
        change(1, 20.0, silence, kind="silence", id="s1"),
        change(1, 30.0, silence | {"matchers": ["team=db"]}, kind="silence", id="s2"),
        change(1, 40.0, db, id="d"),
        change(1, 50.0, {"name": "api", "kind": "http"}, kind="target", id="api"),
        change(2, 60.0, FAST, SLOW),
    )
    found = moments(changes, {"slow"}, "api", {"team": "web", "target": "api"}, 5.0, 55.0)
    assert [(m.at, m.what, m.said) for m in found] == [
        (10.0, "control", "rule slow: set by ada at 00:00:00 (version 1)"),
        (20.0, "control", "silence s1: set by ada at 00:00:00 (version 1)"),
        (50.0, "control", "target api: set by ada at 00:00:00 (version 1)"),
    ]


def test_the_first_change_of_a_rule_of_the_file_is_told_by_what_it_replaced():
    """What the file has is no record of the topic; the words are the same all the same."""
    rule = Rule.model_validate(SLOW)
    changes = past(change(1, 10_000.0, FAST | {"for": "1m"}), rules=(rule,))
    assert stood(changes, ("slow",), 20_000.0).said == "version 1, value 100 → 50, for none → 60 by ada at 00:00:10"
    same = past(change(1, 10_000.0, SLOW), rules=(rule,))
    assert stood(same, ("slow",), 20_000.0).said == "version 1, set as the file has it by ada at 00:00:10"
