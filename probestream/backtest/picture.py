"""A timeline as SVG: a row for each rule and target that fired, bars for what it was when, nights shaded."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

MOST_ROWS = 1000
_LEFT, _WIDTH, _RIGHT, _ROW, _TOP, _HEAD = 280, 900, 36, 16, 26, 22
_LEAST = 1.5
_LOUD = ("firing", "escalated", "flapping")
_QUIET = ("suppressed", "snoozed", "acknowledged")
_STEPS = (1, 2, 3, 6, 12, 24, 48, 96, 168, 336, 720)

Bar = tuple[str, float, float]
Row = tuple[str, str, list[Bar], list[tuple[float, float]]]
"""Rule, target, bars, and from when to when the other side fired; times in ms."""


def ms(text: str) -> float:
    """Milliseconds of an ISO time."""
    return datetime.fromisoformat(text).timestamp() * 1000.0


def drawn(told: Mapping[str, Any]) -> tuple[float, float]:
    """From when to when there is something to draw: what was asked for, as far as the log has it."""
    asked, log = told["asked"], told["log"]
    return max(ms(asked["from"]), ms(log["from"])), min(ms(asked["to"]), ms(log["to"]))


def rows(told: Mapping[str, Any], other: Mapping[str, Any] | None) -> list[Row]:
    """A row for each rule and target with something to show: critical rules first, then those with most alerts."""
    end = ms(told["asked"]["to"])
    found: dict[tuple[str, str], tuple[list[Bar], list[tuple[float, float]]]] = {}
    severity = {r["rule"]: r["severity"] for r in told["rules"]}
    for alert in told["alerts"]:
        if alert["fired"] is None:
            continue
        bars, _ = found.setdefault((alert["rule"], alert["target"]), ([], []))
        states = [(state, ms(at)) for state, at in alert["states"]]
        for (state, at), (_, until) in zip(states, [*states[1:], ("", end)], strict=True):
            shown = _class(state, severity.get(alert["rule"], alert["severity"]))
            if shown:
                bars.append((shown, at, until))
    for rule, target, begin, until in other["spans"] if other is not None else ():
        found.setdefault((rule, target), ([], []))[1].append((ms(begin), ms(until)))
    size: dict[str, int] = {}
    for (rule, _), (bars, _) in found.items():
        size[rule] = size.get(rule, 0) + len(bars)
    order = sorted(found, key=lambda k: (severity.get(k[0]) != "critical", -size[k[0]], k[0], -len(found[k][0]), k[1]))
    return [(rule, target, *found[rule, target]) for rule, target in order]


def _class(state: str, severity: str) -> str:
    if state in _LOUD:
        return "critical" if severity == "critical" else "info" if severity == "info" else "warning"
    return "quiet" if state in _QUIET else "pending" if state == "pending" else ""


def picture(told: Mapping[str, Any], other: Mapping[str, Any] | None, nights: Sequence[tuple[float, float]]) -> str:
    """The SVG; colours come from classes, so that a page may have them light or dark. `nights` are in ms."""
    begin, end = drawn(told)
    every = rows(told, other)
    some = every[:MOST_ROWS]
    heads = len({rule for rule, _, _, _ in some})
    height = _TOP + heads * _HEAD + len(some) * _ROW + 10
    scale = _WIDTH / max(end - begin, 1.0)

    def x(at: float) -> float:
        return _LEFT + (min(max(at, begin), end) - begin) * scale

    width = _LEFT + _WIDTH + _RIGHT
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="Timeline of alerts">']
    for a, b in nights:
        out.append(_rect("night", x(a), _TOP - 4, x(b) - x(a), height - _TOP))
    out += _axis(begin, end, x, height)
    out += _changes(told, begin, end, x, height)
    y, last = float(_TOP), ""
    for rule, target, bars, others in some:
        if rule != last:
            last, y = rule, y + _HEAD
            out.append(f'<text class="rule" x="4" y="{y - 6:g}">{escape(_cut(rule, 60))}</text>')
        out.append(f"<g><title>{escape(rule)} · {escape(target)}</title>")
        out.append(f'<text class="target" x="{_LEFT - 8}" y="{y + 11:g}">{escape(_cut(target, 40))}</text>')
        out.append(f'<line class="row" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y + _ROW:g}" y2="{y + _ROW:g}"/>')
        for name, a, b in _joined(bars, x):
            low = 4 if name == "pending" else 0
            out.append(_rect(name, a, y + 2 + low, b - a, (9 if other is not None else 11) - low))
        for _, a, b in _joined([("old", *o) for o in others], x):
            out.append(_rect("old", a, y + 12, b - a, 3))
        out.append("</g>")
        y += _ROW
    out.append("</svg>")
    if len(every) > len(some):
        out.append(f"<p>and {len(every) - len(some):,} rows more, which are left out here</p>")
    return "\n".join(out)


def _joined(bars: Iterable[Bar], x: Any) -> Iterator[tuple[str, float, float]]:
    """Bars as they are drawn: never too thin to be seen, and those of a kind that touch are one."""
    last: tuple[str, float, float] | None = None
    for name, begin, end in sorted(bars, key=lambda b: (b[1], b[2])):
        a, b = x(begin), x(end)
        if b <= a and begin != end:
            continue  # not within the picture
        b = max(b, a + _LEAST)
        if last is not None and last[0] == name and a <= last[2] + 0.25:
            last = name, last[1], max(b, last[2])
            continue
        if last is not None:
            yield last
        last = name, a, b
    if last is not None:
        yield last


def _axis(begin: float, end: float, x: Any, height: int) -> Iterator[str]:
    hours = (end - begin) / 3_600_000
    step = next((s for s in _STEPS if hours / s <= 12), _STEPS[-1]) * 3_600_000
    at = -(-begin // step) * step
    while at <= end:
        told = datetime.fromtimestamp(at / 1000.0, UTC)
        text = f"{told:%d %b}" if step >= 86_400_000 else f"{told:%d %b %H:%M}"
        yield f'<line class="tick" x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{_TOP - 4}" y2="{height - 8}"/>'
        yield f'<text class="axis" x="{x(at):.1f}" y="14">{text}</text>'
        at += step


def _changes(told: Mapping[str, Any], begin: float, end: float, x: Any, height: int) -> Iterator[str]:
    """A line where rules or thresholds were changed, and a mark with what was done; those at one place are one."""
    places: dict[float, list[str]] = {}
    for change in told["changes"]:
        at = ms(change["at"])
        if change["kind"] in ("rule", "threshold") and begin <= at <= end:
            text = f"{change['at'][:16].replace('T', ' ')} {change['kind']} {change['id']}: {change['did']}"
            places.setdefault(round(x(at) / 3) * 3, []).append(f"{text}, by {change['actor']}")
    for place, texts in places.items():
        y = _TOP - 4
        title = f"<title>{escape(chr(10).join(texts))}</title>"
        yield f'<g class="change">{title}<line x1="{place:g}" x2="{place:g}" y1="{y}" y2="{height - 8}"/>'
        yield f'<path d="M{place:g} {y + 6}l-5 -8h10z"/></g>'


def _rect(name: str, left: float, top: float, width: float, height: float) -> str:
    return f'<rect class="{name}" x="{left:.1f}" y="{top:g}" width="{max(width, 0):.1f}" height="{height:g}"/>'


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
