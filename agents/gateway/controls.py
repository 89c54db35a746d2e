"""Writes what people ask for to the `control` topic."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka.errors import KafkaError

from agents.gateway.errors import ApiError
from schemas import Control, encode
from streams.kafka import KafkaSettings
from streams.late_producer import LateProducer
from streams.topics import CONTROL, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from agents.gateway.view import View

_log = logging.getLogger("probestream.gateway")
_TIMEOUT_S = 5.0


class Controls:
    """The gateway's only writer."""

    def __init__(self, kafka: KafkaSettings, view: View) -> None:
        self.kafka, self.view = kafka, view
        self._producer = LateProducer(kafka, "gateway")

    async def write(self, kind: str, control_id: str, actor: str, body: dict[str, Any]) -> Control:
        """Append a change and wait for the broker. Raises ApiError where Kafka does not answer."""
        version = self.view.versions.get((kind, control_id), 0) + 1
        # At once, so that a second change that comes before the log shows the first has a number of its own.
        self.view.versions[kind, control_id] = version
        control = Control(
            kind=kind, id=control_id, version=version, actor=actor, at=now_ms(), body=orjson.dumps(body).decode()
        )
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                producer = await self._producer.started()
                await producer.send_and_wait(
                    full_name(self.kafka, CONTROL), encode(control), key=f"{kind}/{control_id}".encode()
                )
        except (KafkaError, OSError, TimeoutError) as error:
            _log.warning("%s %s could not be written: %s", kind, control_id, error)
            raise ApiError(503, "kafka_unavailable", "Kafka does not answer; try again") from error
        return control

    async def close(self) -> None:
        """Let the producer go."""
        await self._producer.close()
