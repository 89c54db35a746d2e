"""One alert for a group of targets."""

from __future__ import annotations

import pytest

from schemas import Finding
from streams import groups
from streams import life as lifecycle
from streams.life import Life, LifeDefaults, policy_of
from streams.rules import Rule

T0 = 1_700_000_000_000.0
DEFAULTS = LifeDefaults(remind=0, flapping={"episodes": 0})


def rule(**more) -> Rule:
    return Rule(**{"name": "down", "metric": "up", "operator": "==", "value": 0, "severity": "critical", **more})


def member(target: str, holds: bool, at: float, sequence: int = -1) -> Finding:
    return Finding(
        target=target, rule="down", holds=holds, time=T0 + at, severity="critical", metric="up", aggregate="last",
        operator="==", threshold=0.0, value=0.0, sequence=sequence,
    )  # fmt: skip


class Group:
    """A group's life as the alert role leads it."""

    def __init__(self, terms: Rule, targets: set[str]) -> None:
        self.rule, self.targets, self.terms = terms, targets, policy_of(terms, DEFAULTS)
        self.labels = {"region": "eu"}
        self.life = Life(groups.group_of(terms, self.labels), "down")

    def take(self, finding: Finding, at: float) -> None:
        self.about(groups.take_member(self.life, finding, self.rule, self.targets, T0 + at), at)

    def about(self, about: Finding | None, at: float) -> None:
        if about is not None:
            labels = groups.labels_of(self.rule, self.labels)
            lifecycle.on_finding(self.life, about, self.terms, labels, T0 + at)

    def said(self) -> list[tuple[str, str, int, int]]:
        said = [(t["state"], t["reason"], t["member_count"], t["member_total"]) for t in self.life.outbox]
        self.life.outbox.clear()
        return said


def test_members_meet_by_what_they_share():
    """Findings of a group have one key, whatever the target; an ungrouped rule's have one for each target."""
    grouped = rule(group_by=["region", "tier"], at_least=2)
    labels = {"region": "eu", "tier": "web", "target": "a"}
    assert groups.group_key(grouped, labels) == "group:region=eu,tier=web/down"
    assert groups.finding_key(grouped, "a", labels) == groups.finding_key(grouped, "b", {**labels, "target": "b"})
    assert groups.finding_key(rule(), "a", labels) == "a/down"
    assert groups.group_key(rule(at_least=2), labels) == "group:all/down"


@pytest.mark.parametrize(
    ("terms", "total", "needed"),
    [
        ({"at_least": 3}, 10, 3), ({"share": 0.5}, 10, 5), ({"share": 0.5}, 5, 3), ({"share": 0.3}, 10, 3),
        ({"share": 1.0}, 7, 7), ({"share": 0.01}, 0, 1), ({"group_by": ["region"]}, 9, 1),
    ],
)  # fmt: skip
def test_how_many_members_it_takes(terms, total, needed):
    """A number, or a share rounded up, of those there are; one, where a rule only groups."""
    assert groups.needed(rule(**terms), total) == needed


def test_one_alert_lists_and_counts_the_members():
    """Below N nothing; at N one alert with the members and the total; below N again it resolves."""
    group = Group(rule(group_by=["region"], at_least=2), {"a", "b", "c"})
    group.take(member("a", True, 0), 0)
    assert group.said() == []
    group.take(member("b", True, 1), 1)
    fired = group.life.outbox[0]
    assert (fired["members"], fired["target"]) == (["a", "b"], "group:region=eu")
    assert fired["annotations"]["summary"] == "down holds for 2 of 3 targets of group:region=eu: a, b"
    assert fired["labels"]["region"] == "eu"
    assert fired["labels"]["group"] == "group:region=eu"
    group.take(member("a", False, 2), 2)
    assert group.said() == [("firing", "held_at_once", 2, 3), ("resolved", "rule_ceased", 1, 3)]


def test_growing_group_is_recorded_after_a_moment_and_not_told():
    """Members that join are one more transition, ten seconds later, however many they are; nobody is told again."""
    group = Group(rule(at_least=1), {f"t{i}" for i in range(50)})
    for i in range(40):
        group.take(member(f"t{i}", True, i), i)
    lifecycle.on_tick(group.life, group.terms, T0 + 9_999)
    assert group.said() == [("firing", "held_at_once", 1, 50)]
    assert lifecycle.due(group.life, group.terms) == T0 + 10_000
    lifecycle.on_tick(group.life, group.terms, T0 + 10_000)
    again = group.life.outbox[0]
    assert (again["reason"], again["notify"], again["member_count"]) == ("members_changed", False, 40)
    assert "40 of 50" in again["annotations"]["summary"]


def test_member_told_again_is_not_counted_again():
    """After detect was killed, what a member's finding said before changes nothing."""
    group = Group(rule(at_least=2), {"a", "b"})
    for finding in (
        member("a", True, 0, 0),
        member("a", False, 1, 1),
        member("a", True, 0, 0),
        member("b", True, 2, 0),
    ):
        group.take(finding, 3)
    assert group.said() == []


def test_configuration_moves_the_threshold():
    """A share is of the targets there are now; a target taken out counts no more."""
    group = Group(rule(share=0.5), {"a", "b", "c", "d"})
    group.take(member("a", True, 0), 0)
    assert group.said() == []
    group.about(groups.reconfigure(group.life, group.rule, {"a", "b"}, T0 + 10), 10)
    assert group.said() == [("firing", "held_at_once", 1, 2)]
    group.about(groups.reconfigure(group.life, group.rule, {"b"}, T0 + 20), 20)
    assert group.said() == [("resolved", "rule_ceased", 0, 1)]


def test_targets_that_push_by_themselves_are_counted_as_they_come():
    """A member that no configuration names belongs to the total, and no reload takes it out."""
    group = Group(rule(share=0.5), {"a"})
    group.take(member("pushed", True, 0), 0)
    assert group.said() == [("firing", "held_at_once", 1, 2)]
    group.about(groups.reconfigure(group.life, group.rule, {"a"}, T0 + 10), 10)
    assert group.said() == []


def test_members_long_recovered_are_forgotten():
    """What a group keeps of its members is bounded; those for which the rule holds stay."""
    group = Group(rule(at_least=2), {"a", "b"})
    group.take(member("a", True, 0), 0)
    group.take(member("b", False, 0), 0)
    groups.forget_members(group.life, T0 + 1)
    assert list(group.life.members) == ["a"]
