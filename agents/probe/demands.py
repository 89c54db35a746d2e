"""Checks on demand: `control` records of kind "check", from now on. Every probe reads all of them, without a group."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.watchdog import watch
from schemas import Control, DecodeError, decode
from streams.kafka import KafkaSettings, consumer_options
from streams.topics import CONTROL, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("probestream.probe")

_RETRY_FIRST_S, _RETRY_MOST_S = 0.5, 5.0
_STOP_WITHIN_S = 1.0


class Demands:
    """Calls `check_now` with the target's name, or "*" for all, of each demand."""

    def __init__(self, kafka: KafkaSettings, check_now: Callable[[str], None]) -> None:
        self._kafka, self._check_now = kafka, check_now
        self._topic = TopicPartition(full_name(kafka, CONTROL), 0)
        self._next: int | None = None
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled; while Kafka is away, try again."""
        pause = _RETRY_FIRST_S
        while True:
            try:
                await self._read_watched()
            except Exception as error:  # whatever aiokafka raises while brokers are away
                _log.log(
                    logging.WARNING if pause == _RETRY_FIRST_S else logging.DEBUG,
                    "no checks on demand while Kafka is away: %s: %s",
                    type(error).__name__,
                    error,
                )
            else:
                pause = _RETRY_FIRST_S
            await asyncio.sleep(pause)
            pause = min(pause * 2, _RETRY_MOST_S)

    async def _read_watched(self) -> None:
        """Read until an error, or until the consumer has stopped reading without one."""
        reading = asyncio.create_task(self._read(), name="demands")
        watching = asyncio.create_task(watch(self._kafka, self._topic.topic, self._progress, "probe"))
        try:
            await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                reading.result()
        finally:
            for task in (reading, watching):
                task.cancel()
            await asyncio.gather(reading, watching, return_exceptions=True)

    def _progress(self) -> dict[int, int]:
        return {} if self._next is None else {self._topic.partition: self._next - 1}

    async def _read(self) -> None:
        # The offset may be gone, with a topic that was made anew: then only what comes from now on counts.
        consumer = AIOKafkaConsumer(**(consumer_options(self._kafka, "probe") | {"auto_offset_reset": "latest"}))
        try:
            await consumer.start()
            consumer.assign([self._topic])
            if self._next is None:
                await consumer.seek_to_end(self._topic)
                self._next = await consumer.position(self._topic)
            else:
                consumer.seek(self._topic, self._next)
            self.listening.set()
            async for message in consumer:
                self._next = message.offset + 1
                self._take(message.value)
        finally:
            with contextlib.suppress(Exception):  # a client that cannot say goodbye is gone all the same
                await asyncio.wait_for(consumer.stop(), _STOP_WITHIN_S)

    def _take(self, value: bytes | None) -> None:
        if value is None:  # a tombstone
            return
        try:
            control = decode(value, Control)
        except DecodeError as error:
            # No dead letter from here: each probe reads this topic, and the alert role answers for it.
            _log.debug("a control record cannot be read: %s", error)
            return
        if control.kind == "check" and not control.deleted:
            self._check_now(control.id)
