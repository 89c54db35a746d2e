"""What Kafka still knows of the past besides samples: alerts that did fire, and what people asked for meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from probestream.backtest.log import consumer_of
from schemas import Alert, Control, DecodeError, decode
from schemas.records import Record
from streams.kafka import client_options, close
from streams.topics import ALERTS, CONTROL, Topic, full_name

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

R = TypeVar("R", bound=Record)


def past(kafka: KafkaSettings) -> tuple[list[tuple[float, Alert]], list[tuple[float, Control]]]:
    """Every transition on `alerts`, and every record of `control` that is left, each with when the broker took it."""
    return asyncio.run(_past(kafka))


def controls_of(kafka: KafkaSettings) -> list[tuple[float, Control]]:
    """Every record of `control` that is left, with when the broker took it."""
    return asyncio.run(_controls(kafka))


async def _controls(kafka: KafkaSettings) -> list[tuple[float, Control]]:
    return await _all(kafka, CONTROL, Control, await _counts(kafka))


async def _past(kafka: KafkaSettings) -> tuple[list[tuple[float, Alert]], list[tuple[float, Control]]]:
    counts = await _counts(kafka)
    return await _all(kafka, ALERTS, Alert, counts), await _all(kafka, CONTROL, Control, counts)


async def _counts(kafka: KafkaSettings) -> dict[str, int]:
    """Partitions by the names of the two topics, as far as they are there."""
    admin = AIOKafkaAdminClient(**client_options(kafka, "backtest-admin"))
    await admin.start()
    try:
        there = set(await admin.list_topics())
        names = [n for n in (full_name(kafka, ALERTS), full_name(kafka, CONTROL)) if n in there]
        described = await admin.describe_topics(names) if names else []
        return {d["topic"]: len(d["partitions"]) for d in described}
    finally:
        await admin.close()


async def _all(kafka: KafkaSettings, topic: Topic, kind: type[R], counts: dict[str, int]) -> list[tuple[float, R]]:
    name = full_name(kafka, topic)
    tps = [TopicPartition(name, p) for p in range(counts.get(name, 0))]
    found: list[tuple[float, R]] = []
    if not tps:
        return found
    consumer: Any = consumer_of(kafka, f"backtest-{topic.name}")
    await consumer.start()
    try:
        consumer.assign(tps)
        ends = await consumer.end_offsets(tps)
        await consumer.seek_to_beginning(*tps)
        while any([await consumer.position(tp) < ends[tp] for tp in tps]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    if record.value is None:
                        continue
                    try:
                        found.append((float(record.timestamp), decode(record.value, kind)))
                    except DecodeError:
                        continue  # the roles that read it have told of it
    finally:
        await close(consumer)
    return found
