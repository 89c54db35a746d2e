"""The logs role: log lines in, samples of their counts out, each line counted once."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.control_feed import ControlFeed
from agents.logs.known import Known
from agents.logs.worker import Worker
from agents.restarts import kept_up
from streams.log_counts import Counting

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.logs.settings import LogsSettings
    from agents.probe.settings import Target
    from streams.kafka import KafkaSettings

log = logging.getLogger("probestream.logs")


async def run(
    *,
    kafka: KafkaSettings,
    settings: LogsSettings,
    targets: tuple[Target, ...],
    accept_unknown: bool,
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Count lines until `stop`; start again from the state where Kafka's clients fail.

    `accept_unknown` is whether lines of a target count that neither `targets` nor the control topic names.
    """
    known = Known(targets, accept_unknown=accept_unknown)
    feed = ControlFeed(kafka, "logs", known.take, known.refresh)
    told = False

    def ready_once() -> None:
        nonlocal told
        if not told:
            told = True
            ready()

    # A line is refused for good, so what counts must be known before the first one is looked at.
    async with feed.following(stop):
        await _count(kafka, settings, known, stop, ready_once)


async def _count(
    kafka: KafkaSettings, settings: LogsSettings, known: Known, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    counting = counting_of(settings)

    async def work() -> None:
        await Worker(kafka, settings, counting, known.refusal).run(stop, ready)

    def failed(error: Exception, pause: float) -> None:
        log.warning("counting starts again in %.1f s: %s: %s", pause, type(error).__name__, error)

    await kept_up(work, stop, failed)


def counting_of(settings: LogsSettings) -> Counting:
    """The counting that `settings` describe."""
    return Counting.of(
        interval_s=settings.interval,
        learn_s=settings.learn,
        most_templates=settings.max_templates,
        top_templates=settings.top_templates,
        similarity=settings.similarity,
        most_characters=settings.max_line,
        masks=settings.masks,
        classes=settings.all_classes,
    )
