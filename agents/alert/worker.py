"""The cycle of the alert hop: findings change lives, lives are stored, then told, and only then findings let go.

In: records of `findings`; what people ask on `control`; where all other alerts stand; the clock. State: one `Life` a
target (or group) and rule, with an outbox. Out: transitions on `alerts`.

Dying before a life is stored: its finding is read again. Dying after, before its outbox is sent or known to be
sent: the recovery looks on `alerts` which of the outbox's transitions are there, and sends the others. Dying
after that: the finding is known by its offset and passed over. So each transition is on `alerts` once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agents.alert.flush import Flush
from agents.alert.intake import Intake
from agents.alert.restore import restore
from agents.holes import check_hole
from streams import life as lifecycle
from streams.alerting import KEPT_MS, Engine
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.alerting import Watched
    from streams.kafka import KafkaSettings
    from streams.life import LifeDefaults
    from streams.rules import Rule
    from streams.suppression import Suppressions

_INFORMED_WITHIN_S = 110.0
_KNOWN_WITHIN_S = 10.0
_NEWS_MS = 60_000.0


class Worker(Engine):
    """All lives of this process's partitions."""

    def __init__(
        self,
        kafka: KafkaSettings,
        targets: Iterable[Watched],
        rules: Iterable[Rule],
        defaults: LifeDefaults | None = None,
        suppressions: Suppressions | None = None,
    ) -> None:
        self.kafka = kafka
        self.consumer: Any = None
        self.informed = {"control": asyncio.Event(), "others": asyncio.Event()}
        self._configured = asyncio.Event()
        self._unheard: set[str] = set()
        super().__init__(kafka.partitions, targets, rules, defaults, suppressions, clock=lambda: now_ms())  # noqa: PLW0108 - a test's clock takes its place
        self.intake = Intake(kafka, self.terms)
        self.flusher = Flush(kafka, self.lives, self.intake)

    @property
    def wake(self) -> asyncio.Event:
        """Set when there is something to flush."""
        return self.flusher.wake

    @property
    def table(self) -> Any:
        """The Faust table of lives."""
        return self.flusher.table

    @table.setter
    def table(self, table: Any) -> None:
        self.flusher.table = table

    async def start(self) -> None:
        """Connect the producer."""
        await self.flusher.start()

    async def close(self) -> None:
        """Disconnect; what was not stored will be read again."""
        await self.flusher.close()

    # What deciding needs to know, and leads to

    def is_behind(self, partition: int) -> bool:
        return self.intake.is_behind(partition)

    def touched(self) -> None:
        self.wake.set()

    def withdraw(self, keys: Iterable[str]) -> None:
        self.flusher.withdrawn += keys

    def in_force(self) -> None:
        super().in_force()
        self._unheard.clear()
        self._configured.set()
        self._configured = asyncio.Event()

    # Beginning, and giving up

    async def restored(self, sources: set[Any]) -> dict[Any, int]:
        """Make the lives from the recovered table, and find out which of their transitions are told.

        What people asked and where other alerts stand is known first: nothing may be told that a silence hides.
        """
        self._forget()
        async with asyncio.timeout(_INFORMED_WITHIN_S):
            for event in self.informed.values():
                await event.wait()
        consumer = self.consumer()
        ends = {tp.partition: offset or 0 for tp, offset in (await consumer.highwaters(*sources)).items()}
        earliest = {tp.partition: offset or 0 for tp, offset in (await consumer.earliest_offsets(*sources)).items()}
        numbers = [tp.partition for tp in sources]
        lives, positions, unsure = await restore(
            self.kafka,
            self.table.data,
            {p: earliest.get(p, 0) for p in numbers},
            {p: ends.get(p, 0) for p in numbers},
        )
        # No await from here on: the tick and the flusher see all of it or nothing.
        self.intake.begin({p: at - 1 for p, at in positions.items()}, {p: ends.get(p, 0) for p in numbers})
        self.lives.become(lives)
        for life in unsure:
            self._touch(life)
        now = now_ms()
        for life in self.lives:
            if self.hands.apply(life, now):
                self._touch(life)
            elif life.active and (policy := self.terms.policies.get(life.rule)) is not None:
                self.lives.wake_at(life.key, lifecycle.due(life, policy))
        self._changed = True
        return {tp: positions[tp.partition] for tp in sources}

    def _forget(self) -> None:
        self.lives.become({})
        self.intake.begin({}, {})

    async def revoked(self) -> None:
        """Finish what is under way and forget the partitions."""
        await self.flush()
        self._forget()

    def progress(self) -> dict[int, int]:
        """Offset of the last finding read, by partition."""
        return dict(self.intake.seen)

    # What comes in

    async def take(self, event: Any) -> None:
        """Take in one finding; `flush` stores and tells what it changed. Raises HoleError where one is missing."""
        message = event.message
        intake, partition = self.intake, message.partition
        if partition not in intake.seen:
            return  # of a partition that was just given up; whoever has it next reads it
        lives, seen = self.lives.by_partition, intake.seen[partition]
        if message.offset > seen + 1:
            await check_hole(self.kafka, message.topic, partition, seen + 1, message.offset)
        await self._know_rule(message)
        if self.lives.by_partition is not lives:
            return  # given up meanwhile
        if message.offset <= seen:
            event.ack()
            return
        finding = intake.take(event)
        self.wake.set()
        if finding is not None:
            self.take_finding(finding, message.offset, message.timestamp * 1000.0)

    async def _know_rule(self, message: Any) -> None:
        """Wait for a rule that detect has heard of earlier than this process; for one that never comes, once.

        From when the finding came, not from when it was written: a process that stood still has both to read, and not
        in their order. What a backlog is about was heard of at the start.
        """
        name = self.intake.rule_of(message)
        is_news = now_ms() - message.timestamp * 1000.0 < _NEWS_MS
        if name is not None and name not in self.terms.rules and name not in self._unheard and is_news:
            try:
                async with asyncio.timeout(_KNOWN_WITHIN_S):
                    while name not in self.terms.rules:
                        await self._configured.wait()
            except TimeoutError:
                self._unheard.add(name)

    def tick(self, now: float) -> None:
        """Let time pass for the partitions whose findings are all read: an unread one may have ended an episode."""
        if self.intake.caught_up():
            self._changed = True
        super().tick(now)

    async def flush(self) -> None:
        """Store what changed, tell it, and let the findings go."""
        await self.flusher.run()


__all__ = ["KEPT_MS", "Worker"]
