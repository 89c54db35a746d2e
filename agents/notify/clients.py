"""Ending aiokafka clients, whatever state the broker is in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

log = logging.getLogger("probestream.notify")


async def stop_quietly(client: AIOKafkaConsumer | AIOKafkaProducer, limit_s: float = 1.0) -> None:
    """Stop `client`; after `limit_s` cut it off.

    A producer's `stop` waits for its unsent records, for ever where the broker is gone. Those must not be sent by a
    forgotten task later either: the sender is cancelled and its connections are closed.
    """
    stopping = asyncio.ensure_future(client.stop())
    done, _ = await asyncio.wait({stopping}, timeout=limit_s)
    if done:
        if not stopping.cancelled() and (error := stopping.exception()) is not None:
            log.debug("stopping a Kafka client: %r", error)
        return
    sender = getattr(client, "_sender", None)
    if sender is not None and sender.sender_task is not None:
        sender.sender_task.cancel()
    stopping.cancel()
    inner = getattr(client, "client", None) or getattr(client, "_client", None)
    if inner is not None:
        with contextlib.suppress(Exception):
            await asyncio.wait_for(inner.close(), 0.5)
    await asyncio.wait({stopping}, timeout=0.5)
