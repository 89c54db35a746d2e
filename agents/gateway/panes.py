"""The last hour of every target, pane by pane, for the page's lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from streams.history_queries import Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas import Rollup

_COUNT, _ERRORS, _VALUES, _SUM, _MIN, _MAX = range(6)


@dataclass(slots=True)
class _Pane:
    rows: dict[str, int]
    values: NDArray[np.float64]


class Panes:
    """Panes by block, as columns; panes that began more than `keep_ms` before the newest are dropped."""

    def __init__(self, keep_ms: float = 65 * 60_000.0) -> None:
        self.keep_ms = keep_ms
        self.newest = 0.0
        self.pane_ms = 10_000.0
        self._blocks: dict[tuple[int, int], dict[float, _Pane]] = {}
        self._of_target: dict[str, set[tuple[int, int]]] = {}

    def put(self, rollup: Rollup, now: float) -> None:
        """Take a rollup; it replaces an earlier one of the same block and pane. One of the future moves nothing out."""
        where = (rollup.partition, rollup.block)
        block = self._blocks.setdefault(where, {})
        own = [i for i, metric in enumerate(rollup.metric) if not metric]
        names = [rollup.target[i] for i in own]
        columns = (
            rollup.count, rollup.errors, rollup.value_count, rollup.value_sum, rollup.value_min, rollup.value_max,
        )  # fmt: skip
        values = np.array(columns, dtype=np.float64)[:, own]
        rows = {name: row for row, name in enumerate(names)}
        if block and (known := next(reversed(block.values())).rows) == rows:
            rows = known  # most panes have the same targets: one index serves them all
        else:
            for name in names:
                self._of_target.setdefault(name, set()).add(where)
        block[rollup.pane_start] = _Pane(rows, values)
        self.pane_ms = float(rollup.pane_ms)
        self.newest = max(self.newest, min(rollup.pane_start, now))
        for old in [start for start in block if start < self.newest - self.keep_ms]:
            del block[old]

    def series(self, target: str, start: float, end: float, step_ms: float) -> list[Point]:
        """Steps of `step_ms` from `start` up to `end`, oldest first; steps without samples are left out."""
        found: dict[float, NDArray[np.float64]] = {}
        for where in self._of_target.get(target, ()):
            for pane_start, pane in self._blocks.get(where, {}).items():
                row = pane.rows.get(target)
                if row is None or not start <= pane_start < end:
                    continue
                values = pane.values[:, row]
                # A target that moved to another block is in both for one pane: the fuller one has all of it.
                if pane_start not in found or values[_COUNT] > found[pane_start][_COUNT]:
                    found[pane_start] = values
        steps: dict[float, list[NDArray[np.float64]]] = {}
        for pane_start in sorted(found):
            steps.setdefault(start + (pane_start - start) // step_ms * step_ms, []).append(found[pane_start])
        return [_point(time, np.array(rows)) for time, rows in steps.items()]


def _point(time: float, rows: NDArray[np.float64]) -> Point:
    count, errors, values, total = (float(n) for n in rows[:, : _SUM + 1].sum(axis=0))
    return Point(
        time=time,
        count=count,
        errors=errors,
        mean=total / values if values else None,
        min=float(np.nanmin(rows[:, _MIN])) if values else None,
        max=float(np.nanmax(rows[:, _MAX])) if values else None,
    )
