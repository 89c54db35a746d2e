"""An alert whose rule is edited while it is active: the same alert, shown as the rule says now."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from streams import life as lifecycle
from streams.life import Life, LifeDefaults, policy_of
from streams.rules import Rule
from streams.suppression import Suppressed
from tests.unit.streams.life.test_life import T0, finding

QUIET = LifeDefaults(remind=0, flapping={"episodes": 0})


def policy(severity="warning", team="web", **more):
    rule = {
        "name": "down",
        "metric": "up",
        "operator": "==",
        "value": 0,
        "severity": severity,
        "labels": {"team": team},
    }
    return policy_of(Rule.model_validate({**rule, **more}), QUIET)


class Edited:
    """One alert that fires at T0 by `terms`, and what is made of it; times in seconds since."""

    def __init__(self, terms, **more):
        self.life, self.terms, self.quiet = Life("shop", "down"), terms, None
        self.find(0, True, **more)

    def find(self, at, holds, **more):
        now = T0 + at * 1000
        lifecycle.on_finding(self.life, finding(holds, now, **more), self.terms, {"kind": "http"}, now, self.verdict)

    def verdict(self, life, _now):
        return self.quiet(life) if self.quiet else None

    def edit(self, at, terms, labels=None, **more):
        self.terms = terms
        return lifecycle.on_edited(
            self.life, terms, labels or {"kind": "http"}, T0 + at * 1000, verdict=self.verdict, **more
        )

    def tick(self, at):
        lifecycle.on_tick(self.life, self.terms, T0 + at * 1000, self.verdict)

    def said(self):
        out, self.life.outbox = self.life.outbox, []
        return [(t["state"], t["reason"], t["severity"], t["notify"]) for t in out]


def test_a_raised_severity_is_told_at_once():
    """Who edited and the version are on the transition; number and id go on; the end is told with the same id."""
    alert = Edited(policy("warning"))
    first = alert.life.outbox[0]
    assert alert.edit(60, policy("critical"), actor="ada", version=3)
    raised = alert.life.outbox[1]
    assert (raised["id"], raised["number"], raised["actor"], raised["comment"]) == (first["id"], 2, "ada", "version 3")
    assert (raised["rule_version"], raised["labels"]["severity"]) == (3, "critical")
    alert.find(90, False)
    assert alert.said() == [
        ("firing", "held_at_once", "warning", True),
        ("firing", "rule_edited", "critical", True),
        ("resolved", "rule_ceased", "critical", True),
    ]


def test_a_lowered_severity_pages_nobody():
    """It is on record and shown, and that is all; the end is told as that of any alert that was told."""
    alert = Edited(policy("critical"))
    alert.edit(60, policy("info"))
    alert.find(90, False)
    assert alert.said()[1:] == [("firing", "rule_edited", "info", False), ("resolved", "rule_ceased", "info", True)]


def test_texts_are_rendered_anew_with_the_values_that_decided():
    """A new summary and a runbook show on the alert that fires."""
    alert = Edited(policy(annotations={"summary": "old"}))
    alert.edit(5, policy(annotations={"summary": "{{ target }}: {{ value }}"}, runbook="https://wiki/x"))
    assert alert.life.outbox[-1]["annotations"] == {"summary": "shop: 0.0", "runbook_url": "https://wiki/x"}
    assert alert.said()[1:] == [("firing", "rule_edited", "warning", False)]


def test_an_edit_of_something_else_is_no_transition():
    """Another threshold or duration, or the same rule written anew, changes nothing that is shown."""
    alert = Edited(policy())
    alert.find(1, True, value=3.0)  # other values are no edit either
    for terms in (policy(), policy(**{"for": "9m"}, escalate="5m"), policy(cooldown="1m")):
        assert not alert.edit(5, terms)
    assert len(alert.life.outbox) == 1


def test_the_end_says_with_which_labels_it_was_told():
    """Labels that routes match on changed twice, once unheard: the end names each set that people were told with."""
    alert = Edited(policy("warning", team="web"))
    alert.edit(10, policy("warning", team="nobody"))
    alert.edit(20, policy("critical", team="db"))
    alert.find(90, False)
    teams = [[labels["team"] for labels in t["told_as"]] for t in alert.life.outbox]
    assert teams == [[], ["web"], ["web", "db"], ["web", "db"]]
    assert [t["labels"]["team"] for t in alert.life.outbox] == ["web", "nobody", "db", "db"]


def test_a_target_s_labels_are_edited_as_well():
    """The target's own labels under the rule's; the reason says which of the two it was."""
    alert = Edited(policy())
    alert.edit(10, policy(), labels={"kind": "http", "zone": "b"})
    assert alert.said()[1:] == [("firing", "target_edited", "warning", False)]
    assert alert.life.labels["zone"] == "b"


@pytest.mark.parametrize("hand", ["acknowledged", "snoozed"])
def test_who_took_a_warning_is_told_that_it_is_critical(hand):
    """What was acknowledged or snoozed was less severe: it is told, and its escalation begins anew."""
    alert = Edited(policy(escalate="5m"))
    if hand == "acknowledged":
        lifecycle.on_acknowledged(alert.life, "ada", "", T0 + 1000)
    else:
        lifecycle.on_snoozed(alert.life, T0 + 9e6, "ada", "", T0 + 1000)
    alert.edit(60, policy("info", escalate="5m"))
    assert alert.life.state == hand  # less severe: it stays in hand
    alert.edit(61, policy("critical", escalate="5m"))
    assert alert.said()[2:] == [(hand, "rule_edited", "info", False), ("firing", "rule_edited", "critical", True)]
    alert.tick(362)
    assert alert.said() == [("escalated", "not_acknowledged_in_time", "critical", True)]


def test_a_pending_alert_fires_with_what_the_rule_says_then():
    """Edited while it waits, it is shown so at once, and told for the first time when its duration is over."""
    alert = Edited(policy(**{"for": "1m"}))
    alert.edit(10, policy("critical", **{"for": "30s"}))
    alert.tick(29)
    alert.tick(30)
    assert alert.said() == [
        ("pending", "waiting_for_duration", "warning", False),
        ("pending", "rule_edited", "critical", False),
        ("firing", "duration_elapsed", "critical", True),
    ]


def test_what_waits_for_its_cooldown_fires_at_once_as_critical():
    """A critical rule has no cooldown: an edit does not make it wait for that of the warning it was."""
    alert = Edited(policy())
    alert.find(10, False)
    alert.find(20, True)
    assert alert.life.state == "pending"
    alert.edit(30, policy("critical"))
    assert lifecycle.due(alert.life, alert.terms) <= T0 + 30_000
    alert.tick(30)
    assert alert.said()[-1] == ("firing", "duration_elapsed", "critical", True)


def test_a_silence_for_the_new_label_is_heard_of_first():
    """A raised severity under a label that is silenced is told when the silence ends, not before."""
    alert = Edited(policy())
    alert.quiet = lambda life: Suppressed("silenced", "s1", None) if life.labels["team"] == "db" else None
    alert.edit(10, policy("critical", team="db"))
    assert alert.said()[1:] == [("suppressed", "silenced", "critical", False)]
    alert.quiet = None
    alert.tick(20)
    assert alert.said() == [("firing", "suppression_over", "critical", True)]


def test_an_edit_can_take_an_alert_out_of_its_silence():
    """What was silenced by a label that it has no more is told, as it has not been since."""
    alert = Edited(policy())
    alert.quiet = lambda life: Suppressed("silenced", "s1", None) if life.labels["team"] == "web" else None
    alert.tick(5)
    alert.edit(10, policy(team="db"))
    assert alert.said()[1:] == [
        ("suppressed", "silenced", "warning", False),
        ("firing", "rule_edited", "warning", True),
    ]


def test_raised_while_its_end_is_verified_it_is_told_if_it_holds_again():
    """What has ceased pages nobody by an edit; when it is back, it is told as what it is now."""
    alert = Edited(policy(resolve={"after": "60s"}))
    alert.find(10, False)
    alert.edit(20, policy("critical", resolve={"after": "60s"}))
    assert alert.said()[-1] == ("firing", "rule_edited", "critical", False)
    alert.find(30, True)
    assert alert.said() == [("firing", "held_again", "critical", True)]


def test_a_life_that_an_earlier_version_stored_is_no_edit():
    """It knows of no digest of the texts: with the same severity and labels nothing is told anew."""
    alert = Edited(policy(annotations={"summary": "{{ value }}"}))
    stored = orjson.loads(alert.life.dump())
    for name in ("own", "wording", "told_as", "good", "wanted"):
        del stored[name]
    del stored["finding"]["source_sample"]
    alert.life = replace(Life.load(orjson.dumps(stored)), outbox=[])
    assert not alert.edit(5, policy(annotations={"summary": "{{ value }}"}))
    assert alert.edit(6, policy("critical", team="db"))
    assert [labels["team"] for labels in alert.life.outbox[0]["told_as"]] == ["web", "db"]
