"""Sketches as bytes, for the state's changelog: row after row its number of chunks (varint) and the chunks' contents.

A chunk's contents begin with pane (int32, little end first), bin (two bytes) and where it ends.
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
    PROMISED,
    ROW,
    SETTLED,
    SHORT_CELLS,
    SHORT_CHUNKS,
    Arena,
    byte_of,
    chain_length,
    free_chunks,
    get_varint,
    next_cell,
    next_chunk,
    put_varint,
)
from streams.kernel.sketch_compact import clear, compact, store_chunks

VERSION = 1
NO_ROOM, BROKEN = -1, -2
_COUNT = 1 << 40  # no cell has so many samples; sums of less cannot overflow
_BEYOND = 32  # bytes that reading a damaged cell may go beyond its chunk


@lean
def export_rows(s: Arena, rows: NDArray[np.int64], head: int, longest: int, out: NDArray[np.uint8]) -> int:
    """Compact `rows` to `head` and write them; how many bytes, NO_ROOM where the arena or `out` has not the room."""
    if len(out) < 1:
        return NO_ROOM
    words, data = s.words, s.bytes
    out[0] = VERSION
    at = 1
    for row in rows:
        if not compact(s, row, head, longest):
            return NO_ROOM
        chunk = int(s.rows[row * ROW + SETTLED])
        chunks = chain_length(words, chunk)
        if at + 10 + chunks * CHUNK > len(out):
            return NO_ROOM
        at = put_varint(out, at, chunks)
        while chunk >= 0:
            base = chunk * CHUNK
            for i in range(base + 4, base + byte_of(data, base + BODY - 1)):
                out[at] = data[i]
                at += 1
            chunk = next_chunk(words, chunk)
    return at


@lean
def _cells_of(flat: NDArray[np.uint8], base: int) -> int:
    """Cells in the chunk at `base`, zeros after it; BROKEN where they are none that `compact` could have packed."""
    end = base + byte_of(flat, base + BODY - 1)
    pane = byte_of(flat, base + 4) | byte_of(flat, base + 5) << 8
    pane |= byte_of(flat, base + 6) << 16 | byte_of(flat, base + 7) << 24
    if pane >= 1 << 31:
        return BROKEN
    number = lead = byte_of(flat, base + 8) | byte_of(flat, base + 9) << 8
    at, count = get_varint(flat, base + BODY)
    n = 1
    while 0 < number < bins.BINS and pane >= 0 and 0 < count < _COUNT and at <= end:
        if at == end:
            return n
        at, pane, number, lead, count = next_cell(flat, at, pane, number, lead)
        n += 1
    return BROKEN


@lean
def _read_chunks(data: NDArray[np.uint8], at: int, chunks: int, flat: NDArray[np.uint8]) -> tuple[int, int]:
    """Copy packed chunks into `flat`, which has room: the next position, and cells or BROKEN."""
    cells = 0
    for k in range(chunks):
        base = k * CHUNK
        end = byte_of(data, at + 6) if at + 6 < len(data) else 0
        if end <= BODY or end > CHUNK or at + end - 4 > len(data):
            return at, BROKEN
        for i in range(CHUNK + _BEYOND):
            flat[base + i] = data[at + i - 4] if 4 <= i < end else 0
        found = _cells_of(flat, base)
        if found == BROKEN:
            return at, BROKEN
        cells += found
        at += end - 4
    return at, cells


@lean
def _read_number(data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """A varint of at most five bytes: the next position and the number, BROKEN where it does not end."""
    number = 0
    for k in range(5):
        if at + k >= len(data):
            return at, BROKEN
        byte = byte_of(data, at + k)
        number |= (byte & 0x7F) << (7 * k)
        if byte < 0x80:
            return at + k + 1, number
    return at, BROKEN


@lean
def import_rows(s: Arena, rows: NDArray[np.int64], data: NDArray[np.uint8]) -> int:
    """Put what `export_rows` wrote into `rows`, in place of what they have; bytes read, NO_ROOM or BROKEN."""
    if len(data) < 1 or data[0] != VERSION:
        return BROKEN
    at = 1
    for row in rows:
        at, chunks = _read_number(data, at)
        if chunks < 0 or chunks > (len(data) - at) // (BODY - 3):
            return BROKEN
        if chunks * CHUNK + _BEYOND > len(s.flat):
            s.counters[SHORT_CELLS] = max(s.counters[SHORT_CELLS], 2 * chunks)
            return NO_ROOM
        at, cells = _read_chunks(data, at, chunks, s.flat)
        if cells == BROKEN:
            return BROKEN
        clear(s, row)
        missing = chunks - (free_chunks(s.words, s.counters) - s.counters[PROMISED])
        if missing > 0:
            s.counters[SHORT_CHUNKS] = max(s.counters[SHORT_CHUNKS], missing)
            return NO_ROOM
        store_chunks(s, row, chunks)
        s.rows[row * ROW + CELLS] = cells
    return at
