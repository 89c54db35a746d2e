"""The fold of the control topic: versions, rules with thresholds, history."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import Control
from streams.control import KEEP_VERSIONS, Change, Controls, with_threshold
from streams.control_bodies import BodyError, Threshold, parse_body
from streams.control_checks import Checks
from streams.control_client import Edit
from streams.rules import Rule, together


def record(rkind="rule", rkey="slow", rversion=1, /, *, actor="ada", deleted=False, at=0.0, **body):
    if rkind == "rule" and not body:
        body = {"metric": "latency", "value": float(rversion)}
    return Control(kind=rkind, id=rkey, version=rversion, deleted=deleted, actor=actor, at=at, body=json.dumps(body))


BASE = together(
    (
        Rule(name="down", metric="up", operator="==", value=0, severity="critical"),
        Rule(name="slow", metric="latency", warning=100, critical=500),
        Rule(name="errors", metric="error_rate", value=0.05),
    )
)


def values(controls, base=BASE):
    return {r.name: r.value for r in controls.rules(base)}


@given(st.lists(st.tuples(st.integers(1, 4), st.sampled_from("ab")), max_size=12))
def test_the_log_decides_who_was_first(steps):
    """Of records of one version the first on the log counts; one that skips a version, or repeats an old one, never."""
    controls, version, actor = Controls(), 0, None
    for n, who in steps:
        refused = controls.take(record("rule", "slow", n, actor=who))
        repeated = (n, who) == (version, actor)
        assert (refused is None) == (version in (0, n - 1) or repeated)
        if refused is None:
            version, actor = n, who
        assert controls.version("rule", "slow") == version
        assert refused is None or refused.reason == "version_conflict"


def test_an_acknowledgement_is_no_edit():
    """Two gateways that acknowledge at once write the same version: both are taken."""
    controls = Controls()
    assert controls.take(record("ack", "a1", 1, comment="on it")) is None
    assert controls.take(record("ack", "a1", 1, actor="bob", comment="me too")) is None
    assert controls.current("ack", "a1").actor == "bob"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (record("wish", "x", a=1), "unknown_kind"),
        (record("rule", "slow", 2, metric="latency"), "bad_body"),
        (record("rule", "slow", 2, name="other", metric="latency", value=1), "bad_body"),
        (Control(kind="rule", id="slow", version=2, actor="a", at=0.0, body="{"), "bad_body"),
        (Control(kind="rule", id="slow", version=2, actor="a", at=0.0, body="[1]"), "bad_body"),
        (record("silence", "", 1, matchers=["a=b"]), "bad_body"),
        (record("audit", "x", 1, nonsense=1), "bad_body"),
        (record("threshold", "slow", 1), "bad_body"),
        (record("snooze", "a", 1, until="later"), "bad_body"),
        (record("target", "t", 1, kind="http", http={"url": "x"}), "bad_body"),
    ],
)
def test_bad_records_change_nothing(bad, reason):
    """A record that cannot be used is refused with a reason, and the version before it goes on."""
    controls = Controls()
    controls.take(record())
    assert controls.take(bad).reason == reason
    assert controls.version("rule", "slow") == 1
    assert controls.take(record("rule", "slow", 2)) is None


def test_a_demand_is_no_state_and_no_fault():
    """A check on demand is accepted whatever its version, and leaves nothing: no value, no history."""
    controls = Controls()
    assert [controls.take(record("check", "*", version)) for version in (1, 1, 7)] == [None, None, None]
    assert (controls.records("check"), controls.audit()) == ([], [])


def test_rules_of_the_log_go_over_those_of_the_file():
    """A pair is replaced whole and in its place; new rules come last; deleted ones are gone."""
    controls = Controls()
    assert controls.rules(BASE) == BASE
    controls.take(record("rule", "slow", 1, metric="latency", value=250))
    controls.take(record("rule", "new", metric="up", operator="==", value=0))
    controls.take(record("rule", "down", deleted=True))
    assert [r.name for r in controls.rules(BASE)] == ["slow", "errors", "new"]
    assert values(controls) == {"slow": 250.0, "errors": 0.05, "new": 0.0}
    controls.take(record("rule", "slow", 2, deleted=True))
    assert [r.name for r in controls.rules(BASE)] == ["errors", "new"]


def test_a_rule_of_the_log_may_be_a_pair():
    """It is judged as two."""
    controls = Controls()
    controls.take(record("rule", "errors", metric="error_rate", warning=0.01, critical=0.1))
    assert values(controls)["errors:critical"] == 0.1
    assert values(controls)["errors:warning"] == 0.01


def test_thresholds_change_numbers_only():
    """Of one rule, of one half of a pair, with recovery; deleted, all is as it was."""
    controls = Controls()
    controls.take(record("threshold", "errors", value=0.2, recover=0.1))
    controls.take(record("threshold", "slow", critical=900))
    found = {r.name: r for r in controls.rules(BASE)}
    assert (found["errors"].value, found["errors"].recover, found["errors"].metric) == (0.2, 0.1, "error_rate")
    assert (found["slow:critical"].value, found["slow:warning"].value) == (900.0, 100.0)
    controls.take(record("threshold", "errors", 2, deleted=True))
    controls.take(record("threshold", "slow", 2, deleted=True))
    assert controls.rules(BASE) == BASE


def test_a_threshold_that_no_longer_fits_is_passed_over():
    """When its rule was changed since, the rule goes on as it stands."""
    controls = Controls()
    controls.take(record("threshold", "slow", critical=900))
    controls.take(record("rule", "slow", 1, metric="latency", value=250))
    assert values(controls)["slow"] == 250.0


@pytest.mark.parametrize("rule", BASE, ids=lambda r: r.name)
def test_the_same_number_is_the_same_rule(rule):
    """A threshold of the value that is there changes nothing: units are not applied twice."""
    change = Threshold(**{rule.severity if rule.pair else "value": rule.value})
    assert with_threshold(rule, change) == rule


def test_history_keeps_the_last_versions():
    """Fifty of them, each with who and from what to what."""
    controls = Controls()
    for n in range(1, KEEP_VERSIONS + 11):
        change = Change(
            kind="rule", id="slow", version=n, actor=f"p{n}", at=float(n), outcome="accepted", old={"v": n - 1}, new={"v": n}
        )  # fmt: skip
        controls.take(record("rule", "slow", n))
        controls.take(
            Control(
                kind="audit",
                id=f"rule/slow/{n}",
                version=1,
                actor=change.actor,
                at=change.at,
                body=json.dumps(change.body()),
            )
        )
    history = controls.history("rule", "slow")
    assert [c.version for c in history] == list(range(11, KEEP_VERSIONS + 11))
    assert [c.actor for c in controls.audit()][:2] == [f"p{KEEP_VERSIONS + 10}", f"p{KEEP_VERSIONS + 9}"]
    controls.forget(f"audit/rule/slow/{KEEP_VERSIONS + 10}")
    controls.forget("rule/slow")
    assert controls.current("rule", "slow") is None
    assert controls.history("rule", "slow")[-1].version == KEEP_VERSIONS + 9


def test_what_ended_long_ago_leaves_with_its_history():
    """A silence by its end, a snooze by its `until`; of what somebody else has removed already, the history goes."""
    controls = Controls()
    for kind, key, body in (
        ("silence", "old", {"matchers": ["a=b"], "starts": 0, "ends": 50}),
        ("silence", "long", {"matchers": ["a=b"], "starts": 0, "ends": 500}),
        ("snooze", "a1", {"until": 60}),
        ("snooze", "a2", {"until": 60}),
        ("rule", "slow", {"metric": "latency", "value": 1}),
    ):
        change = Change(kind=kind, id=key, version=1, actor="ada", at=10.0, outcome="accepted", old=None, new=body)
        controls.take(record(kind, key, at=10.0, **body))
        controls.take(record("audit", f"{kind}/{key}/1", at=10.0, **change.body()))
    controls.forget("snooze/a2")
    assert sorted(controls.over(("silence", "snooze"), 100.0)) == [
        "audit/silence/old/1", "audit/snooze/a1/1", "audit/snooze/a2/1", "silence/old", "snooze/a1",
    ]  # fmt: skip


CHECKS = Checks(BASE, ())


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (Edit("rule", "x", None), "no rule is named 'x'"),
        (Edit("rule", "both", {"alerts": ["slow", "dwn"]}), "did you mean down"),
        (Edit("threshold", "down", {"warning": 1}), "has one threshold: give value"),
        (Edit("threshold", "slow", {"warning": 600}), "thresholds cross"),
        (Edit("target", "a", {"kind": "x", "depends_on": ["b"]}), "no target is named 'b'"),
    ],
)
def test_a_change_must_agree_with_the_rest(edit, told):
    """Refused with the field and, where it can be guessed, what was meant."""
    with pytest.raises(BodyError, match=told):
        CHECKS(Controls(), [edit])


def test_a_rule_that_others_look_at_stays():
    """Taking it out is refused, naming the rule that needs it."""
    controls = Controls()
    controls.take(record("rule", "both", alerts=["down", "errors"]))
    with pytest.raises(BodyError, match="rule both"):
        CHECKS(controls, [Edit("rule", "down", None)])


def test_targets_that_depend_on_each_other_come_together():
    """Two edits at once are judged as one."""
    both = [Edit("target", "a", {"kind": "x", "depends_on": ["b"]}), Edit("target", "b", {"kind": "x"})]
    CHECKS(Controls(), both)
    with pytest.raises(BodyError, match="a cycle: a → b → a"):
        CHECKS(Controls(), [both[0], Edit("target", "b", {"kind": "x", "depends_on": ["a"]})])


def test_complaints_never_repeat_what_was_given():
    """A secret in the wrong place is not told."""
    with pytest.raises(BodyError) as told:
        parse_body("snooze", "a", {"until": True, "pass": "s3cret"})
    assert "s3cret" not in str(told.value)
