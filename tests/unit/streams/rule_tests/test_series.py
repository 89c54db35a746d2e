"""What comes in during a test."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from streams.rule_tests.notation import NotationError
from streams.rule_tests.series import Series, samples, series_name


def made(*given):
    return tuple(Series.model_validate(g) for g in given)


@pytest.mark.parametrize(
    ("text", "metric", "labels"),
    [
        ("latency", "latency", {}),
        ('latency{target="api"}', "latency", {"target": "api"}),
        ('latency { target = \'api\', team="w\\"eb", }', "latency", {"target": "api", "team": 'w"eb'}),
        ("'disk.used_percent:/data'{target=\"a\"}", "disk.used_percent:/data", {"target": "a"}),
        ("node:cpu.used{}", "node:cpu.used", {}),
    ],
)
def test_a_name_with_labels(text, metric, labels):
    """As Prometheus writes series; a name that is not made of words stands in quotes."""
    assert series_name(text) == (metric, labels)


@pytest.mark.parametrize(
    ("text", "offset"),
    [("", 0), ("{a='b'}", 0), ("m{a=b}", 2), ("m{a='b' c='d'}", 8), ("m{a='b'", 7), ("m{a='b'} x", 9), ("m a", 2),
     ("m{a='b',a='c'}", 8), ("m{", 2)],
)  # fmt: skip
def test_a_bad_name_is_told_with_its_column(text, offset):
    """Counted from 0."""
    with pytest.raises(NotationError) as error:
        series_name(text)
    assert error.value.offset == offset


def test_series_of_one_target_are_one_sample_a_step():
    """What comes at the same time of the same target comes together; a step that has nothing of it brings nothing."""
    found = samples(
        made(
            {"target": "a", "ok": "1 0 _", "latency": "5 _ _", "metrics": {"q.x": "1 2 _"}, "message": "boom"},
            {"series": 'latency{target="b"}', "values": "7"},
        ),
        10.0,
    )
    assert list(found) == [0.0, 10_000.0]
    first, second = found[0.0]["a"], found[10_000.0]["a"]
    assert (first.ok, first.latency, first.metrics, first.message) == (True, 5, {"q.x": 1}, "")
    assert (second.ok, second.metrics, second.message) == (False, {"q.x": 2}, "boom")
    assert math.isnan(second.latency)
    assert found[0.0]["b"].latency == 7
    assert "b" not in found[10_000.0]


def test_a_series_may_have_steps_of_its_own():
    """Beside others that have the test's."""
    found = samples(made({"target": "a", "ok": "1x2"}, {"target": "a", "latency": "5x1", "interval": "15s"}), 10.0)
    assert list(found) == [0.0, 10_000.0, 15_000.0, 20_000.0]


def test_an_instance_is_a_target():
    """So that files of Prometheus can be read; `up` is whether the check succeeded."""
    (series,) = made({"series": 'up{job="j",instance="h:1"}', "values": "1 0"})
    assert (series.target, series.labels, series.columns) == ("h:1", {"job": "j", "instance": "h:1"}, {"ok": (1, 0)})


@pytest.mark.parametrize(
    ("given", "place", "said"),
    [
        ({"ok": "1"}, "target", "is required"),
        ({"target": "a"}, "target", "nothing comes"),
        ({"target": "a", "ok": "2"}, "ok", "1 succeeded, 0 failed"),
        ({"target": "a", "ok": True}, "ok", "a series is a text"),
        ({"target": "a", "metric": "q.x"}, "metric", "values is missing"),
        ({"target": "a", "values": "1"}, "values", "metric is missing"),
        ({"series": 'up{target="a"}'}, "series", "values is missing"),
        ({"series": "up", "values": "1"}, "series", "which target?"),
        ({"series": 'up{target="a"}', "target": "b", "values": "1"}, "target", "choose one"),
        ({"target": "a", "metric": "error_rate", "values": "1"}, "metric", "worked out from samples: give ok"),
        ({"target": "a", "metrics": {"eror_rate": "1"}}, "eror_rate", "did you mean error_rate?"),
        ({"target": "a", "metrics": {"latency": "1"}}, "latency", "beside metrics"),
        ({"target": "a", "metrics": {"q.x": "1 y"}}, "q.x", "'y' is no value"),
        ({"target": "a", "latency": "1", "interval": 0}, "interval", "greater than 0"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(given, place, said):
    """With what would be right."""
    with pytest.raises(ValidationError) as error:
        made(given)
    (problem,) = error.value.errors()
    assert problem["loc"][-1] == place
    assert said in problem["msg"]
