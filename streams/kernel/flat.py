"""Whether a value is stuck: the seconds it has not moved, where it used to move more often than that.

A metric that is constant by nature is no news, and one that moves once an hour may rest for an hour. So a stretch
of equal values counts only when it is several times as long as the series' longest usual one.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean

Floats = NDArray[np.float64]

VALUE = 0  # what the value is stuck at
SINCE = 1  # when it came there, ms since the epoch
LAST = 2  # time of the latest sample, ms since the epoch
SAME = 3  # samples since then, the first one too; 0 before the first sample
MOVES = 4  # how often it has moved
USUAL = 5  # the longest usual stretch, s; forgotten slowly
SIZE = 6

GRACE = 20  # moves before anything can be called stuck
FACTOR = 3.0  # times the longest usual stretch
FEWEST = 5  # samples that must agree: two equal ones far apart prove nothing
FORGET = 0.98  # share of USUAL that is left after each move
TOLERANCE = 1e-9  # of the value: a move is more than rounding


@lean
def seconds(s: Floats, at: int) -> float:
    """Seconds from the move to the latest sample; 0 while that is usual for the series; NaN before any sample."""
    if s[at + SAME] == 0.0:
        return math.nan
    still = (s[at + LAST] - s[at + SINCE]) / 1000.0
    if s[at + MOVES] < GRACE or s[at + SAME] < FEWEST or still <= FACTOR * s[at + USUAL]:
        return 0.0
    return float(still)


@lean
def update(s: Floats, at: int, value: float, time_ms: float, tolerance: float) -> float:
    """Take a value of time `time_ms` (ms since the epoch) and return `seconds`.

    A move is a step of more than `tolerance` times the value. A sample older than the latest one, a NaN and an
    infinite value change nothing. `s[at:at + SIZE]` are the series' cells, zero at the start.
    """
    if not math.isfinite(value):
        return math.nan
    if s[at + SAME] == 0.0:
        s[at + VALUE] = value
        s[at + SINCE] = time_ms
        s[at + LAST] = time_ms
        s[at + SAME] = 1.0
        return 0.0
    if time_ms < s[at + LAST]:
        return seconds(s, at)
    s[at + LAST] = time_ms
    if abs(value - s[at + VALUE]) <= tolerance * max(abs(value), abs(s[at + VALUE])):
        s[at + SAME] += 1.0
        return seconds(s, at)
    stretch = (time_ms - s[at + SINCE]) / 1000.0
    usual = s[at + USUAL]
    if s[at + MOVES] >= GRACE:
        stretch = min(stretch, FACTOR * usual)  # having been stuck once does not make it usual
    s[at + USUAL] = max(stretch, FORGET * usual)
    s[at + MOVES] += 1.0
    s[at + VALUE] = value
    s[at + SINCE] = time_ms
    s[at + SAME] = 1.0
    return 0.0
