"""Numbers, times and conditions as sentences have them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from streams.explain.model import Condition
from streams.rules.describe import describe
from streams.rules.words import STATUS_NAMES
from streams.units import human

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.compiled import Conditions

_COMPARISON = re.compile(r"(.+) (>=|<=|==|!=|>|<) (.+?)(?: \(until (.+)\))?")
_DURATION = re.compile(r"(\d+(ms|[smhd]))+")
_HOLDS = (False, True, None)
_MOST = 5


def clock(at_ms: float, near_ms: float | None = None) -> str:
    """A time of the day in UTC, with the date where that is not the one of `near_ms`."""
    at = datetime.fromtimestamp(at_ms / 1000.0, UTC)
    if near_ms is not None and datetime.fromtimestamp(near_ms / 1000.0, UTC).date() == at.date():
        return at.strftime("%H:%M:%S")
    return at.strftime("%Y-%m-%d %H:%M:%S")


def stamp(at_ms: float) -> str:
    """Date and time in UTC with milliseconds."""
    at = datetime.fromtimestamp(at_ms / 1000.0, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}"


def span(ms: float) -> str:
    """How long something lasts: ``1m30s``."""
    return human(max(ms, 0.0) / 1000.0) if ms >= 1 else "0s"


def number(value: float) -> str:
    """A number with six digits that matter."""
    return f"{value:.6g}"


def listed(names: Iterable[str], most: int = _MOST) -> str:
    """Some names by commas, and how many more there are."""
    known = list(names)
    rest = f" and {len(known) - most} more" if len(known) > most else ""
    return ", ".join(known[:most]) + rest


def seen_by_fold(
    conditions: Conditions, own: Iterable[int], seen: Iterable[tuple[float, float, int]]
) -> list[Condition]:
    """The conditions `own`, with value, number of samples and truth of each as the fold has them."""
    return [
        _finished(
            text=describe(conditions, c),
            value=value,
            threshold=float(conditions.threshold[c]),
            count=count,
            window_s=float(conditions.window_s[c]),
            min_samples=float(conditions.min_samples[c]),
            holds=_HOLDS[truth],
        )
        for c, (value, count, truth) in zip(own, seen, strict=True)
    ]


def seen_by_alert(conditions: Iterable[Mapping[str, Any]], min_samples: float = 0.0) -> list[Condition]:
    """The conditions that an alert or a finding carries."""
    return [
        _finished(
            text=c["text"],
            value=c["value"],
            threshold=c["threshold"],
            count=c["count"],
            window_s=c["window_s"],
            min_samples=float(min_samples),
            holds=c["holds"],
        )
        for c in conditions
    ]


def _finished(*, value: float | None, window_s: float, **rest: Any) -> Condition:
    known = None if value is None or math.isnan(value) else value
    condition = Condition(value=known, window_s=0.0 if math.isnan(window_s) else window_s, **rest)
    condition.said = said(condition)
    return condition


def said(condition: Condition) -> str:
    """What a condition saw, and what it needs: ``error_rate over 5m was 0.03, needs > 0.05``."""
    found = _COMPARISON.fullmatch(condition.text)
    subject, operator, limit, until = found.groups() if found else (condition.text, "", "", None)
    value = None if condition.value is None else in_unit(condition.value, limit)
    if condition.holds is None:
        return f"{subject} was unknown: {_why_unknown(condition, value)}"
    if not condition.holds:
        return f"{subject} was {value}, needs {operator} {limit}"
    if until is not None and condition.value is not None and not _passes(condition.value, operator, condition):
        return f"{subject} was {value}: once {operator} {limit}, it holds until {until}"
    return f"{subject} was {value} ({operator} {limit})"


def _why_unknown(condition: Condition, value: str | None) -> str:
    if value is not None:
        wanted = number(condition.min_samples) if condition.min_samples else "more"
        return f"{number(condition.count)} of {wanted} samples (it would be {value})"
    if condition.count < 1:
        return "no sample in that time" if condition.window_s else "no sample has carried it yet"
    return f"nothing to compare with yet, after {number(condition.count)} samples"


def _passes(value: float, operator: str, condition: Condition) -> bool:
    limit = condition.threshold
    return {">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit}.get(operator, True)


def in_unit(value: float, limit: str) -> str:
    """`value` as the text of the limit it is compared with has its own: milliseconds, a duration, a status."""
    if limit in STATUS_NAMES and 0 <= value < len(STATUS_NAMES):
        return STATUS_NAMES[int(value)]
    if _DURATION.fullmatch(limit):
        return "never" if math.isinf(value) else human(max(value, 0.0)) or "0s"
    return f"{number(value)} ms" if limit.endswith(" ms") else number(value)


def because(conditions: Iterable[Condition]) -> str:
    """The conditions that held, or where none is known to have, all of them."""
    known = list(conditions)
    held = [c for c in known if c.holds] or known
    return "; ".join(c.said for c in held[:_MOST]) + (f"; and {len(held) - _MOST} more" if len(held) > _MOST else "")


def why_not(conditions: Iterable[Condition]) -> str:
    """The conditions that did not hold."""
    known = list(conditions)
    missing = [c for c in known if c.holds is False] or [c for c in known if c.holds is None] or known
    return "; ".join(c.said for c in missing[:_MOST]) + (
        f"; and {len(missing) - _MOST} more" if len(missing) > _MOST else ""
    )
