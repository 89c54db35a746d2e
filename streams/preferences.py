"""What a person wants to be told of, when and where; and what is said against telling them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from streams.instants import Instant, Zone, iso
from streams.settings import Settings

Level = Literal["info", "warning", "critical", "none"]
_LEVELS: Mapping[str, int] = {"info": 0, "warning": 1, "critical": 2, "none": 3}
_DAY = 24 * 60
QUIET_HOURS = "preference_quiet_hours"
"""The reason why a page is withheld that is told when the quiet hours are over."""
_MINUTE_MS = 60_000
_LOOKED_AHEAD = 8 * _DAY
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _minutes(value: object) -> int:
    """Minutes since midnight of ``22:00``. YAML reads an unquoted 22:00 as a number: of just these minutes."""
    if isinstance(value, str):
        hours, colon, minutes = value.strip().partition(":")
        if colon and len(minutes) == 2 and hours.isdecimal() and minutes.isdecimal() and int(minutes) < 60:
            value = int(hours) * 60 + int(minutes)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _DAY:
        raise ValueError("a time of day is written 07:30; from 00:00 to 24:00")
    return value


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


TimeOfDay = Annotated[
    int,
    BeforeValidator(_minutes),
    PlainSerializer(_clock, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^\d{1,2}:\d{2}$", "description": "Time of day, such as 22:00."}),
]


class QuietHours(Settings):
    """From one time of day to another, on the clock of the person's time zone; past midnight where `to` is earlier."""

    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
    days: tuple[Day, ...] = Field(default=(), description="Days on which they begin; empty: every day.")
    least_severity: Level = Field(default="critical", description="What is told all the same; none: nothing.")

    @model_validator(mode="after")
    def _some(self) -> QuietHours:
        if self.from_ == self.to:
            raise ValueError("no time lies between the two; a whole day is from 00:00 to 24:00")
        return self

    def hold(self, wall: datetime) -> bool:
        """Whether this local time lies within."""
        minute, today = wall.hour * 60 + wall.minute, wall.weekday()
        if self.from_ < self.to:
            return self.from_ <= minute < self.to and self._begin_on(today)
        return (minute >= self.from_ and self._begin_on(today)) or (minute < self.to and self._begin_on(today - 1))

    def _begin_on(self, day: int) -> bool:
        return not self.days or _DAYS[day % 7] in self.days


class Preference(Settings):
    """What a person wants to be told of, and where."""

    receivers: tuple[str, ...] = Field(
        default=(), max_length=50, description="Receivers that reach this person; empty: the one of the person's name."
    )
    least_severity: Level = Field(
        default="info",
        validation_alias=AliasChoices("least_severity", "leastSeverity", "minSeverity"),
        description="Alerts below it are not told; none: nothing is.",
    )
    channels: tuple[str, ...] = Field(default=(), max_length=50, description="Empty: every channel of the receiver.")
    muted: bool = Field(default=False, description="Nothing is told, until this is changed.")
    muted_until: Instant | None = Field(default=None, description="Nothing is told until then.")
    quiet_hours: tuple[QuietHours, ...] = Field(default=(), max_length=20)
    timezone: Zone = Field(default="UTC", description="IANA name, such as Europe/Berlin; of the quiet hours.")

    def reaches(self, person: str) -> tuple[str, ...]:
        """The receivers that it is about."""
        return self.receivers or (person,)

    def against(self, channel: str, severity: str, now: float) -> tuple[str, str] | None:
        """Named reason and words, where an alert is not to be told at `now` (milliseconds); None where it is."""
        if (always := self._against(channel, severity, now)) is not None:
            return always
        kept = self._quiet_for(severity)
        held = _held(kept, self.timezone, now)
        if held is None:
            return None
        end = _end(kept, self.timezone, int(now // _MINUTE_MS))
        until = f", until {iso(end)}" if end is not None else ""
        return QUIET_HOURS, f"{_clock(held.from_)} to {_clock(held.to)} {self.timezone}{until}"

    def keeps(self, channel: str, severity: str, now: float) -> bool:
        """Whether there is anything `against` it: at a hundredth of the cost, as no end is looked for."""
        if self._against(channel, severity, now) is not None:
            return True
        return _held(self._quiet_for(severity), self.timezone, now) is not None

    def _against(self, channel: str, severity: str, now: float) -> tuple[str, str] | None:
        """What is against it at any hour."""
        if self.muted:
            return "preference_muted", "muted"
        if self.muted_until is not None and now < self.muted_until:
            return "preference_muted", f"muted until {iso(self.muted_until)}"
        if _LEVELS.get(severity, 2) < _LEVELS[self.least_severity]:
            return "preference_severity", f"least_severity is {self.least_severity}"
        if self.channels and channel not in self.channels:
            return "preference_channel", f"channels are {', '.join(self.channels)}"
        return None

    def _quiet_for(self, severity: str) -> tuple[QuietHours, ...]:
        return tuple(q for q in self.quiet_hours if _LEVELS.get(severity, 2) < _LEVELS[q.least_severity])


def _held(some: tuple[QuietHours, ...], zone: str, now: float) -> QuietHours | None:
    wall = datetime.fromtimestamp(now / 1000.0, UTC).astimezone(ZoneInfo(zone))
    return next((quiet for quiet in some if quiet.hold(wall)), None)


@functools.lru_cache(maxsize=256)
def _end(some: tuple[QuietHours, ...], zone: str, minute: int) -> float | None:
    """When the first minute begins, in ms, in which none holds, whatever the clocks do until then; None if never."""
    later = (float(m * _MINUTE_MS) for m in range(minute + 1, minute + _LOOKED_AHEAD))
    return next((at for at in later if _held(some, zone, at) is None), None)


class DeclaredPreference(Preference):
    """A preference of the configuration file."""

    name: str = Field(min_length=1, max_length=200, description="The person; the preference's id at run time.")
