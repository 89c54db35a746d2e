"""Time zones by name, and instants as people and programs write them: ISO 8601 with an offset, or milliseconds."""

from __future__ import annotations

import difflib
import math
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema

# A year that datetime, and so every text of ours, still has.
_LATEST_MS = 253_402_300_000_000.0


def instant(value: object) -> float:
    """Milliseconds since the Unix epoch of an ISO 8601 text with an offset, a datetime, or milliseconds.

    Raises ValueError, also for a text without an offset: nobody can say which hour it means.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            raise ValueError(f"{value!r:.100} is no instant; write for instance 2026-11-21T14:00:00Z") from None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no offset; write {value.isoformat()}Z for UTC")
        try:
            value = round(value.timestamp() * 1000.0, 3)
        except (OverflowError, ValueError):
            raise ValueError("an instant lies between the years 1970 and 9999") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError("an instant is a text such as 2026-11-21T14:00:00Z, or milliseconds since 1970")  # noqa: TRY004 - pydantic
    if not math.isfinite(value) or not 0 <= value <= _LATEST_MS:
        raise ValueError("an instant lies between the years 1970 and 9999, in milliseconds since 1970")
    return float(value)


def iso(at_ms: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000.0, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Instant = Annotated[
    float,
    BeforeValidator(instant),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "format": "date-time"}]}),
]


def zone(name: str) -> str:
    """The IANA name of a time zone. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        meant = f"; did you mean {close[0]}?" if close else ", such as Europe/Berlin or UTC"
        raise ValueError(f"{name!r} is no IANA time zone{meant}") from None
    return name


Zone = Annotated[str, AfterValidator(zone)]
