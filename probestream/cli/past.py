"""Reads the `alerts` topic back for some time: which alerts fired, and for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas import Alert, DecodeError, decode
from streams.kafka import consumer_options
from streams.rules.lint import Past
from streams.topics import ALERTS, TopicError, full_name, partitions

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

_WAIT_MS = 500


async def read_past(kafka: KafkaSettings, span_s: float, now_ms: float) -> Past:
    """The alerts of the last `span_s` seconds, or of as many as the topic is kept. Raises TopicError."""
    past = Past(min(span_s, (ALERTS.days or 35) * 86_400.0))
    name = full_name(kafka, ALERTS)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "lint"))
    await consumer.start()
    try:
        if name not in await consumer.topics():
            raise TopicError(f"no topic {name} on {kafka.servers}: nothing has run there yet")
        parts = [TopicPartition(name, p) for p in range(partitions(kafka, ALERTS))]
        consumer.assign(parts)
        start = int(now_ms - past.span_s * 1000.0)
        begins = await consumer.offsets_for_times(dict.fromkeys(parts, start))
        ends = await consumer.end_offsets(parts)
        left = {}
        for part in parts:
            if begins[part] is not None and begins[part].offset < ends[part]:
                consumer.seek(part, begins[part].offset)
                left[part] = ends[part]
            else:
                consumer.pause(part)
        while left:
            for records in (await consumer.getmany(*left, timeout_ms=_WAIT_MS)).values():
                for record in records:
                    _take(past, record.value)
            # By position: what ends a transaction is no record, and the last of a partition may be such.
            left = {p: end for p, end in left.items() if await consumer.position(p) < end}
    finally:
        await consumer.stop()
    return past


def _take(past: Past, value: bytes | None) -> None:
    if value is None:
        return
    try:
        past.take(decode(value, Alert))
    except DecodeError:
        return  # another program's, or another version's: there is nothing to be learnt from it
