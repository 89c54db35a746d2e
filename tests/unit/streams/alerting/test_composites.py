"""Rules on other alerts."""

from __future__ import annotations

import pytest

from streams import composites
from streams.alerting.composites import Composites
from streams.composites import Standing
from streams.rules import Rule

T0 = 1_700_000_000_000.0


def rule(alerts, **more) -> Rule:
    return Rule(**{"name": "both", "alerts": alerts, "severity": "critical", **more})


def standing(name: str, state: str = "firing", target: str = "shop", number: int = 1, **labels) -> Standing:
    given = {"target": target, "alertname": name.partition(":")[0], **labels}
    return Standing(f"{name}/{target}", number, name, target, given, "warning", state, T0, T0 + number, T0 + number)


@pytest.mark.parametrize(
    ("alerts", "active", "held"),
    [
        ({"all": ["a", "b"]}, {"a"}, False), ({"all": ["a", "b"]}, {"a", "b"}, True),
        ({"any": ["a", "b"]}, {"b"}, True), ({"any": ["a", "b"]}, set(), False),
        ({"not": "a"}, set(), True), ({"not": "a"}, {"a"}, False),
        ({"all": ["a", {"not": {"any": ["b", "c"]}}]}, {"a"}, True),
        ({"all": ["a", {"not": {"any": ["b", "c"]}}]}, {"a", "c"}, False),
        (["a", "b"], {"a", "b"}, True),
    ],
)  # fmt: skip
def test_combinations(alerts, active, held):
    """all, any and not, nested, of the names of rules."""
    terms = rule(alerts)
    assert composites.holds(terms.alerts, active.__contains__) is held
    assert active <= composites.names(terms.alerts)


def judged(known: Composites, *places: tuple[str, str]) -> list[tuple[str, bool, float]]:
    found = [known.judge(place, lambda: T0) for place in places]
    return [(f.target, f.holds, f.time) for f in found]


def test_composite_follows_the_alerts_of_its_target():
    """It holds for the target for which all of them are active, and began when the last of them fired."""
    known = Composites()
    known.configure([rule({"all": ["slow", "down"]})])
    assert known.take(standing("slow", number=1)) == [("both", "shop")]
    assert judged(known, ("both", "shop")) == [("shop", False, T0 + 1)]
    known.take(standing("down", number=5))
    known.take(standing("down", target="other", number=7))
    assert judged(known, ("both", "shop"), ("both", "other")) == [("shop", True, T0 + 5), ("other", False, T0 + 7)]
    known.take(standing("slow", "resolved", number=9))
    assert judged(known, ("both", "shop")) == [("shop", False, T0 + 9)]


def test_older_transition_of_a_known_alert_is_no_news():
    """Stored lives are read first; what `alerts` then tells late does not end the alert in between."""
    known = Composites()
    known.configure([rule({"all": ["slow"]})])
    known.take(standing("slow", "firing", number=2))
    assert known.take(standing("slow", "pending", number=1)) == []
    assert judged(known, ("both", "shop"))[0][1]


@pytest.mark.parametrize("state", ["acknowledged", "snoozed", "suppressed", "escalated", "flapping"])
def test_whoever_has_it_in_hand_it_is_active(state):
    """Suppression stops the telling, not the watching: a composite sees the alert all the same."""
    known = Composites()
    known.configure([rule({"all": ["slow"]})])
    known.take(standing("slow", state))
    assert judged(known, ("both", "shop"))[0][1]


def test_pending_alert_is_not_active():
    """What has not fired yet does not count."""
    known = Composites()
    known.configure([rule({"all": ["slow"]})])
    known.take(standing("slow", "pending"))
    assert not judged(known, ("both", "shop"))[0][1]


def test_pair_is_meant_by_its_name():
    """The name of a pair means either of its two rules."""
    known = Composites()
    known.configure([rule({"all": ["slow"]})])
    known.take(standing("slow:critical"))
    assert judged(known, ("both", "shop"))[0][1]


def test_grouped_composite_joins_by_labels():
    """With group_by, alerts of different targets meet by what they share."""
    known = Composites()
    known.configure([rule({"all": ["db", "app"]}, group_by=["region"])])
    known.take(standing("db", target="db1", region="eu"))
    known.take(standing("app", target="web7", region="us"))
    assert not judged(known, ("both", "group:region=eu"))[0][1]
    known.take(standing("app", target="web1", region="eu"))
    assert judged(known, ("both", "group:region=eu"))[0][1]
    assert known.labels["both", "group:region=eu"] == {"region": "eu", "group": "group:region=eu"}


def test_what_holds_with_nothing_active_is_judged_for_every_target():
    """A rule that is only `not` is judged where nothing was ever heard of; others only where something is active."""
    known = Composites()
    known.configure([rule({"not": "slow"}, name="quiet", match=["kind=http"]), rule({"all": ["slow"]})])
    targets = {"a": {"target": "a", "kind": "http"}, "b": {"target": "b", "kind": "tcp"}}
    assert known.everywhere(targets) == [("quiet", "a")]


def test_match_chooses_the_alerts():
    """A composite looks at alerts of the targets that it matches."""
    known = Composites()
    known.configure([rule({"all": ["slow"]}, match=["team=web"])])
    assert known.take(standing("slow", team="ops")) == []
    assert known.take(standing("slow", target="t2", team="web")) == [("both", "t2")]


def test_an_alert_whose_labels_change_leaves_the_group_that_it_was_in():
    """Its rule was edited, and it counts for another team now: both teams' composites are judged again."""
    known = Composites()
    known.configure([rule({"any": ["slow"]}, group_by=["team"])])
    known.take(standing("slow", number=1, team="web"))
    moved = known.take(standing("slow", number=2, team="db"))
    assert sorted(moved) == [("both", "group:team=db"), ("both", "group:team=web")]
    assert judged(known, *sorted(moved)) == [("group:team=db", True, T0 + 2), ("group:team=web", False, T0 + 1)]
