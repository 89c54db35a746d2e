"""Maintenance windows by the calendar: local times of a zone, recurring by an RRULE (RFC 5545), alerts kept quiet.

Occurrences are counted on the wall clock of the zone. A start that the clocks skip in spring is taken with the offset
before the change, so 02:30 is then 03:30; one that comes twice in autumn is the first (both RFC 5545, 3.3.5). The
duration is time that passes, whatever the clocks do meanwhile.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import islice
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from dateutil.rrule import rrule, rrulestr
from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, field_validator, model_validator

from streams.instants import Zone, iso
from streams.labels import matches
from streams.settings import Settings
from streams.silences import AnyMatcher, selects_something
from streams.units import Duration

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_UNTIL = re.compile(r"UNTIL=(\d{8}T\d{6})Z", re.IGNORECASE)
_DAY_MS = 86_400_000.0
_MOST_A_DAY = 48
_REACH = timedelta(days=366 * 100)
_LAST_YEAR = 9890


def _local(value: object) -> object:
    """A datetime from what YAML and JSON have for one. Raises ValueError."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{value!r:.100} is no date and time; write for instance 2026-11-22T02:00") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a local time of the window's zone
    return value


LocalTime = Annotated[
    datetime,
    BeforeValidator(_local),
    PlainSerializer(lambda d: d.isoformat(), return_type=str),
    WithJsonSchema({"type": "string", "description": "Local date and time, such as 2026-11-22T02:00."}),
]


class Window(Settings):
    """Alerts of the targets, or that pass every matcher, are not told from each start on for `duration`."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f]+$")
    comment: str = Field(default="", max_length=2000)
    targets: tuple[str, ...] = Field(default=(), description="Names of targets.")
    matchers: tuple[AnyMatcher, ...] = Field(default=(), description="Matchers on the alert's labels.")
    start: LocalTime = Field(description="First start, local time of `timezone`; the recurrence counts from here.")
    duration: Duration = Field(gt=0, le=31 * 86400.0, description="How long each lasts; at most 31d.")
    timezone: Zone = Field(default="UTC", description="IANA name, such as Europe/Berlin.")
    rrule: str = Field(
        default="", max_length=500, description="RFC 5545, for instance FREQ=WEEKLY;BYDAY=SU. Empty: once."
    )
    except_: tuple[LocalTime, ...] = Field(
        default=(), alias="except", max_length=1000, description="Starts that are left out."
    )

    @field_validator("rrule")
    @classmethod
    def _plain(cls, text: str) -> str:
        text = text.strip().upper().removeprefix("RRULE:")
        if not text:
            return text
        parts = dict(p.partition("=")[::2] for p in text.split(";"))
        if parts.get("FREQ") not in _FREQUENCIES:
            raise ValueError(f"a recurrence begins with FREQ= one of {', '.join(_FREQUENCIES)}: FREQ=WEEKLY;BYDAY=SU")
        if "DTSTART" in text or "\n" in text:
            raise ValueError("write the start in `start`, and one recurrence in `rrule`")
        if parts["FREQ"] in ("DAILY", "WEEKLY"):
            _refuse_filters(parts)
        times = [parts.get(name, "").count(",") + 1 for name in ("BYHOUR", "BYMINUTE")]
        if "BYSECOND" in parts or times[0] * times[1] > _MOST_A_DAY:
            raise ValueError(f"at most {_MOST_A_DAY} starts a day, and none within a minute")
        return text

    @model_validator(mode="after")
    def _sensible(self) -> Window:
        if not self.targets and not self.matchers:
            raise ValueError('name targets or matchers; for all there is: matchers: [target=~".+"]')
        if self.matchers and not selects_something(self.matchers):
            raise ValueError('every alert there is would be meant: ask for a value, if only with target=~".+"')
        try:
            first = next(self.starts(), None)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise ValueError(f"rrule {self.rrule!r} cannot be used: {error}") from error
        if first is None:
            raise ValueError("it never occurs: no start that the rule and `except` leave")
        return self

    def hits(self, target: str, labels: Mapping[str, str]) -> bool:
        """Whether an alert of `target` with `labels` is one of those meant, whatever the time."""
        return target in self.targets or (bool(self.matchers) and matches(self.matchers, labels))

    def starts(self) -> Iterator[float]:
        """Every start within a hundred years, milliseconds UTC, in the order of the local calendar."""
        zone = ZoneInfo(self.timezone)
        left_out = {self._naive(d, zone) for d in self.except_}
        for local in self._calendar(zone):
            if local not in left_out:
                # fold stays 0: of two equal times the first, and in a gap the offset before it.
                yield local.replace(tzinfo=zone).astimezone(UTC).timestamp() * 1000.0

    def _calendar(self, zone: ZoneInfo) -> Iterator[datetime]:
        first = self._naive(self.start, zone)
        if not self.rrule:
            yield first
            return
        # UNTIL in UTC, as RFC 5545 wants it beside a zone, is a local time here like every other.
        text = _UNTIL.sub(lambda m: f"UNTIL={self._naive(_utc(m[1]), zone):%Y%m%dT%H%M%S}", self.rrule)
        parts = dict(p.partition("=")[::2] for p in text.split(";"))
        count = int(parts.pop("COUNT")) if "COUNT" in parts else None
        if int(parts.get("INTERVAL", "1")) < 1:
            raise ValueError("INTERVAL is at least 1")
        if count is not None and ("UNTIL" in parts or count < 1):
            raise ValueError("COUNT is at least 1, and COUNT and UNTIL exclude each other")
        reach = first + _REACH if first.year < _LAST_YEAR else first.replace(year=9999)
        if "UNTIL" in parts:
            until = datetime.fromisoformat(parts.pop("UNTIL"))
            reach = min(
                reach, until if "T" in text.partition("UNTIL=")[2][:9] else until + timedelta(days=1, seconds=-1)
            )
        rule: Any = rrulestr(";".join(f"{k}={v}" for k, v in parts.items()), dtstart=first)
        if not isinstance(rule, rrule):
            raise ValueError("one recurrence, no set of them")  # noqa: TRY004 - pydantic
        yield from islice(iter(rule.replace(until=reach)), count)

    @staticmethod
    def _naive(at: datetime, zone: ZoneInfo) -> datetime:
        return at.astimezone(zone).replace(tzinfo=None, fold=0) if at.tzinfo else at.replace(fold=0)

    @cached_property
    def calendar(self) -> Calendar:
        """The window's occurrences, to be asked by time."""
        return Calendar(self)

    def described(self, version: int, now: float, count: int) -> dict[str, Any]:
        """What people are shown of it, with its next `count` occurrences in ISO 8601, in UTC."""
        return {
            "name": self.name,
            "version": version,
            "active": self.calendar.active(now) is not None,
            "next": [{"starts": iso(s), "ends": iso(e)} for s, e in self.calendar.upcoming(now, count)],
            "window": self.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        }


def _refuse_filters(parts: Mapping[str, str]) -> None:
    """Refuse what may never come true: the library would look for it day by day, until the year 9999."""
    odd = next((n for n in ("BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYEASTER", "BYSETPOS") if n in parts), None)
    if odd is not None:
        raise ValueError(f"{odd} goes with FREQ=MONTHLY or FREQ=YEARLY, not with {parts['FREQ']}")
    filters = ("BYMONTH", "BYDAY") if parts["FREQ"] == "DAILY" else ("BYMONTH",)
    if parts.get("INTERVAL", "1") != "1" and (odd := next((n for n in filters if n in parts), None)):
        raise ValueError(f"{odd} and INTERVAL do not go together with FREQ={parts['FREQ']}: they may never meet")


def _utc(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


class Calendar:
    """Which occurrence of a window there is at a time; looks them up as far as it is asked, and keeps them."""

    def __init__(self, window: Window) -> None:
        self.length = window.duration * 1000.0
        self._more = window.starts()
        self._known: list[float] = []
        self._reach = -1.0  # every start up to here is known
        self._ended = False

    def _look(self, until: float) -> None:
        # Two days further: around a change of clocks, starts may lie in another order than on the wall clock.
        while not self._ended and self._reach < until:
            start = next(self._more, None)
            if start is None:
                self._ended = True
            else:
                insort(self._known, start)
                self._reach = max(self._reach, start - 2 * _DAY_MS)

    def active(self, now: float) -> tuple[float, float] | None:
        """Start and end of the occurrence at `now`, all in milliseconds; of several, the one that ends last."""
        self._look(now)
        at = bisect_right(self._known, now) - 1
        if at < 0 or now >= self._known[at] + self.length:
            return None
        return self._known[at], self._known[at] + self.length

    def upcoming(self, now: float, count: int) -> list[tuple[float, float]]:
        """Start and end of the one at `now` and of those after it, `count` in all, fewer where they end."""
        self._look(now)
        first = bisect_right(self._known, now - self.length)
        while not self._ended and len(self._known) < first + count + 1:
            self._look(self._reach + _DAY_MS)
        self._look((self._known[first + count - 1] if len(self._known) >= first + count else now) + 2 * _DAY_MS)
        return [(s, s + self.length) for s in self._known[first : first + count]]
