"""Notices a consumer that has stopped reading although there is more to read.

Consumers of Faust and aiokafka can wedge after a broker died (faust#596, aiokafka#703): no error, no progress.
The cure is a restart, which goes on from the state.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.watch import LAG, gave_up
from streams.fetched import as_one
from streams.kafka import KafkaSettings, consumer_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

log = logging.getLogger("probestream.watchdog")

LOOK_EVERY_S = 3.0
PATIENCE_S = 15.0


async def watch(kafka: KafkaSettings, topic: str, progress: Callable[[], Mapping[int, int]], name: str) -> None:
    """Return when `progress` (last offset read, by partition) stands still for `PATIENCE_S` although there is more.

    While the broker does not answer there is nothing to read, and nobody is wedged.
    """
    loop = asyncio.get_running_loop()
    # Of each partition the last offset read, since when it is that, and where the partition ended then.
    moved: dict[int, tuple[int, float, int]] = {}
    consumer = AIOKafkaConsumer(**consumer_options(kafka, f"{name}-watchdog"))
    started = False
    try:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            offsets = dict(progress())
            try:
                if not started:
                    await consumer.start()
                    as_one(consumer._fetcher, frozenset([topic]))  # noqa: SLF001 - looked at within bounds of memory
                    started = True
                async with asyncio.timeout(5.0):
                    ends = await consumer.end_offsets([TopicPartition(topic, p) for p in offsets])
            except Exception as error:  # the broker is away, in one of the client's many words
                log.debug("no answer from Kafka: %r", error)
                moved.clear()
                continue
            now = loop.time()
            for tp, end in ends.items():
                last = offsets[tp.partition]
                LAG.labels(topic, str(tp.partition)).set(max(0, end - 1 - last))
                before, since, waiting = moved.get(tp.partition, (None, now, end))
                if last != before or last + 1 >= waiting:
                    since, waiting = now, end
                moved[tp.partition] = (last, since, waiting)
                if now - since <= PATIENCE_S:
                    continue
                if not await _anything(consumer, tp, last + 1, waiting):
                    # Markers of a transaction; or what came just now, which nobody can have read for so long.
                    moved[tp.partition] = (last, now, end)
                else:
                    log.error("%s: partition %d stands at %d of %d; restarting", topic, tp.partition, last, end)
                    gave_up("watchdog")
                    return
            for gone in moved.keys() - offsets.keys():
                LAG.remove(topic, str(gone))
            moved = {p: v for p, v in moved.items() if p in offsets}
    finally:
        await consumer.stop()


async def _anything(consumer: AIOKafkaConsumer, tp: TopicPartition, offset: int, end: int) -> bool:
    """Whether there is a record at `offset` or after it, and before `end`."""
    consumer.assign([tp])
    consumer.seek(tp, offset)
    found = await consumer.getmany(tp, timeout_ms=3000, max_records=1)
    consumer.assign([])
    return any(record.offset < end for records in found.values() for record in records)
