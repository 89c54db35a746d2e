"""The alerts that are active now, read from the topic."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Alert, DecodeError, decode
from streams.kafka import close, consumer_options
from streams.topics import ALERTS, full_name, partitions

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

_OVER = ("resolved", "cancelled", "pending")


async def active_alerts(kafka: KafkaSettings) -> list[Alert]:
    """The latest transition of every alert that is active, as far back as the topic goes; oldest first."""
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "active"))
    await consumer.start()
    try:
        parts = [TopicPartition(full_name(kafka, ALERTS), p) for p in range(partitions(kafka, ALERTS))]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await asyncio.wait_for(consumer.end_offsets(parts), 15.0)
        latest: dict[str, Alert] = {}
        while any([await consumer.position(p) < ends[p] for p in parts]):
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                for message in messages:
                    _take(latest, message.value)
    finally:
        await close(consumer)
    return sorted((a for a in latest.values() if a.state not in _OVER), key=lambda a: a.began)


def _take(latest: dict[str, Alert], value: bytes | None) -> None:
    try:
        alert = decode(value, Alert) if value is not None else None
    except (DecodeError, TypeError):
        return
    if alert is not None and (alert.id not in latest or latest[alert.id].number < alert.number):
        latest[alert.id] = alert
