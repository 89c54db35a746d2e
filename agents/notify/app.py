"""The notify role: alerts in, messages to people out, with a ledger."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.control_feed import ControlFeed
from agents.notify import metrics
from agents.notify.channels import CHANNELS, Channel
from agents.notify.preferences import Preferences
from agents.notify.worker import Worker
from agents.restarts import kept_up
from streams.topics import wait_for_topics

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.notify.context import Outcome
    from agents.notify.settings import NotifySettings, Receiver
    from streams.kafka import KafkaSettings
    from streams.preferences import DeclaredPreference
    from streams.routing import Route

log = logging.getLogger("probestream.notify")


async def run(
    *,
    kafka: KafkaSettings,
    settings: NotifySettings,
    route: Route,
    receivers: tuple[Receiver, ...],
    stop: asyncio.Event,
    ready: Callable[[], None],
    preferences: tuple[DeclaredPreference, ...] = (),
) -> None:
    """Tell the receivers that `route` names of each transition on `alerts`, until `stop` is set.

    What `preferences`, and those of the control topic, do not want told is put on record as skipped. Only channels that
    some receiver uses are started, each with a consumer group of its own. A channel that fails, as all do when the
    broker goes away, is started again here. Raises only where the topics are missing.
    """
    channels = [c for c in CHANNELS if any(c.configs(r) for r in receivers)]
    if not channels:
        log.warning("no receiver has a channel: nobody is told of alerts")
        ready()
        await stop.wait()
        return
    if not await _topics(kafka, stop):
        return
    wishes = Preferences(preferences)
    missing = {c.name for c in channels}

    def one_ready(name: str) -> None:
        if missing:
            missing.discard(name)
            if not missing:
                ready()

    async def keep(channel: Channel, first: bool) -> None:
        carried: dict[str, Outcome] = {}

        async def work() -> None:
            worker = Worker(
                channel,
                kafka=kafka,
                settings=settings,
                route=route,
                receivers=receivers,
                preferences=wishes,
                first=first,
                carried=carried,
            )
            await worker.run(stop, lambda: one_ready(channel.name))

        def failed(error: Exception, pause: float) -> None:
            log.warning("channel %s starts again in %.1f s: %r", channel.name, pause, error)
            metrics.RESTARTS.labels(channel.name).inc()

        await kept_up(work, stop, failed)

    # Who does not want to be told must be known before the first page: it cannot be taken back.
    async with ControlFeed(kafka, "notify", wishes.take).following(stop), asyncio.TaskGroup() as group:
        for number, channel in enumerate(channels):
            group.create_task(keep(channel, number == 0))


async def _topics(kafka: KafkaSettings, stop: asyncio.Event) -> bool:
    """Wait for the topics: consuming one that is missing would make the broker create it with its own settings."""
    waiting, stopping = asyncio.ensure_future(wait_for_topics(kafka)), asyncio.ensure_future(stop.wait())
    await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not waiting.done():
        waiting.cancel()
        await asyncio.wait({waiting}, timeout=1.0)
        return False
    waiting.result()
    return True
