"""What a message says: the same words on every channel. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

from streams.life import TAKES_DOWN
from streams.units import human

if TYPE_CHECKING:
    from schemas import Alert

WITHHELD = "withheld"
"""The annotation of a page that quiet hours withheld: since when."""
SEVERITY_COLOURS = {"critical": "#d32f2f", "warning": "#f9a825", "info": "#1976d2"}
STATE_COLOURS = {"resolved": "#2e7d32", "acknowledged": "#607d8b", "snoozed": "#607d8b", "suppressed": "#607d8b"}
_UNITS = {"_ms": " ms", "_s": " s", "_seconds": " s", "_percent": " %", "_bytes": " B"}


@dataclass(frozen=True, slots=True)
class Message:
    """One transition in words. `fields` are (name, value) pairs in reading order."""

    status: str
    title: str
    summary: str
    description: str
    colour: str
    fields: tuple[tuple[str, str], ...]
    link: str
    runbook: str


def message_of(alert: Alert, page_url: str | None) -> Message:
    """The words for `alert`."""
    status = alert.state.upper()
    comparison = f"{alert.operator} {number(alert.threshold, alert.metric)}".strip()
    fields = [
        ("Type", alert.rule),
        ("Value", number(alert.value, alert.metric)),
        ("Threshold", comparison if alert.threshold is not None else ""),
        ("Target", alert.target),
        ("Severity", alert.severity),
        ("Metric", " ".join(part for part in (alert.aggregate, alert.metric) if part)),
        ("Since", when(alert.began)),
        ("Lasted", human(max(0.0, (alert.resolved - alert.began) / 1000)) if alert.resolved else ""),
        ("By", alert.actor if alert.actor != "probestream" else ""),
        ("Comment", alert.comment),
    ]
    return Message(
        status=status,
        title=one_line(f"[{status}] {alert.rule} on {alert.target}"),
        summary=_with_the_rest(alert.annotations.get("summary") or _sentence(alert, comparison), alert),
        description=alert.annotations.get("description", ""),
        colour=STATE_COLOURS.get(alert.state) or SEVERITY_COLOURS.get(alert.severity, "#607d8b"),
        fields=tuple((name, value) for name, value in fields if value),
        link=link_of(alert, page_url),
        runbook=alert.annotations.get("runbook_url", ""),
    )


def _sentence(alert: Alert, comparison: str) -> str:
    what = " ".join(part for part in (alert.aggregate, alert.metric) if part) or alert.rule
    if alert.state == "resolved":
        return f"{alert.rule} no longer holds for {alert.target}."
    if alert.value is None:
        return f"{alert.rule} holds for {alert.target}."
    limit = f" ({comparison})" if alert.threshold is not None else ""
    return f"{what} of {alert.target} is {number(alert.value, alert.metric)}{limit}."


def late(alert: Alert, number: int, since: float) -> Alert:
    """`alert` as it is told when quiet hours are over, in which its transition `number`, or one before, was withheld.

    `since` is when the first one was, in milliseconds since the Unix epoch, UTC.
    """
    return replace(alert, number=number, annotations=alert.annotations | {WITHHELD: f"since {when(since)}"})


def _with_the_rest(summary: str, alert: Alert) -> str:
    """The summary, and how many and which targets fall with this one: nobody is told of those by themselves.

    And since when it was withheld, where it comes late.
    """
    fallen, withheld = alert.annotations.get(TAKES_DOWN), alert.annotations.get(WITHHELD)
    more = [f"takes down {fallen}"] * bool(fallen) + [f"withheld in quiet hours {withheld}"] * bool(withheld)
    return "; ".join([summary.rstrip().rstrip("."), *more]) if more else summary


def link_of(alert: Alert, page_url: str | None) -> str:
    """The alert's place on the dashboard; empty where no address is configured."""
    return f"{page_url.rstrip('/')}/#/alert/{quote(alert.id, safe='')}" if page_url else ""


def number(value: float | None, metric: str) -> str:
    """A value for people, with the unit that the metric's name tells."""
    if value is None:
        return ""
    if metric.endswith("_rate") and 0 <= value <= 1:
        return f"{value * 100:.4g} %"
    unit = next((u for ending, u in _UNITS.items() if metric.endswith(ending)), "")
    text = f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    return text + unit


def when(time_ms: float) -> str:
    """A time for people, in UTC; empty where it is out of a calendar's reach."""
    try:
        return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return ""


def one_line(text: str, longest: int = 200) -> str:
    """`text` without line breaks and control characters: fit for a header or a title."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"
