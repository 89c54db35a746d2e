"""Robust z-score: distance from the median in median absolute deviations, both kept in constant memory.

One wild value moves a mean and blows up a variance; a median hardly notices it. Median and deviation follow the
values by small steps, up for a value above and down for one below, so that half of the values lie on each side.

Sources: the score is Iglewicz and Hoaglin, "How to Detect and Handle Outliers", 1993. The steps are Robbins and
Monro, "A stochastic approximation method", Annals of Mathematical Statistics 22, 1951, as used for medians by
Feldman and Shavitt, "An economic median algorithm" (FAME), 2007; here they are proportional to the deviation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean

Floats = NDArray[np.float64]

MEDIAN = 0
SPREAD = 1  # median absolute deviation
SEEN = 2  # values learnt
STREAK = 3  # anomalies of late: one up for each, `RECOVER` down for any other value
START = 4  # the first values, in order of size
FIRST = 5  # how many of them
SIZE = START + FIRST

NORMAL = 1.4826  # median absolute deviations in the standard deviation of a normal distribution, 1 / 0.67449
GAIN = 0.04  # step, in spreads, once the start is over
DECAY = 1.5  # before that DECAY / n
GRACE = 20
ANOMALOUS = 6.0
RELEARN = 60
RECOVER = 4.0
FLOOR_SHARE = 0.05
_LEAST_SHARE = 1e-3  # least step, of the median: a spread of 0 must be able to grow


@lean
def _start(s: Floats, at: int, value: float) -> None:
    """Sort `value` into the first ones; once there are enough, their median and deviation are the start."""
    n = int(s[at + SEEN])
    i = n
    while i > 0 and s[at + START + i - 1] > value:
        s[at + START + i] = s[at + START + i - 1]
        i -= 1
    s[at + START + i] = value
    s[at + SEEN] = n + 1.0
    if n + 1 < FIRST:
        return
    middle = s[at + START + FIRST // 2]
    s[at + MEDIAN] = middle
    for i in range(FIRST):  # sort the distances in place
        distance = abs(s[at + START + i] - middle)
        j = i
        while j > 0 and s[at + START + j - 1] > distance:
            s[at + START + j] = s[at + START + j - 1]
            j -= 1
        s[at + START + j] = distance
    s[at + SPREAD] = s[at + START + FIRST // 2]


@lean
def score(s: Floats, at: int, value: float, least: float) -> float:
    """Robust z-score of `value`; NaN in the grace period of `GRACE` values and where there is no (finite) value.

    The deviation is at least a twentieth of the median and at least `least`, in the value's unit.
    """
    if s[at + SEEN] < GRACE or not math.isfinite(value):
        return math.nan
    deviation = max(NORMAL * s[at + SPREAD], FLOOR_SHARE * abs(s[at + MEDIAN]), least)
    return float((value - s[at + MEDIAN]) / deviation)


@lean
def learn(s: Floats, at: int, value: float, z: float, least: float) -> None:
    """Fold `value`, whose score was `z`, into median and deviation.

    A single anomaly moves them by one step, as any value does; those right after it are not learnt, and after
    about `RELEARN` of them learning starts over. A NaN or infinite value changes nothing.
    """
    if not math.isfinite(value):
        return
    if abs(z) > ANOMALOUS:
        s[at + STREAK] += 1.0
        if s[at + STREAK] >= RELEARN:
            s[at + SEEN] = 0.0
            s[at + STREAK] = 0.0
        elif s[at + STREAK] > 1.0:
            return
    else:
        # Not straight to 0: a start that took outliers for normal must be unlearnt though they come back now and then.
        s[at + STREAK] = max(0.0, s[at + STREAK] - RECOVER)
    if s[at + SEEN] < FIRST:
        _start(s, at, value)
        return
    n = s[at + SEEN] + 1.0
    gain = max(GAIN, DECAY / n)
    step = gain * max(s[at + SPREAD], _LEAST_SHARE * abs(s[at + MEDIAN]), least)
    distance = abs(value - s[at + MEDIAN])
    if value != s[at + MEDIAN]:
        s[at + MEDIAN] += math.copysign(min(step, distance), value - s[at + MEDIAN])
    if distance > s[at + SPREAD]:
        s[at + SPREAD] += step
    else:
        s[at + SPREAD] = max(0.0, s[at + SPREAD] - min(step, s[at + SPREAD] - distance))
    s[at + SEEN] = n


@lean
def update(s: Floats, at: int, value: float, least: float) -> float:
    """Score `value`, then learn it; the score. `s[at:at + SIZE]` are the series' cells, zero at the start."""
    z = score(s, at, value, least)
    learn(s, at, value, z, least)
    return z
