"""Sliding windows by event time over tiers of panes, for compiled code.

A sample is counted in one pane of each tier: 10 s panes for windows up to 5 min, 5 min panes up to 1 h, 1 h panes up
to a day. A window is a number of panes of one tier and ends with the pane of now, so it reaches back between its
length less a pane, and its length. A late sample goes to the panes of its own time. The panes behind the newest are
summed once each time the newest one moves, always in the order of time: the sums depend on the panes alone and
never on the way they came to be, so that a state rebuilt after a crash gives the same numbers to the last bit.

Source of the idea: Li et al., "No pane, no gain: efficient evaluation of sliding-window aggregates over data
streams", SIGMOD Record 34(1), 2005.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import inlined, lean

PANE_MS = 10_000
TIERS = 3
# By tier: a pane's length in panes of 10 s; panes behind the newest, with it; panes ahead of it (60 s at most).
STEPS = (1, 30, 360)
BEHIND = (30, 13, 24)
AHEAD = (6, 1, 1)
SLOTS = (36, 14, 25)
BASE = (0, 36, 50)
EVERY_SLOT = 75
COUNT, ERRORS, VALUES, LEAST, MOST = range(5)
FIELDS = 5
CLOSED = 4  # count, errors, values, sum


class Ring(NamedTuple):
    """Panes of all rows: `part[slot, row]` is count, errors, values, least and greatest, `total[slot, row]` the sum.

    The first three are whole numbers of 32 bits, to be read through `counts`, which is the same memory: a float of 32
    bits counts to 16.7 million only. An empty pane is all zeros: memory that was never written to is none.

    `closed[row, window]` are count, errors, values and sum of a window's panes behind the newest, as of the newest
    pane `closed_at[row]`, -1 where they are not known. `tier` and `length` (in its panes) say what a window is,
    `newest` which slot its newest pane has.
    """

    part: NDArray[np.float32]
    counts: NDArray[np.uint32]
    total: NDArray[np.float64]
    closed: NDArray[np.float64]
    closed_at: NDArray[np.int32]
    tier: NDArray[np.int64]
    length: NDArray[np.int64]
    newest: NDArray[np.int64]


def window_of(seconds: float) -> tuple[int, int] | None:
    """Tier and number of panes of a window; None where no tier holds it."""
    for tier in range(TIERS):
        step = STEPS[tier] * PANE_MS / 1000
        panes = round(seconds / step)
        most = (30, 12, 24)[tier]
        if 1 <= panes <= most and abs(panes * step - seconds) < 1e-9:
            return tier, panes
    return None


def fresh(rows: int, windows: list[float]) -> Ring:
    """Empty panes of `rows` rows for `windows` (seconds). Raises ValueError for a window that no tier holds."""
    places = [window_of(w) for w in windows]
    if None in places:
        raise ValueError(f"no panes for a window of {windows[places.index(None)]:g} s")
    held = [p for p in places if p is not None]
    part = np.zeros((EVERY_SLOT, rows, FIELDS), np.float32)
    return Ring(
        part,
        part.view(np.uint32),
        np.zeros((EVERY_SLOT, rows)),
        np.zeros((rows, len(windows), CLOSED)),
        np.full(rows, -1, np.int32),
        np.array([t for t, _ in held], np.int64),
        np.array([n for _, n in held], np.int64),
        np.zeros(len(held), np.int64),
    )


def grown(ring: Ring, rows: int) -> Ring:
    """The same panes with room for `rows` rows."""
    bigger = fresh(rows, [])
    held = ring.part.shape[1]
    for slot in np.flatnonzero(ring.counts[:, :, COUNT].any(axis=1)).tolist():  # untouched slots take no memory
        bigger.counts[slot, :held] = ring.counts[slot]
        bigger.total[slot, :held] = ring.total[slot]
    closed = np.zeros((rows, *ring.closed.shape[1:]))
    closed[:held] = ring.closed
    bigger.closed_at[:held] = ring.closed_at
    return Ring(bigger.part, bigger.counts, bigger.total, closed, bigger.closed_at, ring.tier, ring.length, ring.newest)


@lean
def clear(ring: Ring, slot: int, first: int, last: int) -> None:
    """Empty a slot for the rows from `first` up to `last`."""
    for row in range(first, last):
        if ring.counts[slot, row, COUNT] == 0:
            continue  # memory that was never written to stays none
        for k in range(FIELDS):
            ring.counts[slot, row, k] = 0
        ring.total[slot, row] = 0.0


@lean
def point(ring: Ring, head: int) -> None:
    """Look up each window's newest slot, so that it need not be reckoned at every look."""
    for w in range(len(ring.tier)):
        tier = ring.tier[w]
        ring.newest[w] = BASE[tier] + (head // STEPS[tier]) % SLOTS[tier]


@lean
def advance(ring: Ring, head: int, to: int, rows: int) -> None:
    """Empty the slots that come into use as the newest pane moves from `head` (-1: from nowhere) to `to`."""
    for tier in range(TIERS):
        step, slots = STEPS[tier], SLOTS[tier]
        new = to // step + AHEAD[tier]
        old = head // step + AHEAD[tier] if head >= 0 else new - slots
        for pane in range(max(old + 1, new - slots + 1), new + 1):
            clear(ring, BASE[tier] + pane % slots, 0, rows)
    point(ring, to)


@inlined
def slot_of(pane: int, tier: int, head: int) -> int:
    """Slot of a pane of 10 s in a tier; -1 where the tier does not hold it."""
    own, newest = pane // STEPS[tier], head // STEPS[tier]
    if own > newest + AHEAD[tier] or own <= newest - BEHIND[tier]:
        return -1
    return BASE[tier] + own % SLOTS[tier]


@inlined
def add(ring: Ring, row: int, slot: int, ok: bool, value: float) -> None:
    """Count a sample in a slot; NaN is no value."""
    cell, counts = ring.part[slot, row], ring.counts[slot, row]
    counts[COUNT] += np.uint32(1)
    if not ok:
        counts[ERRORS] += np.uint32(1)
    if value == value:  # noqa: PLR0124 - not NaN
        counts[VALUES] += np.uint32(1)
        ring.total[slot, row] += value
        v = np.float32(value)
        if counts[VALUES] == 1 or v < cell[LEAST]:
            cell[LEAST] = v
        if counts[VALUES] == 1 or v > cell[MOST]:
            cell[MOST] = v


@inlined
def close(ring: Ring, row: int, head: int) -> None:
    """Sum the panes behind the newest, for every window, where that is not done yet."""
    if ring.closed_at[row] == head:
        return
    for w in range(len(ring.tier)):
        tier = ring.tier[w]
        newest, base, slots = head // STEPS[tier], BASE[tier], SLOTS[tier]
        count = errors = values = total = 0.0
        for pane in range(newest - ring.length[w] + 1, newest):
            slot = base + pane % slots
            count += ring.counts[slot, row, COUNT]
            errors += ring.counts[slot, row, ERRORS]
            values += ring.counts[slot, row, VALUES]
            total += ring.total[slot, row]
        closed = ring.closed[row, w]
        closed[0], closed[1], closed[2], closed[3] = count, errors, values, total
    ring.closed_at[row] = head


@inlined
def window(ring: Ring, row: int, w: int) -> tuple[float, float, float, float]:
    """Count, errors, values and sum in window `w` of `row`, whose closed panes are summed."""
    slot = ring.newest[w]
    closed = ring.closed[row, w]
    return (
        closed[0] + ring.counts[slot, row, COUNT],
        closed[1] + ring.counts[slot, row, ERRORS],
        closed[2] + ring.counts[slot, row, VALUES],
        closed[3] + ring.total[slot, row],
    )


@inlined
def extreme(ring: Ring, row: int, w: int, head: int, field: int) -> float:
    """Least (field LEAST) or greatest (field MOST) value in window `w`; NaN where there was none."""
    tier = ring.tier[w]
    newest, base, slots = head // STEPS[tier], BASE[tier], SLOTS[tier]
    found = np.nan
    for pane in range(newest - ring.length[w] + 1, newest + 1):
        slot = base + pane % slots
        if ring.counts[slot, row, VALUES] == 0:
            continue
        v = np.float64(ring.part[slot, row, field])
        if found != found or (v < found if field == LEAST else v > found):  # noqa: PLR0124 - NaN
            found = v
    return found


@lean
def sums(ring: Ring, row: int, tier: int, length: int, head: int) -> tuple[float, float, float, float]:
    """Count, errors, values and sum over any window, from its panes."""
    newest = head // STEPS[tier]
    count = errors = values = total = 0.0
    for pane in range(newest - length + 1, newest + 1):
        slot = BASE[tier] + pane % SLOTS[tier]
        count += ring.counts[slot, row, COUNT]
        errors += ring.counts[slot, row, ERRORS]
        values += ring.counts[slot, row, VALUES]
        total += ring.total[slot, row]
    return count, errors, values, total
