"""Checks each target at its times, and at once when asked; many at a time, never one target twice at a time."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.probe.runner import observe
from agents.probe.schedule import first_due, next_due, phase
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.probe.context import Context
    from agents.probe.observation import Observation
    from agents.probe.settings import Target

_log = logging.getLogger("probestream.probe")
_WARN_EVERY_S = 60.0


class Scheduler:
    """`deliver` gets each observation with the time at which its check began, milliseconds since the Unix epoch."""

    def __init__(
        self,
        targets: tuple[Target, ...],
        ctx: Context,
        *,
        probe: str,
        concurrency: int,
        deliver: Callable[[Target, float, Observation], None],
    ) -> None:
        self._targets, self._ctx, self._probe, self._deliver = targets, ctx, probe, deliver
        self._slots = asyncio.Semaphore(concurrency)
        self._wanted = {target.name: asyncio.Event() for target in targets}
        self._skipped = 0
        self._warned = float("-inf")

    def check_now(self, name: str) -> None:
        """Check the target `name`, or every one for "*", at once.

        One whose check is under way is checked once more after it: that one may have begun before what the caller
        wants to see.
        """
        wanted = self._wanted.values() if name == "*" else filter(None, [self._wanted.get(name)])
        for event in wanted:
            event.set()

    async def run(self) -> None:
        """Work until cancelled."""
        start = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for target in self._targets:
                group.create_task(self._watch(target, start), name=f"probe {target.name}")
            await asyncio.Event().wait()  # also where there is nothing to check

    async def _watch(self, target: Target, start: float) -> None:
        loop = asyncio.get_running_loop()
        share, wanted = phase(self._probe, target.name), self._wanted[target.name]
        due = first_due(start, target.every, share)
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await wanted.wait()
            except TimeoutError:
                pass
            # Before the check begins: what is asked for from here on is one more.
            wanted.clear()
            async with self._slots:
                began = now_ms()
                self._deliver(target, began, await observe(target, self._ctx))
            now = loop.time()
            if now > due + target.every:
                self._late(int((now - due) / target.every))
            if now >= due:
                due = next_due(start, target.every, share, now)

    def _late(self, skipped: int) -> None:
        self._skipped += skipped
        now = asyncio.get_running_loop().time()
        if now - self._warned > _WARN_EVERY_S:
            _log.warning(
                "%d checks left out: targets take longer than their interval, or probe.concurrency is too low",
                self._skipped,
            )
            self._warned, self._skipped = now, 0
