"""What the control topic wants of the probe: checks on demand, and other targets."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from agents.probe.kinds import KINDS
from streams.control_bodies import DEMAND, TARGETS_READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.probe.scheduler import Scheduler
    from agents.probe.settings import Target
    from agents.probe.targets import Targets
    from schemas import Control

_log = logging.getLogger("probestream.probe")


class Orders:
    """Takes in records of the control topic; `informed` says whether what comes is news."""

    def __init__(self, targets: Targets, scheduler: Scheduler, reread: Callable[[], tuple[Target, ...]] | None) -> None:
        self._targets, self._scheduler, self._reread = targets, scheduler, reread
        self._stale = True
        self._other_file = asyncio.Event()
        self.informed: Callable[[], bool] = lambda: False

    def take(self, control: Control) -> None:
        """Take in a record; demands and files of before the start are over."""
        if control.kind == DEMAND and not control.deleted and self.informed():
            self._scheduler.check_now(control.id)
        elif control.kind == "file" and control.id == TARGETS_READ and self.informed():
            self._other_file.set()
        elif self._targets.take(control):
            self._stale = True

    def settled(self) -> None:
        """Bring what was taken in into force."""
        if not self._stale:
            return
        self._stale = False
        wanted = [target for target in self._targets.in_force() if target.kind in KINDS]
        if changed := self._scheduler.watch(wanted):
            _log.info("%d targets are checked; %d are new, gone or different", len(wanted), changed)

    async def run(self) -> None:
        """Read the file again whenever it is said to have other targets."""
        while True:
            await self._other_file.wait()
            self._other_file.clear()
            if self._reread is None:
                continue
            try:
                self._targets.base = await asyncio.to_thread(self._reread)
            except ValueError as error:  # whoever saved it was told where: this one may be a copy that is not good yet
                _log.warning("the targets go on as they were, for the file cannot be used: %s", error)
                continue
            self._stale = True
            self.settled()
