"""When a failed attempt is tried again, and when not."""

from __future__ import annotations

import math
from datetime import UTC
from email.utils import parsedate_to_datetime

RETRY_AFTER_CAP_S = 900.0
"""A receiver may ask for no longer pause than this: an alert is worth one more try."""

_MAY_HAVE_ARRIVED = frozenset({"timeout", "connection_lost", "http_502", "http_504", "partly_refused"})


class DeliveryError(Exception):
    """An attempt that failed. `reason` is a short name for counting; `permanent` says that trying again is useless."""

    def __init__(self, reason: str, message: str = "", *, permanent: bool, retry_after: float | None = None) -> None:
        super().__init__(message or reason)
        self.reason = reason
        self.permanent = permanent
        self.retry_after = retry_after


def may_have_arrived(reason: str) -> bool:
    """Whether the receiver may have the message though the attempt failed for `reason`."""
    return reason in _MAY_HAVE_ARRIVED


def backoff(attempt: int, *, initial: float, longest: float, rand: float) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1); `rand` is in [0, 1).

    Exponential with full jitter. Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog.
    """
    return rand * min(longest, initial * 2.0 ** min(attempt - 1, 60))


def next_try(*, now: float, delay: float, retry_after: float | None, deadline: float) -> float | None:
    """When to try again, in the unit of `now` (seconds): never past `deadline`, and None once it has come.

    The last attempt is made at the deadline itself, even where `retry_after` asks for longer.
    """
    if now >= deadline:
        return None
    wait = max(delay, min(retry_after, RETRY_AFTER_CAP_S)) if retry_after is not None else delay
    return min(now + wait, deadline)


def parse_retry_after(value: str | None, *, now: float) -> float | None:
    """Seconds asked for by a Retry-After header: a number or an HTTP date (RFC 9110, 10.2.3); None where it is neither.

    `now` is in seconds since the Unix epoch.
    """
    if value is None:
        return None
    try:
        wait = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        wait = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now
    return max(0.0, wait) if math.isfinite(wait) else None
