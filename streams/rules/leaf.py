"""What must hold of a single condition: a metric that there is, a window that panes hold, thresholds in reach."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from streams.kernel import kinds
from streams.rules import words
from streams.rules.values import nearest_windows, window_fits
from streams.units import human

if TYPE_CHECKING:
    from streams.rules.condition import Condition

Problem = tuple[str, str]


def problems(c: Condition, thresholds: tuple[str, ...] = ("value",)) -> list[Problem]:
    """Everything that is wrong with `c`, each as field and text; `thresholds` are the fields it is compared with."""
    look = words.look(c.metric, c.aggregate)
    if look is None:  # refused before its unit was asked for
        return []
    if c.metric == "missed" and c.schedule is None:
        return [("metric", "missed needs a schedule: {cron: ..., zone: ..., grace: ...}")]
    found = _window(c, look)
    for name in thresholds:
        found += _reach(c, look, name)
    if c.recover is not None:
        found += _recovery(c, thresholds)
    if (c.limit is not None) != (look.kind == kinds.FORECAST):
        needed = "forecast needs the limit that is not to be reached"
        found.append(("limit", needed if c.limit is None else "only for forecast"))
    if c.quantile is not None and look.kind != kinds.RATIO:
        found.append(("quantile", "only for ratio; p95 of the values themselves is aggregate: p95"))
    return found


def unknown(metric: str, aggregate: str) -> Problem | None:
    """What is wrong with a metric, or an aggregate of it, that there is not."""
    if (meant := _meant(metric)) is not None:
        return (
            "metric",
            f"there is no metric {metric!r}; did you mean {meant}? (Your own have a dot in them.)",
        )
    if words.look(metric, aggregate) is None:
        return "aggregate", _no_aggregate(metric, aggregate)
    return None


def _meant(metric: str) -> str | None:
    """The built-in metric that `metric` is a misspelling of."""
    if metric in words.BUILT_IN or not metric.replace("_", "").isalnum():
        return None
    plain = {n.replace("_", ""): n for n in words.BUILT_IN}
    close = difflib.get_close_matches(metric.replace("_", "").lower(), plain, n=1, cutoff=0.8)
    return plain[close[0]] if close else None


def _no_aggregate(metric: str, aggregate: str) -> str:
    if not words.is_aggregate(aggregate):
        close = difflib.get_close_matches(aggregate, words.AGGREGATES, n=1)
        meant = (
            f"; did you mean {close[0]}?" if close else f"; there are {', '.join(words.AGGREGATES)}, p50, p95, p99.9"
        )
        return f"there is no aggregate {aggregate!r}{meant}"
    if aggregate in words.OF_ERRORS:
        return f"{aggregate} is of the error_rate, not of {metric}"
    if words.OWN[metric].windowed:
        return f"{metric} counts over its window: it takes no aggregate"
    return f"{metric} is a state of the latest sample: it takes no window and no aggregate"


def _window(c: Condition, look: words.Look) -> list[Problem]:
    if look.windowed:
        if window_fits(c.window):
            return []
        near = nearest_windows(c.window)
        text = (
            f"{human(c.window)} cannot be held: windows are multiples of 10s up to 5m, 5m up to 1h, 1h up to 24h; "
            f"nearest: {' and '.join(near)}"
        )
        return [("window", text)]
    found: list[Problem] = []
    if c.window:
        what = c.metric if c.metric in words.OWN else f"aggregate {c.aggregate}"
        found.append(("window", f"{what} looks at the latest sample or at now: it takes no window"))
    if c.min_samples > 1:
        found.append(("min_samples", "counts the samples of a window, and here is none"))
    return found


def _reach(c: Condition, look: words.Look, name: str) -> list[Problem]:
    """A threshold that no value can ever pass."""
    value = getattr(c, name)
    if look.unit == words.SHARE and not 0 <= value <= 1:
        return [(name, f"{c.metric} is a share from 0 to 1: write 0.05 for 5 %")]
    low, high, never = look.low, look.high, False
    match c.operator:
        case ">":
            never = value >= high
        case ">=":
            never = value > high
        case "<":
            never = value <= low
        case "<=":
            never = value < low
        case "==":
            never = not low <= value <= high
    if not never:
        return []
    reach = f"{low:g} to {high:g}" if high < float("inf") else f"never below {low:g}"
    what = c.metric if c.aggregate == "last" else f"{c.aggregate} of {c.metric}"
    return [(name, f"can never be true: {what} is {reach}, and is compared with {c.operator} {value:g}")]


def _recovery(c: Condition, thresholds: tuple[str, ...]) -> list[Problem]:
    assert c.recover is not None
    if c.operator in ("==", "!="):
        return [("recover", f"{c.operator} has no threshold beyond which it could recover")]
    for name in thresholds:
        begin = getattr(c, name)
        crossed = c.recover > begin if c.operator in (">", ">=") else c.recover < begin
        if crossed:
            side = "at or below" if c.operator in (">", ">=") else "at or above"
            text = f"thresholds cross: it begins {c.operator} {begin:g}, so it must end {side} that"
            return [("recover", f"{text}, not at {c.recover:g}")]
    return []
