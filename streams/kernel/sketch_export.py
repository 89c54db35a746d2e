"""Sketches as bytes, for the state's changelog: row after row, what lies in a span of panes.

A row is the number of its cells (varint) and the cells, sorted and packed as in a settled chunk, the first of them told
from a pane just beyond the span and bin 0.
"""

from __future__ import annotations

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
    HOUR,
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
    free_chunks,
    get_varint,
    next_cell,
    next_chunk,
    put_cell,
    put_varint,
)
from streams.kernel.sketch_compact import PANES, clear, coarse, dropped_before, pack, sort, store_chunks

NO_ROOM, BROKEN = -1, -2
SPARE = 32  # bytes that reading a damaged cell may go beyond the end
_COUNT = 1 << 40  # no cell has so many samples; sums of less cannot overflow
_CELL = 24  # no cell packs to as many bytes


@lean
def _gather(s: Arena, row: int, first: int, last: int, head: int) -> int:
    """The cells of panes `first` to `last` into the first columns of `cells`, coarsened; how many."""
    words, data, room = s.words, s.bytes, len(s.cells) // 4
    keys, counts = s.cells[:room], s.cells[room : 2 * room]
    hours, n = dropped_before(head, HOUR), 0
    chunk, left = int(s.rows[row * ROW + FRESH]), int(s.rows[row * ROW + PENDING])
    while chunk >= 0:
        filled = (left - 1) % FILL + 1
        for i in range(chunk * WORDS + filled, chunk * WORDS, -1):
            word = int(words[i])
            pane = word >> (COUNT_BITS + bins.BITS)
            if first <= pane <= last:
                number = (word >> COUNT_BITS) & (bins.BINS - 1)
                keys[n] = (PANES - coarse(pane, head, hours)) << bins.BITS | number
                counts[n] = word & MOST
                n += 1
        left -= filled
        chunk = next_chunk(words, chunk)
    chunk = int(s.rows[row * ROW + SETTLED])
    while chunk >= 0:
        base = chunk * CHUNK
        end, pane = base + byte_of(data, base + BODY - 1), int(words[chunk * WORDS] >> 32)
        number = lead = byte_of(data, base + 8) | byte_of(data, base + 9) << 8
        at, count = get_varint(data, base + BODY)
        while pane >= first:
            if pane <= last:
                keys[n] = (PANES - coarse(pane, head, hours)) << bins.BITS | number
                counts[n] = count
                n += 1
            if at >= end:
                break
            at, pane, number, lead, count = next_cell(data, at, pane, number, lead)
        if pane < first:
            break
        chunk = next_chunk(words, chunk)
    return n


@lean
def export_span(
    s: Arena, rows: NDArray[np.int64], first: int, last: int, base: int, head: int, out: NDArray[np.uint8]
) -> int:
    """Write what `rows` have in panes `first` to `last`, all before `base`, as seen from `head`; how many bytes.

    NO_ROOM where `out` or the scratch has not the room; nothing is changed.
    """
    at, room = 0, len(s.cells) // 4
    for row in rows:
        n = int(s.rows[row * ROW + CELLS]) + int(s.rows[row * ROW + PENDING])
        if n > room:
            s.counters[SHORT_CELLS] = max(s.counters[SHORT_CELLS], n)
            return NO_ROOM
        column = 0
        if n > 0:
            n = _gather(s, row, first, last, head)
        if n > 1:
            n, second = sort(s.cells, n)
            column = 2 * room if second else 0
        if at + 10 + n * _CELL > len(out):
            return NO_ROOM
        at = put_varint(out, at, n)
        pane, number, lead = base, 0, 0
        for i in range(column, column + n):
            new_pane, new_number = PANES - (s.cells[i] >> bins.BITS), s.cells[i] & (bins.BINS - 1)
            by = new_number - (number if new_pane == pane else lead)
            at = put_cell(out, at, pane - new_pane, by, s.cells[room + i])
            if new_pane != pane:
                lead = new_number
            pane, number = new_pane, new_number
    return at


@lean
def _read(
    s: Arena, n: int, data: NDArray[np.uint8], at: int, end: int, first: int, base: int, head: int
) -> tuple[int, int]:
    """Append a row's cells in `data` to the `n` gathered ones, coarsened: next position; cells, NO_ROOM or BROKEN."""
    room, hours = len(s.cells) // 4, dropped_before(head, HOUR)
    if at >= end:
        return at, BROKEN
    at, more = get_varint(data, at)
    if more < 0 or more > end - at:
        return at, BROKEN
    if n + more > room:
        s.counters[SHORT_CELLS] = max(s.counters[SHORT_CELLS], n + more)
        return at, NO_ROOM
    pane, number, lead = base, 0, 0
    for i in range(n, n + more):
        if at >= end:
            return at, BROKEN
        at, pane, number, lead, count = next_cell(data, at, pane, number, lead)
        if not (first <= pane < base and 0 < number < bins.BINS and 0 < count < _COUNT):
            return at, BROKEN
        s.cells[i] = (PANES - coarse(pane, head, hours)) << bins.BITS | number
        s.cells[room + i] = count
    return at, (n + more if at <= end else BROKEN)


@lean
def import_spans(
    s: Arena, rows: NDArray[np.int64], data: NDArray[np.uint8], spans: NDArray[np.int64], head: int
) -> int:
    """Fill empty `rows` from what `export_span` wrote of each of `spans`; 0, NO_ROOM or BROKEN.

    A span, the newest first, is where its bytes begin (afterwards: where they were read up to) and end in `data`, its
    first pane and the base it was written with. Behind the last byte of `data` come SPARE zeros.
    """
    room = len(s.cells) // 4
    for row in rows:
        n = 0
        for k in range(len(spans)):
            at, n = _read(s, n, data, spans[k, 0], spans[k, 1], spans[k, 2], spans[k, 3], head)
            if n < 0:
                return n
            spans[k, 0] = at
        clear(s, row)
        if n == 0:
            continue
        n, second = sort(s.cells, n)
        column = 2 * room if second else 0
        chunks = pack(s.cells[column : column + room], s.cells[column + room : column + 2 * room], n, s.flat)
        missing = chunks - (free_chunks(s.words, s.counters) - s.counters[PROMISED])
        if missing > 0:
            s.counters[SHORT_CHUNKS] = max(s.counters[SHORT_CHUNKS], missing)
            return NO_ROOM
        store_chunks(s, row, chunks)
        s.rows[row * ROW + CELLS] = n
    return 0
