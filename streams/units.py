"""Durations as people write them, and the clock's unit."""

from __future__ import annotations

import math
import re
import time
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def seconds(text: object) -> float:
    """Seconds of a duration: a number of seconds, or Prometheus's form such as ``90s`` or ``1h30m``.

    Raises ValueError.
    """
    if isinstance(text, bool) or not isinstance(text, (int, float, str)):
        raise ValueError("a duration is a number of seconds or a text such as 30s, 5m, 1h30m")  # noqa: TRY004 - pydantic
    if isinstance(text, (int, float)) or re.fullmatch(r"\d+(\.\d+)?", text.strip()):
        try:
            value = float(text)
        except OverflowError:  # an integer of hundreds of digits
            value = math.inf
    else:
        parts = _PART.findall(text.strip())
        if not parts or "".join(n + u for n, u in parts) != text.strip():
            raise ValueError(f"{text!r} is no duration; write for instance 30s, 5m or 1h30m")
        value = sum(float(n) * _SECONDS[u] for n, u in parts)
    if not math.isfinite(value) or value < 0:
        raise ValueError("a duration is finite and not negative")
    return value


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 0},
                {"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d|w|y))+$"},
            ],
            "description": "Seconds, or a text such as 30s, 5m, 1h30m.",
        }
    ),
]


def now_ms() -> float:
    """The wall clock in milliseconds since the Unix epoch, UTC. Only shells call this."""
    return time.time() * 1000.0


def human(value_s: float) -> str:
    """A duration for people: ``90`` becomes ``1m30s``."""
    if value_s < 1:
        return f"{value_s * 1000:.0f}ms"
    rest, parts = int(value_s), []
    for unit in ("d", "h", "m", "s"):
        n, rest = divmod(rest, int(_SECONDS[unit]))
        if n:
            parts.append(f"{n}{unit}")
    return "".join(parts[:2])
