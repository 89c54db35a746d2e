"""Reads topics without a consumer group, each partition from where the view needs it, and never gives up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from streams.kafka import KafkaSettings, close, consumer_options
from streams.topics import ALERTS, DEAD_LETTERS, NOTIFICATIONS, ROLLUPS, Topic, full_name, partitions
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

_log = logging.getLogger("probestream.gateway")
_HOUR_MS, _DAY_MS = 3_600_000.0, 86_400_000.0
# How far back reading begins: milliseconds, and at least this many records. Others begin at their beginning.
_BACK: dict[str, tuple[float, int]] = {
    ALERTS.name: (7 * _DAY_MS, 10_000),
    NOTIFICATIONS.name: (7 * _DAY_MS, 1_000),
    ROLLUPS.name: (1.1 * _HOUR_MS, 0),
    DEAD_LETTERS.name: (7 * _DAY_MS, 100),
}
_MOST = {DEAD_LETTERS.name: 1_000}
_STALL_S = 15.0


class Tail:
    """One reader of many topics.

    `begin(topic, partition, offset)` is told where each partition begins; `fold(topic, partition, messages)` gets
    records in order, each once over all reconnections; `caught_up()` is called once, when all that was there at the
    start is folded; `after()` after each batch.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        topics: Sequence[Topic],
        *,
        begin: Callable[[str, int, int], None],
        fold: Callable[[str, int, list[Any]], None],
        caught_up: Callable[[], Awaitable[None]],
        after: Callable[[], None],
    ) -> None:
        self.kafka = kafka
        self.names = {full_name(kafka, t): t.name for t in topics}
        self.all = [TopicPartition(full_name(kafka, t), p) for t in topics for p in range(partitions(kafka, t))]
        self.following: dict[TopicPartition, int] = {}
        self.ends: dict[TopicPartition, int] = {}
        self.behind: set[TopicPartition] = set(self.all)
        self.begin, self.fold, self.caught_up, self.after = begin, fold, caught_up, after
        self.connected = False

    def lag(self) -> dict[str, int]:
        """Records that are on the log, as last looked at, and not yet folded, by topic."""
        lags: dict[str, int] = dict.fromkeys(self.names.values(), 0)
        for partition, end in self.ends.items():
            lags[self.names[partition.topic]] += max(0, end - self.following.get(partition, 0))
        return lags

    async def run(self, stop: asyncio.Event) -> None:
        """Read until `stop`, over every loss of the broker."""
        wait = 0.2
        while not stop.is_set():
            consumer = AIOKafkaConsumer(**consumer_options(self.kafka, "gateway"))
            try:
                await consumer.start()
                await self._position(consumer)
                self.connected, wait = True, 0.2
                await self._read(consumer, stop)
            except (KafkaError, OSError, TimeoutError) as error:
                _log.warning("Kafka cannot be read, will try again in %.1f s: %s", wait, error)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), wait)
                wait = min(wait * 2, 5.0)
            finally:
                self.connected = False
                await close(consumer)

    async def _position(self, consumer: AIOKafkaConsumer) -> None:
        consumer.assign(self.all)
        first = await asyncio.wait_for(consumer.beginning_offsets(self.all), 15.0)
        self.ends = await asyncio.wait_for(consumer.end_offsets(self.all), 15.0)
        if not self.following:
            starts = await self._starts(consumer, first)
            for partition in self.all:
                self.following[partition] = starts[partition]
                self.begin(self.names[partition.topic], partition.partition, starts[partition])
        for partition in self.all:
            consumer.seek(partition, max(self.following[partition], first[partition]))

    async def _starts(self, consumer: AIOKafkaConsumer, first: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        now = now_ms()
        times = {p: int(now - _BACK[n][0]) for p in self.all if (n := self.names[p.topic]) in _BACK}
        found = await asyncio.wait_for(consumer.offsets_for_times(times), 15.0)
        starts = dict(first)
        for partition, at in found.items():
            name, end = self.names[partition.topic], self.ends[partition]
            start = min(at.offset if at is not None else end, end - _BACK[name][1])
            starts[partition] = max(first[partition], start, end - _MOST.get(name, end))
        return starts

    async def _read(self, consumer: AIOKafkaConsumer, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        looked = progress = loop.time()
        while not stop.is_set():
            await self._check_caught_up(consumer)
            found = await consumer.getmany(timeout_ms=200, max_records=1000)
            now = loop.time()
            for partition, messages in found.items():
                if messages:
                    self.fold(self.names[partition.topic], partition.partition, messages)
                    self.following[partition] = messages[-1].offset + 1
                    progress = now
            if found:
                self.after()
                await asyncio.sleep(0)  # under load getmany returns at once, and the others need a turn
            if now - looked >= 5.0:
                looked = now
                if await self._stalled(consumer, now - progress):
                    _log.warning("records are there and do not arrive: connecting anew")
                    return

    async def _check_caught_up(self, consumer: AIOKafkaConsumer) -> None:
        if not self.behind:
            return
        # The consumer's position, not the last record's offset: a transaction's marker is no record.
        for partition in list(self.behind):
            at = max(self.following[partition], await asyncio.wait_for(consumer.position(partition), 15.0))
            if at >= self.ends[partition]:
                self.behind.discard(partition)
        if not self.behind:
            await self.caught_up()

    async def _stalled(self, consumer: AIOKafkaConsumer, silent_s: float) -> bool:
        """Whether the log grows and nothing arrives, as happens to clients after a broker's death."""
        self.ends = await asyncio.wait_for(consumer.end_offsets(self.all), 15.0)
        if silent_s < _STALL_S:
            return False
        return any([await consumer.position(p) < self.ends[p] for p in self.all])
