"""What the ledger on `notifications` says of deliveries that were begun before this process had their partition."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from agents.notify.delivery import FINAL, ledger_key
from agents.notify.retry import may_have_arrived
from schemas import DecodeError, Notification, decode
from streams.kafka import close, consumer_options
from streams.preferences import QUIET_HOURS
from streams.topics import NOTIFICATIONS, full_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiokafka.structs import ConsumerRecord

    from streams.kafka import KafkaSettings

CLOCK_MARGIN_MS = 60_000
"""Brokers' clocks may differ by so much: the leaders of two topics stamp their records."""


@dataclass(slots=True)
class Entry:
    """All steps of one delivery, folded. Times are milliseconds since the Unix epoch, UTC."""

    outcome: str
    reason: str
    attempt: int
    repeat: bool
    since: float
    late: bool = False
    """Whether it was withheld first, and told when that was over."""

    @property
    def withheld(self) -> bool:
        """Whether it is to be told when quiet hours are over."""
        return self.outcome == "skipped" and self.reason == QUIET_HOURS

    @property
    def final(self) -> bool:
        """Whether nothing is left to do."""
        return self.outcome in FINAL

    @property
    def may_have_arrived(self) -> bool:
        """Whether the next attempt may be the receiver's second."""
        return self.repeat or self.outcome == "intent" or may_have_arrived(self.reason)


def fold(entry: Entry | None, step: Notification) -> Entry:
    """The entry after `step`. An outcome stays, whatever a late intent of a dead process says."""
    late = entry is not None and (entry.late or (entry.withheld and step.outcome != "skipped"))
    if entry is not None and entry.withheld and late:
        entry = None  # what comes now is its telling
    if entry is not None and entry.final:
        return entry
    since = step.at if entry is None else min(entry.since, step.at)
    repeat = step.repeat or (entry is not None and may_have_arrived(entry.reason))
    return Entry(step.outcome, step.reason, step.attempt, repeat, since, late)


async def load(kafka: KafkaSettings, channel: str, partition: int, since_ms: float, limit_s: float) -> dict[str, Entry]:
    """The entries of `channel`, by ledger key, from the steps written at `since_ms` or later.

    The caller must have fenced its predecessor before: an open transaction would hide what comes after it. Raises
    TimeoutError where nothing comes for `limit_s` seconds, as behind somebody else's, until the broker ends it.
    """
    tp = TopicPartition(full_name(kafka, NOTIFICATIONS), partition)
    consumer = AIOKafkaConsumer(**consumer_options(kafka, f"notify-{channel}-ledger"))
    try:
        async with asyncio.timeout(limit_s):
            await consumer.start()
            consumer.assign([tp])
            starts = await consumer.offsets_for_times({tp: max(0, int(since_ms) - CLOCK_MARGIN_MS)})
            if starts[tp] is None:
                return {}
            consumer.seek(tp, starts[tp].offset)
            # As read_committed sees it, the end is the last stable offset. Another channel's transaction may be open
            # below it, but nothing of this channel's: its own predecessor was fenced, which ended its transaction, and
            # plain writes of this channel behind a foreign open transaction are waited for by reading up to the real
            # end.
            end = await _end(kafka, channel, tp)
        entries: dict[str, Entry] = {}
        async for record in read_to(consumer, tp, end, limit_s):
            _take(entries, channel, record.value)
        return entries
    finally:
        await close(consumer, 1.0)


async def read_to(
    consumer: AIOKafkaConsumer, tp: TopicPartition, end: int, limit_s: float
) -> AsyncIterator[ConsumerRecord]:
    """The records of the one partition that is assigned to `consumer`, from where it stands up to offset `end`.

    Weeks of them may take minutes. Raises TimeoutError where none comes for `limit_s` seconds.
    """
    while True:
        records: list[ConsumerRecord] = []
        async with asyncio.timeout(limit_s):
            while not records:
                if await consumer.position(tp) >= end:
                    return
                records = (await consumer.getmany(timeout_ms=500)).get(tp, [])
        for record in records:
            if record.offset < end:
                yield record


async def _end(kafka: KafkaSettings, channel: str, tp: TopicPartition) -> int:
    options = consumer_options(kafka, f"notify-{channel}-ledger-end") | {"isolation_level": "read_uncommitted"}
    consumer = AIOKafkaConsumer(**options)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets([tp])
        return ends[tp]
    finally:
        await close(consumer, 1.0)


def _take(entries: dict[str, Entry], channel: str, value: bytes | None) -> None:
    try:
        step = decode(value, Notification)
    except DecodeError:
        return  # a tombstone, or somebody else's bytes: no step of ours, and history reports it
    if step.channel == channel:
        key = ledger_key(step.alert_id, step.number, step.receiver, step.channel, step.integration)
        entries[key] = fold(entries.get(key), step)
