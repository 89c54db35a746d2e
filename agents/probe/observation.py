"""What one check of one target found."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One observation of a target: it becomes one sample.

    `latency_ms` is NaN where none was measured. `status` is the protocol's, or the short name of what went wrong;
    `message` says to a person why the check failed, and is empty where it did not.
    """

    ok: bool
    latency_ms: float = math.nan
    status: str = ""
    message: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
