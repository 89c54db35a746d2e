"""The alert role's worker over logs in memory, with a clock that the test moves, and a death at any write.

The worker is the real one, and so are its flush, its recovery and its suppressions; only the broker is a list.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

from agents.alert import flush, restore, worker
from agents.alert.others import _in_entry
from agents.alert.worker import Worker
from schemas import Alert, Control, Finding, decode, encode
from streams import groups
from streams.alerting.composites import standing_of
from streams.kafka import KafkaSettings
from streams.life import LifeDefaults
from streams.partition import partition_of
from streams.suppression import Suppressions

KAFKA = KafkaSettings(bootstrap="127.0.0.1:1", prefix="m.", partitions=2)


class TP(NamedTuple):
    topic: str
    partition: int


SOURCES = {TP("m.findings", p) for p in range(KAFKA.partitions)}


class DiedError(Exception):
    """The process is no more."""


@dataclass
class Log:
    """Every topic, as lists of (key, value, partition); `writes_left` until a death, before or after the write."""

    topics: dict[str, list[tuple[bytes | None, bytes | None, int]]] = field(default_factory=dict)
    findings: dict[int, list[tuple[bytes, float]]] = field(default_factory=lambda: {0: [], 1: []})
    controls: list[Control] = field(default_factory=list)
    writes_left: int | None = None
    written_at_death: bool = False

    def write(self, topic: str, key: bytes | None, value: bytes | None, partition: int) -> None:
        dies = False
        if self.writes_left is not None:
            self.writes_left -= 1
            dies = self.writes_left < 0
        if not dies or self.written_at_death:
            self.topics.setdefault(topic, []).append((key, value, partition))
        if dies:
            raise DiedError

    def alerts(self) -> list[Alert]:
        return [decode(value, Alert) for _, value, _ in self.topics.get("m.alerts", [])]

    def compacted(self) -> dict[bytes, bytes]:
        table: dict[bytes, bytes] = {}
        for key, value, _ in self.topics.get("m.alert-state", []):
            if value is None:
                table.pop(key, None)
            else:
                table[key] = value
        return table


class Role:
    """One process after another over the same logs."""

    def __init__(self, targets: list[Any], rules: list[Any], defaults: LifeDefaults) -> None:
        self.log, self.now = Log(), 1_700_000_000_000.0
        self.targets, self.rules, self.defaults = targets, rules, defaults
        self.loop = asyncio.new_event_loop()
        self._real = (flush.AIOKafkaProducer, restore.already_sent, worker.now_ms)
        role = self

        class Producer:
            def __init__(self, **_: Any) -> None:
                pass

            async def send(self, topic: str, *, value: Any = None, key: Any = None, partition: int = 0) -> Any:
                role.log.write(topic, key, value, partition)
                done = asyncio.get_running_loop().create_future()
                done.set_result(None)
                return done

        async def already_sent(_kafka: Any, _unsure: Any) -> set[tuple[str, int]]:
            return {(a.id, a.number) for a in role.log.alerts()}

        flush.AIOKafkaProducer, restore.already_sent, worker.now_ms = Producer, already_sent, lambda: role.now
        self.start()

    def close(self) -> None:
        flush.AIOKafkaProducer, restore.already_sent, worker.now_ms = self._real
        self.loop.close()

    def start(self) -> None:
        """A new process: all it knows is on the logs."""
        self.log.writes_left = None
        self.worker = Worker(KAFKA, self.targets, self.rules, self.defaults, Suppressions())
        self.worker.table = SimpleNamespace(data=self.log.compacted())
        self.worker.consumer = lambda: self
        for control in self.log.controls:
            self.worker.take_control(control)
        self.worker.refresh()
        for key, value in self.log.compacted().items():
            if not key.startswith(b"\0") and (standing := _in_entry(value)) is not None:
                self.worker.take_other(standing)
        self.followed = len(self.log.alerts())
        for event in self.worker.informed.values():
            event.set()
        positions = self.loop.run_until_complete(self.worker.restored(SOURCES))
        self.positions = {tp.partition: offset for tp, offset in positions.items()}

    async def highwaters(self, *tps: TP) -> dict[TP, int]:
        return {tp: len(self.log.findings[tp.partition]) for tp in tps}

    async def earliest_offsets(self, *tps: TP) -> dict[TP, int]:
        return dict.fromkeys(tps, 0)

    def configure(self, rules: list[Any]) -> None:
        self.rules = rules
        self.worker.configure(self.targets, rules)

    def write_finding(self, finding: Finding, rule: Any, labels: dict[str, str]) -> None:
        key = groups.finding_key(rule, finding.target, labels)
        self.log.findings[partition_of(key, KAFKA.partitions)].append((encode(finding), self.now))

    def read(self) -> None:
        """Take in every finding that is on the log."""
        for partition, records in self.log.findings.items():
            for offset in range(self.positions[partition], len(records)):
                value, at = records[offset]
                message = SimpleNamespace(
                    topic="m.findings",
                    partition=partition,
                    offset=offset,
                    timestamp=at / 1000.0,
                    key=b"",
                    value=value,
                    headers=(),
                )
                event = SimpleNamespace(message=message, ack=lambda: None)
                self.loop.run_until_complete(self.worker.take(event))
            self.positions[partition] = len(records)

    def control(self, control: Control) -> None:
        self.log.controls.append(control)
        self.worker.take_control(control)
        self.worker.refresh()

    def tick(self) -> None:
        self.worker.tick(self.now)

    def flush(self, dies_after: int | None = None, *, written: bool = False) -> bool:
        """Store and tell; whether the process lived through it."""
        self.log.writes_left, self.log.written_at_death = dies_after, written
        try:
            self.loop.run_until_complete(self.worker.flush())
        except DiedError:
            self.start()
            return False
        self.log.writes_left = None
        self.follow()
        return True

    def follow(self) -> None:
        """Read what is new on `alerts`."""
        alerts = self.log.alerts()
        for alert in alerts[self.followed :]:
            self.worker.take_other(standing_of(alert))
        self.followed = len(alerts)
