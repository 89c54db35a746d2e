"""Whether an alert is told: silences, windows, causes and inhibitions together."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.settings import Target
from schemas import Control
from streams.causes import DependencySettings
from streams.dependencies import Dependencies
from streams.inhibition import InhibitRule
from streams.maintenance import Window
from streams.silences import DeclaredSilence
from streams.suppression import AlertView, Suppressed, Suppressions

HOUR = 3_600_000.0


def target(name, *above, **labels):
    return Target(name=name, depends_on=above, labels=labels, push={})


TREE = (target("host"), target("svc", "host"), target("other", "host"), target("tenant", "svc", "other"))


def view(id="a", on="shop", *, severity="critical", state="firing", began=0.0, at=0.0, rule="down", **labels):  # noqa: A002
    labels = {"alertname": rule, "severity": severity, "target": on, **labels}
    return AlertView(id, rule, on, labels, severity, state, began, at)


def record(kind, key, version=1, /, **body):
    deleted = body.pop("deleted", False)
    return Control(kind=kind, id=key, version=version, deleted=deleted, actor="ada", at=0.0, body=json.dumps(body))


def silence(starts, ends, *matchers):
    return {"starts": starts, "ends": ends, "matchers": list(matchers or ["team=web"])}


def test_a_silence_keeps_quiet_until_its_end():
    """From its start to its end, and for alerts that it hits only."""
    s = Suppressions()
    s.take(record("silence", "s", **silence(1000.0, 2000.0)))
    alert = view(team="web")
    assert [s.decide(alert, t) is None for t in (999.0, 1000.0, 1999.0, 2000.0)] == [True, False, False, True]
    assert s.decide(alert, 1000.0) == Suppressed("silenced", "s", 2000.0)
    assert s.decide(view(team="ops"), 1500.0) is None


def test_a_changed_silence_counts_at_once():
    """Expired, changed and deleted: the next answer knows."""
    s, alert = Suppressions(), view(team="web")
    s.take(record("silence", "s", **silence(0.0, HOUR)))
    assert s.decide(alert, 1.0)
    s.take(record("silence", "s", 2, **silence(0.0, HOUR, "team=ops")))
    assert s.decide(alert, 1.0) is None
    s.take(record("silence", "s", 3, **silence(0.0, HOUR)))
    assert s.decide(alert, 1.0)
    s.take(record("silence", "s", 9, deleted=True))  # refused: 4 would be next
    assert s.decide(alert, 1.0)
    s.take(record("silence", "s", 4, deleted=True))
    assert s.decide(alert, 1.0) is None


def test_of_two_silences_the_longer_is_named():
    """So that the end of the shorter is no news."""
    s = Suppressions()
    s.take(record("silence", "short", **silence(0.0, 1000.0)))
    s.take(record("silence", "long", **silence(0.0, 2000.0)))
    assert s.decide(view(team="web"), 1.0) == Suppressed("silenced", "long", 2000.0)


def test_a_control_record_goes_over_the_file():
    """What the file declares can be changed and deleted at run time, by its name."""
    s = Suppressions(
        silences=[DeclaredSilence(name="s", **silence(0.0, HOUR))],
        maintenance=[Window(name="w", targets=["db"], start="1970-01-01T00:00", duration="1h")],
    )
    assert s.decide(view(team="web"), 1.0).by == "s"
    assert s.decide(view(on="db"), 1.0) == Suppressed("maintenance", "w", HOUR)
    s.take(record("silence", "s", deleted=True))
    s.take(record("maintenance", "w", targets=["db"], start="1980-01-01T00:00", duration="1h"))
    assert s.decide(view(team="web"), 1.0) is None
    assert s.decide(view(on="db"), 1.0) is None


def causes(**settings):
    values = {"hold": 5, "longest_hold": 60, "settle": 30, **settings}
    return Suppressions(dependencies=Dependencies(TREE), settings=DependencySettings(**values))


def test_the_topmost_cause_speaks_for_all_below():
    """Host, service and tenant are down: service and tenant name the host's alert, the host itself is told."""
    s = causes()
    alerts = [view("h", "host"), view("s", "svc", began=1.0), view("t", "tenant", began=2.0)]
    for alert in reversed(alerts):
        s.note(alert)
    late = 100_000.0
    assert [s.decide(a, late) for a in alerts] == [
        None,
        Suppressed("cause_down", "h"),
        Suppressed("cause_down", "h"),
    ]
    assert s.taken_down("host") == ["other", "svc", "tenant"]
    assert s.taken_down("tenant") == []


def test_only_an_alert_that_means_down_takes_anything_down():
    """The host's critical alert takes down all that depends on it; its warning, and a tenant's alert, take nothing."""
    s = causes()
    assert s.takes_down(view("h", "host")) == ["other", "svc", "tenant"]
    assert s.takes_down(view("w", "host", severity="warning")) == []
    assert s.takes_down(view("t", "tenant")) == []


def test_what_is_no_cause_takes_nothing_down():
    """A warning, a pending alert, and one that ended leave the dependants to speak for themselves."""
    s = causes()
    s.note(view("w", "host", severity="warning"))
    s.note(view("r", "host", state="resolved"))
    assert s.decide(view("s", "svc", began=0.0), 100_000.0) is None


@pytest.mark.parametrize("state", ["firing", "acknowledged", "snoozed", "suppressed", "escalated", "flapping"])
def test_a_cause_is_one_in_every_state_in_which_it_fires(state):
    """Also one that is itself acknowledged or silenced takes its dependants with it."""
    s = causes()
    s.note(view("h", "host", state=state))
    assert s.decide(view("s", "svc"), 100_000.0) == Suppressed("cause_down", "h")


def test_which_alerts_are_causes_can_be_said():
    """With matchers, for where not every critical alert means down."""
    s = causes(cause=('alertname="down"',))
    s.note(view("d", "host", rule="disk"))
    assert s.decide(view("s", "svc"), 100_000.0) is None
    s.note(view("h", "host", severity="warning"))
    assert s.decide(view("s", "svc"), 100_000.0).by == "h"


def test_a_dependant_waits_for_news_of_its_cause():
    """For `hold`, longer while the cause's alert is pending, then no more; a target without causes never waits."""
    s = causes()
    alert = view("s", "svc", began=1000.0)
    assert s.decide(alert, 1000.0) == Suppressed("waiting_for_cause", "", 6000.0)
    assert s.decide(alert, 6000.0) is None
    s.note(view("h", "host", state="pending", began=900.0))
    assert s.decide(alert, 6000.0) == Suppressed("waiting_for_cause", "h", 61_000.0)
    assert s.decide(alert, 61_000.0) is None
    s.note(view("h", "host", state="cancelled"))
    assert s.decide(alert, 6000.0) is None
    assert s.decide(view("h", "host", began=1000.0), 1000.0) is None


def test_a_dependant_has_time_to_recover_after_its_cause():
    """For `settle` after the cause was resolved; an alert that began later speaks for itself."""
    s = causes()
    s.note(view("h", "host"))
    s.note(view("h", "host", state="resolved", at=50_000.0))
    assert s.decide(view("s", "svc", began=10.0), 60_000.0) == Suppressed("waiting_after_cause", "h", 80_000.0)
    assert s.decide(view("s", "svc", began=10.0), 80_000.0) is None
    assert s.decide(view("s", "svc", began=55_000.0), 70_000.0) is None


def test_a_target_changed_at_run_time_changes_the_graph():
    """New dependencies count for alerts that fire already; a cycle leaves everything as it was."""
    s = causes()
    s.note(view("d", "db"))
    assert s.decide(view("s", "svc"), 100_000.0) is None
    s.take(record("target", "db", kind="tcp"))
    s.take(record("target", "svc", kind="http", depends_on=["db"]))
    assert s.decide(view("s", "svc"), 100_000.0) == Suppressed("cause_down", "d")
    assert s.taken_down("db") == ["svc", "tenant"]
    s.take(record("target", "db", 2, kind="tcp", depends_on=["tenant"]))
    assert s.taken_down("db") == ["svc", "tenant"]


def test_the_order_of_reasons():
    """A person's word first, then the calendar, then the cause, then an inhibition."""
    everything = InhibitRule(source_matchers=["alertname=boss"], target_matchers=["alertname=down"])
    s = Suppressions(
        dependencies=Dependencies(TREE),
        inhibit_rules=[everything],
        maintenance=[Window(name="w", targets=["svc"], start="1970-01-01T00:00", duration="1h")],
        silences=[DeclaredSilence(name="s", **silence(0.0, HOUR / 2))],
        settings=DependencySettings(hold=0),
    )
    s.note(view("boss", "elsewhere", rule="boss"))
    s.note(view("h", "host"))
    alert = view("s", "svc", team="web")
    assert s.decide(alert, 1.0).reason == "silenced"
    assert s.decide(alert, HOUR / 2).reason == "maintenance"
    assert s.decide(alert, HOUR).reason == "cause_down"
    s.note(view("h", "host", state="resolved"))
    assert s.decide(alert, HOUR) == Suppressed("inhibited", "boss")
    s.note(view("boss", "elsewhere", rule="boss", state="resolved"))
    assert s.decide(alert, HOUR) is None


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["host", "svc", "other", "tenant"]),
        st.sampled_from(["pending", "firing", "resolved", "suppressed"]),
        st.integers(0, 100),
    ),
    max_size=15,
)


@given(EVENTS, st.integers(0, 200))
def test_as_a_plain_search_up_the_tree_says(events, now):
    """Down is whoever's latest alert fires; a target is kept quiet by a cause exactly where something above is down."""
    s, latest = causes(), {}
    for on, state, at in events:
        s.note(view(on, on, state=state, began=float(at), at=float(at)))
        latest[on] = state
    above = {"svc": {"host"}, "other": {"host"}, "tenant": {"svc", "other", "host"}, "host": set()}
    for on, parents in above.items():
        decided = s.decide(view("x", on, began=0.0), float(now))
        down = {p for p in parents if latest.get(p) in ("firing", "suppressed")}
        assert (decided is not None and decided.reason == "cause_down") == bool(down)
        if down:
            assert decided.by == ("host" if "host" in down else decided.by)
            assert decided.by in down


@given(st.permutations(range(6)), st.integers(0, 4000))
def test_the_order_between_topics_and_partitions_does_not_matter(order, now):
    """Alerts of different partitions may be heard of in any order: what is decided is the same."""

    def fed(steps):
        s = causes()
        feed = [
            lambda: s.take(record("silence", "x", **silence(100.0, 2000.0, "target=other"))),
            lambda: s.note(view("h", "host", began=5.0)),
            lambda: s.note(view("h2", "host", began=5.0)),
            lambda: s.note(view("s", "svc", began=6.0)),
            lambda: s.note(view("w", "svc", severity="warning", began=6.0)),
            lambda: s.take(record("maintenance", "m", targets=["host"], start="1970-01-01T00:00:01", duration="1s")),
        ]
        for i in steps:
            feed[i]()
        return [
            s.decide(view("q", on, severity="warning", began=7.0), float(now))
            for on in ("host", "svc", "other", "tenant")
        ]

    assert fed(order) == fed(range(6))


def test_an_inhibition_of_the_control_topic_counts_for_what_fires():
    """Added, changed and taken out at run time, also one of the file; each counts at the next answer."""
    file = InhibitRule(name="file", source_matchers=["alertname=down"], target_matchers=["alertname=slow"])
    s = Suppressions(inhibit_rules=[file])
    s.note(view("d", rule="down", on="db"))
    slow, other = view("s", rule="slow"), view("o", rule="other")
    assert [s.decide(a, 1.0) for a in (slow, other)] == [Suppressed("inhibited", "d"), None]
    s.take(record("inhibit_rule", "new", source_matchers=["alertname=down"], target_matchers=["alertname=other"]))
    assert s.decide(other, 1.0) == Suppressed("inhibited", "d")
    s.take(record("inhibit_rule", "new", 2, source_matchers=["alertname=never"], target_matchers=["alertname=other"]))
    s.take(record("inhibit_rule", "file", deleted=True))
    assert [s.decide(a, 1.0) for a in (slow, other)] == [None, None]


def test_other_settings_of_dependencies_count_for_what_fires():
    """What means down, and how long a dependant waits, can be changed; without them it is as by default."""
    s = causes()
    s.note(view("h", "host", severity="warning"))
    s.note(view("p", "host", severity="warning", state="pending", rule="ping"))
    dependant = view("s", "svc", began=0.0)
    assert s.decide(dependant, 10_000.0) is None
    s.take(record("dependencies", "all", cause=["severity=warning"], hold="20s"))
    assert s.decide(dependant, 10_000.0) == Suppressed("cause_down", "h")
    assert s.takes_down(view("w", "host", severity="warning")) == ["other", "svc", "tenant"]
    s.note(view("h", "host", severity="warning", state="resolved"))
    assert s.decide(dependant, 10_000.0) == Suppressed("waiting_for_cause", "p", 60_000.0)
    s.take(record("dependencies", "all", 2, deleted=True))
    assert s.decide(dependant, 10_000.0) == Suppressed("waiting_after_cause", "h", 60_000.0)
    assert s.decide(dependant, 60_000.0) is None
