"""The probe role: checks targets at their times and on demand, and puts what it sees on the samples topic.

It goes on checking while Kafka is away, and sends what it saw when Kafka is back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
from typing import TYPE_CHECKING, Any

from agents.control_feed import ControlFeed
from agents.probe.context import Context
from agents.probe.orders import Orders
from agents.probe.outbox import Outbox
from agents.probe.scheduler import Scheduler
from agents.probe.targets import Targets

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.probe.observation import Observation
    from agents.probe.settings import ProbeSettings, Target
    from streams.kafka import KafkaSettings

_log = logging.getLogger("probestream.probe")

_READY_WITHIN_S = 3.0
_MOST_FILES = 65_536
_FLUSH_S, _CANCEL_S = 1.5, 1.0


async def run(
    *,
    kafka: KafkaSettings,
    settings: ProbeSettings,
    targets: tuple[Target, ...],
    stop: asyncio.Event,
    ready: Callable[[], None],
    reread: Callable[[], tuple[Target, ...]] | None = None,
) -> None:
    """Probe `targets` until `stop`, with what the control topic changes of them; push targets are not probed.

    `reread` gives the targets of the file as it is now, and raises ValueError where it cannot be used; it is called, in
    a thread, when the control topic says that the file has others. `ready` is called once when the control topic is
    listened to, or after three seconds without Kafka: checks run regardless.
    """
    _raise_file_limit()
    probe = settings.name or socket.gethostname()
    outbox = Outbox(kafka, probe)

    def deliver(target: Target, time_ms: float, observation: Observation) -> None:
        outbox.put(target.name, time_ms, observation)

    async with Context(kafka=kafka, max_body_bytes=settings.max_body_bytes) as context:
        scheduler = Scheduler(context, probe=probe, concurrency=settings.concurrency, deliver=deliver)
        orders = Orders(Targets(targets, allow_private=settings.allow_private), scheduler, reread)
        feed = ControlFeed(kafka, "probe", orders.take, orders.settled)
        orders.informed = feed.informed.is_set
        working = {
            asyncio.create_task(scheduler.run(), name="probe-schedule"),
            asyncio.create_task(feed.run(), name="probe-control"),
            asyncio.create_task(orders.run(), name="probe-file"),
        }
        stopping = asyncio.create_task(stop.wait(), name="probe-stop")
        announcing = asyncio.create_task(_announce(feed, orders, ready), name="probe-ready")
        try:
            done, _ = await asyncio.wait({*working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in done - {stopping}:
                task.result()  # neither ends by itself
        finally:
            await _cancel(*working, stopping, announcing)
            await outbox.close(_FLUSH_S)


def _raise_file_limit() -> None:
    """Ask for as many open files as this process may have: each target may hold a connection, and 1024 is soon used."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft < wanted:
        with contextlib.suppress(OSError, ValueError):  # then it stays as it is, and a probe that lacks one says so
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _announce(feed: ControlFeed, orders: Orders, ready: Callable[[], None]) -> None:
    try:
        await asyncio.wait_for(feed.informed.wait(), _READY_WITHIN_S)
    except TimeoutError:
        orders.settled()
    ready()


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    # A client of a broker that is away may not come to an end; the process does.
    await asyncio.wait(tasks, timeout=_CANCEL_S)
