"""What was before this process had the partition: transitions, and who was told of them, as the ledger has it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition

from agents.notify import ledger
from agents.notify.delivery import of_key
from schemas import Alert, DecodeError, decode
from streams.kafka import close, consumer_options
from streams.topics import ALERTS, full_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiokafka.structs import ConsumerRecord

    from agents.notify.context import Context

_MARGIN_MS = 6 * 3_600_000.0
"""Read from so long before an alert fired: then others that began about then need no reading of their own."""


class Past:
    """One partition's. What was read is kept until it is asked for."""

    def __init__(self, context: Context, partition: int, limit_s: float) -> None:
        self._context, self._partition, self._limit_s = context, partition, limit_s
        self._told: dict[str, set[tuple[str, int]]] = {}
        self._since: dict[str, set[tuple[str, int]]] = {}

    def tells(self, alert_id: str, integration: tuple[str, int]) -> None:
        """Note that an integration is told from now on of an alert that was not asked for: what was read is older."""
        self._since.setdefault(alert_id, set()).add(integration)

    async def told(self, alert: Alert) -> set[tuple[str, int]] | None:
        """The receivers and integrations that were told, or may have been; None where the ledger knows nothing of it.

        What is done from now on must be known to who asks: an answer is given once.
        """
        if alert.id not in self._told:
            since = max(0.0, (alert.fired or alert.began) - _MARGIN_MS)
            context = self._context
            entries = await ledger.load(context.kafka, context.channel, self._partition, since, self._limit_s)
            self._told = {}
            for key, entry in entries.items():
                name, _, receiver, integration = of_key(key)
                told = self._told.setdefault(name, set())
                if entry.outcome != "skipped":
                    told.add((receiver, integration))
        known, meanwhile = self._told.pop(alert.id, None), self._since.pop(alert.id, set())
        return known | meanwhile if known is not None else None


async def transitions(
    context: Context, partition: int, start: int, end: int, limit_s: float
) -> AsyncIterator[tuple[ConsumerRecord, Alert]]:
    """The alerts of a partition from offset `start`, or the first that is left, up to `end`.

    Raises TimeoutError where none comes for `limit_s` seconds.
    """
    tp = TopicPartition(full_name(context.kafka, ALERTS), partition)
    consumer = AIOKafkaConsumer(**consumer_options(context.kafka, f"notify-{context.channel}-past"))
    try:
        async with asyncio.timeout(limit_s):
            await consumer.start()
        consumer.assign([tp])
        consumer.seek(tp, start)
        async for record in ledger.read_to(consumer, tp, end, limit_s):
            try:
                yield record, decode(record.value, Alert)
            except DecodeError:
                continue  # it was reported when it was read first
    finally:
        await close(consumer, 1.0)
