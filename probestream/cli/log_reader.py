"""Lines and templates out of Kafka, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.logs.app import counting_of
from agents.logs.state import load
from schemas import DecodeError, LogBatch, decode
from streams.kafka import close, consumer_options
from streams.partition import partition_of
from streams.topics import LOGS, full_name, partitions

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.logs.settings import LogsSettings
    from streams.kafka import KafkaSettings
    from streams.log_templates import Template


async def lines(
    kafka: KafkaSettings, target: str | None, *, from_beginning: bool
) -> AsyncIterator[tuple[str, str, str]]:
    """Target, level and message of each line as it comes, of one target or of all."""
    numbers = range(partitions(kafka, LOGS)) if target is None else [partition_of(target, kafka.partitions)]
    tps = [TopicPartition(full_name(kafka, LOGS), n) for n in numbers]
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "logs-tail"))
    await consumer.start()
    try:
        consumer.assign(tps)
        await (consumer.seek_to_beginning(*tps) if from_beginning else consumer.seek_to_end(*tps))
        async for record in consumer:
            try:
                batch = decode(record.value, LogBatch)
            except DecodeError:  # the logs role reports it
                continue
            if target in (None, batch.target):
                for level, message in zip(batch.level or [""] * len(batch.message), batch.message, strict=False):
                    yield batch.target, level, message
    finally:
        await close(consumer)


async def known_templates(kafka: KafkaSettings, settings: LogsSettings, target: str) -> list[Template]:
    """The templates that the logs role has stored of `target`, those seen last first."""
    number = partition_of(target, kafka.partitions)
    state = (await load(kafka, [number], counting_of(settings)))[number]
    book = state.books.get(target)
    return sorted(book.templates.by_id.values(), key=lambda t: -t.last) if book is not None else []
