"""Writes samples as a probe would."""

from __future__ import annotations

from aiokafka import AIOKafkaProducer

from schemas import SampleBatch, encode
from streams.kafka import KafkaSettings
from streams.partition import partition_of
from streams.topics import SAMPLES, full_name
from streams.units import now_ms


class Feed:
    """A record at a time, each in the partition of its target; `sent` counts them."""

    def __init__(self, kafka: KafkaSettings, producer: AIOKafkaProducer) -> None:
        self.kafka, self.producer, self.sent = kafka, producer, 0

    async def samples(self, target: str, *oks: bool, latency: float = 10.0, at: float | None = None) -> list[int]:
        """A record for each of `oks`, now or `at` that time; their offsets, between which detect's own may be."""
        offsets = []
        for ok in oks:
            when = now_ms() if at is None else at
            batch = SampleBatch(probe="p", target=[target], time=[when], ok=[ok], latency_ms=[latency])
            offsets.append(await self.batch(batch))
        return offsets

    async def batch(self, batch: SampleBatch, partition: int | None = None) -> int:
        home = partition_of(batch.target[0], self.kafka.partitions) if partition is None else partition
        return await self.raw(encode(batch), home)

    async def raw(self, value: bytes | None, partition: int) -> int:
        topic = full_name(self.kafka, SAMPLES)
        stored = await self.producer.send_and_wait(topic, value, key=b"k", partition=partition)
        self.sent += 1
        return int(stored.offset)
