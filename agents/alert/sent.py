"""Which transitions the broker already has: what a recovery must not tell again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Alert, DecodeError, decode
from streams.kafka import KafkaSettings, consumer_options
from streams.partition import partition_of
from streams.topics import ALERTS, full_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.life import Life

# How far the clocks of this machine and the broker may be apart.
_MARGIN_MS = 600_000


async def already_sent(kafka: KafkaSettings, unsure: Sequence[Life]) -> set[tuple[str, int]]:
    """(alert id, number) of every transition on `alerts` since the oldest one in an outbox of `unsure`."""
    since: dict[TopicPartition, int] = {}
    for life in unsure:
        tp = TopicPartition(full_name(kafka, ALERTS), partition_of(life.key, kafka.partitions))
        oldest = int(min(t["at"] for t in life.outbox)) - _MARGIN_MS
        since[tp] = min(since.get(tp, oldest), oldest)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "alert-sent"))
    await consumer.start()
    found: set[tuple[str, int]] = set()
    try:
        consumer.assign(list(since))
        ends = await consumer.end_offsets(list(since))
        begins = await consumer.offsets_for_times(since)
        for tp, end in ends.items():
            start = begins.get(tp)
            consumer.seek(tp, end if start is None else start.offset)
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            async with asyncio.timeout(15.0):
                batches = await consumer.getmany(timeout_ms=500)
            for records in batches.values():
                for record in records:
                    try:
                        alert = decode(record.value, Alert)
                    except DecodeError:
                        continue  # not one of ours; notify refuses it
                    found.add((alert.id, alert.number))
    finally:
        await consumer.stop()
    return found
