"""The status of each target, and whose is to be told now."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.evaluate import Change, Rulebook
from streams.series import BLOCK, DEGRADED, HEALTHY, UNHEALTHY, Series

Rows = NDArray[np.int64]


class Status:
    """Status by row, from the rules that hold and the last check; health is told on change and now and then.

    What is kept here is worked out from the state and never stored: after a restart each target is told once more.
    """

    def __init__(self, series: Series, every_ms: float) -> None:
        self.series, self.every_ms = series, every_ms
        self._severe = np.zeros(BLOCK, np.int32)
        self._warns = np.zeros(BLOCK, np.int32)
        self._told = np.full(BLOCK, -np.inf)
        self._untold = np.zeros(BLOCK, np.bool_)

    def grow(self) -> None:
        """Take in the rows that the series have gained."""
        more = len(self.series["time"]) - len(self._told)
        if more > 0:
            self._severe = np.concatenate([self._severe, np.zeros(more, np.int32)])
            self._warns = np.concatenate([self._warns, np.zeros(more, np.int32)])
            self._told = np.concatenate([self._told, np.full(more, -np.inf)])
            self._untold = np.concatenate([self._untold, np.zeros(more, np.bool_)])

    def count(self, rulebook: Rulebook) -> None:
        """Count anew which rules hold for each target."""
        main = np.array(self.series.main, np.int64)
        self._severe[:], self._warns[:] = 0, 0
        for rule, holds in zip(rulebook.rules, rulebook.holds, strict=True):
            if (held := self._of(rule.severity)) is not None:
                np.add.at(held, main[holds], 1)

    def note(self, changes: list[Change]) -> None:
        """Take in which rules began or ceased to hold."""
        for change in changes:
            if (held := self._of(change.rule.severity)) is not None:
                held[self.series.main[change.row]] += 1 if change.holds else -1

    def _of(self, severity: str) -> NDArray[np.int32] | None:
        return {"critical": self._severe, "warning": self._warns}.get(severity)

    def update(self, mains: Rows, now_ms: float) -> list[int]:
        """Bring the targets at `mains` (each once) up to date; return those whose health is to be told now."""
        c = self.series
        failing = c["ok"][mains] == 0
        poor = failing | (self._warns[mains] > 0)
        status = np.where(self._severe[mains] > 0, UNHEALTHY, np.where(poor, DEGRADED, HEALTHY))
        changed = status != c["status"][mains]
        if changed.any():
            at = mains[changed]
            c["status"][at] = status[changed]
            c["since"][at] = c["time"][at]
        self._untold[mains] = True
        due = changed | (now_ms - self._told[mains] >= self.every_ms)
        return self._tell(mains[due], now_ms)

    def overdue(self, now_ms: float) -> list[int]:
        """Targets whose latest health was held back and is due at `now_ms`."""
        held = np.flatnonzero(self._untold)
        return self._tell(held[now_ms - self._told[held] >= self.every_ms], now_ms)

    def _tell(self, due: Rows, now_ms: float) -> list[int]:
        self._told[due] = now_ms
        self._untold[due] = False
        return [int(main) for main in due]
