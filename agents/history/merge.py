"""Merges old panes into long ones: of a month of panes of ten seconds nobody looks at each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, delete, func, literal, select

from streams.history import MERGED, MERGED_MS, ROLLUPS, inserting, or_fuller, whole

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_SPAN_MS = 3_600_000.0
_SUMS = ("count", "errors", "value_count", "value_sum")


def merge_some(engine: Engine, cutoff: float, series: int = 25) -> int:
    """Merge what began before `cutoff` of the oldest hour of some series; return how many panes, 0 at the end.

    A pane goes in the transaction that writes the merged one, so a crash at any point neither loses nor doubles it.
    Where there is a long pane already, because the log was read again or detect told of late samples, the fuller stays.
    """
    with engine.begin() as connection:
        oldest = connection.scalar(select(func.min(ROLLUPS.c.pane_start)))
        if oldest is None:
            return 0
        end = min(_begin(cutoff), _begin(oldest) + _SPAN_MS)
        # In the order of time, so that the first panes have them all and few rows are looked at.
        some = select(ROLLUPS.c.target, ROLLUPS.c.metric).where(ROLLUPS.c.pane_start < end).distinct().limit(series)
        names = [{"of": target, "by": metric, "end": end} for target, metric in connection.execute(some)]
        if not names:
            return 0
        connection.execute(_merging(connection), names)
        # Each series by its primary key: with many at once, SQLite would go through all that is old.
        own = delete(ROLLUPS).where(*_own())
        return sum(connection.execute(own, name).rowcount for name in names)


def _begin(time: float) -> float:
    return time // MERGED_MS * MERGED_MS


def _own() -> tuple[Any, ...]:
    rows = ROLLUPS.c
    return rows.target == bindparam("of"), rows.metric == bindparam("by"), rows.pane_start < bindparam("end")


def _merging(connection: Connection) -> Any:
    rows = ROLLUPS.c
    begin = whole(connection, rows.pane_start / float(MERGED_MS)) * float(MERGED_MS)
    merged = {
        "target": rows.target,
        "metric": rows.metric,
        "pane_start": begin,
        "pane_ms": literal(MERGED_MS),
        **{n: func.sum(rows[n]) for n in _SUMS},
        "value_min": func.min(rows.value_min),
        "value_max": func.max(rows.value_max),
    }
    query = select(*merged.values()).where(*_own()).group_by(rows.target, rows.metric, begin)
    return or_fuller(inserting(connection, MERGED).from_select(list(merged), query))
