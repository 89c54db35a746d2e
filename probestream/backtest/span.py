"""Which time a backtest is about, and which of it is night."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from streams.instants import instant
from streams.units import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HOURS = re.compile(r"(\d{1,2})(?::(\d\d))?-(\d{1,2})(?::(\d\d))?")


@dataclass(frozen=True, slots=True)
class Span:
    """From one time to another, in milliseconds since 1970."""

    from_ms: float
    to_ms: float

    @property
    def ms(self) -> float:
        """How long it is."""
        return self.to_ms - self.from_ms


def moment(text: str, end_ms: float) -> float:
    """Milliseconds since 1970 of an instant, a date, or a duration before `end_ms`. Raises ValueError."""
    try:
        return end_ms - seconds(text) * 1000.0
    except ValueError:
        pass
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r:.60} is no time: write 30d, 2026-11-21, or 2026-11-21T14:00:00Z") from None
    return instant(at if at.tzinfo else at.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class Nights:
    """The hours of a night by the clock of a zone, in minutes since midnight; `begin` is on the evening before."""

    begin: int = 22 * 60
    end: int = 7 * 60
    zone: str = "UTC"

    @classmethod
    def of(cls, text: str, zone: str) -> Nights:
        """Of a text such as 22-7 or 21:30-06:15. Raises ValueError."""
        found = _HOURS.fullmatch(text.strip())
        parts = [int(p or 0) for p in found.groups()] if found else []
        if not parts or parts[0] > 23 or parts[2] > 23 or parts[1] > 59 or parts[3] > 59 or parts[:2] == parts[2:]:
            raise ValueError(f"{text!r:.60} is no night: write for instance 22-7, or 21:30-06:15")
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{zone!r:.60} is no time zone: write for instance Europe/Berlin") from None
        return cls(parts[0] * 60 + parts[1], parts[2] * 60 + parts[3], zone)

    def night_of(self, at_ms: float) -> date | None:
        """The night that a time is in, by the date of its evening; None by day."""
        local = datetime.fromtimestamp(at_ms / 1000.0, ZoneInfo(self.zone))
        minute = local.hour * 60 + local.minute
        if self.begin < self.end:
            return local.date() if self.begin <= minute < self.end else None
        if minute >= self.begin:
            return local.date()
        return local.date() - timedelta(days=1) if minute < self.end else None

    def within(self, span: Span) -> Iterator[tuple[date, float, float]]:
        """Date, beginning and end of each night that has a part in the span, cut to it."""
        zone = ZoneInfo(self.zone)
        day = datetime.fromtimestamp(span.from_ms / 1000.0, zone).date() - timedelta(days=1)
        while True:
            following = day + timedelta(days=1) if self.begin > self.end else day
            begin, end = _at(day, self.begin, zone), _at(following, self.end, zone)
            if begin >= span.to_ms:
                return
            if end > span.from_ms:
                yield day, max(begin, span.from_ms), min(end, span.to_ms)
            day += timedelta(days=1)

    def count(self, span: Span) -> float:
        """How many nights the span has; parts count by their length."""
        whole = float((self.end - self.begin) % 1440) * 60_000.0
        return sum(end - begin for _, begin, end in self.within(span)) / whole


def _at(day: date, minute: int, zone: ZoneInfo) -> float:
    local = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    return local.astimezone(UTC).timestamp() * 1000.0


def median(values: Iterable[float]) -> float:
    """The middle one, or the mean of the two; NaN of none."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
