"""Which moment is meant: what people type after the @."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from streams.instants import instant
from streams.units import seconds

_EPOCH = re.compile(r"\d{9,14}(\.\d+)?")
_MILLISECONDS_FROM = 1e11  # as seconds, the year 5138
_LATER_MS = 4e12  # any time of now: only the form matters
_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")


def moment(text: str, now_ms: float) -> float:
    """Milliseconds of ``now``, ``-10m``, seconds or milliseconds since 1970, ``03:12`` (the last one, UTC) or RFC 3339.

    Raises ValueError, also for what is yet to come.
    """
    text = text.strip()
    if text in ("", "now"):
        return now_ms
    at = _moment(text, now_ms)
    if at > now_ms:
        raise ValueError(f"{text} is yet to come")
    return at


def _moment(text: str, now_ms: float) -> float:
    if text.startswith("-"):
        return max(now_ms - seconds(text[1:]) * 1000.0, 0.0)
    if _EPOCH.fullmatch(text):
        value = float(text)
        return instant(value if value >= _MILLISECONDS_FROM else value * 1000.0)
    if (found := _OF_DAY.fullmatch(text)) is not None:
        hour, minute, second = (int(part or 0) for part in found.groups())
        now = datetime.fromtimestamp(now_ms / 1000.0, UTC)
        try:
            at = now.replace(hour=hour, minute=minute, second=second, microsecond=0)
        except ValueError:
            raise ValueError(f"{text!r} is no time of the day") from None
        return (at if at <= now else at - timedelta(days=1)).timestamp() * 1000.0
    try:
        return instant(text)
    except ValueError as error:
        raise ValueError(f"{error}; or now, -10m, 03:12 (UTC), or seconds since 1970") from None


def split(text: str) -> tuple[str, str | None]:
    """Subject and time of ``SUBJECT@TIME``; None where there is no time. A subject may have an @ of its own."""
    subject, at, time = text.rpartition("@")
    time = time.strip()
    if not at or time in ("", "now"):
        return (subject, time) if at else (text, None)
    try:
        _moment(time, _LATER_MS)
    except ValueError:
        if not re.match(r"[-\d]", time):
            return text, None  # else it was meant as a time and is none, which is told where it is read
    return subject, time
