"""Whom a page is withheld from because they do not want it."""

from __future__ import annotations

import json

from agents.notify.preferences import Preferences, Withheld
from schemas import Control
from streams.preferences import DeclaredPreference


def wish(person: str, version: int = 1, *, deleted: bool = False, **body) -> Control:
    return Control(
        kind="preference", id=person, version=version, deleted=deleted, actor=person, at=0.0, body=json.dumps(body)
    )


def test_a_person_is_the_receiver_of_the_same_name():
    """Unless receivers are named: then these, and the person's own no more."""
    known = Preferences([DeclaredPreference(name="ada", muted=True)])
    assert known.withheld("ada", "slack", "critical", 0.0) == Withheld("preference_muted", "ada (file): muted")
    assert known.withheld("bob", "slack", "critical", 0.0) is None
    known.take(wish("ada", muted=True, receivers=["ops"]))
    assert known.withheld("ada", "slack", "critical", 0.0) is None
    assert known.withheld("ops", "slack", "critical", 0.0) == Withheld("preference_muted", "ada (version 1): muted")
    assert (known.concern(["ops", "x"]), known.concern(["ada"])) == (True, False)
    assert [known.keeps(r, "slack", "critical", 0.0) for r in ("ada", "bob", "ops")] == [False, False, True]


def test_a_receiver_of_several_is_told_as_long_as_one_wants_it():
    """Nobody goes without a page because a colleague is on holiday."""
    known = Preferences()
    known.take(wish("ada", muted=True, receivers=["ops"]))
    known.take(wish("bob", least_severity="critical", receivers=["ops"]))
    assert known.withheld("ops", "slack", "critical", 0.0) is None
    assert [known.keeps("ops", "slack", s, 0.0) for s in ("critical", "warning")] == [False, True]
    withheld = known.withheld("ops", "slack", "warning", 0.0)
    assert withheld is not None
    assert withheld.text == "ada (version 1): muted; bob (version 1): least_severity is critical"
    known.take(wish("bob", 2, quiet_hours=[{"from": "22:00", "to": "07:00"}], receivers=["ops"]))
    night = 23 * 3_600_000.0
    assert known.withheld("ops", "slack", "warning", night) == Withheld(
        "preference_quiet_hours",
        "ada (version 1): muted; bob (version 2): 22:00 to 07:00 UTC, until 1970-01-02T07:00:00.000Z",
    )


def test_changed_and_taken_back_counts_at_once():
    """A preference that is taken out withholds nothing, one of the file neither; a stale version changes nothing."""
    known = Preferences([DeclaredPreference(name="ada", muted=True)])
    known.take(wish("ada", 1, least_severity="critical"))
    assert known.withheld("ada", "slack", "critical", 0.0) is None
    known.take(wish("ada", 1, muted=True))
    assert known.withheld("ada", "slack", "critical", 0.0) is None
    known.take(wish("ada", 2, deleted=True))
    assert known.withheld("ada", "slack", "info", 0.0) is None
