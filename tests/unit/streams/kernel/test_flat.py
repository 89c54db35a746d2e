"""Whether a value is stuck."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streams.kernel import flat


def fed(values, s=None, start=0, step_s=30.0):
    s = np.zeros(flat.SIZE) if s is None else s
    return s, [
        flat.update(s, 0, float(v), 1.7e12 + (start + i) * step_s * 1000, flat.TOLERANCE) for i, v in enumerate(values)
    ]


def longest_run(values, step_s):
    """By the book: seconds since the latest change, for each value."""
    since, out = 0, []
    for i, v in enumerate(values):
        if i and v != values[i - 1]:
            since = i
        out.append((i - since) * step_s)
    return out


def test_stuck_sensor_is_seen():
    """A value that changed at each sample and now does not counts the seconds since it moved."""
    values = [20 + math.sin(i) for i in range(100)] + [21.5] * 20
    _, scores = fed(values)
    assert set(scores[:100]) == {0.0}
    assert scores[-1] == 19 * 30 == longest_run(values, 30.0)[-1]
    assert [bool(x) for x in scores[100:107]] == [False] * 4 + [True] * 3


def test_constant_metric_is_normal():
    """A metric that never moved is not stuck, however long it rests."""
    _, scores = fed([4.0] * 5000)
    assert set(scores) == {0.0}


def test_one_step_does_not_make_a_moving_metric():
    """A constant that is changed a few times by hand is still a constant."""
    _, scores = fed([4.0] * 500 + [5.0] * 500 + [6.0] * 500)
    assert set(scores) == {0.0}


def test_usual_rest_is_normal():
    """A metric that moves once in ten samples may rest for ten, and for twenty; after thirty it is stuck."""
    s, scores = fed([i // 10 for i in range(400)])
    assert set(scores) == {0.0}
    _, scores = fed([39.0] * 100, s, 400)
    assert scores[19] == 0.0
    assert scores[24] > 0.0
    assert scores[-1] == (100 + 9) * 30


def test_having_been_stuck_does_not_make_it_usual():
    """After one long rest the next is noticed too."""
    moving = [20 + math.sin(i) for i in range(100)]
    s, _ = fed(moving + [7.0] * 500 + moving)
    _, scores = fed([8.0] * 40, s, 700)
    assert scores[-1] > 0


def test_rounding_is_no_move():
    """A difference within the tolerance is rest; one beyond is a move."""
    s = np.zeros(flat.SIZE)
    for i in range(50):
        flat.update(s, 0, float(i % 2), i * 1000.0, 0.01)
    for i in range(50, 70):
        got = flat.update(s, 0, 100.0 + 0.5 * (i % 2), i * 1000.0, 0.01)
    assert got == 19.0
    assert flat.update(s, 0, 110.0, 70_000.0, 0.01) == 0.0


def test_late_sample_changes_nothing():
    """A sample older than the latest says nothing of now."""
    s, _ = fed([i % 3 for i in range(60)])
    before = s.tobytes()
    flat.update(s, 0, 99.0, 1.7e12, flat.TOLERANCE)
    assert s.tobytes() == before


@pytest.mark.parametrize("nothing", [math.nan, math.inf])
def test_no_value_changes_nothing(nothing):
    """A NaN or infinite value is no value."""
    s, _ = fed([1, 2, 3])
    before = s.tobytes()
    assert math.isnan(flat.update(s, 0, nothing, 2e12, flat.TOLERANCE))
    assert s.tobytes() == before
    assert math.isnan(flat.seconds(np.zeros(flat.SIZE), 0))
