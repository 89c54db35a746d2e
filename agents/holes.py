"""Whether records are missing between what was read last and what came."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams import fetched
from streams.kafka import KafkaSettings, consumer_options


class HoleError(RuntimeError):
    """Records did not come that the log has: only reading again from the state helps."""


async def check_hole(kafka: KafkaSettings, topic: str, partition: int, first: int, end: int) -> None:
    """Raise HoleError where `topic` has a record from offset `first` up to, not with, `end`.

    Offsets without records are no hole: transactional producers leave markers in the log.
    """
    tp = TopicPartition(topic, partition)
    # As Faust reads: behind a transaction that is open there would be nothing to come, for as long as it is.
    consumer = AIOKafkaConsumer(**{**consumer_options(kafka, "hole"), "isolation_level": "read_uncommitted"})
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
