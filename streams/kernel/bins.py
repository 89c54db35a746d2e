"""Logarithmic bins: a number from the whole range of metrics becomes a bin of 13 bits, known to 1 % again.

Source: Masson, Rim, Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees",
PVLDB 12(12), 2019. Bins here have fixed ends, so that any two sketches merge without loss.
"""

from __future__ import annotations

import math

from streams.kernel.jit import lean

GAMMA = 1.02
ALPHA = 0.01  # the promise; (GAMMA - 1) / (GAMMA + 1) = 0.0099 leaves more than rounding takes
LEAST = 1e-12  # anything nearer to 0 is 0
BITS = 13
ZERO = 1 << (BITS - 1)
BINS = 1 << BITS
_TOP = ZERO - 2
_LOG_GAMMA = math.log(GAMMA)
_LOG_LEAST = math.log(LEAST)
_MIDDLE = 2.0 * GAMMA / (1.0 + GAMMA)
GREATEST = math.exp(_LOG_LEAST + (_TOP + 1) * _LOG_GAMMA)  # about 1.6e23: anything beyond falls into the last bin


@lean
def bin_of(value: float) -> int:
    """The bin of a finite value, 1 to 8191: bins rise with values, ZERO is 0."""
    size = abs(value)
    if size < LEAST:
        return ZERO
    step = min(max(math.floor((math.log(size) - _LOG_LEAST) / _LOG_GAMMA), 0), _TOP)
    return ZERO + 1 + step if value > 0 else ZERO - 1 - step


@lean
def value_of(number: int) -> float:
    """The value that stands for all of a bin: within ALPHA of each, where its size is in LEAST to GREATEST."""
    if number == ZERO:
        return 0.0
    size = math.exp(_LOG_LEAST + (abs(number - ZERO) - 1) * _LOG_GAMMA) * _MIDDLE
    return size if number > ZERO else -size
