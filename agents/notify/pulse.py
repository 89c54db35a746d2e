"""Noticing that this process stood still: a stopped or starved process may have lost its partitions unawares."""

from __future__ import annotations

import asyncio

_EVERY_S = 0.5
FROZEN_S = 3.0
"""Less than the group's session timeout, after which the partitions belong to somebody else."""


class Pulse:
    """When the last standstill ended, by the loop's clock."""

    def __init__(self) -> None:
        self._beat = asyncio.get_running_loop().time()
        self._froze_at = float("-inf")

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            self.froze_at()

    def froze_at(self) -> float:
        """The end of the last standstill; minus infinity where there was none."""
        now = asyncio.get_running_loop().time()
        if now - self._beat > FROZEN_S:
            self._froze_at = now
        self._beat = now
        return self._froze_at
