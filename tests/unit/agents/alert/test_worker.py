"""The worker over logs in memory: what it keeps, and for how long."""

from __future__ import annotations

from types import SimpleNamespace

import orjson
import pytest

from agents.alert.worker import KEPT_MS
from schemas import Control, Finding
from streams.life import LifeDefaults
from streams.rules import Rule
from tests.kit.alert_role import Role

DOWN = Rule(name="down", metric="up", operator="==", value=0, severity="critical")
PATIENT = Rule(name="down", metric="up", operator="==", value=0, severity="critical", **{"for": "1h"})
MOST = Rule(name="down", metric="up", operator="==", value=0, severity="critical", share=0.5)


def target(name: str, **labels: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, all_labels={"target": name, "kind": "http", **labels})


@pytest.fixture
def role():
    made = Role([target("a"), target("b"), target("c")], [DOWN], LifeDefaults(remind=0))
    yield made
    made.close()


def finding_of(role: Role, of: str, holds: bool, sequence: int = -1) -> Finding:
    return Finding(
        target=of, rule="down", holds=holds, time=role.now, severity="critical", metric="up", aggregate="last",
        operator="==", threshold=0.0, value=0.0, sequence=sequence,
    )  # fmt: skip


def write(role: Role, holds: bool, of: str = "a", rule: Rule = DOWN, sequence: int = -1) -> None:
    role.write_finding(finding_of(role, of, holds, sequence), rule, {})


def go(role: Role, seconds: float = 0.0) -> list[tuple[str, str, bool]]:
    """Read, let time pass, flush; every transition there is."""
    role.read()
    role.now += seconds * 1000
    role.tick()
    role.flush()
    return [(a.state, a.reason, a.notify) for a in role.log.alerts()]


def ask(role: Role, kind: str, alert: str, version: int = 1, **body) -> None:
    role.control(
        Control(kind=kind, id=alert, version=version, actor="ada", at=role.now, body=orjson.dumps(body).decode())
    )


def test_life_that_ended_long_ago_is_let_go_with_what_was_asked_of_it(role):
    """Eight days after its end, a life is off the state, and its acknowledgement off the control topic; not a moment earlier."""
    write(role, True)
    go(role)
    ask(role, "ack", role.log.alerts()[0].id)
    write(role, False)
    go(role, 1)
    role.flush()
    role.now += KEPT_MS - 2000
    go(role)
    assert b"a/down" in role.log.compacted()
    go(role, 120)
    assert b"a/down" not in role.log.compacted()
    assert list(role.worker.lives) == []
    withdrawn = [key for key, value, _ in role.log.topics["m.control"] if value is None]
    assert withdrawn == [f"ack/{role.log.alerts()[0].id}".encode()]
    role.start()
    assert list(role.worker.lives) == []


def test_what_still_holds_is_never_let_go(role):
    """An alert that fires for a month is kept, and so is one that was resolved by hand and still holds."""
    write(role, True)
    write(role, True, "b")
    go(role)
    ask(role, "resolve", next(a.id for a in role.log.alerts() if a.target == "b"))
    go(role, 40 * 86_400)
    assert {life.target for life in role.worker.lives} == {"a", "b"}


def test_rule_edit_changes_what_is_waited_for(role):
    """A pending alert whose rule is given a shorter duration fires by that."""
    role.configure([PATIENT])
    write(role, True)
    assert go(role, 60) == [("pending", "waiting_for_duration", False)]
    role.configure([DOWN])
    assert go(role)[1:] == [("firing", "duration_elapsed", True)]


def test_rule_taken_out_resolves_and_its_return_begins_anew(role):
    """A deletion at run time ends the alert and tells; the rule's return is another alert."""
    write(role, True, sequence=0)
    go(role)
    role.configure([])
    assert go(role)[1:] == [("resolved", "rule_removed", True)]
    role.configure([DOWN])
    write(role, True, sequence=0)  # detect tells again what holds
    assert go(role)[2:] == [("firing", "held_at_once", True)]
    assert len({a.id for a in role.log.alerts()}) == 2


def test_group_follows_the_configuration(role):
    """A share of the targets: taking targets out may make it fire, and says of how many."""
    role.configure([MOST])
    write(role, True, rule=MOST)
    assert go(role) == []
    role.targets = [target("a"), target("b")]
    role.configure([MOST])
    assert go(role) == [("firing", "held_at_once", True)]
    fired = role.log.alerts()[0]
    assert (fired.members, fired.member_count, fired.member_total) == (["a"], 1, 2)


@pytest.mark.parametrize("writes", range(6))
def test_findings_without_a_number_are_known_by_their_offset(role, writes):
    """Dying between a life and the offset that says it is stored: its findings are read again, and change nothing."""
    for holds in (True, False):
        write(role, holds)
    role.read()
    role.flush(writes)
    role.read()
    role.flush()
    assert [(a.number, a.state) for a in role.log.alerts()] == [(1, "firing"), (2, "resolved")]


def test_group_goes_on_after_a_death(role):
    """Members counted before a death count after it."""
    role.configure([MOST])
    write(role, True, rule=MOST)
    go(role)
    role.start()
    write(role, True, "b", rule=MOST)
    assert go(role) == [("firing", "held_at_once", True)]


def test_group_whose_rule_returns_counts_anew(role):
    """Members that held before the rule was taken out do not count until they are found to hold again."""
    role.configure([MOST])
    for of in ("a", "b"):
        write(role, True, of, rule=MOST)
    go(role)
    role.configure([])
    assert go(role)[1:] == [("resolved", "rule_removed", True)]
    role.configure([MOST])
    assert len(go(role)) == 2
    for of in ("a", "b"):
        write(role, True, of, rule=MOST)
    assert go(role)[2:] == [("firing", "held_at_once", True)]


def test_of_two_snoozes_of_one_version_the_first_counts(role):
    """The second writer was told of the conflict: its edit changes nothing."""
    write(role, True)
    go(role)
    alert = role.log.alerts()[0].id
    for until in (50_000, 900_000):
        ask(role, "snooze", alert, until=role.now + until)
    assert go(role, 60)[1:] == [("snoozed", "snoozed", False), ("firing", "snooze_over", True)]


def test_silence_that_begins_later_hides_from_then_on(role):
    """A silence written ahead of its time suppresses when that has come, and the alert wakes when it is over."""
    write(role, True)
    go(role)
    ask(role, "silence", "s", matchers=["rule=down"], starts=role.now + 60_000, ends=role.now + 120_000)
    assert [s[0] for s in go(role, 59)] == ["firing"]
    assert [s[0] for s in go(role, 2)] == ["firing", "suppressed"]
    assert go(role, 60)[2:] == [("firing", "suppression_over", True)]


def test_warning_of_a_pair_is_quiet_while_its_critical_one_fires(role):
    """Of a pair of thresholds, the critical alert speaks for both, though the warning's finding came first."""
    pair = Rule(name="down", metric="latency", warning=1, critical=2, cooldown=0)
    role.configure([pair])
    for severity in ("warning", "critical"):
        finding = Finding(
            target="a", rule=f"down:{severity}", holds=True, time=role.now, severity=severity, metric="latency",
            aggregate="last", operator=">", threshold=1.0, value=3.0,
        )  # fmt: skip
        role.write_finding(finding, role.worker.terms.rules[f"down:{severity}"], {})
    go(role)
    go(role, 1)
    by_rule = {a.rule: a for a in role.log.alerts()}
    critical, warning = by_rule["down:critical"], by_rule["down:warning"]
    assert (critical.state, warning.state, warning.reason, warning.by) == (
        "firing",
        "suppressed",
        "inhibited",
        critical.id,
    )
    assert critical.labels["alertname"] == warning.labels["alertname"] == "down"


def test_members_of_a_group_whose_rule_is_gone_cease(role):
    """Their findings are read while the rule is out, and the rule is back before the clock is looked at: it has ended."""
    role.configure([MOST])
    for of in ("a", "b"):
        write(role, True, of, rule=MOST)
    go(role)
    for of in ("a", "b"):
        write(role, False, of, rule=MOST)
    role.configure([])
    role.now += 6000  # later than an unknown rule is waited for
    role.worker.is_behind = lambda _: True  # nor has the tick a look at what is read only now
    role.read()
    role.configure([MOST])
    del role.worker.is_behind
    assert go(role)[1:] == [("resolved", "rule_removed", True)]


def test_labels_of_the_rule_are_not_those_of_the_group(role):
    """A rule may set a label that it groups by: its alert is still that of the group, over any edit."""
    grouped = Rule(
        name="down", metric="up", operator="==", value=0, group_by=["kind"], labels={"kind": "service"}, cooldown=0
    )
    role.configure([grouped])
    role.write_finding(finding_of(role, "a", True), grouped, {"kind": "http"})
    go(role)
    role.configure([grouped.model_copy(update={"severity": "critical"})])
    assert go(role, 1) == [("firing", "held_at_once", True), ("firing", "rule_edited", True)]
    assert role.log.alerts()[-1].target == "group:kind=http"


def test_a_rule_edited_while_the_role_was_down_shows_at_its_start(role):
    """The alert that was stored is told with the severity that the rule has now."""
    write(role, True)
    role.configure([DOWN.model_copy(update={"severity": "info"})])
    go(role)
    role.rules = [DOWN.model_copy(update={"annotations": {"summary": "now {{ severity }}"}})]
    role.start()
    assert go(role)[1:] == [("firing", "rule_edited", True)]
    assert role.log.alerts()[-1].annotations == {"summary": "now critical"}


def test_edits_go_to_and_fro(role):
    """Each edit that shows is one transition; the same again is none; only a severity that rises is told."""
    write(role, True)
    go(role)
    for version, severity in enumerate(("warning", "warning", "critical", "info", "critical"), 1):
        body = {"name": "down", "metric": "up", "operator": "==", "value": 0, "severity": severity}
        ask(role, "rule", "down", version, **body)
        go(role, 1)
    edits = [(a.comment, a.severity, a.notify, a.actor) for a in role.log.alerts()[1:]]
    assert edits == [
        ("version 1", "warning", False, "ada"),
        ("version 3", "critical", True, "ada"),
        ("version 4", "info", False, "ada"),
        ("version 5", "critical", True, "ada"),
    ]


def test_a_composite_on_a_group_s_alert_outlives_an_edit_of_something_else(role):
    """It is about the group, though it does not group itself: that rules changed does not end it."""
    over = Rule(name="over", alerts=["down"], severity="critical")
    role.configure([MOST, over])
    for of in ("a", "b"):
        write(role, True, of, rule=MOST)
    go(role)
    go(role)
    role.configure([MOST, over, Rule(name="new", metric="latency", value=1)])
    go(role, 1)
    assert [(a.rule, a.target, a.state) for a in role.log.alerts()] == [
        ("down", "group:all", "firing"), ("over", "group:all", "firing"),
    ]  # fmt: skip
    for of in ("a", "b"):
        write(role, False, of, rule=MOST)
    go(role)
    go(role)
    assert [a.state for a in role.log.alerts()[2:]] == ["resolved", "resolved"]


@pytest.mark.parametrize("back", [False, True])
def test_a_rule_that_becomes_one_of_another_kind_ends_its_alert(role, back):
    """On other alerts instead of samples, or the other way: who judges it now would never say that it ceased."""
    of_alerts = Rule(name="sum", alerts=["down"], severity="critical")
    of_samples = Rule(name="sum", metric="latency", value=1, severity="critical")
    role.configure([DOWN, of_samples if back else of_alerts])
    if back:
        found = finding_of(role, "a", True).to_dict() | {"rule": "sum"}
        role.write_finding(Finding.from_dict(found), of_samples, {})
    else:
        write(role, True)
        go(role)
    go(role)
    assert [a.state for a in role.log.alerts() if a.rule == "sum"] == ["firing"]
    role.configure([DOWN, of_alerts if back else of_samples])
    go(role, 1)
    ended = [a for a in role.log.alerts() if a.rule == "sum"][1]
    assert (ended.state, ended.reason, ended.notify) == ("resolved", "rule_removed", True)


def test_a_composite_holds_only_where_it_is_meant(role):
    """Edited to match no target, one that holds while nothing fires ends, and begins nowhere."""
    quiet = Rule(name="quiet", alerts={"not": "down"}, severity="critical")
    role.configure([DOWN, quiet])
    go(role)
    assert {(a.target, a.state) for a in role.log.alerts()} == {(t, "firing") for t in "abc"}
    role.configure([DOWN, quiet.model_copy(update={"match": ("team=nobody",)})])
    go(role, 1)
    assert [a.state for a in role.log.alerts()[3:]] == ["resolved"] * 3
    role.configure([DOWN, quiet.model_copy(update={"match": ("team=none",)})])
    go(role, 1)
    assert len(role.log.alerts()) == 6


def test_what_detect_says_last_of_a_rule_is_no_member_of_its_composite(role):
    """Edited from samples to alerts by group, what has ceased by the old form touches no group of the new one."""
    role.configure([DOWN, PATIENT.model_copy(update={"name": "sum"})])
    old = role.worker.terms.rules["sum"]
    over = Rule(name="sum", alerts=["down"], group_by=["kind"], severity="critical")
    write(role, True)
    go(role)
    role.configure([DOWN, over])
    go(role)
    go(role)
    role.write_finding(Finding.from_dict(finding_of(role, "a", False).to_dict() | {"rule": "sum"}), old, {})
    go(role, 1)
    found = [(a.rule, a.target, a.state) for a in role.log.alerts()]
    assert found == [("down", "a", "firing"), ("sum", "group:kind=http", "firing")]
    assert "m.dead-letters" not in role.log.topics


def test_what_is_gone_ends_though_it_is_back_before_the_clock_is_looked_at(role):
    """From each target to the group and back between two looks: the alert of the first form ends with the first edit."""
    write(role, True)
    go(role)
    role.configure([MOST])
    role.configure([DOWN])
    assert go(role, 1)[1:] == [("resolved", "rule_no_longer_matches", True)]
