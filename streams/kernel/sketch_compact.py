"""Compaction: the cells of a row, coarsened with age, sorted, merged and packed: one form for one set of samples.

What is left after compaction to a head pane depends only on the samples and that head, never on the order in which
they came or on compactions before: coarsening to a later head undoes nothing and adds nothing to what an earlier
one did.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins
from streams.kernel.jit import njit
from streams.kernel.sketch_cells import (
    BODY,
    CHUNK,
    COUNT_BITS,
    FRESH,
    HOUR,
    MOST,
    PROMISED,
    SHORT_CELLS,
    SHORT_CHUNKS,
    STEP,
    Arena,
    byte_of,
    chain_length,
    free_chain,
    free_chunks,
    get_varint,
    next_cell,
    put_cell,
    put_varint,
    take_chunk,
)

_PANES = (1 << 31) - 1  # panes are less than this: the year 2650


@njit
def first_pane(head: int, panes: int) -> int:
    """The first pane of a window of `panes` panes that ends with pane `head`.

    Up to 5 min by panes of 10 s, up to 1 h by steps of 5 min, beyond by steps of 1 h: the step of the head counts as
    one, so a window of 1 h spans 55 to 60 min.
    """
    if panes <= STEP:
        return head - panes + 1
    if panes <= HOUR:
        return (head // STEP - (panes + STEP - 1) // STEP + 1) * STEP
    return (head // HOUR - (panes + HOUR - 1) // HOUR + 1) * HOUR


@njit
def _dropped_before(head: int, longest: int) -> int:
    # One step more than `first_pane` asks for, so that a caller may count the step of the head on top.
    if longest <= STEP:
        return head - longest + 1
    if longest <= HOUR:
        return first_pane(head, longest) - STEP
    return first_pane(head, longest) - HOUR


@njit
def _coarse(pane: int, head: int, hours_before: int) -> int:
    if pane > head - STEP:
        return pane
    return pane // STEP * STEP if pane >= hours_before else pane // HOUR * HOUR


@njit
def _gather(s: Arena, row: int, head: int, longest: int) -> int:
    """All cells of a row into `keys` and `counts`, coarsened, the newest about first; how many."""
    dropped = _dropped_before(head, longest)
    hours = _dropped_before(head, HOUR)
    n = 0
    chunk, left = int(s.fresh[row]), int(s.pending[row])
    while chunk >= 0:
        filled = (left - 1) % FRESH + 1
        for i in range(filled, 0, -1):
            word = int(s.words[chunk, i])
            pane = word >> (COUNT_BITS + bins.BITS)
            if pane >= dropped:
                number = (word >> COUNT_BITS) & (bins.BINS - 1)
                s.keys[n] = (_PANES - _coarse(pane, head, hours)) << bins.BITS | number
                s.counts[n] = word & MOST
                n += 1
        left -= filled
        chunk = int(s.ints[chunk, 0])
    chunk = int(s.settled[row])
    while chunk >= 0:
        data = s.bytes[chunk]
        end = byte_of(data, BODY - 1)
        pane = int(s.ints[chunk, 1])
        number = lead = byte_of(data, 8) | byte_of(data, 9) << 8
        at, count = get_varint(data, BODY)
        while True:
            if pane < dropped:
                return n
            s.keys[n] = (_PANES - _coarse(pane, head, hours)) << bins.BITS | number
            s.counts[n] = count
            n += 1
            if at >= end:
                break
            at, pane, number, lead, count = next_cell(data, at, pane, number, lead)
        chunk = int(s.ints[chunk, 0])
    return n


@njit
def _merge(
    keys: NDArray[np.int64], counts: NDArray[np.int64], n: int, into: NDArray[np.int64], into_counts: NDArray[np.int64]
) -> tuple[int, int]:
    """Merge ascending runs two by two, adding counts of equal keys; cells left, and runs there were."""
    at, out, runs = 0, 0, 0
    while at < n:
        a, a_end = at, at + 1
        while a_end < n and keys[a_end - 1] <= keys[a_end]:
            a_end += 1
        b, b_end = a_end, min(a_end + 1, n)
        while b_end < n and keys[b_end - 1] <= keys[b_end]:
            b_end += 1
        at = b_end
        runs += 1 if b == b_end else 2
        start = out
        while a < a_end or b < b_end:
            if b >= b_end or (a < a_end and keys[a] <= keys[b]):
                key, count = keys[a], counts[a]
                a += 1
            else:
                key, count = keys[b], counts[b]
                b += 1
            if out > start and into[out - 1] == key:
                into_counts[out - 1] += count
            else:
                into[out], into_counts[out] = key, count
                out += 1
    return out, runs


@njit
def _sort(s: Arena, n: int) -> tuple[int, bool]:
    """Natural merge sort of the gathered cells: how many are left, and whether they lie in `keys2`."""
    second = False
    while True:
        if second:
            n, runs = _merge(s.keys2, s.counts2, n, s.keys, s.counts)
        else:
            n, runs = _merge(s.keys, s.counts, n, s.keys2, s.counts2)
        second = not second
        if runs <= 2:
            return n, second


@njit
def _pack(keys: NDArray[np.int64], counts: NDArray[np.int64], n: int, flat: NDArray[np.uint8]) -> int:
    """Sorted cells as chunks one after the other in `flat`; how many chunks."""
    base, at = -CHUNK, CHUNK
    pane = number = lead = 0
    for i in range(n):
        new_pane, new_number = _PANES - (keys[i] >> bins.BITS), keys[i] & (bins.BINS - 1)
        fits = False
        if base >= 0:
            by = new_number - (number if new_pane == pane else lead)
            end = put_cell(flat, base + at, pane - new_pane, by, counts[i]) - base
            fits = end <= CHUNK
        if fits:
            at = end
            if new_pane != pane:
                lead = new_number
        else:
            if base >= 0:
                flat[base + BODY - 1] = at
            base += CHUNK
            for k in range(4):
                flat[base + k] = 0
                flat[base + 4 + k] = (new_pane >> (8 * k)) & 0xFF
            flat[base + 8] = new_number & 0xFF
            flat[base + 9] = new_number >> 8
            at = put_varint(flat, base + BODY, counts[i]) - base
            lead = new_number
        pane, number = new_pane, new_number
    if base >= 0:
        flat[base + BODY - 1] = at
    return (base + CHUNK) // CHUNK


@njit
def store_chunks(s: Arena, row: int, data: NDArray[np.uint8], chunks: int) -> None:
    """Make `chunks` packed chunks of `data` the settled chain of a row, which has none; there must be room."""
    after = -1
    for k in range(chunks - 1, -1, -1):
        chunk = take_chunk(s)
        base = k * CHUNK
        for i in range(4, byte_of(data, base + BODY - 1)):
            s.bytes[chunk, i] = data[base + i]
        s.ints[chunk, 0] = after
        after = chunk
    s.settled[row] = after


@njit
def compact(s: Arena, row: int, head: int, longest: int) -> bool:
    """Bring a row into its one form for the head pane `head`, windows being at most `longest` panes long.

    Cells of more than 5 min are kept by steps of 5 min, those of more than 1 h by steps of 1 h, those older than the
    longest window not at all. False, and nothing changed, where the arena has not the room: `Sketches.ensure` gives it.
    """
    cells = int(s.cells[row]) + int(s.pending[row])
    if cells == 0:
        return True
    if cells > len(s.keys):
        s.counters[SHORT_CELLS] = max(s.counters[SHORT_CELLS], cells)
        return False
    n, second = _sort(s, _gather(s, row, head, longest))
    chunks = _pack(s.keys2, s.counts2, n, s.flat) if second else _pack(s.keys, s.counts, n, s.flat)
    own = chain_length(s, int(s.settled[row])) + chain_length(s, int(s.fresh[row]))
    missing = chunks - own - (free_chunks(s) - s.counters[PROMISED])
    if chunks > own and missing > 0:
        s.counters[SHORT_CHUNKS] = max(s.counters[SHORT_CHUNKS], missing)
        return False
    clear(s, row)
    store_chunks(s, row, s.flat, chunks)
    s.cells[row] = n
    return True


@njit
def clear(s: Arena, row: int) -> None:
    """Forget all samples of a row and give its chunks back."""
    free_chain(s, int(s.settled[row]))
    free_chain(s, int(s.fresh[row]))
    s.settled[row] = s.fresh[row] = -1
    s.cells[row] = s.pending[row] = 0
