"""The control topic as it stood."""

from __future__ import annotations

from dataclasses import replace

import orjson

from schemas import Control
from streams.control import Change, Controls
from streams.explain.past import changed, controls_at
from streams.rules import Rule

SLOW = {"name": "slow", "metric": "latency", "value": 100.0}


def written(*changes: Change) -> Controls:
    """The topic after these changes, as its client writes them: the record, and the record of history."""
    controls = Controls()
    for change in changes:
        body = change.new if change.new is not None else {}
        for record in (
            Control(
                kind=change.kind, id=change.id, version=change.version, deleted=change.new is None,
                actor=change.actor, at=change.at, body=orjson.dumps(body).decode(),
            ),
            Control(
                kind="audit", id=f"{change.kind}/{change.id}/{change.version}", version=1, actor=change.actor,
                at=change.at, body=orjson.dumps(change.body()).decode(),
            ),
        ):  # fmt: skip
            assert controls.take(record) is None
    return controls


def change(version: int, at: float, new: dict | None, old: dict | None = None) -> Change:
    return Change(
        kind="rule", id="slow", version=version, actor="ada", at=at, outcome="accepted", old=old, new=new
    )  # fmt: skip


def test_a_time_between_two_changes_has_the_first():
    """What was changed later is taken back, also a deletion; before the first change there is nothing."""
    faster = SLOW | {"value": 50.0}
    controls = written(change(1, 10.0, SLOW), change(2, 20.0, faster, SLOW), change(3, 30.0, None, faster))
    values = {at: controls_at(controls, at).value("rule", "slow") for at in (5.0, 10.0, 19.0, 20.0, 29.0, 30.0, 99.0)}
    assert {at: v and v.value for at, v in values.items()} == {
        5.0: None, 10.0: 100.0, 19.0: 100.0, 20.0: 50.0, 29.0: 50.0, 30.0: None, 99.0: None,
    }  # fmt: skip
    assert controls_at(controls, 99.0).current("rule", "slow").deleted
    assert controls_at(controls, 25.0).version("rule", "slow") == 2


def test_what_a_change_replaced_is_known_though_its_own_record_is_gone():
    """Of a history that was cut short, the oldest change that is kept says what was there before it."""
    controls = written(change(7, 20.0, SLOW | {"value": 50.0}, SLOW))
    assert controls_at(controls, 10.0).value("rule", "slow").value == 100.0


def test_refused_changes_are_no_past():
    """Only what was accepted was ever in force."""
    refused = replace(change(2, 15.0, SLOW | {"value": 1.0}), outcome="conflict")
    controls = written(change(1, 10.0, SLOW))
    controls.take(
        Control(
            kind="audit", id="refused/1", version=1, actor="bob", at=15.0, body=orjson.dumps(refused.body()).decode()
        )
    )
    assert controls_at(controls, 16.0).value("rule", "slow").value == 100.0


def test_who_changed_a_rule_before_and_since_is_told():
    """Both the change that was in force and the one that came later, by whom and when."""
    controls = written(change(1, 10_000.0, SLOW), change(2, 20_000.0, SLOW | {"value": 50.0}, SLOW))
    rule = Rule.model_validate(SLOW)
    told = {at: changed(rule, controls, controls_at(controls, at), at) for at in (5_000.0, 15_000.0, 25_000.0)}
    assert told == {
        5_000.0: "changed since by ada at 00:00:20",
        15_000.0: "changed by ada at 00:00:10; changed since by ada at 00:00:20",
        25_000.0: "changed by ada at 00:00:20",
    }
    assert changed(Rule.model_validate(SLOW | {"name": "other"}), controls, controls, 25_000.0) == ""
