"""A producer that is made again until it works, and says in the log, now and then, that it does not."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaTimeoutError

from streams.late_producer import LateProducer

if TYPE_CHECKING:
    from streams.kafka import KafkaSettings

_log = logging.getLogger("probestream.probe")

_WARN_EVERY_S = 30.0
_ANSWER_WITHIN_S = 30.0
_STOP_WITHIN_S = 0.7


class Link:
    """Sends records to the partitions they belong to."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._producer = LateProducer(kafka, "probe", close_within_s=_STOP_WITHIN_S)
        self._warned = float("-inf")
        self._away = False

    async def send(self, topic: str, record: bytes, partition: int) -> None:
        """Return when the broker has it. Raises what aiokafka raises; the next call then begins anew."""
        producer = await self._producer.started()
        try:
            # An idempotent producer tries for ever by itself. After this long a new one is the better bet.
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                await producer.send_and_wait(topic, record, partition=partition)
        except TimeoutError as error:
            await self._producer.drop(producer)
            raise KafkaTimeoutError(f"no answer within {_ANSWER_WITHIN_S:.0f} s") from error
        except Exception:
            await self._producer.drop(producer)
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

    async def close(self) -> None:
        """Close the connections; what is under way is soon given up."""
        await self._producer.close()
