"""What is asked of the SQL history. Every function takes an open connection, blocks, and returns plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import and_, func, literal_column, or_, select, union_all

from streams.history import ALERTS, MERGED, MERGED_MS, NOTIFICATIONS, ROLLUPS, STATUS_CHANGES, whole

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import Connection, Subquery

ENDED = ("resolved", "cancelled")
ACTIVE = ("firing", "acknowledged", "snoozed", "suppressed", "escalated", "flapping")


@dataclass(frozen=True, slots=True)
class Point:
    """Samples of a target between `time` and the next step; latencies in milliseconds, None where none was measured."""

    time: float
    count: float
    errors: float
    mean: float | None
    min: float | None
    max: float | None


@dataclass(frozen=True, slots=True)
class Uptime:
    """How many samples of a target there were, and how many failed."""

    count: float
    errors: float

    @property
    def share(self) -> float | None:
        """Share of the samples that succeeded, 0 to 1; None without samples."""
        return 1.0 - self.errors / self.count if self.count else None


def latest_alerts(
    connection: Connection,
    *,
    states: Collection[str] = (),
    severities: Collection[str] = (),
    target: str | None = None,
    before: tuple[float, str] | None = None,
    limit: int = 50,
) -> list[dict[str, Any]]:
    """The latest transition of each alert, newest first; `before` is the (at, id) of the last one already seen."""
    last = select(ALERTS.c.id, func.max(ALERTS.c.number).label("number")).group_by(ALERTS.c.id).subquery()
    query = select(ALERTS.c.body).join(last, and_(ALERTS.c.id == last.c.id, ALERTS.c.number == last.c.number))
    if states:
        query = query.where(ALERTS.c.state.in_(list(states)))
    if severities:
        query = query.where(ALERTS.c.severity.in_(list(severities)))
    if target is not None:
        query = query.where(ALERTS.c.target == target)
    if before is not None:
        at, alert = before
        query = query.where(or_(ALERTS.c.at < at, and_(ALERTS.c.at == at, ALERTS.c.id < alert)))
    query = query.order_by(ALERTS.c.at.desc(), ALERTS.c.id.desc()).limit(limit)
    return [orjson.loads(body) for body in connection.scalars(query)]


def last_transitions(connection: Connection, limit: int = 50) -> list[dict[str, Any]]:
    """The last transitions of all alerts, oldest first."""
    query = select(ALERTS.c.body).order_by(ALERTS.c.at.desc(), ALERTS.c.id.desc(), ALERTS.c.number.desc()).limit(limit)
    return [orjson.loads(body) for body in connection.scalars(query)][::-1]


def transitions(connection: Connection, alert: str) -> list[dict[str, Any]]:
    """Every transition of the alert with this id, oldest first."""
    query = select(ALERTS.c.body).where(ALERTS.c.id == alert).order_by(ALERTS.c.number)
    return [orjson.loads(body) for body in connection.scalars(query)]


def notifications(connection: Connection, alert: str) -> list[dict[str, Any]]:
    """Every notification of the alert with this id, oldest first."""
    query = (
        select(NOTIFICATIONS)
        .where(NOTIFICATIONS.c.alert_id == alert)
        .order_by(NOTIFICATIONS.c.at, NOTIFICATIONS.c.attempt)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def status_changes(connection: Connection, target: str, start: float, end: float) -> list[dict[str, Any]]:
    """The statuses that `target` came into from `start` up to `end`, oldest first."""
    query = (
        select(STATUS_CHANGES)
        .where(STATUS_CHANGES.c.target == target, STATUS_CHANGES.c.since >= start, STATUS_CHANGES.c.since < end)
        .order_by(STATUS_CHANGES.c.since)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def series(
    connection: Connection, target: str, start: float, end: float, step_ms: float, metric: str = ""
) -> list[Point]:
    """Steps of `step_ms` from `start` up to `end`, oldest first; steps without samples are left out.

    The empty metric is the target's own checks, whose values are latencies.
    """
    rows = _panes(connection, target, metric, start, end).c
    step = whole(connection, (rows.pane_start - start) / step_ms).label("step")
    query = (
        select(
            step,
            func.sum(rows.count),
            func.sum(rows.errors),
            func.sum(rows.value_count),
            func.sum(rows.value_sum),
            func.min(rows.value_min),
            func.max(rows.value_max),
        )
        .group_by(literal_column("step"))
        .order_by(literal_column("step"))
    )
    return [_point(tuple(row), start, step_ms) for row in connection.execute(query)]


def _panes(connection: Connection, target: str, metric: str, start: float, end: float) -> Subquery:
    """The panes of a series that began from `start` up to `end`, long or short, so that no sample counts twice.

    Five minutes may be told by both: detect tells the long pane when samples come very late, and short panes come
    again when the log is read again. Then the long one counts if it is fuller than all the short ones together.
    """
    names = ("pane_start", "count", "errors", "value_count", "value_sum", "value_min", "value_max")
    fine, merged = (
        select(*[table.c[n] for n in names]).where(
            table.c.target == target, table.c.metric == metric, table.c.pane_start >= start, table.c.pane_start < end
        )
        for table in (ROLLUPS, MERGED)
    )
    within = ROLLUPS.alias()
    short = (
        select(func.coalesce(func.sum(within.c.count), 0.0))
        .where(
            within.c.target == target,
            within.c.metric == metric,
            within.c.pane_start >= MERGED.c.pane_start,
            within.c.pane_start < MERGED.c.pane_start + float(MERGED_MS),
        )
        .scalar_subquery()
    )
    counted = merged.where(MERGED.c.count > short).cte("counted")
    begin = whole(connection, ROLLUPS.c.pane_start / float(MERGED_MS)) * float(MERGED_MS)
    fine = fine.where(begin.not_in(select(counted.c.pane_start)))
    return union_all(fine, select(counted)).subquery()


def _point(row: tuple[Any, ...], start: float, step_ms: float) -> Point:
    number, count, errors, values, total, least, most = row
    return Point(
        time=start + float(number) * step_ms,
        count=count,
        errors=errors,
        mean=total / values if values else None,
        min=least,
        max=most,
    )


def uptime(connection: Connection, target: str, start: float, end: float) -> Uptime:
    """The checks of `target` from `start` up to `end`."""
    rows = _panes(connection, target, "", start, end).c
    query = select(func.coalesce(func.sum(rows.count), 0.0), func.coalesce(func.sum(rows.errors), 0.0))
    count, errors = connection.execute(query).one()
    return Uptime(float(count), float(errors))
