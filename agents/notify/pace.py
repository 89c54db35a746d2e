"""How fast one integration may be called: a ceiling on calls under way, and a pause when it asks for one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

AFTER_THROTTLE_INTERVAL_S = 1.0
"""One message a second is what Slack allows an incoming webhook, and a safe pace for others."""
AFTER_THROTTLE_FOR_S = 60.0


class Pacer:
    """The earliest time of the next call: at once, until a 429; then after the pause, and one a second for a minute."""

    def __init__(self) -> None:
        self._not_before = 0.0
        self._slow_until = 0.0

    def throttled(self, now: float, pause: float) -> None:
        """The receiver asked for a pause of so many seconds."""
        self._not_before = max(self._not_before, now + pause)
        self._slow_until = max(self._slow_until, now + pause + AFTER_THROTTLE_FOR_S)

    def reserve(self, now: float) -> float:
        """Take the next place; return its time."""
        at = max(now, self._not_before)
        if at < self._slow_until:
            self._not_before = at + AFTER_THROTTLE_INTERVAL_S
        return at

    def paused_until(self, now: float) -> float:
        """The time before which no call may begin; `now` where there is no pause."""
        return max(now, self._not_before)


class Gate:
    """One integration's own queue, so that a slow receiver holds up nobody else."""

    def __init__(self, concurrency: int) -> None:
        self.pacer = Pacer()
        self._slots = asyncio.Semaphore(concurrency)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """A slot, at a time at which the integration may be called."""
        loop = asyncio.get_running_loop()
        while True:
            # Waiting for the pause is done before a slot is taken: a slot is for a call that is under way.
            await asyncio.sleep(max(0.0, self.pacer.paused_until(loop.time()) - loop.time()))
            async with self._slots:
                # Many wake together after a pause; whoever finds the place taken waits again.
                if self.pacer.paused_until(loop.time()) > loop.time():
                    continue
                self.pacer.reserve(loop.time())
                yield
                return
