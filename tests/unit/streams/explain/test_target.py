"""The story of a target at a time, rule by rule."""

from __future__ import annotations

import pytest

from streams import groups
from streams.explain.looking import Looking
from streams.explain.model import Source
from streams.explain.target import Asked, story
from streams.explain.text import as_json, in_words
from streams.partition import partition_of
from streams.replay import Terms
from streams.rules import Rule, expand
from tests.kit.folding import Log
from tests.unit.streams.explain.test_alert import DOWN, START, Story, step

pytestmark = pytest.mark.usefixtures("compiled")
API = {"target": "api", "kind": "http", "team": "web"}


def asked(log: Log, *rules: dict, episodes=(), later=(), configured=True, accept=False, looked=True, notes=()) -> Asked:
    """What is known of api at the last record of the log."""
    judged = expand([Rule.model_validate(r) for r in rules])
    looking = None
    if looked:
        looking = Looking("api", partition_of("api", 1), Terms(rules=judged, labels={"api": API} if configured else {}))
        looking.take(log.records)
    source = Source(topic="samples", partition=0, first_at=float(log.records[0].time) if log.records else None)
    return Asked(
        target="api", at=float(log.now), labels=API, configured=configured, accept=accept, rules=judged,
        stood={}, episodes={e.first.rule: e for e in episodes}, later=list(later),
        looking=looking, source=source, notes=list(notes),
    )  # fmt: skip


def samples(*oks: bool, every: int = 1000) -> Log:
    log = Log(int(START))
    for ok in oks:
        log(("api", ok), after=every)
    return log


def rule(found, name):
    return next(r for r in found.rules if r.rule == name)


def test_nothing_held_and_the_nearest_rule_is_the_example():
    """The most severe rule that knows its values is told, with what it would need; the others are below."""
    low = {"name": "slow", "metric": "latency", "value": "100ms"}
    found = story(asked(samples(True, False), low, DOWN))
    assert found.answer == (
        "Nobody was told about api at 2023-11-14 22:13:22 because no rule held: for down, consecutive_failures was 1, "
        "needs >= 2 (1 more rule: see below)"
    )
    assert (found.told, found.status, found.failures) == (False, "degraded", 1)
    assert rule(found, "slow").said == "does not hold: latency was 1 ms, needs > 100 ms"


def test_a_rule_that_holds_without_an_alert_says_that_the_alert_role_was_behind():
    """Samples say so, and no alert was made of it."""
    found = story(asked(samples(True, False, False), DOWN))
    assert rule(found, "down").said == (
        "holds since 22:13:23: consecutive_failures was 2 (>= 2); the alert role had made no alert of it: it was behind, "
        "or did not run"
    )
    assert found.answer.startswith("Nobody was told about api at 2023-11-14 22:13:23 because of this: down holds since")


def test_rules_for_others_name_the_matcher():
    """A matcher that does not pass, and what the label is."""
    other = DOWN | {"name": "hosts", "match": ['kind="host"', 'team="web"']}
    found = story(asked(samples(True), other))
    assert (rule(found, "hosts").applies, rule(found, "hosts").why_not) == (False, 'kind="host", and kind is "http"')
    assert found.answer.endswith("because no rule applies to it, of 1 that there was")
    assert 'rules that do not apply:\n  hosts: it is for kind="host", and kind is "http"' in in_words(found)


def test_without_a_sample_only_time_is_judged():
    """No sample: what looks at samples is not judged, what looks at time is."""
    log = Log(int(START))
    log(("shop", True), after=1000)
    log(("shop", True), after=95_000)
    found = story(asked(log, DOWN, {"name": "gone", "metric": "absent", "value": "5m"}))
    assert found.answer.endswith("because no sample of it came since 22:13:21")
    assert rule(found, "down").said == "not judged: no sample of the target was taken"
    assert rule(found, "down").conditions == []
    assert rule(found, "gone").said == "does not hold: time since the latest sample was 1m35s, needs > 5m"
    assert (found.known, found.status) == (True, "unknown")


def test_refused_samples_are_the_reason_where_there_are_no_others():
    """Samples came, and all were too late."""
    log = Log(int(START))
    log(("api", True, 1.0, 7_200_000))
    found = story(asked(log, DOWN))
    assert found.answer.endswith("no sample of it came since 22:13:20; 1 were refused as late_sample")
    assert found.refused == {"late_sample": 1}


def test_a_target_that_nobody_configured_is_told_as_such():
    """Its samples are set aside, unless unknown targets are accepted."""
    found = story(asked(samples(True), DOWN, configured=False))
    assert "the configuration had no such target" in found.answer
    assert "the configuration had no such target" not in story(asked(samples(True), DOWN, accept=True)).answer


def test_a_time_without_samples_on_the_log_still_has_its_alerts():
    """Values are gone; what was told is not."""
    told = Story(DOWN).samples(1, False, False)
    log = Log(int(told.now) + 60_000)
    found = story(asked(log, DOWN, episodes=[told.episode("down")], looked=False, notes=["gone"]))
    assert found.answer.startswith("api was paged to ops by slack at 22:13:21 because down: ")
    assert rule(found, "down").expression == "consecutive_failures >= 2"
    assert rule(found, "down").said.startswith("no samples to judge by; firing since 22:13:21, told to ops by slack")
    assert story(asked(log, DOWN, looked=False)).answer.endswith("which values its rules saw is not on the log")


def test_what_was_told_shortly_before_and_shortly_after_is_part_of_the_answer():
    """A moment is often rounded down, and an alert may just have ended."""
    told = Story(DOWN).samples(1, False, False).samples(20, True).samples(40, False, False)
    first, second = told.episode("down", which=0), told.episode("down", which=1)
    log = Log(int(START))
    log(("api", False), ("api", False), after=1000)
    log(("api", True), after=20_000)
    log(after=10_000, probe="tick")
    found = story(asked(log, DOWN, episodes=[first], later=[second]))
    assert not found.told
    assert ". Before, down was told to ops by slack at 22:13:21, and resolved at 22:13:41" in found.answer
    assert found.answer.endswith("consecutive_failures was 2 (>= 2)")
    assert ". 30s later down fired, told to ops by slack at 22:14:21: " in found.answer
    assert "and in the minutes after:" in in_words(found)
    after = [m for m in as_json(found)["timeline"] if m["facts"]["after"]]
    assert [m["what"] for m in after] == ["decision", "delivery"]


def test_a_told_alert_comes_before_one_that_nobody_heard_of():
    """Of two active alerts, the one that was told is the answer."""
    slow = {"name": "slow", "metric": "latency", "value": "5ms", "for": "10m"}
    told = Story(DOWN, slow).samples(1, True, latency=10).samples(1, False, False)
    log = samples(True, False, False)
    for order in (("slow", "down"), ("down", "slow")):
        found = story(asked(log, DOWN, slow, episodes=[told.episode(n) for n in order]))
        assert found.told
        assert found.answer.startswith("api was paged to ops by slack")
        assert found.answer.endswith("(1 more of its alerts: see below)")
        assert [r.rule for r in found.rules] == ["down", "slow"]
        assert [r.told for r in found.rules] == [True, False]


def test_a_member_of_a_group_says_for_whom_the_alert_would_be():
    """The rule holds for the target, and for too few others."""
    grouped = DOWN | {"group_by": ["team"], "at_least": 2}
    found = story(asked(samples(False, False), grouped))
    group = groups.group_of(Rule.model_validate(grouped), API)
    assert rule(found, "down").said.endswith(f"; its alert is about {group}, for which too few targets were so")


def test_a_rule_on_alerts_says_whether_they_were_active():
    """It has no conditions of its own."""
    both = {"name": "both", "alerts": ["down"], "severity": "critical"}
    assert rule(story(asked(samples(True), DOWN, both)), "both").said == "its alerts are not active"
    told = Story(DOWN, both).samples(1, False, False)
    found = story(asked(samples(False, False), DOWN, both, episodes=[told.episode("down"), told.episode("both")]))
    assert rule(found, "both").said.startswith("holds: alerts fired: down; firing since 22:13:21, told to ops")


def test_an_alert_that_somebody_declared_over_is_not_told_again():
    """It holds, and a person ended it: who and when."""
    told = Story(DOWN).samples(1, False, False).wait(1)
    told.asks(5, "resolve", told.of("down")[0], comment="fixed")
    log = samples(False, False)
    log(("api", False), after=20_000)
    found = story(asked(log, DOWN, episodes=[told.episode("down")]))
    assert "; ada declared it over at 22:13:2" in rule(found, "down").said


def test_deliveries_of_a_target_are_in_its_timeline():
    """Each with the rule that it is about."""
    told = Story(DOWN).samples(1, False, False)
    (fired,) = told.of("down")
    failed = [step(fired, "failed", "http_500", after=5.0)]
    found = story(asked(samples(False, False), DOWN, episodes=[told.episode("down", failed)], accept=True))
    assert found.timeline[-1].said.startswith("down: ops by slack could not be told: firing, attempt 1: http_500")
    assert not found.told
