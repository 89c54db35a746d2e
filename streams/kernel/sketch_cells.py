"""Where quantile sketches lie in memory: chunks of 64 bytes out of one arena, and the packed cells in them.

A cell is (pane, bin, count). A row has two chains of chunks:

- *fresh*: cells as they came, one int64 each (pane, 13 bits of bin, 19 bits of count), seven a chunk, newest first;
- *settled*: sorted by pane (newest first) and bin, packed to one or two bytes a cell.

A chunk begins with the int32 index of the next and one (0: none). A settled chunk goes on with the pane (int32) and bin
(two bytes) of its first cell and the offset of its end (one byte); from byte 11 on, the count of the first cell and
then what changes from cell to cell. It can be read without the chunk before it.

    0ccddddd                    same pane, bin + d + 1, count c + 1
    10dddddd ...                same pane, bin + d (varint where d = 0), then count (varint)
    11uudddd ...                pane back by (d + 1) x 10 s, 5 min or 1 h (u = 0, 1, 2) or by a varint (u = 3); then
                                a varint: lowest bit set where a count (varint) follows, else 1; above it the zigzag
                                distance of the bin to the first bin of the pane before
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean

STEP, HOUR = 30, 360  # panes of 10 s in the coarser steps of time
CHUNK, WORDS, BODY = 64, 8, 11
ROW = 4
SETTLED, FRESH, CELLS, PENDING = range(ROW)  # where a row's entries lie
FILL = 7  # cells in a fresh chunk
COUNT_BITS = 19
MOST = (1 << COUNT_BITS) - 1
# Counters.
USED, FREE_LIST, FREED, PROMISED, SHORT_CHUNKS, SHORT_CELLS, LOST = range(7)


class Arena(NamedTuple):
    """Every sketch of a partition. `words` and `bytes` are one memory, 64 bytes a chunk.

    `rows` has four entries a row: first settled chunk, first fresh chunk (-1: none), cells in each chain. The rest is
    scratch: `hist` counts by bin and is all zero between calls; `cells` holds the cells of one row as four columns
    (keys and counts, and again to merge into) and `flat` its packed chunks.

    Few arrays, and functions that take only those they use: numba counts references at each hand-over.
    """

    words: NDArray[np.int64]
    bytes: NDArray[np.uint8]
    rows: NDArray[np.int32]
    counters: NDArray[np.int64]
    hist: NDArray[np.int64]
    cells: NDArray[np.int64]
    flat: NDArray[np.uint8]


@lean
def next_chunk(words: NDArray[np.int64], chunk: int) -> int:
    """The chunk after this one in its chain; -1 at the end."""
    return int((words[chunk * WORDS] & 0xFFFFFFFF) - 1)


@lean
def set_next(words: NDArray[np.int64], chunk: int, following: int) -> None:
    """Make `following` the chunk after this one."""
    words[chunk * WORDS] = (words[chunk * WORDS] >> 32 << 32) | (following + 1)


@lean
def free_chunks(words: NDArray[np.int64], counters: NDArray[np.int64]) -> int:
    """How many chunks can still be taken."""
    return int(len(words) // WORDS - counters[USED] + counters[FREED])


@lean
def take_chunk(words: NDArray[np.int64], counters: NDArray[np.int64]) -> int:
    """A chunk out of the free list, or a new one; -1 where the arena is full."""
    chunk = int(counters[FREE_LIST])
    if chunk >= 0:
        counters[FREE_LIST] = next_chunk(words, chunk)
        counters[FREED] -= 1
        return chunk
    chunk = int(counters[USED])
    if chunk >= len(words) // WORDS:
        return -1
    counters[USED] += 1
    return chunk


@lean
def free_chain(words: NDArray[np.int64], counters: NDArray[np.int64], chunk: int) -> None:
    """Give a chain of chunks back."""
    while chunk >= 0:
        following = next_chunk(words, chunk)
        set_next(words, chunk, counters[FREE_LIST])
        counters[FREE_LIST] = chunk
        counters[FREED] += 1
        chunk = following


@lean
def chain_length(words: NDArray[np.int64], chunk: int) -> int:
    """Chunks in a chain."""
    n = 0
    while chunk >= 0:
        chunk = next_chunk(words, chunk)
        n += 1
    return n


@lean
def byte_of(data: NDArray[np.uint8], at: int) -> int:
    """One byte as an int64: numba's int() of a uint8 is a uint64, and that beside an int64 becomes a float."""
    return int(data[at] + 0)


@lean
def put_varint(out: NDArray[np.uint8], at: int, number: int) -> int:
    """Write a number >= 0 in groups of seven bits, lowest first; where the next byte goes."""
    while number >= 0x80:
        out[at] = (number & 0x7F) | 0x80
        number >>= 7
        at += 1
    out[at] = number
    return at + 1


@lean
def get_varint(data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Read what `put_varint` wrote: the next position and the number."""
    byte = byte_of(data, at)
    number, shift = byte & 0x7F, 7
    at += 1
    while byte >= 0x80 and shift < 63:
        byte = byte_of(data, at)
        number |= (byte & 0x7F) << shift
        shift += 7
        at += 1
    return at, number


@lean
def next_cell(data: NDArray[np.uint8], at: int, pane: int, number: int, lead: int) -> tuple[int, int, int, int, int]:
    """Read the cell at `at` after one of `pane` and bin `number`; `lead` is the first bin of that pane.

    Returns the next position, pane, bin, first bin of the pane, count.
    """
    byte = byte_of(data, at)
    at += 1
    if byte < 0x80:
        return at, pane, number + (byte & 31) + 1, lead, (byte >> 5) + 1
    if byte < 0xC0:
        by = byte & 63
        if by == 0:
            at, by = get_varint(data, at)
        at, count = get_varint(data, at)
        return at, pane, number + by, lead, count
    unit = (byte >> 4) & 3
    if unit == 3:
        at, by = get_varint(data, at)
    else:
        by = ((byte & 15) + 1) * (1 if unit == 0 else STEP if unit == 1 else HOUR)
    at, code = get_varint(data, at)
    zigzag = code >> 1
    number = lead + ((zigzag >> 1) ^ -(zigzag & 1))
    count = 1
    if code & 1:
        at, count = get_varint(data, at)
    return at, pane - by, number, number, count


@lean
def put_cell(out: NDArray[np.uint8], at: int, back: int, by: int, count: int) -> int:
    """Write a cell `back` panes before the last one, its bin `by` from the last (or from the pane's first)."""
    if back == 0:
        if by <= 32 and count <= 4:
            out[at] = (by - 1) | (count - 1) << 5
            return at + 1
        if by < 64:
            out[at] = 0x80 | by
            at += 1
        else:
            out[at] = 0x80
            at = put_varint(out, at + 1, by)
        return put_varint(out, at, count)
    if back <= 16:
        out[at] = 0xC0 | (back - 1)
        at += 1
    elif back % HOUR == 0 and back <= 16 * HOUR:
        out[at] = 0xE0 | (back // HOUR - 1)
        at += 1
    elif back % STEP == 0 and back <= 16 * STEP:
        out[at] = 0xD0 | (back // STEP - 1)
        at += 1
    else:
        out[at] = 0xF0
        at = put_varint(out, at + 1, back)
    zigzag = (by << 1) ^ (by >> 63)
    if count == 1:
        return put_varint(out, at, zigzag << 1)
    return put_varint(out, put_varint(out, at, zigzag << 1 | 1), count)
