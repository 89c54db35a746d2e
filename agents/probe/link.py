"""A producer that is made again until it works, and says in the log, now and then, that it does not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from streams.kafka import producer_options

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

_log = logging.getLogger("probestream.probe")

_WARN_EVERY_S = 30.0
_ANSWER_WITHIN_S = 30.0
_STOP_WITHIN_S = 0.7


class Link:
    """Sends records to the partitions they belong to."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: Any = None
        self._starting = asyncio.Lock()
        self._warned = float("-inf")
        self._away = False

    async def send(self, topic: str, record: bytes, partition: int) -> None:
        """Return when the broker has it. Raises what aiokafka raises; the next call then begins anew."""
        producer = await self._started()
        try:
            # An idempotent producer tries for ever by itself. After this long a new one is the better bet.
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await producer.send_and_wait(topic, record, partition=partition)
        except TimeoutError as error:
            await self._drop(producer)
            raise KafkaTimeoutError(f"no answer within {_ANSWER_WITHIN_S:.0f} s") from error
        except Exception:
            await self._drop(producer)
            raise

    def complain(self, what: str) -> None:
        """Log `what`, unless that was done a moment ago."""
        now = asyncio.get_running_loop().time()
        self._away = True
        if now - self._warned > _WARN_EVERY_S:
            self._warned = now
            _log.warning("%s", what)

    def praise(self) -> None:
        """Log that it works again, where it did not."""
        if self._away:
            self._away, self._warned = False, float("-inf")
            _log.info("samples reach Kafka again")

    async def _started(self) -> Any:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(**producer_options(self._kafka, "probe"))
                try:
                    await producer.start()
                except BaseException:
                    await _stop(producer)
                    raise
                self._producer = producer
            return self._producer

    async def _drop(self, producer: Any) -> None:
        if self._producer is producer:
            self._producer = None
            await _stop(producer)

    async def close(self) -> None:
        """Close the connections; what is under way is soon given up."""
        if self._producer is not None:
            await self._drop(self._producer)


async def _stop(producer: Any) -> None:
    """Stop `producer`, also where its broker is away: by itself it would wait for answers that never come."""
    with contextlib.suppress(Exception):  # a client that cannot say goodbye is gone all the same
        try:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await producer.stop()
        except TimeoutError:
            async with asyncio.timeout(_STOP_WITHIN_S):
                await producer._sender.close()  # noqa: SLF001 - else its task goes on trying for ever
                await producer.client.close()
