"""Rules that can be read and yet cannot do what they are for."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.probe.settings import Target
from streams.rules import Rule, expand
from streams.rules.lint import lint
from streams.rules.lint.logic import can_hold, formula, implies, signals
from tests.unit.streams.rules.reference import of_model

TARGETS = tuple(
    Target.model_validate(t)
    for t in (
        {"name": "shop", "every": "30s", "http": {"url": "http://a"}, "labels": {"team": "web"}},
        {"name": "db", "every": "60s", "tcp": {"address": "a:1"}, "labels": {"team": "db"}},
        {"name": "box", "every": "10s", "host": {}},
        {"name": "app", "push": {}, "labels": {"team": "app"}},
    )
)


def remarks(*rules, targets=TARGETS, **options):
    made = [Rule.model_validate({"name": f"r{i}", **r}) for i, r in enumerate(rules)]
    return [(r.level, r.code, r.rule, r.field, r.message) for r in lint(expand(made), targets, **options)]


GOOD = [
    {"metric": "consecutive_failures", "operator": ">=", "value": 2, "severity": "critical"},
    {"metric": "error_rate", "warning": "2%", "critical": "5%", "min_samples": 5, "match": ["team=app"]},
    {"metric": "latency", "aggregate": "p95", "window": "5m", "value": "500ms", "match": ["kind=http"]},
    {"metric": "cpu.used_percent", "value": 90, "for": "5m", "match": ["kind=host"]},
    {"metric": "disk.used_percent:/data", "value": 90, "recover": 85, "match": ["kind=host"]},
    {"metric": "queue.depth", "value": 9, "for": "1m"},
    {"metric": "up", "operator": "==", "value": 0, "resolve": {"samples": 3}, "match": ["kind=tcp"]},
    {"absent": "5m", "annotations": {"summary": "{% for m in members %}{{ loop.index }} {{ m | upper }}{% endfor %}"}},
    {"slo": 99.9},
    {"anomaly": "latency"},
    {"transition": {"from": "healthy", "to": ["degraded", "unhealthy"]}, "severity": "info"},
    {"alerts": {"any": ["r0", {"not": "r2"}]}, "severity": "info"},
    {"schedule": {"cron": "0 3 * * *"}, "match": ["team=app"]},
]


def test_good_rules_are_left_alone():
    """Nobody is warned of what is right."""
    assert remarks(*GOOD) == []


@pytest.mark.parametrize(
    ("rule", "level", "code", "field", "says"),
    [
        ({"metric": "errors", "value": 1, "annotations": {"summary": "{{ targt }}"}}, "warning", "unknown-name", "annotations.summary", "no alert has a value named targt; did you mean target?"),
        ({"metric": "errors", "value": 1, "annotations": {"x": "{% for m in members %}{{ m }} of {{ team }}{% endfor %}"}}, "warning", "unknown-name", "annotations.x", "a value named team; labels are in labels"),
        ({"metric": "errors", "value": 1, "labels": {"team": "{{ target }}"}}, "warning", "label-template", "labels.team", "a label stays as it is written"),
        ({"all": ["error_rate[5m] > 5%", "error_rate[5m] < 2%"]}, "error", "never-holds", "all", "exclude each other"),
        ({"expr": "error_rate[5m] > 5% and success_rate[5m] > 97%"}, "error", "never-holds", "all", "exclude each other"),
        ({"expr": "status == healthy and status == unhealthy"}, "error", "never-holds", "all", "exclude each other"),
        ({"expr": "up > 0 and not up == 1"}, "error", "never-holds", "all", "exclude each other"),
        ({"not": "error_rate >= 0"}, "error", "never-holds", "not", "exclude each other"),
        ({"alerts": {"all": ["a", {"not": "a"}]}}, "error", "never-holds", "alerts", "exclude each other"),
        ({"metric": "cpu.used_percent", "value": 150, "for": "1m", "match": ["kind=host"]}, "warning", "never-holds", "value", "ends at 100"),
        ({"metric": "error_rate", "operator": ">=", "value": 0}, "error", "always-holds", "value", "never end"),
        ({"any": ["count < 5", "count >= 5"]}, "error", "always-holds", "any", "never end"),
        ({"metric": "error_rate", "value": 0.5, "match": ["team=wep"]}, "error", "selects-nothing", "match", "passes team=wep; did you mean web?"),
        ({"metric": "error_rate", "value": 0.5, "match": ["taem=web"]}, "error", "selects-nothing", "match", "did you mean team?"),
        ({"metric": "error_rate", "value": 0.5, "match": ["team=web", "kind=tcp"]}, "error", "selects-nothing", "match", "team=web and kind=tcp"),
        ({"metric": "cpu.used_percnt", "value": 90, "for": "1m", "match": ["kind=host"]}, "warning", "unmeasured", "metric", "did you mean cpu.used_percent?"),
        ({"metric": "latency", "value": 90, "window": "1m", "match": ["kind=host"]}, "warning", "unmeasured", "metric", "(host) measures latency"),
        ({"metric": "error_rate", "value": 0.5, "min_samples": 10, "match": ["kind=tcp"]}, "error", "too-few-samples", "min_samples", "5m hold 6 samples, one each 1m: it waits for 10"),
        ({"metric": "latency", "window": "30s", "value": 5000, "match": ["kind=tcp"]}, "warning", "too-few-samples", "window", "shorter than the 1m"),
        ({"absent": "45s"}, "error", "fires-always", "absent", "come each 1m: after 45s"),
        ({"metric": "latency", "value": "500ms"}, "warning", "flaps", "for", "a single value of latency"),
        ({"metric": "up", "operator": "==", "value": 0}, "warning", "flaps", "for", "consecutive_failures"),
        ({"expr": "up == 0 or error_rate > 5%"}, "warning", "flaps", "for", "a single value of up"),
    ],
)  # fmt: skip
def test_each_mistake_is_found(rule, level, code, field, says):
    """One remark, at the field that is to blame, that says what to do; and none on the good ones beside it."""
    found = remarks(rule, *({**g, "name": f"good{i}"} for i, g in enumerate(GOOD) if "alerts" not in g))
    mine = [f for f in found if f[2] == "r0"]
    assert [f[:4] for f in mine if f[1] != "overlaps"] == [(level, code, "r0", field)], found
    assert says in mine[0][4]


def test_a_pair_is_told_of_once():
    """Two rules that came of one line share its mistakes."""
    found = remarks({"metric": "latency", "aggregate": "zscore", "warning": 3, "critical": 5})
    assert [f[1] for f in found] == ["flaps"]


def test_overlap_is_told_of_the_rule_that_adds_nothing():
    """The stricter, the narrower, the longer, the later of two that are the same."""
    wide = {"metric": "error_rate", "value": 0.05}
    for narrow in (
        {"metric": "error_rate", "value": 0.1},
        {**wide, "match": ["kind=http"]},
        {**wide, "for": "5m"},
        {"expr": "error_rate[5m] > 5% and count[5m] > 3"},
        {"metric": "success_rate", "operator": "<", "value": 0.9},
    ):
        for rules, name in (((wide, narrow), "r1"), ((narrow, wide), "r0")):
            ((level, code, rule, field, message),) = remarks(*rules)
            assert (level, code, rule, field) == ("warning", "overlaps", name, "name"), narrow
            assert "already, which is warning too" in message
    ((_, _, rule, _, message),) = remarks(wide, {"metric": "success_rate", "operator": "<", "value": 0.95})
    assert (rule, message) == ("r1", "says the same as 'r0'")


@pytest.mark.parametrize(
    "other",
    [
        {"severity": "critical"},
        {"window": "1h"},
        {"match": ["kind=http"], "value": 0.01},
        {"value": 0.1, "group_by": ["team"]},
        {"metric": "errors"},
        {"value": 0.01, "for": "5m"},
    ],
)
def test_what_adds_something_is_no_overlap(other):
    """Another severity, window, metric, target or group is a rule of its own."""
    rule = {"metric": "error_rate", "value": 0.05}
    assert remarks(rule, {**rule, **other}) == []


def test_targets_that_applications_bring_make_it_a_warning():
    """Where unknown targets are accepted, a rule for them is no mistake."""
    rule = {"metric": "error_rate", "value": 0.5, "match": ["team=new"]}
    ((level, code, *_),) = remarks(rule, complete=False)
    assert (level, code) == ("warning", "selects-nothing")
    assert remarks(rule, targets=()) == []


VALUES = [
    {"metric": m, "operator": o, "value": v} for m in ("a", "b", "up") for o in (">", "<=", "==", "!=") for v in (0, 1)
]
SMALL = st.recursive(
    st.sampled_from([v for v in VALUES if not (v["metric"] == "up" and (v["operator"], v["value"]) == (">", 1))]),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda p: {"all": p}),
        st.lists(inner, min_size=1, max_size=3).map(lambda p: {"any": p}),
        inner.map(lambda p: {"not": p}),
    ),
    max_leaves=5,
)


@given(SMALL, SMALL, st.integers(0, 10**9))
def test_what_can_never_hold_never_does(one, other, seed):
    """Against rules judged at random values: none of those that never hold held, no implication was broken."""
    first, second = (Rule.model_validate({"name": "r", **r}) for r in (one, other))
    possible, follows = can_hold(formula(first)), implies(formula(first), formula(second))
    chance = random.Random(seed)
    for _ in range(50):
        at = {"a": chance.choice([-1, 0, 0.5, 1, 2]), "b": chance.choice([-1, 0, 0.5, 1, 2]), "": chance.choice([0, 1])}
        seen = lambda key: (at[key[1]], 1)  # noqa: E731, B023 - used at once
        if of_model(first, seen, set()):
            assert possible
            assert not follows or of_model(second, seen, set())


@given(SMALL)
def test_what_can_hold_does_somewhere(one):
    """A rule that is said to be possible holds at one of the values that make a difference."""
    rule = Rule.model_validate({"name": "r", **one})
    grid = [-1, 0, 0.5, 1, 2]
    holds = any(
        of_model(rule, lambda key: ({"a": a, "b": b, "": up}[key[1]], 1), set())  # noqa: B023 - used at once
        for a in grid for b in grid for up in (0, 1)
    )  # fmt: skip
    assert can_hold(formula(rule)) is holds
    assert len(signals(formula(rule))) <= 3


def test_a_rule_too_great_to_try_is_left_alone():
    """The checks end, whatever is written."""
    parts = [f"m{i}.x[1m] > {v}" for i in range(8) for v in (1, 2, 3, 4)]
    assert can_hold(formula(Rule.model_validate({"name": "r", "any": parts}))) is None
    assert remarks({"any": parts}, targets=()) == []
