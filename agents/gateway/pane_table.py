"""Panes of many series as columns: little memory however many series there are, and never more than a bound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Key = tuple[str, str]  # target and metric
Where = tuple[int, int]  # partition and block
WIDTH = 6
COUNT, ERRORS, VALUES, SUM, MIN, MAX = range(WIDTH)
_SPARE = 64


@dataclass(slots=True)
class _Pane:
    numbers: NDArray[np.int32]  # ascending: which series of the block each row is of
    values: NDArray[np.float64]


@dataclass(slots=True)
class _Block:
    """Series that are told together. Each has a number, for a pane holds only those that had samples in it."""

    index: dict[Key, int] = field(default_factory=dict)
    panes: dict[float, _Pane] = field(default_factory=dict)
    last: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))  # start of each number's newest pane

    def number(self, keys: Sequence[Key], start: float) -> NDArray[np.int32]:
        numbers = np.fromiter((self.index.setdefault(k, len(self.index)) for k in keys), np.int32, len(keys))
        if (new := len(self.index) - len(self.last)) > 0:
            self.last = np.concatenate([self.last, np.full(new, -np.inf)])
        self.last[numbers] = np.maximum(self.last[numbers], start)
        return numbers

    def forget(self, before: float) -> list[Key]:
        """Number anew where most of the numbers are of series that have no pane at or after `before`; those series."""
        alive = self.last >= before
        if 2 * alive.sum() + _SPARE >= len(alive):
            return []
        anew = (np.cumsum(alive) - 1).astype(np.int32)
        gone = [k for k, n in self.index.items() if not alive[n]]
        self.index = {k: int(anew[n]) for k, n in self.index.items() if alive[n]}
        self.last = self.last[alive]
        for pane in self.panes.values():
            pane.numbers = anew[pane.numbers]  # ascending still
        return gone


class PaneTable:
    """Panes by block and start. With more than `most_rows` rows the oldest panes go first; `whole_from` tells."""

    def __init__(self, most_rows: int) -> None:
        self.most_rows = most_rows
        self.rows = 0
        self.whole_from = -np.inf
        self._blocks: dict[Where, _Block] = {}
        self._where: dict[Key, set[Where]] = {}

    def __len__(self) -> int:
        """How many series are known."""
        return len(self._where)

    def put(self, where: Where, start: float, keys: Sequence[Key], values: NDArray[np.float64]) -> None:
        """Take a pane of `keys`, none of them twice, with a row of WIDTH values each; it replaces an earlier one."""
        block = self._blocks.setdefault(where, _Block())
        for key in keys:
            if key not in block.index:
                self._where.setdefault(key, set()).add(where)
        numbers = block.number(keys, start)
        order = np.argsort(numbers)
        known = block.panes.get(start)
        self.rows += len(keys) - (0 if known is None else len(known.numbers))
        block.panes[start] = _Pane(numbers[order], values[order])
        while self.rows > self.most_rows:
            oldest = min(s for b in self._blocks.values() for s in b.panes)
            after = np.nextafter(oldest, np.inf)
            self.whole_from = max(self.whole_from, after)
            self.drop(after)

    def drop(self, before: float) -> None:
        """Let go of the panes that began before `before`."""
        for where, block in list(self._blocks.items()):
            for start in [s for s in block.panes if s < before]:
                self.rows -= len(block.panes.pop(start).numbers)
            gone = block.forget(before) if block.panes else list(block.index)
            if not block.panes:
                del self._blocks[where]
            for key in gone:
                self._where[key].discard(where)
                if not self._where[key]:
                    del self._where[key]

    def find(self, key: Key, start: float, end: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The panes of `key` from `start` up to `end`, oldest first: their starts, and a row of values each."""
        found: dict[float, NDArray[np.float64]] = {}
        for where in self._where.get(key, ()):
            block = self._blocks[where]
            number = block.index[key]
            for began, pane in block.panes.items():
                if not start <= began < end:
                    continue
                at = int(np.searchsorted(pane.numbers, number))
                if at == len(pane.numbers) or pane.numbers[at] != number:
                    continue
                values = pane.values[at]
                # A series that moved to another block is in both for one pane: the fuller one has all of it.
                if began not in found or values[COUNT] > found[began][COUNT]:
                    found[began] = values
        starts = sorted(found)
        return np.array(starts), np.array([found[s] for s in starts]).reshape(-1, WIDTH)
