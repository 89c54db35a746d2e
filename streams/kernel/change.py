"""Whether a series has changed, in level or in spread: CUSUMs of what is new in each value, beside a slow reference.

A small shift that lasts adds up until it is beyond doubt, where a z-score of single values would never see it. So do
two or three wild values close together, where one alone means nothing.

Sources: Page, "Continuous inspection schemes", Biometrika 41, 1954, for the sums; a third one, of the absolute values,
for the spread is after Hawkins, "A CUSUM for a scale parameter", Journal of Quality Technology 13, 1981. Values that
resemble their predecessors would add up without any change, so what is new in them is taken, the residual of a
first-order autoregression (Lu and Reynolds, "CUSUM charts for monitoring an autocorrelated process", Journal of Quality
Technology 33, 2001). A shift of `d` deviations is one of d sqrt((1 - rho) / (1 + rho)) of the residuals, rho the
correlation of neighbours: with that the likelihood ratio of the shift gives each residual its weight, and false alarms
stay as rare as where rho is 0. The reference follows a slow trend, as Holt's method does, for the hours of the day are
none of the changes meant; and it stands still while a sum grows, lest it learn the change before that is told.
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
TREND = 10  # of the mean, a value
SIZE = 11

ALPHA = 0.01
TREND_ALPHA = 0.0002  # of a deviation in the trend: level and trend settle within some 150 values
MOST_TREND = 0.03  # deviations a value: what rises faster than that is a change
LAG_ALPHA = 0.002  # a correlation takes more values to tell than a mean
GRACE = 40
SLACK = 0.8  # deviations a value may be off without adding to a sum: half of the smallest shift found soon
WIDE_SLACK = 0.7
CLIP = 3.0  # one value counts for no more than this in the level: a spike is not a change
LEARN_CLIP = 4.0  # nor in the reference
WIDE_CLIP = 6.0  # nor in the spread
USUAL = 0.8  # mean absolute value of a standard normal variable
CHANGED = 8.5  # what rules should compare the score with: beyond any single value
MOST = 16.0  # a sum grows no further: what is over shall be over soon
STILL = 4.0  # with a sum of the level beyond this nothing is learnt but that the trend goes on
SUSPECT = 6.0  # nor with any sum beyond this
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
def accumulate(s: Floats, at: int, news: float, weight: float, size: float) -> float:
    """Add what is new in a value to the sums of the level, and the size of that to the one of the spread; the score.

    `news` has a deviation of 1; `weight` is (1 - rho) / (1 + rho). `size` is not negative, and usually `USUAL`.
    """
    least = weight * SLACK
    step = math.sqrt(weight) * min(CLIP, max(-CLIP, news))
    s[at + UP] = min(MOST, max(0.0, s[at + UP] + step - least))
    s[at + DOWN] = min(MOST, max(0.0, s[at + DOWN] - step - least))
    s[at + WIDE] = min(MOST, max(0.0, s[at + WIDE] + min(WIDE_CLIP, size) - USUAL - WIDE_SLACK))
    return score(s, at)


@lean
def _restart(s: Floats, at: int, value: float) -> None:
    """Forget all but `value`."""
    for cell in range(SIZE):
        s[at + cell] = 0.0
    s[at + MEAN] = s[at + LAST] = value
    s[at + SEEN] = 1.0


@lean
def _bounded(z: float) -> float:
    return min(LEARN_CLIP, max(-LEARN_CLIP, z))


@lean
def update(s: Floats, at: int, value: float, least: float, trending: float) -> float:
    """Set `value` beside the reference, accumulate, learn; the score (see `score`), NaN where there is no value.

    `least` is the least deviation, in the value's unit; `trending` the weight of a deviation in the reference's trend:
    `TREND_ALPHA`, or 0 where values have no trend by nature. The reference does not learn while a sum of the level is
    beyond `STILL`, or the score beyond `SUSPECT`; after `RELEARN` values in a row with that it starts anew from the new
    level, and the score from 0. A NaN or infinite value changes nothing. `s[at:at + SIZE]` are its cells, at first 0.
    """
    if not math.isfinite(value):
        return math.nan
    if s[at + SEEN] == 0.0:
        _restart(s, at, value)
        return math.nan
    before, repeated = s[at + LAST] - s[at + MEAN], value == s[at + LAST]
    s[at + LAST] = value
    if not repeated:  # a stuck value must not be left behind
        s[at + MEAN] += s[at + TREND]
    floor = max(FLOOR_SHARE * abs(s[at + MEAN]), least)
    scale = max(math.sqrt(s[at + VARIANCE]), floor)
    step = value - s[at + MEAN]
    z, before = _bounded(step / scale), _bounded(before / scale)
    lag = min(LARGEST_LAG, max(0.0, s[at + LAG]))
    news = step / scale - lag * before
    result = math.nan
    if s[at + SEEN] >= GRACE:
        size = abs(news) * USUAL / max(s[at + NEWS], USUAL * floor / scale)
        result = accumulate(s, at, news / math.sqrt(1.0 - lag * lag), (1.0 - lag) / (1.0 + lag), size)
        if abs(result) > SUSPECT:
            s[at + STREAK] += 1.0
            if s[at + STREAK] >= RELEARN:
                _restart(s, at, value)
            return result
        s[at + STREAK] = 0.0
        # Nor must a stuck value make the noise that comes back look wild.
        if repeated or max(s[at + UP], s[at + DOWN]) > STILL:
            return result
        step = z * scale  # a spike is learnt no further than it counts
        trend = s[at + TREND] + trending * step
        s[at + TREND] = min(MOST_TREND * scale, max(-MOST_TREND * scale, trend))
    alpha = max(ALPHA, 1.0 / (s[at + SEEN] + 1.0))
    s[at + MEAN] += alpha * step
    s[at + VARIANCE] = (1.0 - alpha) * (s[at + VARIANCE] + alpha * step * step)
    s[at + NEWS] += alpha * (min(abs(news), WIDE_CLIP) - s[at + NEWS])
    s[at + LAG] += max(LAG_ALPHA, 1.0 / s[at + SEEN]) * (z * before - s[at + LAG])
    s[at + SEEN] += 1.0
    return result
