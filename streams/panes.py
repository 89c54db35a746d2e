"""Sliding windows over event time, kept as panes: one row a series, one slot a pane of ten seconds.

A window that ends at the head pane is the sum of the panes it spans. Closed panes are summed once when the head
moves, always in the order of time, so the sums depend only on the panes and never on the way they came to be: a
state rebuilt after a crash gives the same numbers to the last bit.

Source of the idea: Li et al., "No pane, no gain: efficient evaluation of sliding-window aggregates over data
streams", SIGMOD Record 34(1), 2005.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.rules import WINDOWS_S

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

PANE_MS = 10_000
PANES_OF = {w: int(w * 1000) // PANE_MS for w in WINDOWS_S}
KEPT = max(PANES_OF.values())
AHEAD = 8
SLOTS = KEPT + AHEAD + 8
_SUMMED = ("count", "errors", "value_count", "value_sum")
DTYPES: dict[str, np.dtype[Any]] = {
    "count": np.dtype("<f4"), "errors": np.dtype("<f4"), "value_count": np.dtype("<f4"),
    "value_sum": np.dtype("<f8"), "value_min": np.dtype("<f4"), "value_max": np.dtype("<f4"),
}  # fmt: skip


def pane_of(time_ms: Floats) -> NDArray[np.int64]:
    """Index of the pane that each time falls into."""
    return np.floor_divide(time_ms, PANE_MS).astype(np.int64)


@dataclass(slots=True)
class Window:
    """Sums over one window, one entry a row asked for."""

    count: Floats
    errors: Floats
    value_count: Floats
    value_sum: Floats

    @property
    def error_rate(self) -> Floats:
        """Share of failed samples, 0 to 1; NaN where the window is empty."""
        return _ratio(self.errors, self.count)

    @property
    def mean(self) -> Floats:
        """Mean value; NaN where no sample carried one."""
        return _ratio(self.value_sum, self.value_count)


def _ratio(part: Floats, whole: Floats) -> Floats:
    out: Floats = np.full(len(whole), np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def _sum(parts: list[NDArray[Any]]) -> Floats:
    """Column sums over all parts, pane by pane in their order."""
    total: Floats = np.zeros(parts[0].shape[1])
    for part in parts:
        total += np.add.reduce(part, axis=0, dtype=np.float64)
    return total


class Panes:
    """A ring of panes for a growing number of rows.

    `head` is the newest pane that windows see; samples up to `AHEAD` panes beyond it wait in their own pane.
    """

    def __init__(self, capacity: int = 256) -> None:
        self.head = -1
        self.rows = 0
        self.columns = {n: self._empty(n, capacity) for n in DTYPES}
        self._closed = {w: {n: np.zeros(capacity) for n in _SUMMED} for w in WINDOWS_S}

    @staticmethod
    def _empty(name: str, capacity: int) -> NDArray[Any]:
        fill = np.nan if name in ("value_min", "value_max") else 0
        empty: NDArray[Any] = np.full((SLOTS, capacity), fill, DTYPES[name])
        return empty

    def grow(self, rows: int) -> None:
        """Make room for `rows` rows."""
        capacity = self.columns["count"].shape[1]
        self.rows = max(rows, self.rows)
        if rows <= capacity:
            return
        while capacity < rows:
            capacity *= 2
        for name, old in self.columns.items():
            new = self._empty(name, capacity)
            new[:, : old.shape[1]] = old
            self.columns[name] = new
        for sums in self._closed.values():
            for name, old_sums in sums.items():
                sums[name] = np.concatenate([old_sums, np.zeros(capacity - len(old_sums))])

    def advance(self, head: int) -> bool:
        """Move the head to pane `head`; true where it moved. It never moves back."""
        if head <= self.head:
            return False
        first = self.head + AHEAD + 1 if self.head >= 0 else head + AHEAD - SLOTS + 1
        for pane in range(max(first, head + AHEAD - SLOTS + 1), head + AHEAD + 1):
            self._clear(pane % SLOTS)
        self.head = head
        self.sum_closed()
        return True

    def _clear(self, slot: int) -> None:
        for name, column in self.columns.items():
            column[slot] = np.nan if name in ("value_min", "value_max") else 0

    def accepts(self, panes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which panes are neither too old nor too far ahead to be kept."""
        return (panes > self.head - KEPT) & (panes <= self.head + AHEAD)

    def add(
        self, rows: Rows, panes: NDArray[np.int64], ok: NDArray[np.bool_], values: Floats, *, once: bool = False
    ) -> Rows:
        """Count samples into their panes; a NaN value counts as none. Returns the slots, one a sample.

        `once` promises that no row comes twice, which is quicker.
        """
        slots: Rows = panes % SLOTS
        if once:
            self._add_once(rows, slots, ok, values)
        else:
            self._add_any(rows, slots, ok, values)
        late = panes < self.head
        if late.any():
            self.sum_closed(np.unique(rows[late]))
        return slots

    def _add_once(self, rows: Rows, slots: Rows, ok: NDArray[np.bool_], values: Floats) -> None:
        c = self.columns
        at = slots * c["count"].shape[1] + rows
        flat = {n: column.reshape(-1) for n, column in c.items()}
        flat["count"][at] += 1
        if not ok.all():
            flat["errors"][at[~ok]] += 1
        has = ~np.isnan(values)
        if not has.all():
            at, values = at[has], values[has]
        flat["value_count"][at] += 1
        flat["value_sum"][at] += values
        flat["value_min"][at] = np.fmin(flat["value_min"][at], values)
        flat["value_max"][at] = np.fmax(flat["value_max"][at], values)

    def _add_any(self, rows: Rows, slots: Rows, ok: NDArray[np.bool_], values: Floats) -> None:
        at = (slots, rows)
        np.add.at(self.columns["count"], at, 1)
        bad = ~ok
        if bad.any():
            np.add.at(self.columns["errors"], (slots[bad], rows[bad]), 1)
        has = ~np.isnan(values)
        at, seen = (slots[has], rows[has]), values[has]
        np.add.at(self.columns["value_count"], at, 1)
        np.add.at(self.columns["value_sum"], at, seen)
        np.fmin.at(self.columns["value_min"], at, seen)
        np.fmax.at(self.columns["value_max"], at, seen)

    def sum_closed(self, rows: Rows | None = None) -> None:
        """Sum the panes behind the head anew, for `rows` or for all."""
        # Two columns at least: numpy sums a single one pairwise, and the bits would differ.
        some = None if rows is None else rows if len(rows) > 1 else np.repeat(rows, 2)
        for window, length in PANES_OF.items():
            first, last = (self.head - length + 1) % SLOTS, self.head % SLOTS
            spans = [slice(first, last)] if first <= last else [slice(first, SLOTS), slice(0, last)]
            for name in _SUMMED:
                parts = [self.columns[name][span] for span in spans]
                if some is None or rows is None:
                    self._closed[window][name][:] = _sum(parts)
                else:
                    self._closed[window][name][rows] = _sum([np.take(p, some, axis=1) for p in parts])[: len(rows)]

    def window(self, window_s: float, rows: Rows) -> Window:
        """Sums over the window of `window_s` seconds that ends with the head pane."""
        closed, slot = self._closed[window_s], self.head % SLOTS
        return Window(**{n: closed[n][rows] + self.columns[n][slot, rows] for n in _SUMMED})

    def extreme(self, name: str, window_s: float, rows: Rows) -> Floats:
        """Least (`value_min`) or greatest (`value_max`) value in the window; NaN where there was none."""
        slots = np.arange(self.head - PANES_OF[window_s] + 1, self.head + 1) % SLOTS
        reduce = np.fmin if name == "value_min" else np.fmax
        found: Floats = reduce.reduce(self.columns[name][np.ix_(slots, rows)], axis=0).astype(np.float64)
        return found
