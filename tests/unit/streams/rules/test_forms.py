"""Every form of a rule says what its long form says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streams.rules import Rule, expand
from tests.unit.streams.rules.test_compile import TREES


def rule(**fields):
    return Rule.model_validate({"name": "r", **fields})


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ({"expr": "error_rate[5m] > 5%"}, {"metric": "error_rate", "window": "5m", "operator": ">", "value": 0.05}),
        ({"expr": "latency.p95[5m] >= 250ms"}, {"metric": "latency", "aggregate": "p95", "window": 300, "operator": ">=", "value": 250}),
        ({"expr": "latency.p99.9 > 1s"}, {"metric": "latency", "aggregate": "p99.9", "window": 60, "value": 1000}),
        ({"expr": "latency[10m] > 2 * baseline"}, {"metric": "latency", "aggregate": "ratio", "window": 600, "value": 2}),
        ({"expr": "latency.p95[5m] > 2*baseline"}, {"metric": "latency", "aggregate": "ratio", "quantile": 0.95, "window": 300, "value": 2}),
        ({"expr": "error_rate[1h] > 3 * baseline"}, {"metric": "error_rate", "aggregate": "error_ratio", "window": 3600, "value": 3}),
        ({"expr": "'queue.max'.p95 > 1"}, {"metric": "queue.max", "aggregate": "p95", "window": 60, "value": 1}),
        ({"expr": "'disk.used_percent:/' > 90%"}, {"metric": "disk.used_percent:/", "value": 90}),
        ({"expr": "queue.depth.max[1m] > 7"}, {"metric": "queue.depth", "aggregate": "max", "window": 60, "value": 7}),
        ({"expr": "'queue.max' > 7"}, {"metric": "queue.max", "value": 7}),
        ({"expr": "status equals unhealthy"}, {"metric": "status", "operator": "==", "value": 2}),
        ({"expr": "system.memory.usedPercent greaterThan 85%"}, {"metric": "system.memory.usedPercent", "value": 85}),
        ({"expr": "up == 0 or up == 1 and not count[1m] < 3"}, {"any": ["up == 0", {"all": ["up == 1", {"not": "count[1m] < 3"}]}]}),
        ({"expr": "!(up == 0) && (up == 1 || count > 1)"}, {"all": [{"not": "up == 0"}, {"any": ["up == 1", "count > 1"]}]}),
        ({"absent": "12h"}, {"metric": "absent", "value": 43200}),
        ({"metric": "product.created", "absent": "24h"}, {"metric": "product.created", "aggregate": "absent", "value": 86400}),
        ({"aggregate": "success_rate", "operator": "<", "value": "95%"}, {"metric": "success_rate", "window": 300, "operator": "<", "value": 0.95}),
        ({"aggregate": "surprise", "value": 6}, {"metric": "error_rate", "aggregate": "surprise", "window": 300, "value": 6}),
        ({"metric": "error_ratio", "value": 2}, {"metric": "error_rate", "aggregate": "ratio", "value": 2}),
        ({"metric": "status", "value": "WARNING"}, {"metric": "status", "operator": "==", "value": 1}),
        ({"anomaly": "latency"}, {"metric": "latency", "aggregate": "change", "value": 8.5}),
        ({"anomaly": {"metric": "error_rate", "sensitivity": "high"}}, {"metric": "error_rate", "aggregate": "surprise", "value": 4}),
        ({"anomaly": "queue.depth"}, {"any": [
            {"metric": "queue.depth", "aggregate": "change", "value": 8.5},
            {"metric": "queue.depth", "aggregate": "change", "operator": "<", "value": -8.5}]}),
        ({"anomaly": {"metric": "orders.placed", "seasonal": True}}, {"any": [
            {"metric": "orders.placed", "aggregate": "seasonal_change", "value": 8.5},
            {"metric": "orders.placed", "aggregate": "seasonal_change", "operator": "<", "value": -8.5}]}),
        ({"anomaly": {"metric": "latency", "seasonal": True, "sensitivity": "low"}}, {"metric": "latency", "aggregate": "seasonal_change", "value": 12}),
        ({"forecast": {"metric": "disk.used_percent", "limit": "95%"}},
         {"metric": "disk.used_percent", "aggregate": "forecast", "limit": 95, "operator": "<", "value": "3h"}),
        ({"metric": "disk.usedPercent", "aggregate": "forecast", "limit": 95, "value": "3h"},
         {"metric": "disk.usedPercent", "aggregate": "forecast", "limit": 95, "operator": "<", "value": 10800}),
        ({"condition": {"metric": "latency", "operator": "greaterThan", "value": 1000, "duration": 180}},
         {"metric": "latency", "operator": ">", "value": 1000, "for": "3m"}),
        ({"condition": {"metric": "database.status", "operator": "equals", "value": "unhealthy", "duration": 60}},
         {"metric": "status", "operator": "==", "value": 2, "for": 60, "match": ['service="database"']}),
        ({"expr": "database.status equals UNHEALTHY"}, {"metric": "status", "operator": "==", "value": 2, "match": ['service="database"']}),
        ({"metric": "database.status", "value": "unhealthy", "match": ['target="db"']},
         {"metric": "status", "operator": "==", "value": 2, "match": ['target="db"']}),
        ({"metric": "up", "value": 0, "runbook": "https://wiki/x"},
         {"metric": "up", "value": 0, "runbook": "https://wiki/x", "annotations": {"runbook_url": "https://wiki/x"}}),
        ({"metric": "up", "value": 0, "escalate": "10m"}, {"metric": "up", "value": 0, "escalate": [{"after": 600}]}),
        ({"metric": "up", "value": 0, "group_by": ["service"], "share": "50%"}, {"metric": "up", "value": 0, "group_by": ["service"], "share": 0.5}),
        ({"metric": "up", "value": 0, "resolve": {"after": "2m", "samples": 3}},
         {"metric": "up", "value": 0, "keep_firing_for": 120, "resolve": {"samples": 3}}),
        ({"alerts": ["a", "b"]}, {"alerts": {"all": ["a", "b"]}}),
        ({"slo": "99.9%"}, {"slo": {"objective": 99.9, "window": "30d"}}),
    ],
)  # fmt: skip
def test_a_short_form_is_its_long_one(short, long):
    """Whichever way a rule is written, it is the same rule."""
    assert rule(**short) == rule(**long)


@given(TREES, st.sampled_from([1, 1, 4]))
def test_a_rule_survives_being_written_and_read(tree, least):
    """What the API gives out it takes back: the same rule, in every way of writing it."""
    made = rule(**{"min_samples": least} if "all" in tree else {}, **tree)
    for options in (
        {"by_alias": True},
        {},
        {"by_alias": True, "exclude_defaults": True},
        {"mode": "json", "by_alias": True},
    ):
        assert Rule.model_validate(made.model_dump(**options)) == made
    assert Rule.model_validate_json(made.model_dump_json(by_alias=True)) == made


def test_expanded_rules_survive_being_written_and_read():
    """Pairs, objectives and composites too, as written and as judged; and what was expanded stands for itself."""
    written = [
        rule(metric="error_rate", warning="2%", critical="5%"),
        rule(slo=99.5, min_samples=5),
        rule(alerts=["a"]),
    ]
    for one in (*written, *expand(written)):
        assert Rule.model_validate_json(one.model_dump_json(by_alias=True)) == one
        assert Rule.model_validate(one.model_dump(by_alias=True, exclude_defaults=True)) == one
    assert expand(expand(written)) == expand(written)


def test_the_form_of_row_r1_as_it_stands():
    """id, name, severity, condition and notification."""
    made = rule(
        id="rule-1",
        name="Database down",
        severity="critical",
        condition={"metric": "database.status", "operator": "equals", "value": "unhealthy", "duration": 60},
        notification={"channels": ["email", "sms"], "recipients": ["ops@example.com"], "escalateAfter": 15},
    )
    assert (made.id, made.name, made.severity, made.for_) == ("rule-1", "Database down", "critical", 60)
    assert (made.metric, made.operator, made.value, made.match) == ("status", "==", 2, ('service="database"',))
    assert made.labels == {"channels": "email,sms", "recipients": "ops@example.com"}
    assert [(s.after, s.receivers) for s in made.escalate] == [(900, ())]
    assert Rule.model_validate({"id": "r7", "metric": "up", "value": 0}).name == "r7"
    assert rule(metric="up", value=0, notification={"escalateAfter": "90s"}).escalate[0].after == pytest.approx(90)


@pytest.mark.parametrize("metric", ["api.averageResponseTime", "queue_depth", "product.created", "cpu", "a.status"])
def test_a_metric_of_your_own_is_taken(metric):
    """Applications push what they like, and a rule may look at it."""
    assert rule(metric=metric, value=1).metric == metric


def test_a_compound_rule_is_known_by_its_first_condition():
    """Those who look at one metric see the first one, and it is not written out as if it were the whole."""
    made = rule(expr="not (error_rate[1h] > 5%) and latency.p95[5m] > 300ms")
    assert (made.metric, made.aggregate, made.window, made.operator, made.value) == (
        "error_rate",
        "last",
        3600,
        ">",
        0.05,
    )
    assert made.compound
    assert "metric" not in made.model_dump()
    assert [c.metric for c in made.leaves()] == ["error_rate", "latency"]


def test_a_count_is_known_without_a_sample():
    """No sample at all is a count of 0, and a rule on few samples must see that; it may ask for more."""
    assert rule(metric="count", operator="<", value=5).min_samples == 0
    assert rule(metric="count", operator="<", value=5, min_samples=2).min_samples == 2
    assert rule(metric="error_rate", value=0.5).min_samples == 1


@pytest.mark.parametrize("window", ["10s", "1m", "4m50s", "5m", "10m", "55m", "1h", "2h", "23h", "1d"])
def test_windows_that_panes_hold(window):
    """Multiples of 10 s up to 5 m, of 5 m up to 1 h, of 1 h up to 24 h."""
    assert rule(metric="latency", window=window, value=1).window > 0


@pytest.mark.parametrize(
    ("window", "near"),
    [("5s", "nearest: 10s"), ("15s", "10s and 20s"), ("6m", "5m and 10m"), ("90m", "1h and 2h"), ("25h", "nearest: 1d"), ("7d", "nearest: 1d")],
)  # fmt: skip
def test_other_windows_are_refused_with_the_nearest(window, near):
    """What panes do not add up to is told with what they do."""
    with pytest.raises(ValidationError, match=near):
        rule(metric="latency", window=window, value=1)


def test_a_pair_is_two_rules():
    """One line of thresholds, a rule of each severity, that know each other."""
    critical, warning = expand(
        [rule(metric="success_rate", operator="<", warning="95%", critical="90%", recover="97%")]
    )
    assert [(r.name, r.severity, r.value, r.pair) for r in (critical, warning)] == [
        ("r:critical", "critical", 0.9, "r"),
        ("r:warning", "warning", 0.95, "r"),
    ]
    assert critical.recover == warning.recover == 0.97
    assert critical.alert_name == warning.alert_name == "r"
    assert (critical.cooldown_s, warning.cooldown_s) == (0, 900)


def test_an_objective_is_the_workbooks_burn_rates():
    """99.9 % over 30 days: 14.4 times the budget over 1 h and 5 m, 6 times over 6 h and 30 m."""
    critical, warning = expand([rule(slo=99.9)])
    assert [(c.metric, c.window, c.value) for c in critical.leaves()] == [
        ("error_rate", 3600, pytest.approx(0.0144)),
        ("error_rate", 300, pytest.approx(0.0144)),
    ]
    assert [(c.window, c.value) for c in warning.leaves()] == [
        (21600, pytest.approx(0.006)),
        (1800, pytest.approx(0.006)),
    ]
    assert (critical.severity, warning.severity, critical.pair) == ("critical", "warning", "r")
    week = expand([rule(slo={"objective": 99.9, "window": "7d"})])[0]
    assert next(iter(week.leaves())).value == pytest.approx(0.02 * 168 * 0.001)


@pytest.mark.parametrize(
    ("more", "place", "text"),
    [
        ({"keep_firing_for": "1m", "resolve": {"after": "2m"}}, ("resolve", "after"), "choose one"),
        ({"resolve": {"after": "soon"}}, ("resolve", "after"), "duration"),
        ({"resolve": {"samples": 21}}, ("resolve", "samples"), "less than or equal to 20"),
        ({"resolve": {"sample": 3}}, ("resolve", "sample"), "Extra inputs"),
    ],
)
def test_how_an_end_is_verified_is_checked(more, place, text):
    """Each thing wrong with `resolve` is told at its place, also where it stands for another field."""
    with pytest.raises(ValidationError, match=text) as caught:
        rule(metric="up", value=0, **more)
    assert [e["loc"] for e in caught.value.errors()] == [place]


def test_a_rule_on_alerts_has_no_samples_to_verify_by():
    """Refused with what to do: the alerts that it names verify their own end."""
    with pytest.raises(ValidationError, match="verify their end"):
        rule(alerts=["a"], resolve={"samples": 2})
    assert rule(alerts=["a"], resolve={"after": "1m"}).keep_firing_for == 60
