"""The control topic as every worker reads it: all of it, without a group, from its beginning and on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.watchdog import watch
from schemas import Control, DecodeError, decode
from streams.kafka import KafkaSettings, close, consumer_options
from streams.topics import CONTROL, full_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

log = logging.getLogger("probestream.control")

_RETRY_FIRST_S, _RETRY_MOST_S = 0.5, 5.0
_STOP_WITHIN_S = 1.0


class ControlFeed:
    """Calls `take` with each record, and `settled` once the topic is read to its end and after each news from then on.

    `informed` is set after the first `settled`. What is written while it is read for the first time is news.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        name: str,
        take: Callable[[Control], object],
        settled: Callable[[], object] = lambda: None,
        informed: asyncio.Event | None = None,
    ) -> None:
        self.kafka, self.name = kafka, name
        self._take, self._settled = take, settled
        self._tp = TopicPartition(full_name(kafka, CONTROL), 0)
        self._next: int | None = None
        self._end = 0
        self.informed = informed or asyncio.Event()

    async def run(self) -> None:
        """Read until cancelled; while Kafka is away, or the consumer is deaf, begin anew where reading ended."""
        pause = _RETRY_FIRST_S
        while True:
            before = self._next
            try:
                await self._read_watched()
            except Exception as error:  # whatever aiokafka raises while brokers are away
                level = logging.WARNING if pause == _RETRY_FIRST_S else logging.DEBUG
                log.log(level, "%s hears of no changes while Kafka is away: %r", self.name, error)
            if self._next != before:
                pause = _RETRY_FIRST_S
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_MOST_S)

    @contextlib.asynccontextmanager
    async def following(self, stop: asyncio.Event) -> AsyncIterator[None]:
        """`run` beside what is done within; that begins when the topic was read to its end, or with `stop`.

        So that nothing is decided for good by somebody who has not heard of a change that was made before.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self.informed, stop)]
        running = asyncio.create_task(self.run(), name=f"{self.name}-control")
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            yield
        finally:
            for task in (running, *waits):
                task.cancel()
            await asyncio.wait((running, *waits), timeout=_STOP_WITHIN_S)

    async def _read_watched(self) -> None:
        reading = asyncio.create_task(self.read(), name=f"{self.name}-control")
        watching = asyncio.create_task(watch(self.kafka, self._tp.topic, self._progress, self.name))
        try:
            await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for task in (reading, watching):
                task.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)

    def _progress(self) -> dict[int, int]:
        return {} if self._next is None else {self._tp.partition: self._next - 1}

    async def read(self) -> None:
        """Read until cancelled. Raises what Kafka's client does."""
        consumer = AIOKafkaConsumer(**consumer_options(self.kafka, f"{self.name}-control"))
        try:
            await consumer.start()
            consumer.assign([self._tp])
            if self._next is None:
                self._end = (await consumer.end_offsets([self._tp]))[self._tp]
                await consumer.seek_to_beginning(self._tp)
            else:
                consumer.seek(self._tp, self._next)
            while True:
                if not self.informed.is_set() and await consumer.position(self._tp) >= self._end:
                    self._inform()
                found = (await consumer.getmany(self._tp, timeout_ms=500)).get(self._tp, ())
                for message in found:
                    if message.offset >= self._end and not self.informed.is_set():
                        self._inform()
                    self._one(message.offset, message.value)
                if found and self.informed.is_set():
                    self._settled()
        finally:
            await close(consumer)

    def _inform(self) -> None:
        self._settled()
        self.informed.set()

    def _one(self, offset: int, value: bytes | None) -> None:
        self._next = offset + 1
        if value is None:  # what was removed for good has been over for long
            return
        try:
            self._take(decode(value, Control))
        except DecodeError as error:
            # No dead letter from here: every worker reads this topic, and the gateway answers for it.
            log.debug("control/%d: %s", offset, error)
