"""Quantiles over sliding windows: samples go in one by one, any quantile of the newest panes comes out, to 1 %.

A pane is a slice of 10 s of event time, numbered from the epoch. `streams.sketches` holds the arena and makes room.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins
from streams.kernel.jit import njit
from streams.kernel.sketch_cells import (
    BODY,
    COUNT_BITS,
    FRESH,
    LOST,
    MOST,
    PROMISED,
    SHORT_CELLS,
    SHORT_CHUNKS,
    Arena,
    byte_of,
    get_varint,
    next_cell,
    take_chunk,
)
from streams.kernel.sketch_compact import clear, compact, first_pane

__all__ = ["Arena", "add", "clear", "compact", "count", "first_pane", "quantile", "quantiles"]

_PENDING, _SHARE = 14, 8  # a row is compacted beyond 14 fresh cells, and beyond an eighth of its settled ones


@njit
def _count_in(s: Arena, chunk: int, filled: int, cell: int) -> bool:
    for i in range(filled, 0, -1):
        word = s.words[chunk, i]
        if word >> COUNT_BITS == cell and word & MOST < MOST:
            s.words[chunk, i] = word + 1
            return True
    return False


@njit
def add(s: Arena, row: int, pane: int, value: float, head: int, longest: int) -> None:
    """Count one sample into its pane, however late; NaN and infinite values are none.

    `head` (the newest pane that windows see) and `longest` (panes of the longest window) are for `compact`, which is
    done when enough has come. `Sketches.ensure` must have promised room for the sample.
    """
    if s.counters[PROMISED] > 0:
        s.counters[PROMISED] -= 1
    if not math.isfinite(value):
        return
    cell = (pane << bins.BITS) | bins.bin_of(value)
    chunk, pending = int(s.fresh[row]), int(s.pending[row])
    filled = 0
    if pending > 0:
        filled = (pending - 1) % FRESH + 1
        if _count_in(s, chunk, filled, cell):
            return
        older = int(s.ints[chunk, 0])
        if older >= 0 and _count_in(s, older, FRESH, cell):
            return
    if filled in (0, FRESH):
        new = take_chunk(s)
        if new < 0:
            s.counters[LOST] += 1
            return
        s.ints[new, 0] = chunk
        s.fresh[row] = chunk = new
        filled = 0
    s.words[chunk, filled + 1] = (cell << COUNT_BITS) | 1
    s.pending[row] = pending + 1
    room = s.counters[SHORT_CELLS] == 0 and s.counters[SHORT_CHUNKS] == 0
    if room and pending + 1 > max(_PENDING, int(s.cells[row]) // _SHARE):
        compact(s, row, head, longest)


@njit
def _tally(s: Arena, row: int, first: int, last: int) -> tuple[int, int, int]:
    """Count by bin into `hist` what lies in a span of panes: samples, least bin, greatest bin."""
    total, low, high = 0, bins.BINS, -1
    chunk, left = int(s.fresh[row]), int(s.pending[row])
    while chunk >= 0:
        filled = (left - 1) % FRESH + 1
        for i in range(1, filled + 1):
            word = int(s.words[chunk, i])
            if first <= word >> (COUNT_BITS + bins.BITS) <= last:
                number = (word >> COUNT_BITS) & (bins.BINS - 1)
                s.hist[number] += word & MOST
                total += word & MOST
                low, high = min(low, number), max(high, number)
        left -= filled
        chunk = int(s.ints[chunk, 0])
    chunk = int(s.settled[row])
    while chunk >= 0:
        data = s.bytes[chunk]
        end, pane = byte_of(data, BODY - 1), int(s.ints[chunk, 1])
        number = lead = byte_of(data, 8) | byte_of(data, 9) << 8
        at, n = get_varint(data, BODY)
        while True:
            if pane < first:
                return total, low, high
            if pane <= last:
                s.hist[number] += n
                total += n
                low, high = min(low, number), max(high, number)
            if at >= end:
                break
            at, pane, number, lead, n = next_cell(data, at, pane, number, lead)
        chunk = int(s.ints[chunk, 0])
    return total, low, high


@njit
def _pick(hist: NDArray[np.int64], low: int, high: int, total: int, q: float) -> float:
    # A product such as 0.07 * 100 must not round up over its whole number.
    rank = min(max(int(math.ceil(q * total * (1 - 1e-12))), 1), total)
    if 2 * rank <= total:
        at, seen = low, hist[low]
        while seen < rank:
            at += 1
            seen += hist[at]
        return bins.value_of(at)
    beyond = total - rank + 1
    at, seen = high, hist[high]
    while seen < beyond:
        at -= 1
        seen += hist[at]
    return bins.value_of(at)


@njit
def quantile(s: Arena, row: int, first: int, last: int, q: float) -> float:
    """The value that a share `q` (0 to 1) of the samples in panes `first` to `last` do not exceed; NaN without one.

    By nearest rank, within `bins.ALPHA` of the exact one. `last` is the head or later; `first` is what `first_pane`
    gives for the head, for any window up to `longest`.
    """
    total, low, high = _tally(s, row, first, last)
    if total == 0:
        return math.nan
    found = _pick(s.hist, low, high, total, q)
    s.hist[low : high + 1] = 0
    return found


@njit
def quantiles(s: Arena, row: int, first: int, last: int, qs: NDArray[np.float64], out: NDArray[np.float64]) -> int:
    """As `quantile` for each of `qs`, in one pass over the cells; how many samples there were."""
    total, low, high = _tally(s, row, first, last)
    if total == 0:
        out[: len(qs)] = math.nan
        return 0
    for i in range(len(qs)):
        out[i] = _pick(s.hist, low, high, total, qs[i])
    s.hist[low : high + 1] = 0
    return total


@njit
def count(s: Arena, row: int, first: int, last: int) -> int:
    """Samples with a value in panes `first` to `last`, as `quantile` has it."""
    total, low, high = _tally(s, row, first, last)
    if total:
        s.hist[low : high + 1] = 0
    return total
