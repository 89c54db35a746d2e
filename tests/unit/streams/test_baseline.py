"""What is normal for a series."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams import baseline


def run(values, state=None):
    """Fold `values` one by one, as one series; returns the state and every z-score."""
    mean, variance, seen, streak = state or tuple(np.zeros(1) for _ in range(4))
    scores = []
    for value in values:
        x = np.array([value], np.float64)
        z = baseline.score(x, mean, variance, seen)
        mean, variance, seen, streak = baseline.learn(x, z, mean, variance, seen, streak)
        scores.append(float(z[0]))
    return (mean, variance, seen, streak), scores


def reference(values):
    """The same by the book: weights of a plain mean first, of an exponential one later."""
    mean = variance = 0.0
    for n, x in enumerate(values):
        alpha = max(baseline.ALPHA, 1 / (n + 1))
        step = x - mean
        mean = x if n == 0 else mean + alpha * step
        variance = 0.0 if n == 0 else (1 - alpha) * (variance + alpha * step * step)
    return mean, variance


def test_mean_and_variance_are_the_reference():
    """Over values that are no anomalies, mean and variance are those of a scalar reference."""
    values = np.random.default_rng(3).normal(100, 10, 500).clip(75, 125)
    (mean, variance, seen, _), _ = run(values)
    wanted_mean, wanted_variance = reference(values)
    assert mean[0] == pytest.approx(wanted_mean)
    assert variance[0] == pytest.approx(wanted_variance)
    assert seen[0] == 500


def test_no_score_in_the_grace_period():
    """The first values have no score: nothing is known yet to compare them with."""
    _, scores = run([10.0] * 19 + [500.0])
    assert all(math.isnan(z) for z in scores)


def test_anomaly_is_scored_and_not_learnt():
    """A value far outside has a high score and leaves the baseline as it was."""
    state, _ = run([100.0, 110.0] * 20)
    after, scores = run([1000.0], state)
    assert scores[0] > 4
    assert after[0][0] == state[0][0]
    assert after[1][0] == state[1][0]


def test_lasting_change_becomes_the_new_normal():
    """A level that stays, sixty values long, is learnt in the end."""
    state, _ = run([100.0, 110.0] * 20)
    (mean, _, seen, _), _ = run([1000.0] * 80, state)
    assert mean[0] == pytest.approx(1000)
    assert seen[0] == 21


def test_no_value_changes_nothing():
    """A NaN leaves the series as it was."""
    state, _ = run([100.0, 110.0] * 20)
    after, scores = run([math.nan], state)
    assert math.isnan(scores[0])
    assert [a[0] for a in after] == [s[0] for s in state]
