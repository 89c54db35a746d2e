"""The life of an alert."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas import Finding
from streams import life as lifecycle
from streams.life import Life, LifeError, policy_of
from streams.rules import Rule
from streams.templates import NAMES

ROOT = Path(__file__).parents[4]
T0 = 1_700_000_000_000.0
AT_ONCE = policy_of(Rule(name="down", metric="up", operator="==", value=0, severity="critical"))
PATIENT = policy_of(Rule(name="slow", metric="latency", value=100, **{"for": "30s"}, cooldown="5m"))


def finding(holds: bool, at: float = T0, **more) -> Finding:
    values = {
        "value": 0.0,
        "severity": "critical",
        "metric": "up",
        "aggregate": "last",
        "operator": "==",
        "threshold": 0.0,
    }
    return Finding(target="shop", rule="down", holds=holds, time=at, **{**values, **more})


def told(life: Life) -> list[tuple[int, str, str, bool]]:
    out = [(t["number"], t["state"], t["reason"], t["notify"]) for t in life.outbox]
    life.outbox.clear()
    return out


def test_rule_without_duration_fires_at_once_and_resolves():
    """One firing when it begins, one resolved when it ceases; both are told."""
    life = Life("shop", "down")
    lifecycle.on_finding(life, finding(True), AT_ONCE, {"team": "web"}, T0 + 5)
    lifecycle.on_finding(life, finding(True, T0 + 10), AT_ONCE, {}, T0 + 15)
    lifecycle.on_finding(life, finding(False, T0 + 20), AT_ONCE, {}, T0 + 25)
    assert told(life) == [(1, "firing", "held_at_once", True), (2, "resolved", "rule_ceased", True)]


def test_rule_with_duration_waits_for_it():
    """Pending first, told to nobody; firing when the duration is over, not a moment earlier."""
    life = Life("shop", "slow")
    lifecycle.on_finding(life, finding(True), PATIENT, {}, T0)
    lifecycle.on_tick(life, PATIENT, T0 + 29_999)
    assert told(life) == [(1, "pending", "waiting_for_duration", False)]
    lifecycle.on_tick(life, PATIENT, T0 + 30_000)
    lifecycle.on_tick(life, PATIENT, T0 + 31_000)
    assert told(life) == [(2, "firing", "duration_elapsed", True)]


def test_what_ceases_before_it_fires_is_told_to_nobody():
    """An episode shorter than its duration ends as cancelled."""
    life = Life("shop", "slow")
    lifecycle.on_finding(life, finding(True), PATIENT, {}, T0)
    lifecycle.on_finding(life, finding(False, T0 + 1000), PATIENT, {}, T0 + 1000)
    lifecycle.on_tick(life, PATIENT, T0 + 60_000)
    assert told(life) == [
        (1, "pending", "waiting_for_duration", False),
        (2, "cancelled", "ceased_before_firing", False),
    ]


def test_cooldown_holds_back_the_same_alert_and_forgets_nothing():
    """Within the cooldown the next episode waits; if it lasts, it fires when the cooldown is over."""
    life = Life("shop", "slow")
    lifecycle.on_finding(life, finding(True), PATIENT, {}, T0)
    lifecycle.on_tick(life, PATIENT, T0 + 30_000)
    lifecycle.on_finding(life, finding(False, T0 + 60_000), PATIENT, {}, T0 + 60_000)
    told(life)
    lifecycle.on_finding(life, finding(True, T0 + 90_000), PATIENT, {}, T0 + 90_000)
    lifecycle.on_tick(life, PATIENT, T0 + 329_999)
    assert told(life) == [(1, "pending", "waiting_for_cooldown", False)]
    lifecycle.on_tick(life, PATIENT, T0 + 330_000)
    assert told(life) == [(2, "firing", "cooldown_elapsed", True)]


def test_critical_alert_has_no_cooldown_of_its_own():
    """Critical goes at once, however lately it fired, unless the rule says otherwise."""
    life = Life("shop", "down")
    for i in range(2):
        lifecycle.on_finding(life, finding(True, T0 + i * 1000), AT_ONCE, {}, T0 + i * 1000)
        lifecycle.on_finding(life, finding(False, T0 + i * 1000 + 500), AT_ONCE, {}, T0 + i * 1000 + 500)
    assert [s for _, s, _, _ in told(life)] == ["firing", "resolved", "firing", "resolved"]


def test_the_alert_of_a_cause_says_what_it_takes_down():
    """From when it fires until it has resolved, as it was when it fired: the count, and at most twenty names."""
    names = [f"shop-{i:02}" for i in range(23)]
    life = Life("host", "slow")
    lifecycle.on_finding(life, finding(True), PATIENT, {}, T0, below=lambda _: names)
    lifecycle.on_tick(life, PATIENT, T0 + 30_000, below=lambda _: names)
    lifecycle.on_tick(life, PATIENT, T0 + 40_000, below=lambda _: names[:1])
    lifecycle.on_finding(life, finding(False, T0 + 60_000), PATIENT, {}, T0 + 60_000)
    said = [t["annotations"].get(lifecycle.TAKES_DOWN) for t in life.outbox]
    assert said == [None, *2 * [f"23: {', '.join(names[:20])} and 3 more"]]


def test_a_rule_can_word_what_it_takes_down():
    """Its templates have the names as `takes_down`, which is empty where nothing depends on the target."""
    rule = Rule(
        name="down", metric="up", value=0, annotations={"summary": "{{ takes_down|length }}: {{ takes_down[0] }}"}
    )
    life = Life("host", "down")
    lifecycle.on_finding(life, finding(True), policy_of(rule), {}, T0, below=lambda _: ["api", "shop"])
    assert life.annotations["summary"] == "2: api"


def test_acknowledged_alert_resolves_and_is_told():
    """An acknowledgement is recorded with its author, once; the end is still told."""
    life = Life("shop", "down")
    lifecycle.on_finding(life, finding(True), AT_ONCE, {}, T0)
    lifecycle.on_acknowledged(life, "ada", "on it", T0 + 1)
    lifecycle.on_acknowledged(life, "bob", "me too", T0 + 2)
    assert (life.outbox[1]["actor"], life.outbox[1]["comment"]) == ("ada", "on it")
    lifecycle.on_finding(life, finding(False, T0 + 3), AT_ONCE, {}, T0 + 3)
    assert [(s, n) for _, s, _, n in told(life)] == [("firing", True), ("acknowledged", False), ("resolved", True)]


def test_removed_rule_resolves_what_fired():
    """If fired was told, resolved is told, also when the rule is taken out."""
    life = Life("shop", "down")
    lifecycle.on_finding(life, finding(True), AT_ONCE, {}, T0)
    lifecycle.on_removed(life, "rule_removed", T0 + 1)
    lifecycle.on_removed(life, "rule_removed", T0 + 2)
    assert told(life)[1:] == [(2, "resolved", "rule_removed", True)]


def test_id_is_the_same_from_every_replay():
    """Rule, target and the time the episode began make the id, and nothing else does."""
    lives = [Life("shop", "down"), Life("shop", "down")]
    for life, late in zip(lives, (0, 99_999), strict=True):
        lifecycle.on_finding(life, finding(True), AT_ONCE, {}, T0 + late)
    assert lives[0].id == lives[1].id == lifecycle.alert_id("down", "shop", T0)
    assert lifecycle.alert_id("down", "shop", T0 + 1) != lives[0].id


def test_labels_and_annotations_are_the_rules_and_the_targets():
    """Labels of both and rendered templates travel with the alert; a failing template never stops it."""
    rule = Rule(
        name="down", metric="up", value=0, operator="==", labels={"pager": "yes"},
        annotations={"summary": "{{ target }} in {{ labels.region }}: {{ message }}", "description": "{{ nonsense }}"},
    )  # fmt: skip
    life = Life("shop", "down")
    lifecycle.on_finding(life, finding(True, message="no answer"), policy_of(rule), {"region": "eu"}, T0)
    sent = life.outbox[0]
    assert sent["labels"] == {
        "region": "eu",
        "pager": "yes",
        "alertname": "down",
        "rule": "down",
        "severity": "warning",
    }
    assert sent["annotations"]["summary"] == "shop in eu: no answer"
    assert "template failed" in sent["annotations"]["description"]


def test_every_name_that_templates_may_have_is_there():
    """What `probestream lint` takes for known has a value in each alert, and so do the names that docs/rules.md has."""
    rule = Rule(name="down", metric="up", value=0, annotations={name: f"{{{{ {name} }}}}" for name in NAMES})
    life = Life("shop", "down")
    lifecycle.on_finding(life, finding(True), policy_of(rule), {"region": "eu"}, T0)
    assert {n: t for n, t in life.annotations.items() if "failed" in t} == {}
    section = (
        (ROOT / "docs" / "rules.md").read_text("utf-8").split("## Labels, annotations, runbook")[1].split("```")[0]
    )
    told = set(re.findall(r"`([a-z_]+)`", section)) - {"annotations", "runbook", "runbook_url"}
    assert {"target", "value", "takes_down"} <= told <= NAMES


def test_stored_life_comes_back_as_it_was():
    """A life read back from its table entry is equal, also without a value, and another version is refused."""
    life = Life("shop", "down", offset=7)
    lifecycle.on_finding(life, finding(True, value=float("nan")), AT_ONCE, {"a": "b"}, T0)
    assert Life.load(life.dump()) == life
    with pytest.raises(LifeError):
        Life.load(life.dump().replace(b'"v":2', b'"v":99'))


def test_finding_told_again_changes_nothing():
    """After detect was killed, the findings of its last records come once more: they are known by their record."""
    life = Life("shop", "down")
    history = [(False, 1), (True, 2), (False, 3), (True, 4)]
    for holds, offset in [*history, *history, (False, 5)]:
        again = finding(holds, T0 + offset, source_partition=0, source_offset=offset)
        lifecycle.on_finding(life, again, AT_ONCE, {}, T0 + 100)
    assert [s for _, s, _, _ in told(life)] == ["firing", "resolved", "firing", "resolved"]


def test_log_made_anew_is_news():
    """When the log of samples starts over, its low offsets are no reason to ignore what is later in time."""
    life = Life("shop", "down")
    lifecycle.on_finding(life, finding(True, T0, source_partition=0, source_offset=900), AT_ONCE, {}, T0)
    lifecycle.on_finding(life, finding(False, T0 + 5, source_partition=0, source_offset=3), AT_ONCE, {}, T0 + 5)
    assert [s for _, s, _, _ in told(life)] == ["firing", "resolved"]


@pytest.mark.parametrize("times", [(0, 0), (1, 0, 1)])
def test_episodes_of_one_time_are_alerts_of_their_own(times):
    """Samples of equal time, or of a clock that goes back and forth, make no two alerts with one id."""
    life = Life("shop", "down")
    for offset, (at, holds) in enumerate((at, holds) for at in times for holds in (True, False)):
        seen = finding(holds, T0 + at, source_partition=0, source_offset=offset)
        lifecycle.on_finding(life, seen, AT_ONCE, {}, T0)
    assert len({t["id"] for t in life.outbox}) == len(times)
    assert [n for n, _, _, _ in told(life)] == [1, 2] * len(times)


def test_backlog_uses_no_duration_up():
    """A rule with `for` that begins in a backlog waits from when the broker took it, so that its end can be read first."""
    life = Life("shop", "slow")
    lifecycle.on_finding(life, finding(True, T0 - 600_000), PATIENT, {}, T0)
    assert [s for _, s, _, _ in told(life)] == ["pending"]
    lifecycle.on_finding(life, finding(False, T0 - 590_000), PATIENT, {}, T0 + 50)
    assert [s for _, s, _, _ in told(life)] == ["cancelled"]
