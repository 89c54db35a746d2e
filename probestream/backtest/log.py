"""The log of samples as a backtest reads it: out of Kafka, from one time to another, a partition at a time."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka import KafkaSettings, client_options, close, consumer_options
from streams.records import Record
from streams.topics import SAMPLES, TopicError, full_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_FETCH_BYTES = 16 * 1024 * 1024
_STUCK_S = 60.0


@dataclass(frozen=True, slots=True)
class Part:
    """Records of one partition from offset `first` up to, but not, `end`. Times are those of the first and the last."""

    partition: int
    first: int
    end: int
    first_ms: float | None = None
    last_ms: float | None = None


class Log(Protocol):
    """Where records of samples come from. It can be handed to another process."""

    @property
    def partitions(self) -> int:
        """How many partitions the samples are spread over."""
        ...

    def all(self) -> list[Part]:
        """All that the log has, by partition."""
        ...

    def between(self, from_ms: float, to_ms: float) -> list[Part]:
        """What was appended from one time to another, both included, by partition."""
        ...

    def read(self, part: Part) -> Iterator[list[Record]]:
        """The records of a part, in their order, some megabytes at a time."""
        ...


def consumer_of(kafka: KafkaSettings, name: str) -> AIOKafkaConsumer:
    """A consumer that reads as much as it is given."""
    return AIOKafkaConsumer(
        **{**consumer_options(kafka, name), "fetch_max_wait_ms": 500, "request_timeout_ms": 120_000},
        fetch_max_bytes=_FETCH_BYTES,
        max_partition_fetch_bytes=_FETCH_BYTES,
        check_crcs=True,
    )


class KafkaLog:
    """The topic `samples` of a cluster."""

    def __init__(self, kafka: KafkaSettings, partitions: int = 0) -> None:
        self.kafka = kafka
        self.topic = full_name(kafka, SAMPLES)
        self.partitions = partitions or asyncio.run(self._count())

    async def _count(self) -> int:
        admin = AIOKafkaAdminClient(**client_options(self.kafka, "backtest-admin"))
        await admin.start()
        try:
            if self.topic not in await admin.list_topics():
                raise TopicError(f"there is no topic {self.topic} on {self.kafka.servers}: nothing was ever recorded")
            return len((await admin.describe_topics([self.topic]))[0]["partitions"])
        finally:
            await admin.close()

    def all(self) -> list[Part]:
        """All that the topic has."""
        return asyncio.run(self._all())

    def between(self, from_ms: float, to_ms: float) -> list[Part]:
        """What the broker took from one time to another."""
        return asyncio.run(self._between(from_ms, to_ms))

    @contextlib.asynccontextmanager
    async def _assigned(self) -> AsyncIterator[tuple[Any, list[TopicPartition]]]:
        consumer = AIOKafkaConsumer(**consumer_options(self.kafka, "backtest"))
        await consumer.start()
        try:
            tps = [TopicPartition(self.topic, p) for p in range(self.partitions)]
            consumer.assign(tps)
            yield consumer, tps
        finally:
            await close(consumer)

    async def _all(self) -> list[Part]:
        async with self._assigned() as (consumer, tps):
            begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
            parts = []
            for tp in tps:
                first, end = begins[tp], ends[tp]
                times = [await _time_at(consumer, tp, at) for at in (first, end - 1)] if end > first else [None, None]
                parts.append(Part(tp.partition, first, end, *times))
            return parts

    async def _between(self, from_ms: float, to_ms: float) -> list[Part]:
        async with self._assigned() as (consumer, tps):
            ends = await consumer.end_offsets(tps)
            since = await consumer.offsets_for_times(dict.fromkeys(tps, int(from_ms)))
            until = await consumer.offsets_for_times(dict.fromkeys(tps, int(to_ms) + 1))

            def at(found: dict[TopicPartition, Any], tp: TopicPartition) -> int:
                place = found.get(tp)
                return int(ends[tp] if place is None else min(place.offset, ends[tp]))

            return [Part(tp.partition, at(since, tp), max(at(since, tp), at(until, tp))) for tp in tps]

    def read(self, part: Part) -> Iterator[list[Record]]:
        """The records of a part."""
        with asyncio.Runner() as runner:
            consumer, tp = runner.run(self._opened(part))
            try:
                position = part.first
                while position < part.end:
                    records = runner.run(_some(consumer, tp))
                    position = runner.run(consumer.position(tp))
                    yield [Record(r.offset, r.timestamp, r.value) for r in records if r.offset < part.end]
            finally:
                runner.run(close(consumer))

    async def _opened(self, part: Part) -> tuple[AIOKafkaConsumer, TopicPartition]:
        consumer, tp = consumer_of(self.kafka, f"backtest-{part.partition}"), TopicPartition(self.topic, part.partition)
        await consumer.start()
        consumer.assign([tp])
        consumer.seek(tp, part.first)
        return consumer, tp


async def _some(consumer: AIOKafkaConsumer, tp: TopicPartition) -> list[Any]:
    """The next records. Raises TopicError where none come though there are some."""
    before, tried = await consumer.position(tp), 0.0
    while tried < _STUCK_S:
        if records := (await consumer.getmany(tp, timeout_ms=1000)).get(tp):
            return list(records)
        if await consumer.position(tp) > before:  # of a transaction that was given up
            return []
        tried += 1.0
    raise TopicError(f"{tp.topic}/{tp.partition} gives nothing from offset {before} on for {_STUCK_S:.0f} s")


async def _time_at(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int) -> float | None:
    """When the broker took the first record from `offset` on."""
    consumer.seek(tp, offset)
    for _ in range(10):
        if records := (await consumer.getmany(tp, timeout_ms=1000, max_records=1)).get(tp):
            return float(records[0].timestamp)
    return None
