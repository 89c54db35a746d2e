"""What is normal for the hour of the week: one mean an hour, learnt over weeks.

Traffic on Monday at nine is no anomaly though no hour before it was like it. Each of the 168 hours has a weighted
mean over the weeks; an hour's own mean is folded in once it is over.

The arrays have one row an hour and one column a series, and may be of any width: float32 and uint8 are enough.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean

Means = NDArray[np.floating[Any]]  # (HOURS, series)
Weeks = NDArray[np.integer[Any]]  # (HOURS, series): weeks learnt
Spreads = NDArray[np.floating[Any]]  # (series,): usual distance of an hour from its mean of earlier weeks

HOURS = 168
HOUR_MS = 3_600_000
FEWEST = 2  # weeks before an hour is known
ALPHA = 0.3  # weight of the latest week
MOST = 200  # weeks counted; more would not fit a byte
ANOMALOUS = 4.0  # spreads beyond which an hour is not learnt as it is
FLOOR_SHARE = 0.05
SPREAD_ALPHA = 0.02  # of an hour in the spread


@lean
def hour_of_week(time_ms: int) -> int:
    """The hour of the week of a time in ms since the epoch: 0 is Monday, 00:00 to 01:00 UTC; 167 the last."""
    return int((int(time_ms) // HOUR_MS + 72) % HOURS)  # the epoch was a Thursday


@lean
def expected(mean: Means, weeks: Weeks, row: int, hour: int) -> float:
    """The mean of series `row` in hour `hour` of the week; NaN before it was seen in `FEWEST` weeks."""
    return float(mean[hour, row]) if weeks[hour, row] >= FEWEST else math.nan


@lean
def observe(mean: Means, weeks: Weeks, spread: Spreads, row: int, hour: int, value: float, least: float) -> None:
    """Fold `value`, the mean of series `row` over an hour now past, into hour `hour` of the week.

    Once the hour is known, a value further off than `ANOMALOUS` spreads is learnt as if it were just that far: an
    outage leaves its hour nearly as it was, and a change for good is learnt within weeks. The spread is at least a
    twentieth of the mean and at least `least`. A NaN or infinite value changes nothing.
    """
    if not math.isfinite(value):
        return
    known = int(weeks[hour, row])
    if known == 0:
        mean[hour, row] = value
        weeks[hour, row] = 1
        return
    step = value - float(mean[hour, row])
    if known >= FEWEST:
        bound = ANOMALOUS * max(float(spread[row]), FLOOR_SHARE * abs(float(mean[hour, row])), least)
        step = min(bound, max(-bound, step))
    mean[hour, row] += max(ALPHA, 1.0 / (known + 1.0)) * step
    weeks[hour, row] = min(known + 1, MOST)
    usual = float(spread[row])
    spread[row] = abs(step) if usual == 0.0 else usual + SPREAD_ALPHA * (abs(step) - usual)


@lean
def expected_at(mean: Means, weeks: Weeks, row: int, time_ms: int) -> float:
    """What is normal at a moment: between the middles of two hours, a straight line between their means.

    A morning's traffic doubles within the hour; by steps of an hour half of it would look wrong. Where the other hour
    was not seen in `FEWEST` weeks, as with what runs once a night, it is the hour's own mean; NaN where that was not.
    """
    hour = hour_of_week(time_ms)
    share = int(time_ms) % HOUR_MS / HOUR_MS - 0.5  # of an hour, from its middle
    here = expected(mean, weeks, row, hour)
    there = expected(mean, weeks, row, (hour + (1 if share >= 0.0 else HOURS - 1)) % HOURS)
    return here if math.isnan(there) else here + abs(share) * (there - here)


@lean
def ratio(value: float, usual: float) -> float:
    """`value` to what is usual for its hour; NaN where that is not known, or not positive."""
    return value / usual if usual > 0.0 else math.nan
