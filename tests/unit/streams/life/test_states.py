"""Snoozed, suppressed, escalated, flapping, reminded, verified: one story each."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import Alert, Finding, decode, encode
from streams import life as lifecycle
from streams.life import Life, LifeDefaults, Policy, explain, explain_transitions, policy_of
from streams.life.explain import REASONS
from streams.rules import Rule
from streams.suppression import Suppressed

T0 = 1_700_000_000_000.0
S = 1000.0
MIN = 60 * S


def policy(defaults: LifeDefaults | None = None, **more) -> Policy:
    return policy_of(
        Rule(name="down", metric="up", operator="==", value=0, severity="critical", **more),
        defaults or LifeDefaults(remind=0, flapping={"episodes": 0}),
    )


class Story:
    """One alert, and a clock that the test moves; times in seconds."""

    def __init__(self, terms: Policy) -> None:
        self.life, self.terms, self.silence = Life("shop", "down"), terms, None

    def finding(self, at: float, holds: bool) -> None:
        finding = Finding(
            target="shop", rule="down", holds=holds, time=T0 + at * S, severity="critical", metric="up",
            aggregate="last", operator="==", threshold=0.0, value=0.0,
        )  # fmt: skip
        lifecycle.on_finding(self.life, finding, self.terms, {}, T0 + at * S, self.verdict)

    def tick(self, *at: float) -> None:
        for one in at:
            lifecycle.on_tick(self.life, self.terms, T0 + one * S, self.verdict)

    def verdict(self, _life: Life, _now: float) -> Suppressed | None:
        return self.silence

    def said(self) -> list[tuple[float, str, str, bool]]:
        said = [((t["at"] - T0) / S, t["state"], t["reason"], t["notify"]) for t in self.life.outbox]
        assert all(decode(encode(Alert.from_dict(t)), Alert) == Alert.from_dict(t) for t in self.life.outbox)
        self.life.outbox.clear()
        return said


def test_recovery_is_verified_before_it_is_told():
    """With keep_firing_for, resolved is told only after the rule has not held for that long; back in time, it is one episode."""
    story = Story(policy(keep_firing_for="60s"))
    story.finding(0, True)
    story.finding(10, False)
    story.finding(20, True)
    story.finding(30, False)
    story.tick(89, 90)
    assert story.said() == [
        (0, "firing", "held_at_once", True),
        (10, "firing", "verifying_recovery", False),
        (20, "firing", "held_again", False),
        (30, "firing", "verifying_recovery", False),
        (90, "resolved", "recovery_verified", True),
    ]


def test_silence_stops_the_telling_and_never_the_resolving():
    """Silenced while it fires, it is suppressed; who was told that it fired is told that it resolved, silence or not."""
    story = Story(policy())
    story.finding(0, True)
    story.silence = Suppressed("silenced", "s1", T0 + 100 * S)
    story.tick(5)
    suppressed = story.life.outbox[-1]
    assert (suppressed["by"], suppressed["until"]) == ("s1", T0 + 100 * S)
    story.finding(10, False)
    assert story.said() == [
        (0, "firing", "held_at_once", True),
        (5, "suppressed", "silenced", False),
        (10, "resolved", "rule_ceased", True),
    ]


def test_what_was_never_told_resolves_untold():
    """Silenced from beginning to end, nobody hears of it, and the log knows why."""
    story = Story(policy())
    story.silence = Suppressed("silenced", "s1")
    story.finding(0, True)
    story.finding(10, False)
    assert story.said() == [(0, "suppressed", "silenced", False), (10, "resolved", "rule_ceased", False)]


def test_when_the_silence_ends_it_is_told_if_it_still_fires():
    """The end of a suppression is a telling, and its escalation begins then."""
    story = Story(policy(escalate="10m"))
    story.silence = Suppressed("maintenance", "deploy")
    story.finding(0, True)
    story.tick(3600)
    story.silence = None
    story.tick(4000, 4599, 4600)
    assert story.said() == [
        (0, "suppressed", "maintenance", False),
        (4000, "firing", "suppression_over", True),
        (4600, "escalated", "not_acknowledged_in_time", True),
    ]


def test_acknowledged_alert_stays_so_through_a_silence():
    """Somebody cares for it: a silence that comes and goes meanwhile changes nothing that anybody sees."""
    story = Story(policy())
    story.finding(0, True)
    lifecycle.on_acknowledged(story.life, "ada", "on it", T0 + 1 * S)
    story.silence = Suppressed("silenced", "s1")
    story.tick(2)
    story.silence = None
    story.tick(3)
    assert [s[1] for s in story.said()] == ["firing", "acknowledged"]
    assert [d["reason"] for d in explain(story.life)] == [
        "held_at_once",
        "acknowledged",
        "silenced",
        "suppression_over",
    ]


def test_snooze_wakes_and_tells_again():
    """Snoozed until a time; if it still fires then, it is told again, by whoever does not answer escalated anew."""
    story = Story(policy(escalate="10m"))
    story.finding(0, True)
    lifecycle.on_snoozed(story.life, T0 + 1000 * S, "ada", "after lunch", T0 + 5 * S)
    assert story.life.outbox[-1]["until"] == T0 + 1000 * S
    story.tick(700, 999, 1000, 1599, 1600)
    assert story.said() == [
        (0, "firing", "held_at_once", True),
        (5, "snoozed", "snoozed", False),
        (1000, "firing", "snooze_over", True),
        (1600, "escalated", "not_acknowledged_in_time", True),
    ]


def test_snooze_of_what_resolves_meanwhile_wakes_nobody():
    """An alert that ends while it is snoozed is told to have ended, and that is all."""
    story = Story(policy())
    story.finding(0, True)
    lifecycle.on_snoozed(story.life, T0 + 1000 * S, "ada", "", T0 + 5 * S)
    story.finding(50, False)
    story.tick(1000)
    assert [(s[1], s[3]) for s in story.said()] == [("firing", True), ("snoozed", False), ("resolved", True)]


def test_escalation_goes_step_by_step_until_somebody_answers():
    """Each step comes its time after the first telling, names its receivers, and an acknowledgement ends it."""
    steps = [{"after": "5m", "receivers": ["lead"]}, {"after": "15m", "receivers": ["boss"]}, {"after": "1h"}]
    story = Story(policy(escalate=steps))
    story.finding(0, True)
    story.tick(299, 300, 899, 900)
    hints = [(t["step"], t["receivers"]) for t in story.life.outbox]
    assert hints == [(0, []), (1, ["lead"]), (2, ["lead", "boss"])]
    lifecycle.on_acknowledged(story.life, "ada", "", T0 + 1000 * S)
    story.tick(3600, 9000)
    story.finding(9001, False)
    assert story.life.outbox[-1]["receivers"] == ["lead", "boss"]  # they hear of the end as well
    assert [(s[0], s[1], s[3]) for s in story.said()] == [
        (0, "firing", True), (300, "escalated", True), (900, "escalated", True), (1000, "acknowledged", False),
        (9001, "resolved", True),
    ]  # fmt: skip


def test_acknowledgement_that_is_taken_back_tells_again():
    """Nobody cares for it any more: it is told, and escalates from then on."""
    story = Story(policy(escalate="10m"))
    story.finding(0, True)
    lifecycle.on_acknowledged(story.life, "ada", "", T0 + 1 * S)
    lifecycle.on_handed_back(story.life, "acknowledged", "ada", "not mine", T0 + 60 * S)
    story.tick(600, 660)
    assert story.said()[2:] == [
        (60, "firing", "no_longer_acknowledged", True),
        (660, "escalated", "not_acknowledged_in_time", True),
    ]


def test_reminders_come_while_nobody_answers():
    """An alert that fires on is told again at its interval, and not once it is acknowledged."""
    story = Story(policy(LifeDefaults(remind="1h")))
    story.finding(0, True)
    story.tick(3599, 3600, 3601, 7200)
    lifecycle.on_acknowledged(story.life, "ada", "", T0 + 7300 * S)
    story.tick(20_000)
    assert [(s[0], s[2]) for s in story.said()] == [
        (0, "held_at_once"), (3600, "reminder"), (7200, "reminder"), (7300, "acknowledged"),
    ]  # fmt: skip


def flap(story: Story, times: int, start: float = 0) -> float:
    for i in range(times):
        story.finding(start + i * 20, True)
        story.finding(start + i * 20 + 10, False)
    return start + times * 20


FLAPPING = LifeDefaults(remind=0, flapping={"episodes": 3, "within": "10m", "steady": "2m"})


def test_flapping_alert_is_told_once_and_then_when_it_is_steady():
    """After three episodes the fourth says flapping; what follows is recorded and not told; steady, it is resolved."""
    story = Story(policy(FLAPPING))
    end = flap(story, 6)
    told = [s[1] for s in story.said() if s[3]]
    assert told == ["firing", "resolved"] * 3 + ["flapping"]
    story.tick(end - 10 + 119)
    assert story.said() == []
    story.tick(end - 10 + 120)
    assert story.said() == [(end + 110, "resolved", "flapping_over", True)]


def test_flapping_alert_that_stays_down_is_told_as_firing():
    """When it stops flapping by staying down, that is told."""
    story = Story(policy(FLAPPING))
    end = flap(story, 4)
    story.finding(end, True)
    story.said()
    story.tick(end + 120)
    assert story.said() == [(end + 120, "firing", "flapping_over", True)]


def test_after_flapping_the_count_begins_anew():
    """The episodes of the storm that is over do not make the next one flap."""
    story = Story(policy(FLAPPING))
    end = flap(story, 5)
    story.tick(end + 200)
    story.said()
    flap(story, 2, end + 201)
    assert [s[1] for s in story.said()] == ["firing", "resolved"] * 2


def test_resolved_by_hand_stays_resolved_until_the_rule_has_ceased():
    """A person ends the episode and that is told; the next begins after the rule ceased and holds again."""
    story = Story(policy())
    story.finding(0, True)
    lifecycle.on_resolved(story.life, "ada", "known", T0 + 5 * S)
    story.finding(6, True)
    story.tick(7)
    story.finding(8, False)
    story.finding(9, True)
    said = story.said()
    assert said == [
        (0, "firing", "held_at_once", True),
        (5, "resolved", "resolved_by_hand", True),
        (9, "firing", "held_at_once", True),
    ]


def test_cooldown_counts_from_what_was_told():
    """An episode that nobody heard of starts no cooldown: the next one is told at once."""
    story = Story(policy(cooldown="15m"))
    story.silence = Suppressed("silenced", "s1")
    story.finding(0, True)
    story.finding(5, False)
    story.silence = None
    story.finding(10, True)
    assert [(s[1], s[3]) for s in story.said()][-1] == ("firing", True)


@pytest.mark.parametrize(("severity", "waits"), [("critical", False), ("warning", True)])
def test_cooldown_by_default_spares_critical_alerts(severity, waits):
    """Where a rule says nothing, the role's cooldown holds back the same alert, but never a critical one."""
    terms = policy_of(
        Rule(name="down", metric="up", operator="==", value=0, severity=severity), LifeDefaults(cooldown="5m")
    )
    story = Story(terms)
    for at in (0, 60):
        story.finding(at, True)
        story.finding(at + 1, False)
    story.finding(120, True)
    story.tick(299, 300)
    fired = [s[0] for s in story.said() if s[1] == "firing"]
    assert fired == ([0, 300] if waits else [0, 60, 120])


def test_every_decision_is_on_the_topic_with_its_reason_in_words():
    """What was decided without a transition travels with the next one: the topic alone says why nobody was told."""
    story = Story(policy(**{"for": "30s"}))
    story.finding(0, True)
    lifecycle.on_acknowledged(story.life, "ada", "", T0 + 1 * S)
    story.finding(10, False)
    alerts = [Alert.from_dict(t) for t in story.life.outbox]
    told = explain_transitions(alerts)
    assert [(d["reason"], d.get("state")) for d in told] == [
        ("waiting_for_duration", "pending"), ("not_firing", None), ("ceased_before_firing", "cancelled"),
    ]  # fmt: skip
    assert all(d["words"].endswith(".") for d in told)
    assert [d["reason"] for d in explain(story.life)] == [d["reason"] for d in told]


def test_life_of_the_version_before_goes_on():
    """A life that the first version stored is read: a firing one is known to have been told, and resolves."""
    old = (
        b'{"v":1,"target":"shop","rule":"down","offset":4,"id":"a","number":1,"state":"firing","began":1.0,"since":2.0,'
        b'"fired":2.0,"resolved":null,"last_fired":2.0,"severity":"critical","labels":{},"annotations":{},"finding":'
        b'{"metric":"up","aggregate":"last","operator":"==","threshold":0.0,"value":0.0,"window_s":0.0,"count":1.0,'
        b'"baseline":null,"score":null,"status":"","message":"","source_partition":0,"source_offset":1,"time":1.0},'
        b'"outbox":[]}'
    )
    story = Story(policy())
    story.life = Life.load(old)
    story.finding(10, False)
    assert story.said() == [(10, "resolved", "rule_ceased", True)]


def test_every_reason_is_in_the_documentation():
    """docs/alerts.md has each reason in the words in which the program explains it."""
    text = (Path(__file__).parents[4] / "docs" / "alerts.md").read_text("utf-8")
    missing = [reason for reason, words in REASONS.items() if f"| `{reason}` | {words} |" not in text]
    assert not missing
