"""Where the alerts of all partitions stand: what inhibits, what others depend on, what composites are made of.

It begins with the stored lives of everybody, which are few, and follows `alerts` from where that was when they were
read: a transition is stored before it is told, so what is told later is either news or known by its number.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Alert, DecodeError, decode
from streams.alerting.composites import standing_of
from streams.composites import Standing
from streams.kafka import KafkaSettings, consumer_options
from streams.life import ACTIVE
from streams.topics import ALERT_STATE, ALERTS, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("probestream.alert")


async def follow(kafka: KafkaSettings, take: Callable[[Standing], None], informed: Callable[[], None]) -> None:
    """Call `take` for every alert that is active, then `informed`, then `take` for every transition, for ever."""
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "alert-others"))
    await consumer.start()
    try:
        alerts = [TopicPartition(full_name(kafka, ALERTS), p) for p in range(kafka.partitions)]
        states = [TopicPartition(full_name(kafka, ALERT_STATE), p) for p in range(kafka.partitions)]
        ends = await consumer.end_offsets([*alerts, *states])
        for standing in await _stored(consumer, {tp: ends[tp] for tp in states}):
            take(standing)
        consumer.assign(alerts)
        for tp in alerts:
            consumer.seek(tp, ends[tp])
        informed()
        async for record in consumer:
            try:
                take(standing_of(decode(record.value, Alert)))
            except DecodeError as error:
                log.warning("alerts/%d/%d: %s", record.partition, record.offset, error)
    finally:
        await consumer.stop()


async def _stored(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> list[Standing]:
    """The active alerts among the stored lives."""
    found: dict[bytes, Standing] = {}
    consumer.assign(list(ends))
    await consumer.seek_to_beginning(*ends)
    while any([await consumer.position(tp) < end for tp, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                standing = _in_entry(record.value) if record.key and not record.key.startswith(b"\0") else None
                if standing is None:
                    found.pop(record.key, None)
                else:
                    found[record.key] = standing
    return list(found.values())


def _in_entry(value: bytes | None) -> Standing | None:
    life: dict[str, Any] = orjson.loads(value) if value else {}
    if life.get("state") not in ACTIVE:
        return None
    names = ("id", "number", "rule", "target", "labels", "severity", "state", "began")
    return Standing(**{n: life[n] for n in names}, at=life["listed_at"], turned=life["fired"] or life["since"])
