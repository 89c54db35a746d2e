"""The scores together, as default rules use them, over labelled series of a fixed seed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks.anomaly import DEFAULTS, SEED, Tally, judge
from streams.kernel import baseline, change, flat, forecast, robust, surprise
from tests.kit import labelled

SLOW = ("small shift", "slow drift")


@pytest.fixture(scope="module")
def judged():
    return judge(labelled.generate(SEED, 60))


def together(tallies):
    return Tally().add_all(tallies).shares()


def test_few_false_alarms(judged):
    """Of all alarms fewer than one in twenty is false, and of all normal samples fewer than one in a thousand is in one."""
    shares = together(judged[1].values())
    assert shares["false_share"] < 0.05
    assert shares["held_when_normal"] < 0.001


def test_incidents_are_found_within_two_samples(judged):
    """More than 95 of 100 incidents of all kinds are found by the second sample that shows them; of each of those that
    are plain to see more than 94, of small shifts and slow drifts more than 85."""
    assert together(judged[1].values())["in_time"] > 0.95
    for kind, tally in judged[1].items():
        if tally.incidents:
            assert tally.shares()["in_time"] > (0.85 if kind in SLOW else 0.94), kind


def test_no_kind_is_left_out(judged):
    """Each kind is found nearly always, in the end."""
    for kind, tally in judged[1].items():
        if tally.incidents:
            assert tally.shares()["found"] > 0.93, kind


def test_slow_incidents_are_found_in_noise_that_wanders(judged):
    """More than nine in ten small shifts and slow drifts are found even where the noise itself wanders about as far."""
    wandering = together(t for name, t in judged[2].items() if name.startswith(SLOW) and name.endswith("wandering"))
    assert wandering["incidents"] > 20
    assert wandering["found"] > 0.9


def test_every_kind_of_series_has_default_rules():
    """Each nature of series among the labelled ones is covered, and each kind has as many series as asked for."""
    kinds = [(one.kind, one.nature) for one in labelled.generate(1, 2)]
    assert {nature for _, nature in kinds} == set(DEFAULTS)
    assert all(kinds.count(kind) == 2 for kind in kinds)


def test_labels_lie_in_their_series():
    """An incident begins before it is visible, is visible before it ends, and has normal samples before it."""
    for one in labelled.generate(2, 10):
        for incident in one.incidents:
            assert 0.3 * len(one.value) < incident.injected <= incident.visible < incident.end <= len(one.value), (
                one.kind
            )


def test_series_are_a_function_of_the_seed():
    """The same seed gives the same series, another one others."""
    one, same, other = (next(iter(labelled.generate(seed, 1))) for seed in (1, 1, 2))
    assert one.value.tobytes() == same.value.tobytes()
    assert one.value.tobytes() != other.value.tobytes()


def step(s, time_ms, value, failed):
    """One sample through every score."""
    return [
        baseline.update(s, 0, value, 1e-9),
        robust.update(s, 10, value, 1e-9),
        change.update(s, 20, value, 1e-9, change.TREND_ALPHA),
        flat.update(s, 30, value, time_ms, flat.TOLERANCE),
        forecast.update(s, 40, value, time_ms),
        forecast.seconds_to(s, 40, 1000.0),
        surprise.learn(s, 60, failed) or surprise.expected(s, 60),
    ]


def test_stored_state_goes_on_as_if_nothing_happened():
    """State written and read as bytes at any sample gives the same scores from there on, bit for bit."""
    rng = np.random.default_rng(3)
    values = np.where(rng.random(600) < 0.02, math.nan, rng.lognormal(4, 0.3, 600))
    values[400:] *= 2
    values[500:] = values[500]
    whole, parts = np.zeros(80), np.zeros(80)
    for i, value in enumerate(values):
        parts = np.frombuffer(parts.tobytes(), np.float64).copy()
        at = (1.7e12 + i * 30_000, float(value), float(math.isnan(value)))
        np.testing.assert_array_equal(step(whole, *at), step(parts, *at))
    assert whole.tobytes() == parts.tobytes()
