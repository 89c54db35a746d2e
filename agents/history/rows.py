"""Records as rows of the SQL history."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, Any

import orjson

from schemas import Alert, Health, Notification, Record, Rollup
from streams.history import ALERTS, MERGED, MERGED_MS, NOTIFICATIONS, ROLLUPS, STATUS_CHANGES
from streams.topics import ALERTS as ALERTS_TOPIC
from streams.topics import HEALTH
from streams.topics import NOTIFICATIONS as NOTIFICATIONS_TOPIC
from streams.topics import ROLLUPS as ROLLUPS_TOPIC

if TYPE_CHECKING:
    from sqlalchemy import Table

Key = tuple[Any, ...]
SOURCES: dict[str, type[Record]] = {
    ROLLUPS_TOPIC.name: Rollup,
    HEALTH.name: Health,
    ALERTS_TOPIC.name: Alert,
    NOTIFICATIONS_TOPIC.name: Notification,
}
# A target's status has one row a change, whichever of its many health records says so first.
KEPT_AS_THEY_ARE = {STATUS_CHANGES.name}


class Rows:
    """Rows to be written together: of each key the latest, of a long pane the fullest."""

    def __init__(self) -> None:
        self.by_table: dict[str, dict[Key, dict[str, Any]]] = {}

    def __len__(self) -> int:
        return sum(len(rows) for rows in self.by_table.values())

    def add(self, record: Record) -> None:
        """Take `record`, which must be of one of the sources' types."""
        match record:
            case Rollup():
                self._rollup(record)
            case Alert():
                self._put(ALERTS, alert_row(record))
            case Notification():
                self._put(NOTIFICATIONS, notification_row(record))
            case Health():
                self._put(STATUS_CHANGES, status_row(record))
            case _:
                raise TypeError(f"history keeps no {record.schema_name()}")

    def _put(self, table: Table, row: dict[str, Any]) -> None:
        key = tuple(row[c.name] for c in table.primary_key.columns)
        rows = self.by_table.setdefault(table.name, {})
        if table.name in KEPT_AS_THEY_ARE:
            rows.setdefault(key, row)
        else:
            rows[key] = row

    def _rollup(self, rollup: Rollup) -> None:
        is_long = rollup.pane_ms == MERGED_MS
        if rollup.pane_ms > MERGED_MS or (is_long and rollup.pane_start % MERGED_MS):
            raise ValueError(f"no pane of {rollup.pane_ms} ms begins at {rollup.pane_start:.0f}")
        rows = self.by_table.setdefault((MERGED if is_long else ROLLUPS).name, {})
        columns = (
            rollup.target, rollup.metric, rollup.count, rollup.errors, rollup.value_count, rollup.value_sum,
            rollup.value_min, rollup.value_max,
        )  # fmt: skip
        if len({len(c) for c in columns}) != 1:
            raise ValueError(f"columns of different lengths: {[len(c) for c in columns]}")
        if not all(map(math.isfinite, (rollup.pane_start, *chain(*columns[2:6])))):
            raise ValueError("a count, a sum or the pane's start is no number")
        for target, metric, count, errors, value_count, value_sum, value_min, value_max in zip(*columns, strict=True):
            key = (target, metric, rollup.pane_start)
            if is_long and key in rows and rows[key]["count"] > count:
                continue
            rows[key] = {
                "target": target,
                "metric": metric,
                "pane_start": rollup.pane_start,
                "pane_ms": rollup.pane_ms,
                "count": count,
                "errors": errors,
                "value_count": value_count,
                "value_sum": value_sum,
                "value_min": number(value_min),
                "value_max": number(value_max),
            }


def number(value: float) -> float | None:
    """`value`, or None for what SQL has no number for."""
    return value if math.isfinite(value) else None


def alert_row(alert: Alert) -> dict[str, Any]:
    """The row of one transition."""
    return {
        "id": alert.id,
        "number": alert.number,
        "state": alert.state,
        "rule": alert.rule,
        "target": alert.target,
        "severity": alert.severity,
        "at": alert.at,
        "body": orjson.dumps(alert.to_dict()).decode(),
    }


def notification_row(notification: Notification) -> dict[str, Any]:
    """The row of one step of a delivery."""
    return {c.name: getattr(notification, c.name) for c in NOTIFICATIONS.columns}


def status_row(health: Health) -> dict[str, Any]:
    """The row of the status that a target is in."""
    return {
        "target": health.target,
        "since": health.since,
        "status": health.status,
        "code": health.code,
        "message": health.message,
    }
