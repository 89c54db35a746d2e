"""The alert role: a Faust agent on `findings` around a Worker, with a flusher, a tick and the control topic."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from agents.alert.others import follow
from agents.alert.worker import Worker
from agents.control_feed import ControlFeed
from agents.watchdog import watch
from streams.app import make_app, raw_topic, serve
from streams.tables import alert_state
from streams.topics import FINDINGS, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from agents.alert.settings import AlertSettings
    from agents.probe.settings import Target
    from streams.kafka import KafkaSettings
    from streams.rules import Rule
    from streams.suppression import Suppressions

log = logging.getLogger("probestream.alert")


async def run(
    *,
    kafka: KafkaSettings,
    settings: AlertSettings,
    targets: tuple[Target, ...],
    rules: tuple[Rule, ...],
    stop: asyncio.Event,
    ready: Callable[[], None],
    suppressions: Suppressions | None = None,
) -> None:
    """Turn findings into alerts until `stop`. Raises where only a restart from the state helps."""
    worker = Worker(kafka, targets, rules, settings, suppressions)
    app = make_app(kafka, "alert", worker.restored)
    worker.table = alert_state(app, kafka)
    worker.consumer = lambda: app.consumer
    failed = asyncio.Event()

    async def alert(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await worker.take(event)
            except Exception:
                # Leaving the loop would acknowledge the event: stay, un-acknowledged, until the restart.
                log.exception("cannot go on with finding %s", event.message.offset)
                failed.set()
                await asyncio.Event().wait()

    app.agent(raw_topic(app, kafka, FINDINGS), name="probestream.alert", concurrency=1)(alert)

    async def on_revoked(*_: Any, **__: Any) -> None:
        try:
            async with asyncio.timeout(5.0):
                await worker.revoked()
        except Exception:
            log.exception("cannot hand the partitions over")
            failed.set()

    app.on_partitions_revoked.connect(on_revoked, weak=False)

    async def guarded(work: Coroutine[Any, Any, None], what: str) -> None:
        try:
            await work
        except Exception:
            log.exception("%s failed", what)
        failed.set()

    control = ControlFeed(kafka, "alert", worker.take_control, worker.refresh, worker.informed["control"])
    await worker.start()
    tasks = [
        asyncio.create_task(guarded(_flusher(worker), "telling alerts")),
        asyncio.create_task(guarded(_ticker(worker, settings.tick), "the tick")),
        asyncio.create_task(guarded(control.read(), "reading control")),
        asyncio.create_task(
            guarded(follow(kafka, worker.take_other, worker.informed["others"].set), "following other alerts")
        ),
        asyncio.create_task(
            guarded(watch(kafka, full_name(kafka, FINDINGS), worker.progress, "alert"), "the watchdog")
        ),
    ]
    try:
        await serve(app, stop, failed, ready, drain=worker.flush)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await worker.close()


async def _flusher(worker: Worker) -> None:
    while True:
        # The time limit stores the outboxes that were emptied by the flush before.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await worker.wake.wait()
        await worker.flush()


async def _ticker(worker: Worker, every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        worker.tick(now_ms())
