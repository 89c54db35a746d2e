"""Quantiles over sliding windows: samples go in one by one, any quantile of the newest panes comes out, to 1 %.

A pane is a slice of 10 s of event time, numbered from the epoch. `streams.sketches` holds the arena and makes room.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins
from streams.kernel.jit import lean
from streams.kernel.sketch_cells import (
    BODY,
    CELLS,
    CHUNK,
    COUNT_BITS,
    FILL,
    FRESH,
    LOST,
    MOST,
    PENDING,
    PROMISED,
    ROW,
    SETTLED,
    SHORT_CELLS,
    SHORT_CHUNKS,
    WORDS,
    Arena,
    byte_of,
    get_varint,
    next_cell,
    next_chunk,
    set_next,
    take_chunk,
)
from streams.kernel.sketch_compact import clear, compact, first_pane

__all__ = ["Arena", "add", "clear", "compact", "count", "first_pane", "quantile", "quantile_of_rows", "quantiles"]

_PENDING, _SHARE = 14, 8  # a row is compacted beyond two chunks of fresh cells, and an eighth of its settled ones


@lean
def _count_in(words: NDArray[np.int64], chunk: int, filled: int, cell: int) -> bool:
    for i in range(chunk * WORDS + filled, chunk * WORDS, -1):
        word = words[i]
        if word >> COUNT_BITS == cell and word & MOST < MOST:
            words[i] = word + 1
            return True
    return False


@lean
def _append(s: Arena, row: int, cell: int, head: int, longest: int) -> None:
    """A cell of its own; with it, a chunk where the newest is full and a compaction where it is due."""
    at, counters = row * ROW, s.counters
    chunk, pending = int(s.rows[at + FRESH]), int(s.rows[at + PENDING])
    if pending % FILL == 0:
        new = take_chunk(s.words, counters)
        if new < 0:
            counters[LOST] += 1
            return
        counters[PROMISED] = max(counters[PROMISED] - 1, 0)
        set_next(s.words, new, chunk)
        s.rows[at + FRESH] = chunk = new
    s.words[chunk * WORDS + pending % FILL + 1] = (cell << COUNT_BITS) | 1
    s.rows[at + PENDING] = pending + 1
    short = counters[SHORT_CELLS] > 0 or counters[SHORT_CHUNKS] > 0  # until `ensure`: trying again would cost and fail
    if not short and pending + 1 > max(_PENDING, int(s.rows[at + CELLS]) // _SHARE):
        compact(s, row, head, longest)


@lean
def add(s: Arena, row: int, pane: int, value: float, head: int, longest: int) -> None:
    """Count one sample into its pane, however late; NaN, infinite values and panes beyond 31 bits are none.

    `head` (the newest pane that windows see) and `longest` (panes of the longest window) are for `compact`, which is
    done when enough has come. `Sketches.ensure` must have promised room for the sample.
    """
    if not math.isfinite(value) or pane >> 31 != 0:
        return
    words, cell = s.words, (pane << bins.BITS) | bins.bin_of(value)
    chunk, pending = int(s.rows[row * ROW + FRESH]), int(s.rows[row * ROW + PENDING])
    if pending > 0:
        if _count_in(words, chunk, (pending - 1) % FILL + 1, cell):
            return
        if pending > FILL and _count_in(words, next_chunk(words, chunk), FILL, cell):
            return
    _append(s, row, cell, head, longest)


@lean
def _tally_packed(
    s: Arena, chunk: int, first: int, last: int, total: int, low: int, high: int
) -> tuple[int, int, int, bool]:
    """`_tally` for one settled chunk, on top of what there is; true at the end where older chunks have no more."""
    data, hist, base = s.bytes, s.hist, chunk * CHUNK
    end, pane = base + byte_of(data, base + BODY - 1), int(s.words[chunk * WORDS] >> 32)
    number = lead = byte_of(data, base + 8) | byte_of(data, base + 9) << 8
    at, n = get_varint(data, base + BODY)
    while pane >= first:
        if pane <= last:
            hist[number] += n
            total += n
            low = min(low, number)
            while at < end:  # what `next_cell` does, for the bulk of cells: one byte, same pane
                byte = byte_of(data, at)
                if byte >= 0x80:
                    break
                number, n = number + (byte & 31) + 1, (byte >> 5) + 1
                hist[number] += n
                total += n
                at += 1
            high = max(high, number)
        if at >= end:
            return total, low, high, False
        at, pane, number, lead, n = next_cell(data, at, pane, number, lead)
    return total, low, high, True


@lean
def _tally(s: Arena, row: int, first: int, last: int) -> tuple[int, int, int]:
    """Count by bin into `hist` what lies in a span of panes: samples, least bin, greatest bin."""
    words, hist = s.words, s.hist
    total, low, high = 0, bins.BINS, -1
    chunk, left = int(s.rows[row * ROW + FRESH]), int(s.rows[row * ROW + PENDING])
    while chunk >= 0:
        filled = (left - 1) % FILL + 1
        for i in range(chunk * WORDS + 1, chunk * WORDS + filled + 1):
            word = int(words[i])
            if first <= word >> (COUNT_BITS + bins.BITS) <= last:
                number = (word >> COUNT_BITS) & (bins.BINS - 1)
                hist[number] += word & MOST
                total += word & MOST
                low, high = min(low, number), max(high, number)
        left -= filled
        chunk = next_chunk(words, chunk)
    chunk, done = int(s.rows[row * ROW + SETTLED]), False
    while chunk >= 0 and not done:
        total, low, high, done = _tally_packed(s, chunk, first, last, total, low, high)
        chunk = next_chunk(words, chunk)
    return total, low, high


@lean
def _wipe(hist: NDArray[np.int64], low: int, high: int) -> None:
    for i in range(low, high + 1):
        hist[i] = 0


@lean
def _pick(hist: NDArray[np.int64], low: int, high: int, total: int, q: float) -> float:
    # A product such as 0.07 * 100 must not round up over its whole number.
    rank = min(max(math.ceil(q * total * (1 - 1e-12)), 1), total)
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


@lean
def quantile(s: Arena, row: int, first: int, last: int, q: float) -> float:
    """The value that a share `q` (0 to 1) of the samples in panes `first` to `last` do not exceed; NaN without one.

    By nearest rank, within `bins.ALPHA` of the exact one. `last` is the head or later; `first` is what `first_pane`
    gives for the head, for any window up to `longest`.
    """
    total, low, high = _tally(s, row, first, last)
    if total == 0:
        return math.nan
    found = _pick(s.hist, low, high, total, q)
    _wipe(s.hist, low, high)
    return found


@lean
def quantiles(s: Arena, row: int, first: int, last: int, qs: NDArray[np.float64], out: NDArray[np.float64]) -> int:
    """As `quantile` for each of `qs`, in one pass over the cells; how many samples there were."""
    total, low, high = _tally(s, row, first, last)
    if total == 0:
        out[: len(qs)] = math.nan
        return 0
    for i in range(len(qs)):
        out[i] = _pick(s.hist, low, high, total, qs[i])
    _wipe(s.hist, low, high)
    return total


@lean
def quantile_of_rows(s: Arena, rows: NDArray[np.int64], first: int, last: int, q: float) -> float:
    """As `quantile` over the samples of several rows together: sketches merge without loss."""
    total, low, high = 0, bins.BINS, -1
    for row in rows:
        n, least, greatest = _tally(s, row, first, last)
        total, low, high = total + n, min(low, least), max(high, greatest)
    if total == 0:
        return math.nan
    found = _pick(s.hist, low, high, total, q)
    _wipe(s.hist, low, high)
    return found


@lean
def count(s: Arena, row: int, first: int, last: int) -> int:
    """Samples with a value in panes `first` to `last`, as `quantile` has it."""
    total, low, high = _tally(s, row, first, last)
    _wipe(s.hist, low, high)
    return total
