"""Writes log lines that were posted to the `logs` topic."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from aiokafka.errors import KafkaError

from agents.gateway.errors import ApiError
from schemas import encode
from streams.kafka import KafkaSettings
from streams.late_producer import LateProducer
from streams.log_lines import Line, batches
from streams.partition import partition_of
from streams.topics import LOGS, full_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger("probestream.gateway")
_TIMEOUT_S = 10.0


class LogIntake:
    """A producer that starts with the first line."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer = LateProducer(kafka, "gateway-logs", linger_ms=5)

    async def write(self, lines: Mapping[str, Sequence[Line]]) -> None:
        """Append `lines`, by target, and wait for the broker. Raises ApiError where Kafka does not answer."""
        topic = full_name(self._kafka, LOGS)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                producer = await self._producer.started()
                acks = [
                    await producer.send(
                        topic,
                        encode(batch),
                        key=target.encode(),
                        partition=partition_of(target, self._kafka.partitions),
                    )
                    for target, of_target in lines.items()
                    for batch in batches(target, of_target)
                ]
                await asyncio.gather(*acks)
        except (KafkaError, OSError, TimeoutError) as error:
            _log.warning("log lines could not be written: %s", error)
            raise ApiError(503, "kafka_unavailable", "Kafka does not answer; send the lines again") from error

    async def close(self) -> None:
        """Let the producer go."""
        await self._producer.close()
