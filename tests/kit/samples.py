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

    async def samples(self, target: str, *oks: bool, latency: float = 10.0, at: float | None = None) -> None:
        """A record for each of `oks`, now or `at` that time."""
        for ok in oks:
            when = now_ms() if at is None else at
            await self.batch(SampleBatch(probe="p", target=[target], time=[when], ok=[ok], latency_ms=[latency]))

    async def batch(self, batch: SampleBatch, partition: int | None = None) -> None:
        home = partition_of(batch.target[0], self.kafka.partitions) if partition is None else partition
        await self.raw(encode(batch), home)

    async def raw(self, value: bytes | None, partition: int) -> None:
        await self.producer.send_and_wait(full_name(self.kafka, SAMPLES), value, key=b"k", partition=partition)
        self.sent += 1
