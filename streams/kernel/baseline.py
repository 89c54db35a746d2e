"""What is normal for a series: exponentially weighted mean and variance that do not learn from anomalies.

Source: Finch, "Incremental calculation of weighted mean and variance", University of Cambridge, 2009, section 9.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import inlined

Floats = NDArray[np.float64]

MEAN = 0
VARIANCE = 1
SEEN = 2  # values learnt
STREAK = 3  # anomalies in a row
SIZE = 4

ALPHA = 0.05
GRACE = 20
ANOMALOUS = 4.0
RELEARN = 60
FLOOR_SHARE = 0.05


@inlined
def deviation(s: Floats, at: int, least: float) -> float:
    """Standard deviation, at least a twentieth of the mean and at least `least`.

    Without a floor a series that hardly moves would call every ripple an anomaly.
    """
    return float(max(math.sqrt(s[at + VARIANCE]), FLOOR_SHARE * abs(s[at + MEAN]), least))


@inlined
def score(s: Floats, at: int, value: float, least: float) -> float:
    """z-score of `value`; NaN in the grace period of `GRACE` values and where there is no (finite) value.

    `s[at:at + SIZE]` are the series' cells, zero at the start; `least` is the least deviation, in the value's unit.
    """
    if s[at + SEEN] < GRACE or not math.isfinite(value):
        return math.nan
    return float((value - s[at + MEAN]) / deviation(s, at, least))


@inlined
def learn(s: Floats, at: int, value: float, z: float) -> None:
    """Fold `value`, whose score was `z`, into the baseline.

    A value beyond `ANOMALOUS` deviations is not learnt; after `RELEARN` of them in a row the level is taken to
    have changed for good, and learning starts over from there. A NaN or infinite value changes nothing.
    """
    if not math.isfinite(value):
        return
    if abs(z) > ANOMALOUS:  # false for NaN: in the grace period all is learnt
        s[at + STREAK] += 1.0
        if s[at + STREAK] < RELEARN:
            return
        s[at + SEEN] = 0.0
    s[at + STREAK] = 0.0
    seen = s[at + SEEN]
    if seen == 0.0:
        s[at + MEAN] = value
        s[at + VARIANCE] = 0.0
    else:
        alpha = max(ALPHA, 1.0 / (seen + 1.0))
        step = value - s[at + MEAN]
        s[at + MEAN] += alpha * step
        s[at + VARIANCE] = (1.0 - alpha) * (s[at + VARIANCE] + alpha * step * step)
    s[at + SEEN] = seen + 1.0


@inlined
def update(s: Floats, at: int, value: float, least: float) -> float:
    """Score `value`, then learn it; the score."""
    z = score(s, at, value, least)
    learn(s, at, value, z)
    return z
