"""Work that begins anew after a failure, for workers whose Kafka clients may fail in many ways."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

_FIRST_PAUSE_S, _LONGEST_PAUSE_S, _HEALTHY_AFTER_S = 0.2, 5.0, 30.0


async def kept_up(
    work: Callable[[], Awaitable[None]], stop: asyncio.Event, failed: Callable[[Exception, float], None]
) -> None:
    """Do `work` until `stop`, again after each error: a new start heals all that can be healed.

    `failed` is told the error and the pause before the next start in seconds, which grows while starts fail.
    """
    loop = asyncio.get_running_loop()
    pause = _FIRST_PAUSE_S
    while not stop.is_set():
        started = loop.time()
        try:
            await work()
        except Exception as error:  # Kafka's clients raise many kinds
            pause = _FIRST_PAUSE_S if loop.time() - started > _HEALTHY_AFTER_S else pause
            failed(error, pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)
