"""A producer that starts when it is first needed, and again when it was dropped."""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer

from streams.kafka import KafkaSettings, close, producer_options


class LateProducer:
    """At most one `AIOKafkaProducer`; `name` tells it apart in the broker's log, `more` are options of its own."""

    def __init__(self, kafka: KafkaSettings, name: str, *, close_within_s: float = 2.0, **more: Any) -> None:
        self._kafka, self._name, self._more, self._close_within_s = kafka, name, more, close_within_s
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    async def started(self) -> AIOKafkaProducer:
        """The producer. Raises what aiokafka raises where no broker answers; the next call then tries anew."""
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**producer_options(self._kafka, self._name), **self._more)
                try:
                    await producer.start()
                except BaseException:
                    await close(producer, self._close_within_s)
                    raise
                self._producer = producer
            return self._producer

    async def drop(self, producer: AIOKafkaProducer) -> None:
        """Give `producer` up: the next call of `started` begins anew."""
        if self._producer is producer:
            self._producer = None
            await close(producer, self._close_within_s)

    async def close(self) -> None:
        """Close the connections; what is under way is soon given up."""
        if self._producer is not None:
            await self.drop(self._producer)
