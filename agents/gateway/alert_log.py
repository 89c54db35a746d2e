"""The alerts as the gateway knows them: every alert's transitions, and the last ones in the log's order."""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas import Alert
from streams.history_queries import ACTIVE, ENDED

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SEVERITIES = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Entry:
    """A transition and its place in the log; `appended` is the broker's clock, milliseconds."""

    partition: int
    offset: int
    appended: float
    alert: Alert


class AlertLog:
    """Bounded: `keep` transitions a partition can be resumed from, and `keep_ended` ended alerts can be looked up."""

    def __init__(self, partitions: int, keep: int = 5000, keep_ended: int = 10_000) -> None:
        self.keep, self.keep_ended = keep, keep_ended
        self.entries: list[deque[Entry]] = [deque() for _ in range(partitions)]
        # From this offset on, every transition is in `entries`.
        self.floor = [0] * partitions
        self.by_id: dict[str, list[Alert]] = {}
        self._ended: deque[str] = deque()
        self._active_by_target: dict[str, dict[str, Alert]] = {}

    def add(self, entry: Entry) -> bool:
        """Take a transition from the log; False where it is known already, because its writer sent it twice."""
        if not self._remember(entry.alert):
            return False
        entries = self.entries[entry.partition]
        entries.append(entry)
        if len(entries) > self.keep:
            self.floor[entry.partition] = entries.popleft().offset + 1
        return True

    def seed(self, transitions: Iterable[Alert]) -> None:
        """Take transitions of alerts that began before the part of the log that is read."""
        for alert in transitions:
            self._remember(alert)

    def _remember(self, alert: Alert) -> bool:
        known = self.by_id.setdefault(alert.id, [])
        if known and alert.number <= known[-1].number:
            return False
        known.append(alert)
        of_target = self._active_by_target.setdefault(alert.target, {})
        if alert.state in ACTIVE:
            of_target[alert.id] = alert
        else:
            of_target.pop(alert.id, None)
        if not of_target:
            del self._active_by_target[alert.target]
        if alert.state in ENDED:
            self._ended.append(alert.id)
            while len(self._ended) > self.keep_ended:
                self._forget(self._ended.popleft())
        return True

    def _forget(self, alert_id: str) -> None:
        known = self.by_id.get(alert_id)
        if known and known[-1].state in ENDED and alert_id not in self._ended:
            del self.by_id[alert_id]

    def latest(self, alert_id: str) -> Alert | None:
        """The last transition of an alert, or None where it is not known."""
        known = self.by_id.get(alert_id)
        return known[-1] if known else None

    def all_latest(self) -> list[Alert]:
        """The last transition of each alert, newest first."""
        return sorted((known[-1] for known in self.by_id.values()), key=lambda a: (a.at, a.id), reverse=True)

    def active(self, target: str) -> list[Alert]:
        """The active alerts of a target, the most severe first, then the oldest."""
        return sorted(self._active_by_target.get(target, {}).values(), key=lambda a: (severity_rank(a), a.began))

    def all_active(self) -> list[list[Alert]]:
        """The active alerts of every target that has some."""
        return [list(of_target.values()) for of_target in self._active_by_target.values()]

    def last(self, count: int) -> list[Alert]:
        """The last transitions of all, oldest first."""
        tails = [list(entries)[-count:] for entries in self.entries]
        return [e.alert for e in self._merged(tails)[-count:]]

    def since(self, positions: Sequence[int]) -> list[Entry]:
        """The transitions at or after these offsets, each partition in order, together by the broker's clock."""
        return self._merged(
            [[e for e in entries if e.offset >= at] for entries, at in zip(self.entries, positions, strict=True)]
        )

    @staticmethod
    def _merged(parts: list[list[Entry]]) -> list[Entry]:
        # The broker's clock counts whole milliseconds; within one, the alert role's own clock decides. A partition's
        # order is never changed by either.
        return list(heapq.merge(*parts, key=lambda e: (e.appended, e.alert.at)))


def severity_rank(alert: Alert) -> int:
    """0 for critical; larger is milder."""
    return SEVERITIES.index(alert.severity) if alert.severity in SEVERITIES else len(SEVERITIES)
