"""What a condition is compared with, as people write it: 5%, 3h, 250ms, unhealthy, 2 * baseline."""

from __future__ import annotations

import difflib
import math
import re

from streams.rules.words import (
    MILLISECONDS,
    SECONDS,
    SHARE,
    STATUS,
    STATUSES,
    is_percent,
)
from streams.units import human, seconds

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_PERCENT = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*%")
_BASELINE = re.compile(r"(?:(\d+(?:\.\d+)?)\s*[*x]?\s*)?baseline")


def number(written: object, unit: str, metric: str = "") -> float:
    """`written` in `unit`. Raises ValueError."""
    if isinstance(written, bool) or not isinstance(written, (int, float, str)):
        raise ValueError("a number is wanted")  # noqa: TRY004 - pydantic
    if isinstance(written, str):
        return _of_text(written.strip(), unit, metric)
    try:
        value = float(written)
    except OverflowError:  # an integer of hundreds of digits
        value = math.inf
    if not math.isfinite(value):
        raise ValueError("Input should be a finite number")
    return value


def _of_text(text: str, unit: str, metric: str) -> float:
    if _NUMBER.fullmatch(text):
        return number(float(text), unit)
    if found := _PERCENT.fullmatch(text):
        if unit == SHARE:
            return round(float(found.group(1)) / 100.0, 12)
        if is_percent(metric):
            return float(found.group(1))
        raise ValueError(
            f"a percentage fits error_rate, success_rate and metrics in per cent; {metric} is none of them"
        )
    if unit == STATUSES:
        return float(status(text))
    if unit in (SECONDS, MILLISECONDS):
        return seconds(text) * (1.0 if unit == SECONDS else 1000.0)
    if text.lower() in STATUS:
        raise ValueError(f"{text!r} is a status, and {metric or 'this'} is none: write metric: status")
    raise ValueError(f"{text!r} is no number")


def status(word: str) -> int:
    """The number of a status word, in any case. Raises ValueError."""
    if word.lower() in STATUS:
        return STATUS[word.lower()]
    close = difflib.get_close_matches(word.lower(), STATUS, n=1)
    meant = f"; did you mean {close[0]}?" if close else ""
    raise ValueError(f"{word!r} is no status: healthy, degraded, unhealthy or unknown{meant}")


def is_status(word: object) -> bool:
    """Whether `word` is a status word."""
    return isinstance(word, str) and word.strip().lower() in STATUS


def of_baseline(written: object) -> float | None:
    """2 for ``2 * baseline``; None where there is no baseline in it."""
    found = _BASELINE.fullmatch(written.strip()) if isinstance(written, str) else None
    return None if found is None else float(found.group(1) or 1.0)


PANES_S = ((10.0, 300.0), (300.0, 3600.0), (3600.0, 86400.0))
LONGEST_WINDOW_S = PANES_S[-1][1]


def window_fits(window_s: float) -> bool:
    """Whether panes add up to a window of `window_s`: of 10 s up to 5 m, of 5 m up to 1 h, of 1 h up to 24 h."""
    return any(0 < window_s <= longest and (window_s / pane).is_integer() for pane, longest in PANES_S)


def nearest_windows(window_s: float) -> list[str]:
    """The next shorter and the next longer window that panes add up to, for people."""
    fitting = [pane * n for pane, longest in PANES_S for n in range(1, int(longest / pane) + 1)]
    shorter = [w for w in fitting if w < window_s]
    longer = [w for w in fitting if w > window_s]
    return [human(w) for w in ([max(shorter)] if shorter else []) + ([min(longer)] if longer else [])]
