"""The detect role: a Faust agent on `samples` around a Worker, with a commit timer and a watchdog."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
from typing import TYPE_CHECKING, Any

from agents.control_feed import ControlFeed
from agents.detect.memory import return_what_is_freed
from agents.detect.worker import Worker
from agents.watchdog import watch
from streams.app import make_app, raw_topic, serve
from streams.topics import SAMPLES, full_name
from streams.warming import get_ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.detect.settings import DetectSettings
    from agents.probe.settings import Target
    from streams.kafka import KafkaSettings
    from streams.rules import Rule

log = logging.getLogger("probestream.detect")

RETELL_EVERY_S = 60.0
KNOWN_EVERYWHERE_S = 3.0  # a change is in force on every worker within 2 s


async def run(
    *,
    kafka: KafkaSettings,
    settings: DetectSettings,
    targets: tuple[Target, ...],
    rules: tuple[Rule, ...],
    stop: asyncio.Event,
    ready: Callable[[], None],
) -> None:
    """Detect until `stop`. Raises where only a restart from the state helps."""
    return_what_is_freed()
    worker = Worker(kafka, settings, targets, rules)
    app = make_app(kafka, "detect", worker.restored, bundles=(SAMPLES,), isolation=settings.isolation)
    worker.consumer = lambda: app.consumer
    failed = asyncio.Event()

    async def detect(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await worker.take(event)
            except Exception:
                # Leaving the loop would acknowledge the event: stay, un-acknowledged, until the restart.
                log.exception("cannot go on before record %s", event.message.offset)
                failed.set()
                await asyncio.Event().wait()

    app.agent(raw_topic(app, kafka, SAMPLES), name="probestream.detect", concurrency=1)(detect)

    async def on_revoked(*_: Any, **__: Any) -> None:
        await worker.revoked()

    app.on_partitions_revoked.connect(on_revoked, weak=False)

    # Compiling takes seconds at the very first start: not while partitions are ours and wait.
    took = await get_ready(stop)
    if took is None:
        return
    log.info("compiled code is ready after %.1f s", took)
    # What is there by now stays: looking through all of it for garbage, time and again, would keep samples waiting.
    gc.collect()
    gc.freeze()
    await worker.start()
    tasks = [
        asyncio.create_task(_commit_by_timer(worker, failed)),
        asyncio.create_task(_guard(worker, kafka, failed)),
        asyncio.create_task(_retell(worker)),
        asyncio.create_task(_control(worker, kafka, failed)),
    ]
    try:
        await serve(app, stop, failed, ready, drain=worker.commit)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await worker.close()


async def _commit_by_timer(worker: Worker, failed: asyncio.Event) -> None:
    """Commit on a timer, not on the next event: a rebalance waits for all acknowledgements."""
    while True:
        await asyncio.sleep(worker.pause_s())
        try:
            await worker.tick()
            await worker.commit()
        except Exception:
            log.exception("cannot commit the state")
            failed.set()
            return


async def _guard(worker: Worker, kafka: KafkaSettings, failed: asyncio.Event) -> None:
    await watch(kafka, full_name(kafka, SAMPLES), worker.progress, "detect")
    failed.set()


async def _retell(worker: Worker) -> None:
    """Tell again what holds, now and then, and soon after a change of rules: the next commit sends it.

    What held by a rule for each target may hold by it for a group now, and nothing else would say so.
    """
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RETELL_EVERY_S):
                await worker.changed.wait()
                worker.changed.clear()
                await asyncio.sleep(KNOWN_EVERYWHERE_S)
        await worker.retell()


async def _control(worker: Worker, kafka: KafkaSettings, failed: asyncio.Event) -> None:
    try:
        await ControlFeed(kafka, "detect", worker.terms.take, worker.settle, worker.informed).read()
    except Exception:
        log.exception("cannot read what is in force")
        failed.set()
