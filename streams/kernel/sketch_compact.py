"""Compaction: the cells of a row, coarsened with age, sorted, merged and packed: one form for one set of samples.

What is left after compaction to a head pane depends only on the samples and that head, never on the order in which
they came or on compactions before: coarsening to a later head undoes nothing and adds nothing to what an earlier
one did.
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
    STEP,
    WORDS,
    Arena,
    byte_of,
    chain_length,
    free_chain,
    free_chunks,
    get_varint,
    next_cell,
    next_chunk,
    put_cell,
    put_varint,
    set_next,
    take_chunk,
)

PANES = (1 << 31) - 1  # panes are less than this: the year 2650


@lean
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


@lean
def dropped_before(head: int, longest: int) -> int:
    """The oldest pane that is kept for windows of up to `longest` panes."""
    # One step more than `first_pane` asks for, so that a caller may count the step of the head on top.
    if longest <= STEP:
        return head - longest + 1
    if longest <= HOUR:
        return first_pane(head, longest) - STEP
    return first_pane(head, longest) - HOUR


@lean
def coarse(pane: int, head: int, hours_before: int) -> int:
    """The pane that stands for `pane`: its step of 5 min behind the newest 5 min, its hour before `hours_before`."""
    if pane > head - STEP:
        return pane
    return pane // STEP * STEP if pane >= hours_before else pane // HOUR * HOUR


@lean
def _gather(s: Arena, row: int, head: int, longest: int) -> int:
    """All cells of a row into the first columns of `cells`, coarsened, the newest about first; how many."""
    words, data, room = s.words, s.bytes, len(s.cells) // 4
    keys, counts = s.cells[:room], s.cells[room : 2 * room]
    dropped = dropped_before(head, longest)
    hours = dropped_before(head, HOUR)
    n = 0
    chunk, left = int(s.rows[row * ROW + FRESH]), int(s.rows[row * ROW + PENDING])
    while chunk >= 0:
        filled = (left - 1) % FILL + 1
        for i in range(chunk * WORDS + filled, chunk * WORDS, -1):
            word = int(words[i])
            pane = word >> (COUNT_BITS + bins.BITS)
            if pane >= dropped:
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
        while True:
            if pane < dropped:
                return n
            key = (PANES - coarse(pane, head, hours)) << bins.BITS
            keys[n], counts[n] = key | number, count
            n += 1
            while at < end:  # what `next_cell` does, for the bulk of cells: one byte, same pane
                byte = byte_of(data, at)
                if byte >= 0x80:
                    break
                number += (byte & 31) + 1
                keys[n], counts[n] = key | number, (byte >> 5) + 1
                at += 1
                n += 1
            if at >= end:
                break
            at, pane, number, lead, count = next_cell(data, at, pane, number, lead)
        chunk = next_chunk(words, chunk)
    return n


@lean
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


@lean
def _insert(keys: NDArray[np.int64], counts: NDArray[np.int64], n: int) -> None:
    """Insertion sort that gives up where it does not pay: most rows are nearly in order."""
    budget = 8 * n
    for i in range(1, n):
        key, count = keys[i], counts[i]
        at = i
        while at > 0 and keys[at - 1] > key:
            keys[at], counts[at] = keys[at - 1], counts[at - 1]
            at -= 1
        keys[at], counts[at] = key, count
        budget -= i - at
        if budget < 0:
            return


@lean
def sort(cells: NDArray[np.int64], n: int) -> tuple[int, bool]:
    """Sort and merge the gathered cells: how many are left, and whether they lie in the second columns."""
    room = len(cells) // 4
    keys, counts, keys2, counts2 = cells[:room], cells[room : 2 * room], cells[2 * room : 3 * room], cells[3 * room :]
    _insert(keys, counts, n)
    second = False
    while True:
        if second:
            n, runs = _merge(keys2, counts2, n, keys, counts)
        else:
            n, runs = _merge(keys, counts, n, keys2, counts2)
        second = not second
        if runs <= 2:
            return n, second


@lean
def pack(keys: NDArray[np.int64], counts: NDArray[np.int64], n: int, flat: NDArray[np.uint8]) -> int:
    """Sorted cells as chunks one after the other in `flat`; how many chunks."""
    base, at = -CHUNK, CHUNK
    pane, number, lead = -1, 0, 0
    for i in range(n):
        new_pane, new_number = PANES - (keys[i] >> bins.BITS), keys[i] & (bins.BINS - 1)
        if new_pane == pane and new_number - number <= 32 and counts[i] <= 4 and at < CHUNK:
            flat[base + at] = (new_number - number - 1) | (counts[i] - 1) << 5  # as `put_cell` has it
            number, at = new_number, at + 1
            continue
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


@lean
def store_chunks(s: Arena, row: int, chunks: int) -> None:
    """Make the first `chunks` packed chunks in `flat` the settled chain of a row that has none; there must be room."""
    words, data, counters, flat = s.words, s.bytes, s.counters, s.flat
    after = -1
    for k in range(chunks - 1, -1, -1):
        chunk = take_chunk(words, counters)
        for i in range(4, byte_of(flat, k * CHUNK + BODY - 1)):
            data[chunk * CHUNK + i] = flat[k * CHUNK + i]
        set_next(words, chunk, after)
        after = chunk
    s.rows[row * ROW + SETTLED] = after


@lean
def compact(s: Arena, row: int, head: int, longest: int) -> bool:
    """Bring a row into its one form for the head pane `head`, windows being at most `longest` panes long.

    Cells of more than 5 min are kept by steps of 5 min, those of more than 1 h by steps of 1 h, those older than the
    longest window not at all. False, and nothing changed, where the arena has not the room: `Sketches.ensure` gives it.
    """
    room = len(s.cells) // 4
    n = int(s.rows[row * ROW + CELLS]) + int(s.rows[row * ROW + PENDING])
    if n == 0:
        return True
    if n > room:
        s.counters[SHORT_CELLS] = max(s.counters[SHORT_CELLS], n)
        return False
    n, second = sort(s.cells, _gather(s, row, head, longest))
    at = 2 * room if second else 0
    chunks = pack(s.cells[at : at + room], s.cells[at + room : at + 2 * room], n, s.flat)
    at = row * ROW
    own = chain_length(s.words, int(s.rows[at + SETTLED])) + chain_length(s.words, int(s.rows[at + FRESH]))
    missing = chunks - own - (free_chunks(s.words, s.counters) - s.counters[PROMISED])
    if chunks > own and missing > 0:
        s.counters[SHORT_CHUNKS] = max(s.counters[SHORT_CHUNKS], missing)
        return False
    clear(s, row)
    store_chunks(s, row, chunks)
    s.rows[row * ROW + CELLS] = n
    return True


@lean
def clear(s: Arena, row: int) -> None:
    """Forget all samples of a row and give its chunks back."""
    at = row * ROW
    free_chain(s.words, s.counters, int(s.rows[at + SETTLED]))
    free_chain(s.words, s.counters, int(s.rows[at + FRESH]))
    s.rows[at + SETTLED] = s.rows[at + FRESH] = -1
    s.rows[at + CELLS] = s.rows[at + PENDING] = 0
