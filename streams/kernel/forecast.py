"""When a value will reach a limit: Holt's level and trend, for samples that come at any interval.

Level and trend are the line of least squares through the values so far, each discounted by `THETA` for a usual
interval of age. At even intervals that becomes Holt's method with the weights 1 - THETA^2 for the level and
(1 - THETA)^2 for the trend, without his trouble at the start. A trend counts only where it stands out of its own
uncertainty: noise is going nowhere.

Sources: Holt, "Forecasting seasonals and trends by exponentially weighted moving averages", ONR memorandum 52,
1957; Brown, "Smoothing, Forecasting and Prediction of Discrete Time Series", 1963, chapter 12, for the discounted
line; Wright, "Forecasting data published at irregular time intervals using an extension of Holt's method",
Management Science 32, 1986, for a discount by time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean

Floats = NDArray[np.float64]

LEVEL = 0  # at the time of the latest sample
TREND = 1  # per second
LAST = 2  # time of the latest sample, ms since the epoch
SEEN = 3  # samples since the trend began
INTERVAL = 4  # usual seconds between samples
ERROR = 5  # weighted mean square of the one-step errors
FIRST = 6  # value at which the trend began
OUTLIERS = 7  # values in a row that are off the trend
WEIGHT = 8  # sum of the weights of the samples so far
AGE = 9  # sum of weight times age, s
AGE2 = 10  # sum of weight times age squared, s^2
SIZE = 11

THETA = 0.95  # discount a sample: a memory of some twenty
GRACE = 8  # samples before there is a forecast
SIGNIFICANT = 3.0  # standard errors by which a trend must differ from none
OFF = 6.0  # deviations off the trend at which a value is an outlier
RESTART = 2  # outliers in a row that begin a new trend: a reset counter, a bent slope
LONGEST = 100.0  # usual intervals: after a longer gap the old trend means nothing
ALPHA = 0.05  # weight of a sample in the usual interval and error
_LOG_THETA = math.log(THETA)
_ROUNDING = 1e-6  # of the level: errors below this are none


@lean
def _begin(s: Floats, at: int, value: float, time_ms: float) -> None:
    s[at + LEVEL] = value
    s[at + FIRST] = value
    s[at + TREND] = 0.0
    s[at + LAST] = time_ms
    s[at + SEEN] = 1.0
    s[at + ERROR] = 0.0
    s[at + OUTLIERS] = 0.0
    s[at + WEIGHT] = 1.0
    s[at + AGE] = 0.0
    s[at + AGE2] = 0.0


@lean
def update(s: Floats, at: int, value: float, time_ms: float) -> float:
    """Fold a value of time `time_ms` (ms since the epoch) in; the trend a second, NaN where there is no value.

    Two values in a row that are far off the trend begin a new one: a rate limit's counter that starts over, a disk
    that was cleaned. A sample not younger than the latest, a NaN and an infinite value change nothing.
    `s[at:at + SIZE]` are the series' cells, zero at the start.
    """
    if not math.isfinite(value):
        return math.nan
    if s[at + SEEN] == 0.0:
        _begin(s, at, value, time_ms)
        return 0.0
    dt = (time_ms - s[at + LAST]) / 1000.0
    if dt <= 0.0:
        return float(s[at + TREND])
    n = s[at + SEEN] + 1.0
    usual = s[at + INTERVAL] if s[at + INTERVAL] > 0.0 else dt
    s[at + INTERVAL] = usual + max(ALPHA, 1.0 / n) * (min(dt, LONGEST * usual) - usual)
    if dt > LONGEST * usual:
        _begin(s, at, value, time_ms)
        return 0.0
    error = value - (s[at + LEVEL] + s[at + TREND] * dt)
    if n > GRACE and error * error > OFF * OFF * max(s[at + ERROR], (_ROUNDING * s[at + LEVEL]) ** 2):
        s[at + OUTLIERS] += 1.0
        if s[at + OUTLIERS] >= RESTART:
            _begin(s, at, value, time_ms)
        return float(s[at + TREND])
    s[at + OUTLIERS] = 0.0
    discount = math.exp(_LOG_THETA * dt / usual)
    weight = discount * s[at + WEIGHT]
    age = discount * s[at + AGE]
    age2 = discount * s[at + AGE2] + dt * (2.0 * age + dt * weight)
    age += dt * weight
    weight += 1.0  # the new sample, of age 0
    scale = 1.0 / (weight * age2 - age * age)
    s[at + LEVEL] += s[at + TREND] * dt + age2 * scale * error
    s[at + TREND] += age * scale * error
    s[at + WEIGHT] = weight
    s[at + AGE] = age
    s[at + AGE2] = age2
    s[at + LAST] = time_ms
    s[at + SEEN] = n
    if n > 2.0:  # the second sample makes the trend: its error says nothing of the noise
        s[at + ERROR] += max(ALPHA, 1.0 / (n - 2.0)) * (error * error - s[at + ERROR])
    return float(s[at + TREND])


@lean
def trend_error(s: Floats, at: int) -> float:
    """Standard error of the trend, per second, for at least two samples: right at first, up to twice later on."""
    determinant = s[at + WEIGHT] * s[at + AGE2] - s[at + AGE] * s[at + AGE]
    return math.sqrt(s[at + ERROR] * s[at + WEIGHT] / determinant)


@lean
def seconds_to(s: Floats, at: int, limit: float) -> float:
    """Seconds from the latest sample until the value reaches `limit`, if it goes on as it does.

    inf where it moves away or nowhere; 0 where it has passed the limit since its trend began; NaN before `GRACE`
    samples of that trend.
    """
    if s[at + SEEN] < GRACE or math.isnan(limit):
        return math.nan
    gap = limit - s[at + LEVEL]
    if gap == 0.0 or (gap > 0.0) != (limit > s[at + FIRST]):
        return 0.0
    trend = s[at + TREND]
    if abs(trend) <= SIGNIFICANT * trend_error(s, at) or (trend > 0.0) != (gap > 0.0):
        return math.inf
    return float(gap / trend)
