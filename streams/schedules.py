"""When runs by a cron schedule were due: the only part of a rule that a calendar decides."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from croniter import croniter

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from streams.compiled import Conditions

_AT_ONCE = timedelta(microseconds=500)  # a run that is due this very millisecond is due


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

    @property
    def valid_until(self) -> float:
        """The time, in ms, up to which what `due_at` set goes on to be so."""
        return min(self._valid_until.values(), default=float("inf"))

    def due_at(self, now_ms: float, out: NDArray[np.float64]) -> None:
        """Set the latest time, grace included, at which a run of each schedule was due at `now_ms`, in ms."""
        for condition, (expression, zone, grace_s) in self._conditions.cron.items():
            if now_ms >= self._valid_until[condition]:
                last, following = _around(expression, ZoneInfo(zone), now_ms / 1000 - grace_s)
                self._due[condition] = last * 1000
                self._valid_until[condition] = (following + grace_s) * 1000
            out[condition] = self._due[condition]


def _around(expression: str, zone: ZoneInfo, now_s: float) -> tuple[float, float]:
    """The latest run due at `now_s`, then included, and the first one after it, in s.

    Reckoned by the clock on the wall, as croniter goes astray in hours that summer time repeats: what is due in one of
    those is due once, and what is due in an hour left out is due an hour later.
    """
    wall = datetime.fromtimestamp(now_s, zone).replace(tzinfo=None) + _AT_ONCE
    runs = croniter(expression, wall)
    last = following = float("inf")
    while last > now_s:
        last, following = runs.get_prev(datetime).replace(tzinfo=zone).timestamp(), min(last, following)
    runs = croniter(expression, wall)
    while following <= now_s or following == float("inf"):
        following = runs.get_next(datetime).replace(tzinfo=zone).timestamp()
    return last, following
