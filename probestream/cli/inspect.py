"""Reads topics for people: their sizes, and their records in words."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from schemas.codec import DecodeError, decode_dict
from streams.kafka import client_options, consumer_options
from streams.topics import FLOW, Topic, TopicError, full_name, partitions

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings


async def overview(kafka: KafkaSettings) -> list[dict[str, Any]]:
    """One row for each topic in flow order; `records` is None where the topic does not exist."""
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "topics"))
    await consumer.start()
    try:
        existing = await consumer.topics()
        return [await _row(consumer, kafka, topic, full_name(kafka, topic) in existing) for topic in FLOW]
    finally:
        await consumer.stop()


async def _row(consumer: Any, kafka: KafkaSettings, topic: Topic, exists: bool) -> dict[str, Any]:
    records = None
    if exists:
        parts = [TopicPartition(full_name(kafka, topic), p) for p in range(partitions(kafka, topic))]
        first, last = await consumer.beginning_offsets(parts), await consumer.end_offsets(parts)
        # Offsets, so compacted records and transaction markers count too: an upper bound.
        records = sum(last[p] - first[p] for p in parts)
    kept = " + ".join(
        ([f"{topic.days} days"] if topic.days is not None else []) + (["compacted"] if topic.compacted else [])
    )
    return {
        "topic": topic.name,
        "schema": topic.schema,
        "key": topic.key,
        "partitions": partitions(kafka, topic),
        "kept": kept,
        "records": records,
        "written_by": list(topic.writers),
        "read_by": list(topic.readers),
    }


async def _partitions(kafka: KafkaSettings, name: str) -> list[TopicPartition]:
    """The partitions that topic `name` really has. Raises TopicError where it does not exist."""
    admin = AIOKafkaAdminClient(**client_options(kafka, "tail"))
    await admin.start()
    try:
        if name not in await admin.list_topics():
            raise TopicError(f"no topic {name} on {kafka.servers}; `probestream topics --create` makes it")
        (described,) = await admin.describe_topics([name])
        return [TopicPartition(name, part["partition"]) for part in described["partitions"]]
    finally:
        await admin.close()


async def follow(kafka: KafkaSettings, topic: Topic, *, from_beginning: bool, count: int | None, as_json: bool) -> None:
    """Print records of `topic` until `count` have been, or a signal comes."""
    name = full_name(kafka, topic)
    parts = await _partitions(kafka, name)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "tail"))
    await consumer.start()
    try:
        consumer.assign(parts)
        await (consumer.seek_to_beginning(*parts) if from_beginning else consumer.seek_to_end(*parts))
        for part in parts:  # a seek to the end is done at the first question: ask before anything new is written
            await consumer.position(part)
        typer.echo(f"reading {name}", err=True)
        reading = asyncio.create_task(_print_all(consumer, count, as_json))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, reading.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await reading
    finally:
        await consumer.stop()


async def _print_all(consumer: Any, count: int | None, as_json: bool) -> None:
    printed = 0
    async for message in consumer:
        typer.echo(json_line(message) if as_json else text_line(message))
        printed += 1
        if count is not None and printed >= count:
            return


def described(message: Any) -> dict[str, Any]:
    """A Kafka record as plain values; `value` is decoded, or `error` says why it is not."""
    out: dict[str, Any] = {
        "topic": message.topic,
        "partition": message.partition,
        "offset": message.offset,
        "time": datetime.fromtimestamp(message.timestamp / 1000, UTC).isoformat(timespec="milliseconds"),
        "key": message.key.decode("utf-8", "backslashreplace") if message.key is not None else None,
    }
    if message.value is None:
        return out | {"schema": None, "value": None}
    try:
        schema, values = decode_dict(message.value)
    except DecodeError as error:
        return out | {"error": error.reason, "message": str(error), "bytes": len(message.value)}
    return out | {"schema": schema.name, "value": plain(values)}


def plain(value: Any) -> Any:
    """`value` as JSON knows it: bytes as text with escapes, NaN and infinities as null."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def json_line(message: Any) -> str:
    """One line of JSON."""
    return json.dumps(described(message), ensure_ascii=False)


def text_line(message: Any) -> str:
    """One line for people: time, place, key, then the value."""
    record = described(message)
    head = f"{record['time'][11:23]} {record['partition']}/{record['offset']} {record['key'] or '-'}"
    if "error" in record:
        return f"{head}  not decoded ({record['error']}): {record['message']}"
    if record["value"] is None:
        return f"{head}  deleted"
    return f"{head}  {record['schema']} {json.dumps(record['value'], ensure_ascii=False)}"
