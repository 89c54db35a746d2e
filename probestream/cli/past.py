"""What the rules of a file did for some time: the alerts they had, or would have had."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from probestream.backtest.own_past import in_force_since, would_have_fired
from probestream.backtest.past import controls_of
from probestream.reload import edits, items
from schemas import Alert, DecodeError, decode
from streams.changes import Changes
from streams.control import Controls
from streams.kafka import consumer_options
from streams.rules.lint import Past
from streams.topics import ALERTS, TopicError, full_name, partitions

if TYPE_CHECKING:
    from probestream.backtest.run import Told
    from probestream.config.load import Located
    from streams.kafka import KafkaSettings

_WAIT_MS = 500


def own_past(kafka: KafkaSettings, found: Located, span_s: float, now_ms: float, told: Told) -> Past:
    """The past of each rule as the file has it, in the last `span_s` seconds. Raises TopicError.

    Of a rule that was another meanwhile, or that is not in force yet, the samples say what it would have done.
    """
    records = controls_of(kafka)
    config, controls = found.config, Controls()
    for _, record in records:
        controls.take(record)
    since = in_force_since(config.rules, Changes.of(records))
    # What the file says, and nobody has taken in yet.
    news = {edit.id for edit in edits(items(found), controls, "") if edit.kind == "rule"}
    since |= {rule.name: math.inf for rule in config.rules if news & {rule.name, rule.pair}}
    past = Past(min(span_s, (ALERTS.days or 35) * 86_400.0), now_ms, since)
    changed = [rule.name for rule in config.rules if past.is_changed(rule.name)]
    if changed:
        alerts, lasted_s = would_have_fired(kafka, config, changed, past.span_s, records, told)
        if lasted_s:
            past.replayed, past.replayed_s = alerts, lasted_s
    asyncio.run(_read(kafka, past))
    return past


async def _read(kafka: KafkaSettings, past: Past) -> None:
    """Take in the alerts of that time, or of as long as the topic is kept."""
    name = full_name(kafka, ALERTS)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "lint"))
    await consumer.start()
    try:
        if name not in await consumer.topics():
            raise TopicError(f"no topic {name} on {kafka.servers}: nothing has run there yet")
        parts = [TopicPartition(name, p) for p in range(partitions(kafka, ALERTS))]
        consumer.assign(parts)
        start = int(past.now - past.span_s * 1000.0)
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


def _take(past: Past, value: bytes | None) -> None:
    if value is None:
        return
    try:
        past.take(decode(value, Alert))
    except DecodeError:
        return  # another program's, or another version's: there is nothing to be learnt from it
