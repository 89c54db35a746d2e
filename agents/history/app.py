"""The history role: alerts, rollups, notifications and changes of status, from Kafka into SQL, each once.

Rows and the offsets that they came from are written in one SQL transaction, and reading goes on where SQL says, not
where the consumer group says. So a crash anywhere, a lost commit or two processes that hold the same partition for a
moment change nothing in the tables.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from functools import partial
from typing import TYPE_CHECKING

from agents.history.intake import Intake
from agents.history.merge import merge_some
from agents.history.retry import until_done
from agents.history.store import Store
from streams.history import connect
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.history.settings import StorageSettings
    from streams.kafka import KafkaSettings

_log = logging.getLogger("probestream.history")
_SWEEP_EVERY_S = 3600.0


async def run(
    *, kafka: KafkaSettings, settings: StorageSettings, url: str, stop: asyncio.Event, ready: Callable[[], None]
) -> None:
    """Keep the SQL history at `url` until `stop`; call `ready` once when it takes input.

    Raises ValueError on a URL that cannot be used, and what aiokafka raises where Kafka cannot be reached at the start.
    """
    engine = connect(url)
    store = Store(engine)
    sweeper: asyncio.Task[None] | None = None
    try:
        if not await until_done(store.prepare, stop, "the SQL history cannot be prepared"):
            return
        sweeper = asyncio.create_task(_sweep(store, settings, stop), name="history-sweep")
        async with Intake(kafka, store, stop) as intake:
            await intake.work(ready)
    finally:
        if sweeper is not None:
            sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await sweeper
        await asyncio.to_thread(engine.dispose)


async def _sweep(store: Store, settings: StorageSettings, stop: asyncio.Event) -> None:
    while not stop.is_set():
        keep, keep_panes = (now_ms() - seconds * 1000.0 for seconds in (settings.keep, settings.keep_panes))
        await _in_steps(partial(store.sweep, keep), "deleted %d rows older than storage.keep")
        await _in_steps(partial(merge_some, store.engine, keep_panes), "merged %d panes older than storage.keep_panes")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _SWEEP_EVERY_S)


async def _in_steps(step: Callable[[], int], told: str) -> None:
    """Do `step` until there is nothing more to do."""
    done = 0
    try:
        while some := await asyncio.to_thread(step):
            done += some
            await asyncio.sleep(0.05)  # the writer's turn
    except Exception:  # whatever SQL raises: what is too old now still is in an hour
        _log.warning("old rows could not be cleared, will try again", exc_info=True)
    if done:
        _log.info(told, done)
