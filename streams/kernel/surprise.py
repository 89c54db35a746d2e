"""Whether so many failures are a surprise: the chance of them, or of more, at the error rate that is normal.

The score is -log10 P(X >= k) for X binomial(n, p): 3 is one chance in a thousand. A share of failures alone cannot
tell 1 of 2 from 500 of 1,000; this can.

Sources: Loader, "Fast and accurate computation of binomial probabilities", 2000, for the probability of exactly k;
DLMF 8.17.22, the continued fraction of the incomplete beta function, evaluated by Lentz's method, for the tail.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import inlined, lean

Floats = NDArray[np.float64]

RATE = 0  # learnt error rate, 0 to 1
SEEN = 1  # samples learnt
COUNT = 2  # samples of the block at hand
FAILED = 3  # of them, failed
STREAK = 4  # surprising blocks in a row
SIZE = 5

BLOCK = 25  # samples learnt, or refused, together: one failure alone says nothing
GRACE = 50  # samples before the learnt rate is used
PRIOR = 0.01  # the rate assumed before the first sample
PRIOR_WEIGHT = 50.0  # and how many samples that assumption is worth
LEAST = 0.001  # least learnt rate: no history is long enough to make one failure impossible
ALPHA = 0.01  # weight of a block once there are a hundred of them
SURPRISING = 3.0  # a block beyond this is an outage, not a baseline
RELEARN = 40  # that many such blocks in a row are the new normal (1,000 samples)

_LN10 = math.log(10.0)
_LN_2PI = math.log(2.0 * math.pi)
_TINY = 1e-300
_STEPS = 20_000


@lean
def _stirling_error(n: float) -> float:
    """ln(n!) less Stirling's formula for it."""
    if n < 16.0:
        return math.lgamma(n + 1.0) - (n + 0.5) * math.log(n) + n - 0.5 * _LN_2PI
    nn = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / nn) / nn) / nn) / nn) / n


@lean
def _deviance(x: float, mean: float) -> float:
    """The value of x ln(x / mean) + mean - x, without cancellation where x is near mean."""
    if abs(x - mean) < 0.1 * (x + mean):
        v = (x - mean) / (x + mean)
        total = (x - mean) * v
        term = 2.0 * x * v
        for j in range(1, 1000):
            term *= v * v
            more = total + term / (2 * j + 1)
            if more == total:
                break
            total = more
        return total
    return x * math.log(x / mean) + mean - x


@lean
def _log_chance(k: float, n: float, p: float) -> float:
    """The logarithm of P(X = k) for X binomial(n, p), 0 < p < 1."""
    if k == 0.0:
        return n * math.log1p(-p)
    if k == n:
        return n * math.log(p)
    exponent = (
        _stirling_error(n)
        - _stirling_error(k)
        - _stirling_error(n - k)
        - _deviance(k, n * p)
        - _deviance(n - k, n * (1.0 - p))
    )
    return exponent + 0.5 * (math.log(n) - math.log(k) - math.log(n - k) - _LN_2PI)


@lean
def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function I_x(a, b)."""
    c = 1.0
    d = 1.0 - (a + b) * x / (a + 1.0)
    d = 1.0 / (d if abs(d) > _TINY else _TINY)
    h = d
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        d = 1.0 + even * d
        c = 1.0 + even / c
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        h *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        d = 1.0 + odd * d
        c = 1.0 + odd / c
        d = 1.0 / (d if abs(d) > _TINY else _TINY)
        c = c if abs(c) > _TINY else _TINY
        step = d * c
        h *= step
        if abs(step - 1.0) < 1e-15:
            break
    return h


@lean
def surprise(failures: float, count: float, rate: float) -> float:
    """-log10 of the chance of `failures` or more among `count` samples at error rate `rate`; never negative.

    NaN where there are no samples or no rate. 0 for no failures, inf for failures at a rate of 0. The chance's
    relative error is below 1e-10 up to a million samples (docs/anomaly.md).
    """
    if not (count > 0.0) or math.isnan(rate) or math.isnan(failures):
        return math.nan
    k, n, p = min(failures, count), count, rate
    if k <= 0.0 or p >= 1.0:
        return 0.0
    if p <= 0.0:
        return math.inf
    if k == n:
        return -n * math.log(p) / _LN10
    log_chance = _log_chance(k, n, p)
    if (n + 1.0) * p < k:  # the upper tail is the small one: P(X >= k) = I_p(k, n - k + 1)
        # Its prefactor p^k (1-p)^(n-k+1) / (k B(k, n-k+1)) is P(X = k) (1 - p).
        return max(0.0, -(log_chance + math.log1p(-p) + math.log(_fraction(k, n - k + 1.0, p))) / _LN10)
    # Else the lower tail is: P(X < k) = I_(1-p)(n - k + 1, k), whose prefactor is P(X = k) (1 - p) k / (n - k + 1).
    below = math.exp(log_chance) * (1.0 - p) * k / (n - k + 1.0) * _fraction(n - k + 1.0, k, 1.0 - p)
    return max(0.0, -math.log1p(-min(below, 1.0)) / _LN10)


@inlined
def expected(s: Floats, at: int) -> float:
    """The learnt error rate, at least `LEAST`; NaN before `GRACE` samples."""
    return max(s[at + RATE], LEAST) if s[at + SEEN] >= GRACE else math.nan


@inlined
def learn(s: Floats, at: int, failed: float) -> None:
    """Fold one sample, 1 for failed and 0 for good, into the learnt error rate; NaN changes nothing.

    Samples are learnt in blocks of `BLOCK`. After the grace period a block whose failures are a surprise at the
    learnt rate is not learnt, so an outage leaves the rate as it was; `RELEARN` such blocks in a row start it anew.
    `s[at:at + SIZE]` are the series' cells, zero at the start.
    """
    if math.isnan(failed):
        return
    s[at + COUNT] += 1.0
    s[at + FAILED] += 1.0 if failed > 0.0 else 0.0
    if s[at + COUNT] < BLOCK:
        return
    failures = s[at + FAILED]
    s[at + COUNT] = 0.0
    s[at + FAILED] = 0.0
    if s[at + SEEN] >= GRACE and surprise(failures, float(BLOCK), expected(s, at)) > SURPRISING:
        s[at + STREAK] += 1.0
        if s[at + STREAK] < RELEARN:
            return
        s[at + SEEN] = 0.0
    s[at + STREAK] = 0.0
    seen = s[at + SEEN]
    rate = PRIOR if seen == 0.0 else s[at + RATE]
    alpha = max(ALPHA, BLOCK / (PRIOR_WEIGHT + seen + BLOCK))
    s[at + RATE] = rate + alpha * (failures / BLOCK - rate)
    s[at + SEEN] = seen + BLOCK
