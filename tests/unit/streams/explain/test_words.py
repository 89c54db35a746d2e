"""Conditions as sentences."""

from __future__ import annotations

import math

import pytest

from streams.explain.words import because, seen_by_alert, span, why_not


def condition(text, value, *, holds, threshold=0.05, count=20.0, window_s=300.0):
    return {"text": text, "value": value, "threshold": threshold, "holds": holds, "count": count, "window_s": window_s}


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (condition("error_rate over 5m > 0.05", 0.03, holds=False), "error_rate over 5m was 0.03, needs > 0.05"),
        (condition("error_rate over 5m > 0.05", 0.5, holds=True), "error_rate over 5m was 0.5 (> 0.05)"),
        (
            condition("error_rate over 5m > 0.05 (until 0.02)", 0.03, holds=True),
            "error_rate over 5m was 0.03: once > 0.05, it holds until 0.02",
        ),
        (condition("error_rate over 5m > 0.05 (until 0.02)", 0.07, holds=True), "error_rate over 5m was 0.07 (> 0.05)"),
        (
            condition("error_rate over 5m > 0.05", 0.5, holds=None, count=2.0),
            "error_rate over 5m was unknown: 2 of 10 samples (it would be 0.5)",
        ),
        (
            condition("mean latency over 1m > 300 ms", None, holds=None, count=0.0),
            "mean latency over 1m was unknown: no sample in that time",
        ),
        (
            condition("cpu.used_percent > 90", math.nan, holds=None, count=0.0, window_s=0.0),
            "cpu.used_percent was unknown: no sample has carried it yet",
        ),
        (
            condition("mean latency over 1m to its baseline > 2", None, holds=None, count=6.0),
            "mean latency over 1m to its baseline was unknown: nothing to compare with yet, after 6 samples",
        ),
        (condition("latency > 300 ms", 412.25, holds=True, threshold=300.0), "latency was 412.25 ms (> 300 ms)"),
        (
            condition("time since the latest sample > 1m30s", 75.0, holds=False, threshold=90.0),
            "time since the latest sample was 1m15s, needs > 1m30s",
        ),
        (
            condition("disk.used_percent reaches 100 in < 3h", math.inf, holds=False, threshold=10_800.0),
            "disk.used_percent reaches 100 in was never, needs < 3h",
        ),
        (condition("status == unhealthy", 1.0, holds=False, threshold=2.0), "status was degraded, needs == unhealthy"),
        (
            condition("latency > 0.05 in words of its own", 1.0, holds=True),
            "latency was 1 (> 0.05 in words of its own)",
        ),
    ],
)
def test_what_a_condition_saw_and_what_it_needs(given, wanted):
    """Value and limit in one unit; unknown says what is missing; a condition held by its recovery says so."""
    (seen,) = seen_by_alert([given], 10.0)
    assert seen.said == wanted


def test_the_conditions_that_decide_are_told():
    """Of those that hold, the ones that do; of silence, the ones that did not, before those that are unknown."""
    seen = seen_by_alert(
        [
            condition("errors over 5m > 3", 4.0, holds=True, threshold=3.0),
            condition("latency > 300 ms", 2.0, holds=False, threshold=300.0),
            condition("cpu > 90", None, holds=None, count=0.0),
        ]
    )
    assert because(seen) == "errors over 5m was 4 (> 3)"
    assert why_not(seen) == "latency was 2 ms, needs > 300 ms"
    assert why_not(seen[2:]) == "cpu was unknown: no sample in that time"
    assert why_not(seen[1:2] * 7).endswith("; and 2 more")


def test_spans_are_never_empty():
    """Nothing lasts an empty text."""
    assert [span(ms) for ms in (-5.0, 0.0, 20.0, 61_000.0)] == ["0s", "0s", "20ms", "1m1s"]
