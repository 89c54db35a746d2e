"""Who is told, and who is not and why."""

from __future__ import annotations

import pytest

from agents.notify.plan import Planned, plan
from streams.routing import Route, labels_of
from tests.kit.notify import alert

ROUTE = Route.model_validate(
    {"routes": [{"matchers": ["severity=critical", "alertname=error-rate", "target=shop"], "receiver": "ops"}]}
)


def planned(state: str, told=None, flags=(True, False), *, reports: bool = True, **changes):
    return plan(alert(state, **changes), ROUTE, {"ops": flags}, told=told, reports_unrouted=reports)


@pytest.mark.parametrize("state", ["firing", "acknowledged", "escalated"])
def test_each_integration_is_told(state):
    """All integrations of the receiver, whether or not they want resolved ones."""
    assert planned(state) == [Planned("ops", 0), Planned("ops", 1)]


def test_what_is_not_to_be_told_concerns_nobody():
    """An alert with notify false has been decided on by the alert hop."""
    assert planned("firing", notify=False) == []


def test_resolved_is_skipped_where_it_is_not_wanted_or_nothing_was_told():
    """Each skip has its named reason."""
    assert planned("resolved", told=set()) == [
        Planned("ops", 0, "firing_not_told"),
        Planned("ops", 1, "send_resolved_off"),
    ]
    assert planned("resolved", told={("ops", 0)}) == [Planned("ops", 0), Planned("ops", 1, "send_resolved_off")]


def test_resolved_is_sent_where_the_beginning_was_not_seen():
    """After a restart in between, one message too many is better than one too few."""
    assert planned("resolved", told=None)[0] == Planned("ops", 0)


def test_an_alert_without_a_receiver_is_put_on_record_once():
    """Only one channel reports it."""
    assert planned("firing", severity="info") == [Planned("", 0, "no_route")]
    assert planned("firing", severity="info", reports=False) == []


def test_a_receiver_without_this_channel_is_none_of_its_business():
    """Another channel tells it."""
    assert plan(alert(), ROUTE, {}, told=None, reports_unrouted=True) == []


def test_labels_of_the_alert_itself_win():
    """A target's label cannot pass itself off as the rule."""
    assert labels_of(alert(labels={"alertname": "x", "team": "web"})) == {
        "alertname": "error-rate", "rule": "error-rate", "target": "shop", "severity": "critical", "team": "web",
    }  # fmt: skip


def test_receivers_of_an_escalation_are_told_besides_those_of_the_routes():
    """Whom a step names hears of it, and of the end; who is named twice hears once."""
    sends = {"ops": [True], "lead": [True]}
    step = alert(state="escalated", receivers=["lead", "ops"])
    assert [p.receiver for p in plan(step, Route(receiver="ops"), sends, told=None, reports_unrouted=False)] == [
        "ops",
        "lead",
    ]
    end = alert(state="resolved", receivers=["lead"])
    planned = plan(end, Route(receiver="ops"), sends, told={("ops", 0), ("lead", 0)}, reports_unrouted=False)
    assert [(p.receiver, p.skip) for p in planned] == [("ops", ""), ("lead", "")]


def test_both_rules_of_a_pair_route_by_its_name():
    """A route on `alertname` means the pair; a target's label still cannot pass itself off as another rule."""
    assert labels_of(alert(rule="slow:critical", labels={"alertname": "slow"}))["alertname"] == "slow"
    assert labels_of(alert(rule="slower", labels={"alertname": "slow"}))["alertname"] == "slower"


def test_the_end_goes_to_everybody_who_was_told_by_earlier_labels():
    """A rule edited while it fires is told by its labels now; its end by each set of labels that it was told with."""
    route = Route.model_validate({"routes": [{"matchers": [f"team={t}"], "receiver": t} for t in ("web", "db", "new")]})
    told_as = [{"team": "web", "severity": "warning"}, {"team": "db", "severity": "critical"}]
    sends = {name: [True] for name in ("web", "db", "new")}
    names = {
        state: [p.receiver for p in plan(of, route, sends, told=None, reports_unrouted=False)]
        for state in ("firing", "resolved")
        for of in [alert(state, labels={"team": "new"}, told_as=told_as)]
    }
    assert names == {"firing": ["new"], "resolved": ["web", "db"]}
