"""Whether records are missing between what was read last and what came."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import fetched
from streams.kafka import consumer_options

if TYPE_CHECKING:
    from streams.kafka import Isolation, KafkaSettings


class HoleError(RuntimeError):
    """Records did not come that the log has: only reading again from the state helps."""


def _reader(kafka: KafkaSettings, isolation: Isolation) -> Any:
    return AIOKafkaConsumer(**{**consumer_options(kafka, "hole"), "isolation_level": isolation})


async def check_hole(
    kafka: KafkaSettings, topic: str, partition: int, first: int, end: int, isolation: Isolation = "read_uncommitted"
) -> None:
    """Raise HoleError where `topic` has a record from offset `first` up to, not with, `end`.

    Offsets without records are no hole: transactional producers leave markers in the log. `isolation` is how the one
    who asks reads: what they leave out is no hole, and where they wait for no transaction it is not waited for here.
    """
    tp = TopicPartition(topic, partition)
    consumer = _reader(kafka, isolation)
    await consumer.start()
    try:
        fetched.as_one(consumer._fetcher, frozenset([topic]))  # noqa: SLF001 - looked at within bounds of memory
        consumer.assign([tp])
        consumer.seek(tp, first)
        async with asyncio.timeout(10.0):
            found = fetched.begins([await consumer.getone()])
    finally:
        await consumer.stop()
    if max(found, first) < end:  # a batch may begin before what was asked for
        raise HoleError(f"{topic}/{partition}: record {max(found, first)} did not come, {end} did")


async def end_of(kafka: KafkaSettings, topic: str, partition: int) -> int:
    """The offset behind the last record of a partition, whether or not its transaction has ended."""
    tp = TopicPartition(topic, partition)
    consumer = _reader(kafka, "read_uncommitted")
    await consumer.start()
    try:
        return int((await consumer.end_offsets([tp]))[tp])
    finally:
        await consumer.stop()
