"""Sketches as bytes, for the state's changelog: row after row its number of chunks (varint) and the chunks' contents.

A chunk's contents begin with pane (int32, little end first), bin (two bytes) and where it ends.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins
from streams.kernel.jit import njit
from streams.kernel.sketch_cells import (
    BODY,
    CHUNK,
    PROMISED,
    SHORT_CELLS,
    SHORT_CHUNKS,
    Arena,
    byte_of,
    chain_length,
    free_chunks,
    get_varint,
    next_cell,
    put_varint,
)
from streams.kernel.sketch_compact import clear, compact, store_chunks

VERSION = 1
NO_ROOM, BROKEN = -1, -2
_CELLS_MOST = 1 << 20  # of one row


@njit
def export_rows(s: Arena, rows: NDArray[np.int64], head: int, longest: int, out: NDArray[np.uint8]) -> int:
    """Compact `rows` to `head` and write them; how many bytes, NO_ROOM where the arena or `out` has not the room."""
    if len(out) < 1:
        return NO_ROOM
    out[0] = VERSION
    at = 1
    for row in rows:
        if not compact(s, row, head, longest):
            return NO_ROOM
        chunks = chain_length(s, int(s.settled[row]))
        if at + 10 + chunks * CHUNK > len(out):
            return NO_ROOM
        at = put_varint(out, at, chunks)
        chunk = int(s.settled[row])
        while chunk >= 0:
            for i in range(4, byte_of(s.bytes[chunk], BODY - 1)):
                out[at] = s.bytes[chunk, i]
                at += 1
            chunk = int(s.ints[chunk, 0])
    return at


@njit
def _cells_of(chunk: NDArray[np.uint8], pane: int) -> int:
    """Cells in a chunk of 64 bytes and some; BROKEN where they are none that `compact` could have packed."""
    end = byte_of(chunk, BODY - 1)
    number = lead = byte_of(chunk, 8) | byte_of(chunk, 9) << 8
    at, count = get_varint(chunk, BODY)
    n = 1
    while True:
        if not (0 < number < bins.BINS and 0 <= pane and count > 0 and at <= end):
            return BROKEN
        if at == end:
            return n
        at, pane, number, lead, count = next_cell(chunk, at, pane, number, lead)
        n += 1


@njit
def import_rows(s: Arena, rows: NDArray[np.int64], data: NDArray[np.uint8]) -> int:
    """Put what `export_rows` wrote into `rows`, in place of what they have; bytes read, NO_ROOM or BROKEN."""
    size = len(data)
    if size < 1 or data[0] != VERSION:
        return BROKEN
    at = 1
    count = np.zeros(10, np.uint8)
    for row in rows:
        for i in range(10):
            count[i] = data[at + i] if at + i < size else 0
        used, chunks = get_varint(count, 0)
        at += used
        if at > size or chunks < 0 or chunks > (size - at) // (BODY - 3):
            return BROKEN
        if chunks * CHUNK + 2 * CHUNK > len(s.flat):
            s.counters[SHORT_CELLS] = max(s.counters[SHORT_CELLS], 2 * chunks)
            return NO_ROOM
        cells = 0
        for k in range(chunks):
            base = k * CHUNK
            end = byte_of(data, at + 6) if at + 6 < size else 0
            if end <= BODY or end > CHUNK or at + end - 4 > size:
                return BROKEN
            for i in range(4, CHUNK + 32):
                s.flat[base + i] = data[at + i - 4] if i < end else 0
            pane = byte_of(s.flat, base + 4) | byte_of(s.flat, base + 5) << 8
            pane |= byte_of(s.flat, base + 6) << 16 | byte_of(s.flat, base + 7) << 24
            found = _cells_of(s.flat[base : base + CHUNK + 32], pane)
            if found < 0 or pane >= 1 << 31:
                return BROKEN
            cells += found
            at += end - 4
        if cells > _CELLS_MOST:
            return BROKEN
        clear(s, row)
        if chunks > free_chunks(s) - s.counters[PROMISED]:
            s.counters[SHORT_CHUNKS] = max(s.counters[SHORT_CHUNKS], chunks)
            return NO_ROOM
        store_chunks(s, row, s.flat, chunks)
        s.cells[row] = cells
    return at
