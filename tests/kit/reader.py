"""Reads topics into lists while a test goes on."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Record
from schemas.codec import decode_any
from streams.kafka import KafkaSettings, consumer_options
from streams.topics import Topic, full_name, partitions
from tests.kit.role import PATIENCE_S, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Reader:
    """Every record of some topics, from their beginning, in lists by topic name."""

    def __init__(self) -> None:
        self.records: dict[str, list[Record]] = {}

    def __getitem__(self, topic: Topic) -> list:
        return self.records.setdefault(topic.name, [])

    async def wait(self, topic: Topic, enough: int | Callable[[list], bool], timeout: float = PATIENCE_S) -> list:
        """The topic's records as soon as there are `enough`."""
        good = (lambda got: len(got) >= enough) if isinstance(enough, int) else enough
        await until(
            lambda: good(self[topic]), timeout, lambda: f"{topic.name} has {len(self[topic])}, last {self[topic][-3:]}"
        )
        return self[topic]


@asynccontextmanager
async def reading(kafka: KafkaSettings, *topics: Topic) -> AsyncIterator[Reader]:
    reader = Reader()
    name_of = {full_name(kafka, t): t.name for t in topics}
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "test-reader"))
    await consumer.start()
    tps = [TopicPartition(full_name(kafka, t), p) for t in topics for p in range(partitions(kafka, t))]
    consumer.assign(tps)
    await consumer.seek_to_beginning(*tps)

    async def pump() -> None:
        async for message in consumer:
            reader.records.setdefault(name_of[message.topic], []).append(decode_any(message.value))

    task = asyncio.create_task(pump())
    try:
        yield reader
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await consumer.stop()


async def settled(kafka: KafkaSettings, topic: Topic) -> None:
    """Wait until every transaction on a topic has its end there: a commit is answered before its marker is written."""
    tps = [TopicPartition(full_name(kafka, topic), p) for p in range(partitions(kafka, topic))]
    options = consumer_options(kafka, "test-reader")
    async with (
        AIOKafkaConsumer(**options) as committed,
        AIOKafkaConsumer(**{**options, "isolation_level": "read_uncommitted"}) as written,
    ):

        async def same() -> bool:
            return bool(await committed.end_offsets(tps) == await written.end_offsets(tps))

        await until(same, why=f"a transaction on {topic.name} has no end")


async def everything(kafka: KafkaSettings, topic: Topic) -> list[Any]:
    """Kafka's records of a topic, as they are committed now."""
    tps = [TopicPartition(full_name(kafka, topic), p) for p in range(partitions(kafka, topic))]
    found: list[Any] = []
    async with AIOKafkaConsumer(**consumer_options(kafka, "test-reader")) as consumer:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found
