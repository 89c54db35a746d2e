"""What the partitions of one channel share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from agents.notify import metrics
from agents.notify.pace import Gate
from schemas import DeadLetter, Notification, encode
from streams.topics import NOTIFICATIONS, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiokafka import AIOKafkaProducer

    from agents.notify.delivery import Delivery, Integration
    from agents.notify.preferences import Preferences
    from agents.notify.pulse import Pulse
    from agents.notify.settings import NotifySettings
    from streams.kafka import KafkaSettings
    from streams.routing import Route

KAFKA_LIMIT_S = 20.0
"""A write that takes longer is taken for lost: the channel starts again and reads the ledger."""


class Partitions(Protocol):
    """What a partition asks of the consumer."""

    async def position(self, partition: int) -> int:
        """Offset up to which the records of `alerts` were handed on."""

    async def end_offset(self, partition: int) -> int:
        """Offset of the next record of `alerts`."""

    def hold(self, partition: int, held: bool) -> None:
        """Stop or go on reading the partition."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """An open integration and its queue."""

    integration: Integration
    gate: Gate


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one delivery ended; `notification` is None for what was no delivery, such as bytes that are no alert.

    `offset` is None where the record was dealt with before: its page was withheld, and is told late.
    """

    offset: int | None
    notification: Notification | None
    dead: DeadLetter | None = None


@dataclass(slots=True)
class Context:
    """One channel, from one start to the next."""

    channel: str
    kafka: KafkaSettings
    settings: NotifySettings
    route: Route
    send_resolved: dict[str, list[bool]]
    reports_unrouted: bool
    preferences: Preferences
    outlets: dict[tuple[str, int], Outlet]
    intents: AIOKafkaProducer
    partitions: Partitions
    pulse: Pulse
    fail: Callable[[BaseException], None]
    carried: dict[str, Outcome] = field(default_factory=dict)
    """Outcomes that are known and not yet in the ledger: they outlive a restart of the channel, as a broker's does."""

    @property
    def group(self) -> str:
        """The consumer group."""
        return f"{self.kafka.prefix}notify-{self.channel}"

    async def write(self, delivery: Delivery, step: Notification) -> None:
        """Put a step that is no outcome into the ledger, and wait for the broker's answer."""
        async with asyncio.timeout(KAFKA_LIMIT_S):
            await self.intents.send_and_wait(
                full_name(self.kafka, NOTIFICATIONS),
                encode(step),
                key=delivery.key.encode(),
                partition=delivery.source.partition,
            )
        metrics.OUTCOMES.labels(self.channel, step.outcome, step.reason).inc()
