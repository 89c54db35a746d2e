"""Alerts from their transitions: when each was pending, fired and resolved, and who would have been told when."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams.life import ENDED, FIRED, LOUD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from probestream.backtest.span import Span
    from schemas import Alert

_AGAIN = ("reminder", "not_acknowledged_in_time")
PROGRAM = "probestream"


@dataclass(slots=True)
class Remark:
    """What a person said when they acknowledged, snoozed or resolved an alert."""

    actor: str
    comment: str


@dataclass(slots=True)
class Episode:
    """One alert. Times are milliseconds since 1970; `end` is None where it goes on at the end of what was read.

    `states` are the states it came into, and when. `pages` are the times at which people were told that it fires for
    the first time, or again after quiet; `again` those of reminders and escalations, for want of an answer.
    """

    id: str
    rule: str
    target: str
    severity: str
    labels: Mapping[str, str]
    began: float
    fired: float | None = None
    end: float | None = None
    states: list[tuple[str, float]] = field(default_factory=list)
    pages: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    summary: str = ""
    value: float | None = None
    threshold: float | None = None
    reason: str = ""
    quiet: list[str] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name that people know: a rule of a pair has the pair's."""
        return self.labels.get("alertname", self.rule)

    def firing(self, span: Span) -> tuple[float, float] | None:
        """From when to when it fired within `span`; None where it did not."""
        if self.fired is None:
            return None
        begin, end = max(self.fired, span.from_ms), min(span.to_ms if self.end is None else self.end, span.to_ms)
        return (begin, end) if end > begin or (begin == end and self.fired >= span.from_ms) else None

    def spans(self, span: Span) -> list[tuple[str, float, float]]:
        """State, from and to, cut to `span`."""
        ends = [at for _, at in self.states[1:]] + [span.to_ms]
        found = []
        for (state, at), end in zip(self.states, ends, strict=True):
            begin, last = max(at, span.from_ms), min(end, span.to_ms)
            if state not in ENDED and last > begin:
                found.append((state, begin, last))
        return found


def episodes(transitions: Iterable[Alert]) -> list[Episode]:
    """The alerts that these transitions tell of, in order of their beginning; a transition that comes twice is one."""
    by_id: dict[str, dict[int, Alert]] = {}
    for alert in transitions:
        by_id.setdefault(alert.id, {}).setdefault(alert.number, alert)
    found = [_episode([told[n] for n in sorted(told)]) for told in by_id.values()]
    return sorted(found, key=lambda e: (e.states[0][1], e.rule, e.target, e.id))


def _episode(told: list[Alert]) -> Episode:
    first = told[0]
    episode = Episode(first.id, first.rule, first.target, first.severity, first.labels, first.began)
    for alert in told:
        episode.states.append((alert.state, alert.at))
        if alert.fired is not None and episode.fired is None:
            episode.fired = alert.fired
        if alert.notify and alert.state in LOUD:
            (episode.again if alert.reason in _AGAIN else episode.pages).append(alert.at)
        if alert.state == "suppressed" and alert.reason not in episode.quiet:
            episode.quiet.append(alert.reason)
        if alert.actor != PROGRAM:
            episode.remarks.append(Remark(alert.actor, alert.comment))
        if alert.state in ENDED:
            episode.end, episode.reason = alert.at, alert.reason
        # What it was when it fired says more than what it was when it ceased.
        if alert.state in (*FIRED, "pending") and (alert.state != "pending" or not episode.summary):
            if not episode.summary or len(episode.states) <= 2:
                episode.summary = alert.annotations.get("summary", "")
            if episode.value is None or alert.fired == alert.at:
                episode.value, episode.threshold = alert.value, alert.threshold
    return episode


def chosen(found: Iterable[Episode], span: Span, wanted: Callable[[Episode], bool]) -> list[Episode]:
    """Those with a part in the span that are wanted."""
    return [e for e in found if e.states[0][1] <= span.to_ms and (e.end is None or e.end >= span.from_ms) and wanted(e)]
