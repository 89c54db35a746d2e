"""The last hour of every target and of each of its metrics, pane by pane, for the page's lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from agents.gateway.pane_table import COUNT, ERRORS, MAX, MIN, SUM, VALUES, PaneTable
from streams.history import MERGED_MS
from streams.history_queries import Point

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from schemas import Rollup

# 52 bytes a row. 65 minutes are 390 panes: this many rows are 6,400 series with samples in every one of them, or three
# times as many that are checked every 30 s. With more, the hour becomes shorter.
_MOST_ROWS = 2_500_000


class Panes:
    """Panes by block, as columns; panes that began more than `keep_ms` before the newest are dropped."""

    def __init__(self, keep_ms: float = 65 * 60_000.0, most_rows: int = _MOST_ROWS) -> None:
        self.keep_ms = keep_ms
        self.newest = 0.0
        self.pane_ms = 10_000.0
        # Apart, so that a host with a hundred metrics pushes no target's checks out.
        self.checks, self.metrics = PaneTable(most_rows), PaneTable(most_rows)

    def put(self, rollup: Rollup, now: float) -> None:
        """Take a rollup; it replaces an earlier one of the same block and pane. One of the future moves nothing out.

        A long pane, which tells of samples that came over five minutes late, is passed over: the last hour is what was
        known in time, and history has them.

        Raises ValueError on columns of different lengths.
        """
        columns = (
            rollup.count, rollup.errors, rollup.value_count, rollup.value_sum, rollup.value_min, rollup.value_max,
        )  # fmt: skip
        values = np.array(columns, dtype=np.float64).T
        rows = {key: row for row, key in enumerate(zip(rollup.target, rollup.metric, strict=True))}
        if len(rollup.target) != len(values):
            raise ValueError("columns of different lengths")
        if rollup.pane_ms >= MERGED_MS:
            return
        for table, is_check in ((self.checks, True), (self.metrics, False)):
            own = [(key, row) for key, row in rows.items() if (not key[1]) is is_check]
            where = (rollup.partition, rollup.block)
            table.put(where, rollup.pane_start, [k for k, _ in own], values[[r for _, r in own]])
        self.pane_ms = float(rollup.pane_ms)
        newest = max(self.newest, min(rollup.pane_start, now))
        if newest > self.newest:
            self.newest = newest
            for table in (self.checks, self.metrics):
                table.drop(newest - self.keep_ms)

    def series(self, target: str, start: float, end: float, step_ms: float, metric: str = "") -> list[Point]:
        """Steps of `step_ms` from `start` up to `end`, oldest first; steps without samples are left out.

        The empty metric is the target's own checks, whose values are latencies.
        """
        table = self.metrics if metric else self.checks
        starts, rows = table.find((target, metric), start, end)
        if not len(starts):
            return []
        numbers, first = np.unique((starts - start) // step_ms, return_index=True)
        ends = [*first[1:].tolist(), len(starts)]
        times = (start + numbers * step_ms).tolist()
        return [_point(t, rows[a:b]) for t, a, b in zip(times, first.tolist(), ends, strict=True)]

    def whole_since(self, start: float, metric: str = "") -> bool:
        """Whether everything since `start` is here, as far as the log had it: many series make the past shorter."""
        return (self.metrics if metric else self.checks).whole_from <= start


def _point(time: float, rows: NDArray[np.float64]) -> Point:
    count, errors, values, total = (float(rows[:, c].sum()) for c in (COUNT, ERRORS, VALUES, SUM))
    return Point(
        time=time,
        count=count,
        errors=errors,
        mean=total / values if values else None,
        min=float(np.nanmin(rows[:, MIN])) if values else None,
        max=float(np.nanmax(rows[:, MAX])) if values else None,
    )
