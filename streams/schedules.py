"""When runs by a cron schedule were due: the only part of a rule that a calendar decides."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from croniter import croniter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streams.compiled import Conditions


class Schedules:
    """The schedules among a rule book's conditions, and which conditions a rule has."""

    def __init__(self, conditions: Conditions) -> None:
        self._conditions = conditions
        self._valid_until: dict[int, float] = dict.fromkeys(conditions.cron, float("-inf"))
        self._due: dict[int, float] = {}
        self._of: dict[int, list[int]] = {}

    def conditions_of(self, rule: int) -> list[int]:
        """The conditions of a rule, in the order of its expression."""
        if rule not in self._of:
            c = self._conditions
            self._of[rule] = [t for t in c.tokens[c.start[rule] : c.start[rule + 1]].tolist() if t >= 0]
        return self._of[rule]

    def due_at(self, now_ms: float, out: NDArray[np.float64]) -> None:
        """Set the latest time, grace included, at which a run of each schedule was due at `now_ms`, in ms."""
        for condition, (expression, zone, grace_s) in self._conditions.cron.items():
            if now_ms >= self._valid_until[condition]:
                local = datetime.fromtimestamp(now_ms / 1000 - grace_s, UTC).astimezone(ZoneInfo(zone))
                last = croniter(expression, local).get_prev(datetime)
                following = croniter(expression, local).get_next(datetime)
                self._due[condition] = last.timestamp() * 1000
                self._valid_until[condition] = (following.timestamp() + grace_s) * 1000
            out[condition] = self._due[condition]
