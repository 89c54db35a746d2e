"""What is normal for a series: exponentially weighted mean and variance that do not learn from anomalies.

Source: Finch, "Incremental calculation of weighted mean and variance", University of Cambridge, 2009, section 9.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ALPHA = 0.05
GRACE = 20
ANOMALOUS = 4.0
RELEARN = 60
FLOOR_SHARE = 0.05


def deviation(mean: Floats, variance: Floats, least: Floats | float = 1e-9) -> Floats:
    """Standard deviation, at least a twentieth of the mean and at least `least`.

    Without a floor a series that hardly moves would call every ripple an anomaly.
    """
    floor = np.maximum(FLOOR_SHARE * np.abs(mean), least)
    return np.maximum(np.sqrt(variance), floor)


def score(value: Floats, mean: Floats, variance: Floats, seen: Floats, least: Floats | float = 1e-9) -> Floats:
    """z-score of each value; NaN in the grace period of `GRACE` values and where there is no value."""
    z = (value - mean) / deviation(mean, variance, least)
    z[seen < GRACE] = np.nan
    return z


def learn(
    value: Floats, z: Floats, mean: Floats, variance: Floats, seen: Floats, streak: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    """The baseline after one value a series: mean, variance, values learnt, anomalies in a row.

    A value beyond `ANOMALOUS` deviations is not learnt; after `RELEARN` of them in a row the level is taken to
    have changed for good, and learning starts over from there. Arrays have one entry a series; a NaN value
    leaves its entry as it was.
    """
    has = ~np.isnan(value)
    odd = has & (np.abs(np.nan_to_num(z)) > ANOMALOUS)
    streak = np.where(has, np.where(odd, streak + 1, 0.0), streak)
    restart = odd & (streak >= RELEARN)
    seen = np.where(restart, 0.0, seen)
    streak = np.where(restart, 0.0, streak)
    takes = has & (~odd | restart)
    alpha = np.maximum(ALPHA, 1.0 / (seen + 1.0))
    step = np.where(takes, value - mean, 0.0)
    new_mean = np.where(seen == 0, value, mean + alpha * step)
    new_variance = np.where(seen == 0, 0.0, (1.0 - alpha) * (variance + alpha * step * step))
    return (
        np.where(takes, new_mean, mean),
        np.where(takes, new_variance, variance),
        seen + takes,
        streak,
    )
