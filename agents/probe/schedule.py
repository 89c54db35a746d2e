"""When a target is checked: soon after the start, then at a fixed cadence, spread over the whole interval.

Thousands of targets with the same interval would otherwise be checked in one burst, which measures itself.
"""

from __future__ import annotations

import hashlib
import math

FIRST_WITHIN_S = 2.0


def phase(probe: str, target: str) -> float:
    """A number in [0, 1) that is the same at each start and differs between targets and between probes."""
    digest = hashlib.blake2b(f"{probe}\0{target}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def first_due(start: float, every: float, share: float, within: float = FIRST_WITHIN_S) -> float:
    """Time of the first check: within two seconds, or within one interval where that is shorter."""
    return start + share * min(every, within)


def next_due(start: float, every: float, share: float, now: float) -> float:
    """The first of the times start + (share + k) * every that is after `now`: ticks missed are skipped, none piles up.

    Seconds of any clock. It never drifts, for it does not depend on when a check began or ended.
    """
    origin = start + share * every
    due = origin + max(math.floor((now - origin) / every) + 1, 0) * every
    return due if due > now else due + every  # where rounding put it on `now` itself
