"""Rules, matchers, routes, durations, templates: what a configuration file says."""

from __future__ import annotations

import numpy as np
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from streams import labels, templates, units
from streams.partition import partition_of
from streams.routing import Route, named_receivers, receivers_of
from streams.rules import Rule, compare


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("30s", 30), ("5m", 300), ("1h30m", 5400), ("250ms", 0.25), (7, 7), ("7", 7), ("1d", 86400), (0.5, 0.5)],
)
def test_duration_is_seconds(text, wanted):
    """Durations are numbers of seconds or texts as Prometheus writes them."""
    assert units.seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "5", "m", "5 minutes", "-3s", -3, True, None, float("nan"), "5mm", "s5"])
def test_no_duration_is_refused(text):
    """Whatever else is refused, and a bare number in quotes is a number."""
    if text == "5":
        assert units.seconds(text) == 5
        return
    with pytest.raises(ValueError, match="duration"):
        units.seconds(text)


def test_duration_for_people():
    """Two units are enough for people."""
    assert [units.human(s) for s in (0.25, 5, 90, 3600, 90061)] == ["250ms", "5s", "1m30s", "1h", "1d1h"]


@pytest.mark.parametrize(
    ("matcher", "wanted"),
    [
        ('severity="critical"', True), ("severity=critical", True), ("severity!=critical", False),
        ('host=~"web-.*"', True), ('host=~"web"', False), ('host!~"db-.*"', True), ('absent=""', True), ("absent!=x", True),
        ('quote="a\\"b"', True),
    ],
)  # fmt: skip
def test_matcher_reads_like_alertmanagers(matcher, wanted):
    """The four operators, quotes or none, whole-value regular expressions, absent labels as empty."""
    have = {"severity": "critical", "host": "web-1", "quote": 'a"b'}
    assert labels.parse(matcher).matches(have) is wanted


def test_one_equals_sign_is_enough():
    """What is meant by two is named; a value that begins with one stands in quotes."""
    with pytest.raises(ValueError, match='write team=web, or team="=web" for a value'):
        labels.parse("team==web")
    assert labels.parse('team="=web"').value == "=web"


@pytest.mark.parametrize("matcher", ["", "severity", "=x", 'a=~"("', "a==", "a==b", "1a=b"])
def test_matcher_that_is_none_is_refused(matcher):
    """A typo in a matcher is an error, not a matcher that never matches."""
    with pytest.raises(ValueError, match=r"no |an = too many"):
        labels.parse(matcher)


def test_route_goes_to_the_deepest_that_match():
    """First match wins unless it says continue; a child inherits the receiver; nobody is told twice."""
    route = Route.model_validate(
        {
            "receiver": "default",
            "routes": [
                {
                    "matchers": ["team=web"],
                    "receiver": "web",
                    "continue": True,
                    "routes": [{"matchers": ["severity=critical"], "receiver": "pager"}],
                },
                {"matchers": ["env=prod"], "routes": [{"matchers": ["team=db"], "receiver": "db"}]},
                {"matchers": ["severity=critical"], "receiver": "pager"},
            ],
        }
    )
    assert receivers_of(route, {}) == ["default"]
    assert receivers_of(route, {"team": "web"}) == ["web"]
    assert receivers_of(route, {"team": "web", "severity": "critical"}) == ["pager"]
    assert receivers_of(route, {"team": "web", "env": "prod"}) == ["web", "default"]
    assert receivers_of(route, {"team": "db", "env": "prod"}) == ["db"]
    assert named_receivers(route) == {"default", "web", "pager", "db"}
    assert receivers_of(Route(), {}) == []


def test_rule_takes_words_and_symbols():
    """greaterThan and > are the same comparison."""
    assert Rule(name="r", metric="cpu", operator="greaterThanOrEqual", value=1).operator == ">="


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"metric": "error_rate", "value": 5}, "share from 0 to 1"),
        ({"metric": "latency", "window": "7m", "value": 5}, "nearest: 5m and 10m"),
        ({"metric": "up", "window": "5m", "value": 0}, "takes no window"),
        ({"metric": "latency", "aggregate": "last", "window": "5m", "value": 0}, "takes no window"),
        ({"metric": "latency", "operator": "bigger", "value": 0}, "there is no operator 'bigger'"),
        ({"metric": "latency", "value": float("nan")}, "finite"),
        ({"metric": "errors", "aggregate": "mean", "value": 1}, "takes no aggregate"),
    ],
)
def test_senseless_rule_is_refused(fields, why):
    """A rule that could never be judged as its author thinks is an error that says why."""
    with pytest.raises(ValidationError, match=why):
        Rule.model_validate({"name": "r", **fields})


def test_window_means_mean():
    """A window without an aggregate is a mean, and a ratio without a window is one minute's."""
    assert Rule(name="r", metric="latency", window="5m", value=1).aggregate == "mean"
    assert Rule(name="r", metric="latency", aggregate="ratio", value=1).window == 60


@pytest.mark.parametrize("symbol", [">", ">=", "<", "<=", "==", "!="])
def test_no_value_holds_nothing(symbol):
    """A NaN never holds, whatever the operator."""
    assert compare(symbol, np.array([np.nan]), 1.0).tolist() == [False]


@given(st.text(min_size=1), st.integers(1, 64))
def test_partition_is_the_default_producers(key, partitions):
    """A producer that sends a single sample with its target as key hits the same partition."""
    everything = list(range(partitions))
    assert partition_of(key, partitions) == DefaultPartitioner()(key.encode(), everything, everything)


def test_template_has_no_way_out():
    """Templates cannot reach Python's inside, loop for long or stop an alert."""
    for text in (
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ target.__init__.__globals__ }}",
        "{% for i in range(999999999) %}x{% endfor %}",
        "{{ nothing }}",
        "{{ 1 / 0 }}",
    ):
        assert "template failed" in templates.render(text, {"target": "a"})
    assert templates.render("{{ share | percent }} {{ s | duration }}", {"share": 0.125, "s": 90}) == "12.5 % 1m30s"
    with pytest.raises(ValueError, match="no template"):
        templates.check("{{ oops")
