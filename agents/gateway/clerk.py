"""Sets aside records of the control topic that nobody can use: as dead letters, once, however many gateways run."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from agents.letters import dead_letter
from schemas import Control, DecodeError, decode, encode
from streams.control import Controls
from streams.kafka import KafkaSettings, close, consumer_options, producer_options
from streams.topics import CONTROL, DEAD_LETTERS, full_name

if TYPE_CHECKING:
    from schemas import DeadLetter

_log = logging.getLogger("probestream.gateway")
_GROUP = "control-clerk"


async def run_clerk(kafka: KafkaSettings) -> None:
    """Read the control topic as one of a group, of which one member works, until cancelled; never gives up."""
    wait = 1.0
    while True:
        consumer = AIOKafkaConsumer(full_name(kafka, CONTROL), **consumer_options(kafka, "gateway-clerk", group=_GROUP))
        producer = AIOKafkaProducer(**producer_options(kafka, "gateway-clerk"))
        try:
            await consumer.start()
            await producer.start()
            wait = 1.0
            while True:
                for messages in (await consumer.getmany(timeout_ms=1000)).values():
                    await _set_aside(kafka, producer, messages)
                    await consumer.commit()
        except (KafkaError, OSError, TimeoutError) as error:
            _log.warning("the control topic cannot be looked through, will try again in %.0f s: %s", wait, error)
            await asyncio.sleep(wait)
            wait = min(wait * 2, 30.0)
        finally:
            await close(consumer)
            await close(producer)


async def _set_aside(kafka: KafkaSettings, producer: AIOKafkaProducer, messages: list[Any]) -> None:
    for message in messages:
        if (letter := useless(message)) is not None:
            _log.warning("%s/%d: %.300s", message.topic, message.offset, letter.error)
            await producer.send_and_wait(full_name(kafka, DEAD_LETTERS), encode(letter), partition=0)


def useless(message: Any) -> DeadLetter | None:
    """The dead letter of a record that no reader can use; None of one that is fine, or only came too late."""
    if message.value is None:
        return None
    try:
        # A fold that knows nothing yet: what it refuses is bad in itself, whatever came before it.
        refused = Controls().take(decode(message.value, Control))
    except (DecodeError, TypeError) as error:
        reason, text = getattr(error, "reason", "bad_value"), str(error)
    else:
        if refused is None:
            return None
        reason, text = refused.reason, refused.message
    return dead_letter(message, hop="gateway", reason=reason, error=text, at=float(message.timestamp))
