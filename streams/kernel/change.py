"""Whether a series has changed, in level or in spread: CUSUMs of values standardised by a slow reference.

A small shift that lasts adds up until it is beyond doubt, where a z-score of single values would never see it. So do
two or three wild values close together, where one alone means nothing.

Sources: Page, "Continuous inspection schemes", Biometrika 41, 1954, for the sums; a third one, of the absolute values,
for the spread is after Hawkins, "A CUSUM for a scale parameter", Journal of Quality Technology 13, 1981. Values that
resemble their predecessors would add up without any change. For the level each counts only (1 - rho) / (1 + rho), where
neighbours are correlated by rho: in the long run their variance is greater by the inverse, and so false alarms stay as
rare (Johnson and Bagshaw, "The effect of serial correlation on the performance of CUSUM tests", Technometrics 16,
1974). For the spread what is new in them is taken, the residual of a first-order autoregression (Lu and Reynolds,
"CUSUM charts for monitoring an autocorrelated process", Journal of Quality Technology 33, 2001).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean

Floats = NDArray[np.float64]

MEAN = 0
VARIANCE = 1
SEEN = 2  # values learnt
LAST = 3  # value before this one
LAG = 4  # weighted mean of the products of neighbours: their correlation
UP = 5  # deviations accumulated above the reference
DOWN = 6  # and below
WIDE = 7  # and in either direction
STREAK = 8  # values in a row with the score beyond SUSPECT
NEWS = 9  # weighted mean of the absolute values of what is new
SIZE = 10

ALPHA = 0.02
LAG_ALPHA = 0.005  # a correlation takes more values to tell than a mean
GRACE = 40
SLACK = 0.75  # deviations a value may be off without adding to a sum: half of the smallest shift found soon
CLIP = 4.0  # one value counts for no more than this in the level: a spike is not a change
WIDE_CLIP = 6.0  # and in the spread
USUAL = 0.8  # mean absolute value of a standard normal variable
CHANGED = 8.5  # what rules should compare the score with: beyond any single value
MOST = 16.0  # a sum grows no further: what is over shall be over soon
SUSPECT = 6.0  # beyond this nothing is learnt
RELEARN = 60  # values in a row beyond that, and the reference starts anew
FLOOR_SHARE = 0.05
LARGEST_LAG = 0.95


@lean
def score(s: Floats, at: int) -> float:
    """The greatest of the three sums, negative where values lean downwards; NaN before `GRACE` values.

    A shift downwards widens the spread as well, and as fast: which way it went only the sums of the level tell.
    """
    if s[at + SEEN] < GRACE:
        return math.nan
    most = max(s[at + UP], s[at + DOWN], s[at + WIDE])
    return float(-most if s[at + DOWN] > s[at + UP] else most)


@lean
def accumulate(s: Floats, at: int, z: float, weight: float, news: float) -> float:
    """Add a standardised value, by its weight, to the sums of level and what is new in it to that of spread; the score.

    `news` is not negative; its usual size is `USUAL`.
    """
    s[at + UP] = min(MOST, max(0.0, s[at + UP] + weight * (min(CLIP, z) - SLACK)))
    s[at + DOWN] = min(MOST, max(0.0, s[at + DOWN] + weight * (min(CLIP, -z) - SLACK)))
    s[at + WIDE] = min(MOST, max(0.0, s[at + WIDE] + min(WIDE_CLIP, news) - USUAL - SLACK))
    return score(s, at)


@lean
def update(s: Floats, at: int, value: float, least: float) -> float:
    """Standardise `value` by the reference, accumulate, learn; the score (see `score`), NaN where there is no value.

    `least` is the least deviation, in the value's unit. The reference does not learn while the score is beyond
    `SUSPECT`; after `RELEARN` such values in a row it starts anew from the new level, and the score from 0. A NaN
    or infinite value changes nothing. `s[at:at + SIZE]` are the series' cells, zero at the start.
    """
    if not math.isfinite(value):
        return math.nan
    if s[at + SEEN] == 0.0:
        s[at + MEAN] = s[at + LAST] = value
        s[at + SEEN] = 1.0
        return math.nan
    step = value - s[at + MEAN]
    floor = max(FLOOR_SHARE * abs(s[at + MEAN]), least)
    scale = max(math.sqrt(s[at + VARIANCE]), floor)
    z = min(CLIP, max(-CLIP, step / scale))
    lag = min(LARGEST_LAG, max(0.0, s[at + LAG]))
    before = min(CLIP, max(-CLIP, (s[at + LAST] - s[at + MEAN]) / scale))
    news = abs(step / scale - lag * before)
    repeated = value == s[at + LAST]
    s[at + LAST] = value
    result = math.nan
    if s[at + SEEN] >= GRACE:
        usual = max(s[at + NEWS], USUAL * floor / scale)
        result = accumulate(s, at, z, (1.0 - lag) / (1.0 + lag), news * USUAL / usual)
        step = z * scale  # a spike is learnt no further than it counts
        if abs(result) > SUSPECT:
            s[at + STREAK] += 1.0
            if s[at + STREAK] >= RELEARN:
                for cell in range(SIZE):
                    s[at + cell] = 0.0
                s[at + MEAN] = s[at + LAST] = value
                s[at + SEEN] = 1.0
            return result
        s[at + STREAK] = 0.0
        if repeated:  # a stuck value must not make the noise that comes back look wild
            return result
    alpha = max(ALPHA, 1.0 / (s[at + SEEN] + 1.0))
    s[at + MEAN] += alpha * step
    s[at + VARIANCE] = (1.0 - alpha) * (s[at + VARIANCE] + alpha * step * step)
    s[at + NEWS] += alpha * (min(news, WIDE_CLIP) - s[at + NEWS])
    s[at + LAG] += max(LAG_ALPHA, 1.0 / s[at + SEEN]) * (z * before - s[at + LAG])
    s[at + SEEN] += 1.0
    return result
