"""Where a partition's state is kept: a compacted topic, written in transactions and read when the partition comes.

In: table entries (streams/blocks.py). State: one transactional producer a partition. Out: records of `detect-state`.

The transaction's id belongs to the partition: whoever opens it shuts out the worker that had the partition before,
however long that one was frozen, and ends what it had begun. Dying inside a transaction leaves nothing of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents import crash
from streams.kafka import KafkaSettings, close, consumer_options, producer_options
from streams.topics import DETECT_STATE, full_name

if TYPE_CHECKING:
    from collections.abc import Iterable


_TRANSACTION_MS = 30_000
_PATIENCE_S = 30.0
_BATCH_BYTES = 2 * 1024 * 1024
_OVERHEAD = 128
_FETCH_BYTES = 32 * 1024 * 1024


class StoreError(RuntimeError):
    """The state cannot be read or written; a restart begins anew from what is stored."""


class Store:
    """The stored state of one partition, held by this worker until another opens it."""

    def __init__(self, kafka: KafkaSettings, partition: int) -> None:
        self.kafka, self.partition = kafka, partition
        self._topic = full_name(kafka, DETECT_STATE)
        name = f"detect-state-{partition}"
        self._producer = AIOKafkaProducer(
            **{**producer_options(kafka, name), "max_request_size": DETECT_STATE.max_record_bytes},
            transactional_id=f"{kafka.prefix}{name}",
            transaction_timeout_ms=_TRANSACTION_MS,
            max_batch_size=DETECT_STATE.max_record_bytes - 65_536,
            compression_type="lz4",
        )

    async def open(self) -> dict[bytes, bytes]:
        """Shut out whoever had the partition, and read what is stored. Raises StoreError where that takes too long."""
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await self._producer.start()
        except TimeoutError:
            raise StoreError(f"{self._topic}/{self.partition} cannot be opened after {_PATIENCE_S:.0f} s") from None
        return await self._read()

    async def _read(self) -> dict[bytes, bytes]:
        """The latest value of each key."""
        tp = TopicPartition(self._topic, self.partition)
        found: dict[bytes, bytes] = {}
        options = consumer_options(self.kafka, "detect-restore")
        consumer = AIOKafkaConsumer(
            **options, max_partition_fetch_bytes=_FETCH_BYTES, fetch_max_bytes=_FETCH_BYTES, check_crcs=True
        )
        await consumer.start()
        try:
            consumer.assign([tp])
            end = (await consumer.end_offsets([tp]))[tp]
            position = (await consumer.beginning_offsets([tp]))[tp]
            consumer.seek(tp, position)
            loop = asyncio.get_running_loop()
            moved = loop.time()
            while await consumer.position(tp) < end:
                records = (await consumer.getmany(tp, timeout_ms=500)).get(tp, ())
                for record in records:
                    if record.value is None:
                        found.pop(record.key, None)
                    else:
                        found[record.key] = record.value
                if records:
                    moved = loop.time()
                elif loop.time() - moved > _PATIENCE_S:
                    raise StoreError(f"{self._topic}/{self.partition} cannot be read up to its end at {end}")
        finally:
            await close(consumer)
        return found

    async def write(self, entries: Iterable[tuple[bytes, bytes | None]]) -> int:
        """Write all of `entries`, or, dying, none; how many bytes. Raises KafkaError where another has opened it.

        An entry without a value takes what is stored under its key away.
        """
        written = 0
        async with self._producer.transaction():
            crash.here("detect.commit.begun")
            sends, batch, size = [], self._producer.create_batch(), 0
            for key, value in entries:
                need = len(key) + len(value or b"") + _OVERHEAD
                if size and size + need > _BATCH_BYTES:
                    sends.append(await self._send(batch))
                    batch, size = self._producer.create_batch(), 0
                    await asyncio.sleep(0)
                if batch.append(key=key, value=value, timestamp=None) is None:
                    raise StoreError(f"an entry of {need} bytes is over what {self._topic} takes")
                size += need
                written += need
            if size:
                sends.append(await self._send(batch))
            await asyncio.gather(*sends)
            crash.here("detect.commit.sent")
        crash.here("detect.commit.stored")
        return written

    async def _send(self, batch: object) -> asyncio.Future[object]:
        batch.close()  # type: ignore[attr-defined]  # aiokafka's builder, which has no types
        sent: asyncio.Future[object] = await self._producer.send_batch(batch, self._topic, partition=self.partition)
        return sent

    async def close(self) -> None:
        """Let go of the partition."""
        await close(self._producer)
