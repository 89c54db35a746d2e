"""Everything the gateway knows, folded from the topics. The log is the truth; this is thrown away at each stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agents.gateway.alert_log import AlertLog, Entry
from agents.gateway.cursor import Cursor
from agents.gateway.deliveries import DeadLetters, Deliveries
from agents.gateway.panes import Panes
from schemas import Alert, Control, DeadLetter, DecodeError, Health, Notification, Record, Rollup, decode
from streams.control import Controls
from streams.topics import ALERTS, CONTROL, DEAD_LETTERS, HEALTH, NOTIFICATIONS, ROLLUPS, partitions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.kafka import KafkaSettings

_KINDS: dict[str, type[Record]] = {
    HEALTH.name: Health,
    ALERTS.name: Alert,
    ROLLUPS.name: Rollup,
    NOTIFICATIONS.name: Notification,
    CONTROL.name: Control,
    DEAD_LETTERS.name: DeadLetter,
}
SOURCES = (HEALTH, ALERTS, ROLLUPS, NOTIFICATIONS, CONTROL, DEAD_LETTERS)


@dataclass(frozen=True, slots=True)
class Change:
    """Something for live clients: a transition, or targets that were checked; `cursor` is where the log stands then."""

    alert: Alert | None
    targets: tuple[str, ...]
    cursor: Cursor


@dataclass(frozen=True, slots=True)
class Known:
    """The latest health of a target, and its place in the log."""

    health: Health
    partition: int
    offset: int


class View:
    """The gateway's state. One task writes it, between two awaits; so every reader sees it whole."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self.alerts = AlertLog(partitions(kafka, ALERTS))
        self.health: dict[str, Known] = {}
        self.panes = Panes()
        self.deliveries = Deliveries()
        self.dead_letters = DeadLetters()
        self.versions: dict[tuple[str, str], int] = {}
        self.controls = Controls()
        """Targets that were changed at run time, as often as `targets_changed` says."""
        self.targets_changed = 0
        self.undecodable: Counter[str] = Counter()
        self.ready = False
        self._alerts_at = [0] * partitions(kafka, ALERTS)
        self._health_at = [0] * partitions(kafka, HEALTH)
        # Before the view is ready, only the last rollup of each key is decoded: a pane is written many times over.
        self._rollups: dict[bytes, Any] = {}
        self._waiters: set[asyncio.Event] = set()

    @property
    def cursor(self) -> Cursor:
        """Where the log stands."""
        return Cursor(tuple(self._alerts_at), tuple(self._health_at))

    def begin(self, topic: str, partition: int, offset: int) -> None:
        """Note where reading of a partition begins."""
        if topic == ALERTS.name:
            self._alerts_at[partition] = offset
            self.alerts.floor[partition] = offset
        elif topic == HEALTH.name:
            self._health_at[partition] = offset

    def apply(self, topic: str, partition: int, messages: Iterable[Any], now: float) -> list[Change]:
        """Fold records of one partition, in the log's order; return what live clients are to be told."""
        if topic == ROLLUPS.name:
            self._fold_rollups(messages, now)
            return []
        changes: list[Change] = []
        checked: dict[str, None] = {}
        for message in messages:
            try:
                record = decode(message.value, _KINDS[topic]) if message.value is not None else None
            except (DecodeError, TypeError):  # history, which reads the same topics, sends the dead letter
                self.undecodable[topic] += 1
                record = None
            if topic == HEALTH.name:
                self._health_at[partition] = message.offset + 1
                checked |= self._fold_health(record, message)
            elif topic == ALERTS.name:
                self._alerts_at[partition] = message.offset + 1
                if isinstance(record, Alert) and self.alerts.add(
                    Entry(partition, message.offset, message.timestamp, record)
                ):
                    changes.append(Change(record, (record.target,), self.cursor))
            elif record is not None:
                self._fold_other(record)
        if checked:
            changes.append(Change(None, tuple(checked), self.cursor))
        return changes

    def _fold_health(self, record: Record | None, message: Any) -> dict[str, None]:
        if isinstance(record, Health):
            self.health[record.target] = Known(record, message.partition, message.offset)
            return {record.target: None}
        if message.value is None and message.key is not None:
            self.health.pop(message.key.decode(errors="replace"), None)
        return {}

    def _fold_other(self, record: Record) -> None:
        match record:
            case Notification():
                self.deliveries.add(record)
            case DeadLetter():
                self.dead_letters.add(record)
            case Control():
                self.versions[record.kind, record.id] = record.version
                if record.kind == "target":
                    self.controls.take(record)
                    self.targets_changed += 1

    def _fold_rollups(self, messages: Iterable[Any], now: float) -> None:
        last = {m.key if m.key is not None else str(m.offset).encode(): m for m in messages if m.value is not None}
        if not self.ready:
            self._rollups |= last
            return
        for message in last.values():
            self._fold_rollup(message, now)

    def _fold_rollup(self, message: Any, now: float) -> None:
        try:
            self.panes.put(decode(message.value, Rollup), now)
        except (DecodeError, TypeError, ValueError):
            self.undecodable[ROLLUPS.name] += 1

    async def become_ready(self, now: float) -> None:
        """The log was read up to its end: from now on, changes are live."""
        for number, key in enumerate(list(self._rollups)):
            self._fold_rollup(self._rollups.pop(key), now)
            if number % 50 == 0:
                await asyncio.sleep(0)
        self.ready = True

    def tell(self) -> None:
        """Wake whoever waits for something to come true."""
        for waiter in self._waiters:
            waiter.set()

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `condition` holds; whether it did within `timeout_s`."""
        woken = asyncio.Event()
        self._waiters.add(woken)
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    woken.clear()
                    await woken.wait()
        except TimeoutError:
            return condition()
        finally:
            self._waiters.discard(woken)
        return True

    def health_since(self, cursor: Cursor) -> list[Known]:
        """The latest health of each target that changed at or after `cursor`, by partition and offset."""
        newer = [k for k in self.health.values() if k.offset >= cursor.health[k.partition]]
        return sorted(newer, key=lambda k: (k.partition, k.offset))
