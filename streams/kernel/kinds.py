"""What a condition looks at, by number: the words of a rule become these, and the compiled judge reads them.

`window` means over the condition's window; the others are of the latest sample or of now. `value` is a check's
latency in milliseconds for the target's own checks, and the metric's value for a named metric.
"""

from __future__ import annotations

UP = 0  # latest sample: 1 succeeded, 0 failed
FAILURES = 1  # failures in a row
LAST = 2  # latest value
MEAN = 3  # mean value, window
MIN = 4  # least value, window
MAX = 5  # greatest value, window
# The mean value, or where `param` is a number that quantile, window, to the baseline (declared, seasonal or learnt).
RATIO = 6
ZSCORE = 7  # deviations of the latest value from the learnt baseline
ERROR_RATE = 8  # share of failed samples, 0 to 1, window
ERRORS = 9  # failed samples, window
COUNT = 10  # samples, window
RATE = 11  # samples a second, window
SUCCESS_RATE = 12  # share of good samples, window
QUANTILE = 13  # quantile `param` (0.5, 0.95, ...) of the values, window
ROBUST = 14  # robust z-score of the latest value (median and median absolute deviation)
SURPRISE = 15  # -log10 of the chance of so many failures or more at the baseline error rate, window
ERROR_RATIO = 16  # error rate, window, to the baseline error rate
CHANGE = 17  # change-point score of the values, in deviations accumulated
FLAT = 18  # seconds for which the value has not moved
FORECAST = 19  # seconds until the value reaches `param`; inf where it moves away from it
ABSENT = 20  # seconds since the broker took the target's latest sample
SINCE_OK = 21  # seconds since the broker took the target's latest good sample
STATUS = 22  # 0 healthy, 1 degraded, 2 unhealthy, 3 unknown
SUM = 23  # sum of the values, window
MISSED = 24  # seconds since a run by the cron schedule was due (with its grace) and did not come; 0 where none is
PREVIOUS = 25  # status before the present one, as STATUS; none where it is in the bit set `param` (bit 1 << status)
SEASONAL_CHANGE = 26  # change-point score of the latest value's ratio to what is usual for the hour of the week

WINDOWED = frozenset(
    {MEAN, MIN, MAX, RATIO, ERROR_RATE, ERRORS, COUNT, RATE, SUCCESS_RATE, QUANTILE, SURPRISE, ERROR_RATIO, SUM}
)
TIMED = frozenset({ABSENT, SINCE_OK, MISSED, FLAT, COUNT, RATE, SUM})  # may change though no sample comes

GT, GE, LT, LE, EQ, NE = range(6)
AND, OR, NOT = -1, -2, -3
