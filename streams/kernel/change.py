"""Whether the level of a series has changed: a two-sided CUSUM of values standardised by a slow reference.

A small shift that lasts adds up until it is beyond doubt, where a z-score of single values would never see it.

Sources: Page, "Continuous inspection schemes", Biometrika 41, 1954. The correction for values that resemble their
predecessors is the long-run variance of a first-order autoregression, sigma^2 (1 + rho) / (1 - rho): Johnson and
Bagshaw, "The effect of serial correlation on the performance of CUSUM tests", Technometrics 16, 1974.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import njit

Floats = NDArray[np.float64]

MEAN = 0
VARIANCE = 1
SEEN = 2  # values learnt
LAST = 3  # standardised value before this one
LAG = 4  # weighted mean of the products of neighbours: their correlation
UP = 5  # deviations accumulated above the reference
DOWN = 6  # and below
STREAK = 7  # values in a row with the score beyond CHANGED
SIZE = 8

ALPHA = 0.02
GRACE = 40
SLACK = 0.5  # deviations a value may be off without adding to the sum: half of the smallest shift looked for
CLIP = 4.0  # one value counts for no more than this: a spike is not a change
CHANGED = 8.0  # beyond this nothing is learnt
RELEARN = 60  # values in a row beyond that, and the new level becomes the reference
FLOOR_SHARE = 0.05
LARGEST_LAG = 0.95


@njit
def accumulate(s: Floats, at: int, z: float) -> float:
    """Add a standardised value to the two sums; the greater of them, negative where the change is downwards."""
    s[at + UP] = max(0.0, s[at + UP] + z - SLACK)
    s[at + DOWN] = max(0.0, s[at + DOWN] - z - SLACK)
    return float(s[at + UP] if s[at + UP] >= s[at + DOWN] else -s[at + DOWN])


@njit
def score(s: Floats, at: int) -> float:
    """Deviations accumulated, negative where the change is downwards; NaN in the grace period of `GRACE` values."""
    if s[at + SEEN] < GRACE:
        return math.nan
    return float(s[at + UP] if s[at + UP] >= s[at + DOWN] else -s[at + DOWN])


@njit
def _restart(s: Floats, at: int) -> None:
    for cell in range(SIZE):
        s[at + cell] = 0.0


@njit
def update(s: Floats, at: int, value: float, least: float) -> float:
    """Standardise `value` by the reference, accumulate, learn; the score (see `score`), NaN where there is no value.

    `least` is the least deviation, in the value's unit. The reference does not learn while the score is beyond
    `CHANGED`; after `RELEARN` such values in a row it starts anew from the new level, and the score from 0. A NaN
    or infinite value changes nothing. `s[at:at + SIZE]` are the series' cells, zero at the start.
    """
    if not math.isfinite(value):
        return math.nan
    if s[at + SEEN] == 0.0:
        s[at + MEAN] = value
        s[at + SEEN] = 1.0
        return math.nan
    step = value - s[at + MEAN]
    floor = max(FLOOR_SHARE * abs(s[at + MEAN]), least)
    scale = max(math.sqrt(s[at + VARIANCE]), floor)
    z = min(CLIP, max(-CLIP, step / scale))
    ready = s[at + SEEN] >= GRACE
    result = math.nan
    if ready:
        lag = min(LARGEST_LAG, max(0.0, s[at + LAG]))
        result = accumulate(s, at, z * math.sqrt((1.0 - lag) / (1.0 + lag)))
        if abs(result) > CHANGED:
            s[at + STREAK] += 1.0
            s[at + LAST] = z
            if s[at + STREAK] < RELEARN:
                return result
            _restart(s, at)
            s[at + MEAN] = value
            s[at + SEEN] = 1.0
            return result
        s[at + STREAK] = 0.0
        step = z * scale  # a spike is learnt no further than it counts
    alpha = max(ALPHA, 1.0 / (s[at + SEEN] + 1.0))
    s[at + MEAN] += alpha * step
    s[at + VARIANCE] = (1.0 - alpha) * (s[at + VARIANCE] + alpha * step * step)
    s[at + LAG] += alpha * (z * s[at + LAST] - s[at + LAG])
    s[at + LAST] = z
    s[at + SEEN] += 1.0
    return result
