"""A test from its series to what it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from probestream.rule_tests.load import SeriesYaml
from streams.dependencies import Dependencies
from streams.inhibition import InhibitRule
from streams.rule_tests.coverage import Coverage
from streams.rule_tests.model import Case
from streams.rule_tests.run import World, run
from streams.rules import Rule, together
from streams.suppression import Suppressions
from tests.unit.streams.rule_tests.targets import target

if TYPE_CHECKING:
    from streams.rule_tests.result import Result

RULES = """
- {name: bad, metric: error_rate, window: 1m, value: 20%, for: 1m, severity: critical, min_samples: 3,
   annotations: {summary: "{{ target }}: {{ value | percent }} {{ message }}"}, escalate: 5m}
- {name: down, metric: up, operator: "==", value: 0, match: [team=web]}
- {name: half, metric: up, operator: "==", value: 0, group_by: [service], share: 50%, match: ['service!=""']}
- {name: both, alerts: [bad, down]}
- {name: full, metric: disk.used_percent, warning: 80, critical: 90}
"""


def parsed(text):
    return yaml.load(text, SeriesYaml)


def rules(text=RULES):
    return together([Rule.model_validate(r) for r in parsed(text)])


def outcome(text, **world) -> Result:
    return run(Case.model_validate(parsed(text)), World(rules(), **world), 10.0)


def failing(text, **world):
    """The one failure of a test, in lines."""
    (failure,) = outcome(text, **world).failures
    return [failure.wanted, *failure.got, *failure.why]


def test_what_is_as_wanted_fails_nowhere():
    """State, severity, labels, rendered annotations, reason, and what must not be."""
    result = outcome("""
    series: [{target: api, labels: {team: web}, ok: 1x11 0x20, message: boom}]
    alerts:
      - {at: 2m, not: bad, state: active}
      - {at: [2m30s, 3m], rule: bad, state: pending, reason: waiting_for_duration}
      - at: 4m
        rule: bad
        target: api
        severity: critical
        labels: {team: web, alertname: bad}
        annotations: {summary: "api: 33.3 % boom"}
        count: 1
      - {at: 4m, rule: both}
    """)
    assert result.failures == []
    assert result.checks == 5
    assert result.fired == {"bad", "down", "both"}


def test_a_rule_that_does_not_hold_yet_says_what_it_saw():
    """Value, threshold, number of samples, and how many it wants."""
    text = "{{series: [{{target: api, ok: '{}'}}], alerts: [{{at: {}, rule: bad}}]}}"
    assert failing(text.format("1x5 0 1x5", "1m")) == [
        "bad: firing",
        "no such alert",
        "bad of api: error_rate over 1m > 0.2 does not hold: 0.166667, 6 samples",
    ]
    assert failing(text.format("0 0", "10s"))[-1] == (
        "bad of api: error_rate over 1m > 0.2 cannot be told: 1, 2 samples of the 3 that min_samples wants"
    )


def test_a_rule_that_waits_says_until_when():
    """Pending is not firing."""
    told = failing("{series: [{target: api, ok: 0x20}], alerts: [{at: 1m, rule: bad, target: api}]}")
    assert told[:2] == ["bad of api: firing", "bad of api: pending since 20s (waiting_for_duration), critical"]
    assert told[-1] == "bad of api: holds since 20s; it fires when it has for 1m, at 1m20s"


def test_a_rule_that_does_not_look_at_the_target_says_why():
    """The first matcher that does not pass, and what the label is."""
    assert failing("{series: [{target: api, ok: 0x20}], alerts: [{at: 1m, rule: down, target: api}]}")[-1] == (
        "down does not look at api: match wants team=web, its team is ''"
    )


def test_an_alert_that_is_there_and_other_than_wanted_says_in_what():
    """Field by field."""
    told = failing("""
    series: [{target: api, labels: {team: web}, ok: 0x20}]
    alerts: [{at: 1m, rule: down, severity: critical, labels: {team: ops, x: y}}]
    """)
    assert told[1:5] == [
        "down of api: firing since 0s (held_at_once), warning",
        "  severity: wanted critical, got warning",
        "  labels.team: wanted 'ops', got 'web'",
        "  labels.x: wanted 'y', got none",
    ]


def test_an_alert_that_must_not_be_is_told_with_what_led_to_it():
    """So that one sees which number to change."""
    assert failing("{series: [{target: api, labels: {team: web}, ok: 0x20}], alerts: [{at: 1m, not: down}]}") == [
        "no down: fired (firing, or what became of it)",
        "down of api: firing since 0s (held_at_once), warning",
        "down of api: up == 0 holds: 0",
    ]


def test_a_count_is_exact():
    """One alert more, or less, than wanted is a failure."""
    text = """
    series: [{{target: a, labels: {{team: web}}, ok: 0x9}}, {{target: b, labels: {{team: web}}, ok: 0x9}}]
    alerts: [{{at: 1m, rule: down, count: {}}}]
    """
    assert outcome(text.format(2)).passed
    assert failing(text.format(3))[1] == "2 of them"
    assert failing(text.format(1))[1] == "2 of them"


def test_a_group_says_how_many_of_how_many():
    """And what each of its members sees."""
    told = failing("""
    series:
      - {target: a, labels: {service: pay}, ok: 0x9}
      - {target: b, labels: {service: pay}, ok: 1x9}
      - {target: c, labels: {service: pay}, ok: 1x9}
    alerts: [{at: 1m, rule: half, target: "group:service=pay"}]
    """)
    assert told[-1] == "group:service=pay/half: holds for 1 of 3 targets, 2 are needed"
    assert "half of a: up == 0 holds: 0" in told


def test_a_rule_on_alerts_says_where_those_stand():
    """Each that it names."""
    told = failing("{series: [{target: api, labels: {team: web}, ok: 0x3 1x9}], alerts: [{at: 2m, rule: both}]}")
    assert told[-2:] == ["both looks at alerts of bad: api cancelled", "both looks at alerts of down: api resolved"]


def test_transitions_are_compared_whole_and_in_order():
    """What only was wanted, and what only came, line by line; times are those of the clock."""
    text = """
    series: [{{target: api, labels: {{team: web}}, ok: 1x2 0x2 1x5 0x2 1}}]
    transitions: [{}]
    """
    steps = [
        "{at: 30s, rule: down, target: api, state: firing, told: true}",
        "{at: 1m, rule: down, target: api, state: resolved, reason: rule_ceased, told: true}",
        "{at: 2m, rule: down, target: api, state: pending, reason: waiting_for_cooldown}",
        "{at: 2m30s, rule: down, target: api, state: cancelled, told: false}",
    ]
    assert outcome(text.format(", ".join(steps))).passed
    assert failing(text.format(", ".join([steps[0], steps[3].replace("told: false", "told: true")])))[1:] == [
        "       30s firing api (held_at_once), warning, told",
        "-    2m30s cancelled api, told",
        "+       1m resolved api (rule_ceased), warning, told",
        "+       2m pending api (waiting_for_cooldown), warning",
        "+    2m30s cancelled api (ceased_before_firing), warning",
    ]


def test_what_people_do_is_done():
    """Silence, its end, acknowledgement and its end, snooze, and declaring over, each by somebody."""
    assert (
        outcome("""
    series: [{target: api, labels: {team: web}, ok: 0x200}]
    events:
      - {at: 1m, silence: [team=web], for: 1h, name: s}
      - {at: 2m, expire: s, by: ann}
      - {at: 3m, ack: down, by: ann, comment: mine}
      - {at: 4m, unack: down, target: api}
      - {at: 5m, snooze: down, for: 2m}
      - {at: 8m, snooze: down, for: 2m}
      - {at: 9m, unsnooze: down}
      - {at: 10m, maintenance: 'target=~"a.*"', for: 1m}
      - {at: 12m, resolve: down, by: bob}
    transitions:
      - {at: 0s, rule: down, state: firing, told: true}
      - {at: 1m, rule: down, state: suppressed, reason: silenced, told: false}
      - {at: 2m, rule: down, state: firing, told: true}
      - {at: 3m, rule: down, state: acknowledged, actor: ann, told: false}
      - {at: 4m, rule: down, state: firing, told: true}
      - {at: 5m, rule: down, state: snoozed, told: false}
      - {at: 7m, rule: down, state: firing, told: true}
      - {at: 8m, rule: down, state: snoozed, told: false}
      - {at: 9m, rule: down, state: firing, told: true}
      - {at: 10m, rule: down, state: suppressed, reason: maintenance, told: false}
      - {at: 11m, rule: down, state: firing, told: true}
      - {at: 12m, rule: down, state: resolved, actor: bob, told: true}
    """).failures
        == []
    )


def test_what_people_do_at_the_very_beginning_and_close_together_is_done():
    """A silence from the start on, and hands a millisecond apart."""
    assert (
        outcome("""
    series: [{target: api, labels: {team: web}, ok: 0x9}]
    events:
      - {at: 0, silence: team=web, for: 30s}
      - {at: 40s, ack: down}
      - {at: 40001ms, unack: down}
    transitions:
      - {at: 0, rule: down, state: suppressed, told: false}
      - {at: 30s, rule: down, state: firing, told: true}
      - {at: 40s, rule: down, state: acknowledged}
      - {at: 40001ms, rule: down, state: firing, told: true}
    """).failures
        == []
    )


def test_doing_something_about_no_alert_is_a_failure():
    """With what the rule saw: the test's author thought that there was one."""
    told = failing("""
    series: [{target: api, labels: {team: web}, ok: 1x9}]
    events: [{at: 1m, ack: down}]
    alerts: [{at: 2m, not: down}]
    """)
    assert told == ["an alert down for ack", "no such alert is active", "down of api: up == 0 does not hold: 1"]


def test_what_keeps_an_alert_quiet_is_told_by_name():
    """Not by the id of the alert that does."""
    world = {
        "suppressions": lambda: Suppressions(
            inhibit_rules=[InhibitRule(source_matchers=("alertname=bad",), target_matchers=("alertname=down",))]
        )
    }
    told = failing("{series: [{target: api, labels: {team: web}, ok: 0x40}], alerts: [{at: 3m, rule: down}]}", **world)
    assert told[1].startswith("down of api: suppressed since 1m20s")
    assert "(inhibited by bad of api), warning" in told[1]


def test_dependants_of_what_is_down_are_quiet():
    """Configured targets bring what they depend on; those that the test does not name are not in it."""
    targets = [target("db"), target("api", "db"), target("other", "db")]
    world = {
        "targets": {t.name: t for t in targets},
        "suppressions": lambda: Suppressions(dependencies=Dependencies(targets)),
    }
    result = outcome(
        """
        series: [{target: db, ok: 0x40}, {target: api, ok: 1 0x39}]
        alerts:
          - {at: 3m, rule: down, target: db}
          - {at: 3m, rule: down, target: api, state: suppressed, reason: cause_down}
        """,
        **world,
    )
    assert result.failures == []
    assert {a.target for a in result.transitions} == {"db", "api"}


FIRES = "too much: down of {}: firing since 0s (held_at_once), warning"
HOLDS = "down of {}: up == 0 holds: 0"
UNKNOWN = "down: no sample of c came, and no configuration names it"


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ("[{exp_labels: {target: a}}, {exp_labels: {target: b, severity: warning}}]", []),
        ("[{}, {exp_labels: {target: a}}]", []),
        ("[{exp_labels: {target: a}}]", ["down: 1 alert firing", FIRES.format("b"), HOLDS.format("b")]),
        ("[{}, {}, {exp_labels: {target: c}}]", ["down: 3 alerts firing", "missing: target='c'", UNKNOWN]),
        ("", ["down: no alerts firing", *map(FIRES.format, "ab"), *map(HOLDS.format, "ab")]),
    ],
)
def test_prometheus_wants_all_alerts_of_a_name(expected, said):
    """Each expected one is one that fires, and there are no others; labels may be some of the alert's."""
    result = outcome(f"""
    input_series:
      - {{series: 'up{{target="a",team="web"}}', values: 0x9}}
      - {{series: 'up{{target="b",team="web"}}', values: 0x9}}
    alert_rule_test: [{{eval_time: 30s, alertname: down, exp_alerts: {expected}}}]
    """)
    assert [line for f in result.failures for line in (f.wanted, *f.got, *f.why)] == said


def test_samples_that_cannot_be_used_fail_the_test():
    """Rather than being as good as not there."""
    told = failing("{series: [{target: api, latency: -5 3}], alerts: [{at: 10s, not: bad}]}")
    assert told[:1] == ["samples that can be used"]
    assert "latency negative" in told[1]


def test_the_calendar_is_that_of_the_start():
    """A schedule is due by the time at which the test says it begins."""
    nightly = "[{name: nightly, schedule: {cron: '0 3 * * *', grace: 5m}}]"
    case = Case.model_validate(
        parsed("""
        start: 2026-03-01T02:50:00Z
        series: [{target: job, ok: 1 _x40}]
        alerts: [{at: 14m, not: nightly}, {at: 16m, rule: nightly}]
        """)
    )
    assert run(case, World(rules(nightly)), 60.0).failures == []


def test_the_same_test_comes_out_the_same():
    """To the last transition."""
    text = "{series: [{target: a, labels: {team: web}, ok: 0x5 1x5 0x30}], alerts: [{at: 2m, rule: down}]}"
    assert outcome(text).transitions == outcome(text).transitions


def test_coverage_is_of_what_fired_and_what_was_wanted():
    """A rule that fired though no test wanted it is covered, and told."""
    covered = Coverage.of(rules())
    assert (covered.share, covered.untested_states) == (0.0, ["pending", "firing", "resolved"])
    covered.take(
        outcome("""
        series: [{target: a, labels: {team: web}, ok: 0x30, metrics: {disk.used_percent: 95x30}}]
        alerts: [{at: 1m, rule: "full:critical"}, {at: 20s, rule: bad, state: pending}]
        """)
    )
    assert covered.share == 5 / 6
    assert covered.never_fired == ["half"]
    assert covered.never_wanted == ["bad", "down", "both", "full:warning"]
    assert covered.untested_severities == ["warning"]
    assert covered.untested_states == ["resolved"]


PAGE = (Path(__file__).parents[4] / "docs" / "rules.md").read_text("utf-8")


def test_every_kind_of_rule_can_say_what_it_saw():
    """Those of docs/rules.md, of targets that come, that fail, and that never come."""
    text = "\n".join(re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
    every = rules(text)
    case = {
        "series": [
            {"target": "a", "labels": {"service": "database", "team": "web"}, "ok": "1x30 0x30", "latency": "5+1x60"},
            {"target": "b", "labels": {"kind": "http"}, "metrics": {"disk.used_percent": "50+1x60"}},
            {"target": "c", "ok": "_x60"},
        ],
        "alerts": [{"at": "10m", "rule": r.name, "state": "cancelled", "reason": "no such reason"} for r in every],
    }
    result = run(Case.model_validate(case), World(every), 10.0)
    assert len(result.failures) == len(every) > 40
    assert all(f.why for f in result.failures)
    told = [line for f in result.failures for line in f.why]
    assert any(
        re.match(r"slow of a: p95 latency over 5m > 500 ms does not hold: 6\d\.\d+, 30 samples$", t) for t in told
    )
    assert any(t.startswith("silent of c: time since the latest sample > 5m holds: 10m") for t in told)
    assert any(t.startswith("service-down looks at none of") or "are needed" in t for t in told)
