"""Rules become tables of numbers that mean the same."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.kernel import kinds
from streams.rules import Rule, together
from streams.rules.compile import compile_rules
from streams.rules.describe import describe, describe_rule
from tests.unit.streams.rules.reference import of_model, of_tables

LEAVES = [
    {"metric": "up", "operator": "==", "value": 0},
    {"metric": "consecutive_failures", "operator": ">=", "value": 2},
    {"metric": "error_rate", "value": "5%", "recover": 0.01, "min_samples": 3},
    {"metric": "error_rate", "aggregate": "ratio", "window": "1h", "value": 2},
    {"metric": "error_rate", "aggregate": "surprise", "value": 4},
    {"metric": "success_rate", "operator": "<", "value": 0.95, "recover": 0.99},
    {"metric": "count", "operator": "<", "value": 2},
    {"metric": "rate", "window": "6h", "value": 1},
    {"metric": "latency", "aggregate": "p95", "value": 3, "recover": 1},
    {"metric": "latency", "aggregate": "p95", "window": "5m", "value": "2 * baseline"},
    {"metric": "latency", "aggregate": "zscore", "value": 3, "recover": 2},
    {"metric": "cpu.used_percent", "window": "5m", "value": 2, "recover": 1},
    {"metric": "cpu.used_percent", "value": 2},
    {"metric": "disk", "aggregate": "forecast", "limit": 95, "value": 2},
    {"metric": "disk", "aggregate": "forecast", "limit": -1, "value": 2},
    {"metric": "orders", "aggregate": "sum", "window": "1h", "operator": "<", "value": 1},
    {"metric": "orders", "absent": 2},
    {"absent": 2},
    {"metric": "status", "value": "unhealthy"},
    {"transition": {"to": ["degraded", "unhealthy"]}},
    {"transition": {"from": ["healthy"], "to": ["degraded", "unhealthy"]}},
    {"transition": {"from": ["unhealthy", "unknown"], "to": ["healthy", "recovery_failed"]}},
]
TREES = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda p: {"all": p}),
        st.lists(inner, min_size=1, max_size=3).map(lambda p: {"any": p}),
        inner.map(lambda p: {"not": p}),
    ),
    max_leaves=8,
)


def world(seed):
    """What is seen at one moment: for each key the same, whoever asks."""
    seen = {}

    def look(key):
        if key not in seen:
            chance = random.Random(f"{seed}{key}")
            states = key[0] in (kinds.STATUS, kinds.PREVIOUS)
            value = chance.choice(
                [None, 0.0, 1.0, 2.0, 3.0] if states else [None, 0.0, 0.02, 0.97, 1.0, 1.5, 2.0, 2.5, 4.0]
            )
            seen[key] = (value, chance.choice([0, 1, 3, 10]))
        return seen[key]

    return look


@given(st.lists(st.tuples(TREES, st.sampled_from([1, 1, 5])), min_size=1, max_size=4), st.integers(0, 10**9))
def test_tables_mean_what_the_rules_say(trees, seed):
    """Several rules, over several moments: true, false and unknown as in the rules themselves, memory included."""
    rules = [
        Rule.model_validate({"name": f"r{i}", **({"min_samples": least} if "all" in tree else {}), **tree})
        for i, (tree, least) in enumerate(trees)
    ]
    conditions = compile_rules(rules)
    assert np.diff(conditions.start).tolist() == [r.size for r in rules]
    by_model, by_tables = set(), set()
    for moment in range(6):
        now = world((seed, moment))
        # Each condition is judged once a moment: a shared one must not be asked after it has changed its mind.
        wanted = [of_model(r, now, set(by_model), r.min_samples if r.compound else 0) for r in rules]
        found = [of_tables(conditions, i, now, set(by_tables)) for i in range(len(rules))]
        assert found == wanted, [describe_rule(conditions, i) for i in range(len(rules))]
        for i, rule in enumerate(rules):
            of_model(rule, now, by_model, rule.min_samples if rule.compound else 0)
            of_tables(conditions, i, now, by_tables)


def test_columns_are_as_promised():
    """Names, metrics, windows, parameters, severities, cron: each in its column, NaN where there is none."""
    rules = together(
        [
            Rule.model_validate(r)
            for r in (
                {"name": "slow", "metric": "latency", "aggregate": "p99", "window": "10m", "value": "2s", "recover": "1s"},
                {"name": "full", "forecast": {"metric": "disk.used_percent", "limit": "95%", "within": "3h"}, "severity": "info"},
                {"name": "late", "schedule": {"cron": "0 3 * * *", "zone": "Europe/Berlin", "grace": "30m"}},
                {"name": "both", "alerts": ["slow", "full"]},
                {"name": "bad", "metric": "error_rate", "warning": 0.02, "critical": 0.05},
            )
        ]
    )  # fmt: skip
    c = compile_rules(rules)
    assert c.names == ["slow", "full", "late", "both", "bad:critical", "bad:warning"]
    assert c.metrics == ["", "disk.used_percent"]
    assert c.kind.tolist() == [kinds.QUANTILE, kinds.FORECAST, kinds.MISSED, kinds.ERROR_RATE, kinds.ERROR_RATE]
    assert c.metric.tolist() == [0, 1, 0, 0, 0]
    np.testing.assert_array_equal(c.window_s, [600, np.nan, np.nan, 300, 300])
    np.testing.assert_array_equal(c.param, [0.99, 95, np.nan, np.nan, np.nan])
    assert c.operator.tolist() == [kinds.GT, kinds.LT, kinds.GT, kinds.GT, kinds.GT]
    assert c.threshold.tolist() == [2000, 10800, 0, 0.05, 0.02]
    assert c.recovery.tolist() == [1000, 10800, 0, 0.05, 0.02]
    assert c.min_samples.tolist() == [1, 0, 0, 1, 1]
    assert c.start.tolist() == [0, 1, 2, 3, 3, 4, 5]
    assert c.severity.tolist() == [1, 0, 1, 1, 2, 1]
    assert c.cron == {2: ("0 3 * * *", "Europe/Berlin", 1800.0)}
    assert c.timed().tolist() == [False, False, True, False, False, False]


def test_a_condition_that_rules_share_is_there_once():
    """A thousand rules of the same condition cost one."""
    same = {"metric": "error_rate", "value": 0.05, "window": "5m"}
    rules = [Rule.model_validate({"name": f"r{i}", "match": [f"team=t{i}"], **same}) for i in range(1000)]
    c = compile_rules([*rules, Rule.model_validate({"name": "other", **same, "recover": 0.01})])
    assert len(c.kind) == 2
    assert c.tokens.tolist() == [0] * 1000 + [1]


def test_no_rules_are_no_tables():
    """An empty file is judged too."""
    c = compile_rules([])
    assert (c.names, c.start.tolist(), len(c.kind), c.timed().tolist()) == ([], [0], 0, [])


def test_an_objective_must_be_expanded_first():
    """Half of what a rule says is never left out in silence."""
    with pytest.raises(ValueError, match="'s' has not been expanded"):
        compile_rules([Rule.model_validate({"name": "s", "slo": 99.9})])


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ({"expr": "error_rate[5m] > 5%"}, "error_rate over 5m > 0.05"),
        ({"metric": "latency", "aggregate": "p95", "window": "5m", "value": 500, "recover": 400}, "p95 latency over 5m > 500 ms (until 400 ms)"),
        ({"metric": "latency", "value": "2 * baseline", "window": "5m"}, "mean latency over 5m to its baseline > 2"),
        ({"metric": "cpu.used_percent", "window": "5m", "value": 90}, "mean cpu.used_percent over 5m > 90"),
        ({"metric": "cpu.used_percent", "value": 90}, "cpu.used_percent > 90"),
        ({"metric": "orders", "aggregate": "count", "window": "1h", "operator": "<", "value": 1}, "count orders over 1h < 1"),
        ({"metric": "orders", "absent": "12h"}, "time since the latest orders > 12h"),
        ({"absent": "12h"}, "time since the latest sample > 12h"),
        ({"metric": "since_ok", "value": "90s"}, "time since the latest good sample > 1m30s"),
        ({"anomaly": "latency"}, "latency: change-point score > 8.5"),
        (
            {"metric": "orders.placed", "aggregate": "seasonal_change", "operator": "<", "value": -8.5},
            "orders.placed to what is usual for the hour: change-point score < -8.5",
        ),
        ({"anomaly": "error_rate"}, "error_rate over 5m: surprise > 6"),
        ({"metric": "queue", "aggregate": "flat", "value": "10m"}, "queue unmoved for > 10m"),
        ({"forecast": {"metric": "disk.used_percent", "limit": 95}}, "disk.used_percent reaches 95 in < 3h"),
        ({"metric": "status", "value": "unhealthy"}, "status == unhealthy"),
        ({"transition": {"from": "healthy", "to": "unhealthy"}}, "status == unhealthy"),
        ({"schedule": {"cron": "0 3 * * *", "grace": "30m"}}, "time since a run by 0 3 * * * (UTC, 30m of grace) was missed > 0s"),
    ],
)  # fmt: skip
def test_conditions_are_told_in_words(rule, wanted):
    """What a finding and an explanation say of a condition."""
    assert describe(compile_rules([Rule.model_validate({"name": "r", **rule})]), 0) == wanted


def test_a_rule_is_told_in_words():
    """Words and brackets of the whole."""
    c = compile_rules([Rule.model_validate({"name": "r", "expr": "up == 0 or not (count[1m] > 3 and errors[1m] > 1)"})])
    assert describe_rule(c, 0) == "up == 0 or not (count over 1m > 3 and errors over 1m > 1)"
