"""Checks each target at its times, and at once when asked; many at a time, never one target twice at a time."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents.probe.runner import observe
from agents.probe.schedule import FIRST_WITHIN_S, first_due, next_due, phase
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agents.probe.context import Context
    from agents.probe.observation import Observation
    from agents.probe.settings import Target

_log = logging.getLogger("probestream.probe")
_WARN_EVERY_S = 60.0
_SPREAD_S = 0.02


@dataclass(slots=True, eq=False)
class _Watch:
    """One target's times; `target` is None once it is not to be checked any more."""

    target: Target | None
    within: float
    changed: bool = True
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Scheduler:
    """`deliver` gets each observation with the time at which its check began, milliseconds since the Unix epoch."""

    def __init__(
        self,
        ctx: Context,
        *,
        probe: str,
        concurrency: int,
        deliver: Callable[[Target, float, Observation], None],
    ) -> None:
        self._ctx, self._probe, self._deliver = ctx, probe, deliver
        self._watches: dict[str, _Watch] = {}
        self._new: asyncio.Queue[tuple[str, _Watch]] = asyncio.Queue()
        self._slots = asyncio.Semaphore(concurrency)
        self._skipped = 0
        self._warned = float("-inf")

    def check_now(self, name: str) -> None:
        """Check the target `name`, or every one for "*", at once.

        One whose check is under way is checked once more after it: that one may have begun before what the caller
        wants to see.
        """
        for watch in self._watches.values() if name == "*" else filter(None, [self._watches.get(name)]):
            watch.wake.set()

    def watch(self, targets: Iterable[Target]) -> int:
        """Check these from now on, and no others; how many are new, gone or different.

        What is the same keeps its times. Of what has changed or gone, a check that is under way comes to its end: one
        that has gone is not told of any more. The first checks follow soon, spread over what the number of them takes.
        """
        wanted = {target.name: target for target in targets}
        gone = [w for name, w in self._watches.items() if name not in wanted and w.target is not None]
        for watch in gone:
            watch.target = None
            watch.wake.set()
        known = self._watches
        different = [t for t in wanted.values() if t.name not in known or known[t.name].target != t]
        within = min(FIRST_WITHIN_S, _SPREAD_S * len(different))
        for target in different:
            if target.name in known:
                watch = known[target.name]
                watch.target, watch.within, watch.changed = target, within, True
                watch.wake.set()
            else:
                known[target.name] = watch = _Watch(target, within)
                self._new.put_nowait((target.name, watch))
        return len(gone) + len(different)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                name, watch = await self._new.get()
                group.create_task(self._keep(name, watch), name=f"probe {name}")

    async def _keep(self, name: str, watch: _Watch) -> None:
        loop = asyncio.get_running_loop()
        start = due = 0.0
        share = phase(self._probe, name)
        while (target := watch.target) is not None:
            if watch.changed:
                watch.changed, start = False, loop.time()
                due = first_due(start, target.every, share, watch.within)
            try:
                async with asyncio.timeout_at(due):
                    await watch.wake.wait()
            except TimeoutError:
                pass
            # Before the check begins: what is asked for from here on is one more.
            watch.wake.clear()
            async with self._slots:
                if watch.changed or watch.target is None:
                    continue
                began = now_ms()
                observation = await observe(target, self._ctx)
            if watch.target is not None:
                self._deliver(target, began, observation)
            now = loop.time()
            if now > due + target.every:
                self._late(int((now - due) / target.every))
            if now >= due:
                due = next_due(start, target.every, share, now)
        del self._watches[name]
        await self._ctx.forget(name)

    def _late(self, skipped: int) -> None:
        self._skipped += skipped
        now = asyncio.get_running_loop().time()
        if now - self._warned > _WARN_EVERY_S:
            _log.warning(
                "%d checks left out: targets take longer than their interval, or probe.concurrency is too low",
                self._skipped,
            )
            self._warned, self._skipped = now, 0
