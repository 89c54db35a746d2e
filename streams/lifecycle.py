"""The life of an alert: pending, firing, acknowledged, resolved, as functions of (life, event, now).

A `Life` belongs to one target and rule and outlives its episodes. What a function decides it appends to
`life.outbox` as an `Alert` record with a number that only grows and a named reason; the shell writes the life,
sends the outbox, and then calls `sent`. Times are milliseconds since the Unix epoch, UTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

from schemas import Alert, Finding
from streams.rules import Rule
from streams.templates import render

ACTIVE = ("pending", "firing", "acknowledged")
TOLD = ("firing", "acknowledged")
VERSION = 1


class LifeError(RuntimeError):
    """A stored life cannot be read by this version."""


@dataclass(slots=True)
class Life:
    """What is known of the alert of one target and rule."""

    target: str
    rule: str
    offset: int = -1
    id: str = ""
    number: int = 0
    state: str = ""
    began: float = 0.0
    since: float = 0.0
    fired: float | None = None
    resolved: float | None = None
    last_fired: float | None = None
    severity: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    finding: dict[str, Any] = field(default_factory=dict)
    outbox: list[dict[str, Any]] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether an episode is under way."""
        return self.state in ACTIVE

    @property
    def key(self) -> str:
        """Key of the life's findings and table entry."""
        return f"{self.target}/{self.rule}"

    def dump(self) -> bytes:
        """The life as a table entry."""
        return orjson.dumps({"v": VERSION, **asdict(self)}, option=orjson.OPT_SERIALIZE_NUMPY)

    @classmethod
    def load(cls, data: bytes) -> Life:
        """The life in a table entry. Raises LifeError."""
        values = orjson.loads(data)
        if values.pop("v", None) != VERSION:
            raise LifeError("alert-state was written by another version of this program")
        return cls(**values)


def alert_id(rule: str, target: str, began: float) -> str:
    """Id of the episode of `rule` on `target` that began at `began`: the same from every replay of the log."""
    return hashlib.sha256(f"{rule}\n{target}\n{began:.3f}".encode()).hexdigest()[:24]


def on_finding(life: Life, finding: Finding, rule: Rule, labels: Mapping[str, str], now: float) -> None:
    """Take in that the rule began or ceased to hold; `now` is when the broker took the finding.

    Detect tells a finding again after it was killed. It is known by the record that led to it: what was decided by
    a record not later than the last one taken in, in the log and in event time, changes nothing.
    """
    if _told_before(life, finding):
        return
    if finding.holds and not life.active:
        episode = alert_id(life.rule, life.target, finding.time)
        # An episode that begins at the time of the one before has its id: its transitions are numbered on.
        life.number = life.number if episode == life.id else 0
        life.id, life.began, life.since = episode, finding.time, now
        life.fired = life.resolved = None
        life.state = ""
        life.severity = rule.severity
        life.finding = _kept(finding)
        life.labels = {**labels, **rule.labels, "alertname": rule.name, "rule": rule.name, "severity": rule.severity}
        life.annotations = _annotations(life, rule)
        if due(life, rule) <= now:
            _transition(life, "firing", "held_at_once", now)
        else:
            _transition(
                life, "pending", "waiting_for_cooldown" if _cooling(life, rule) else "waiting_for_duration", now
            )
    elif not finding.holds and life.active:
        life.finding = {**life.finding, **_kept(finding)}
        if life.state == "pending":
            _transition(life, "cancelled", "ceased_before_firing", now)
        else:
            _transition(life, "resolved", "rule_ceased", now)
    life.finding |= {n: getattr(finding, n) for n in _DECIDED_BY}


def _told_before(life: Life, finding: Finding) -> bool:
    """Whether `finding` is no news: by partition and offset of its record, and by event time.

    Time as well as offset, since the log of samples may have been made anew.
    """
    last = life.finding
    return (
        finding.source_offset >= 0
        and last.get("source_partition") == finding.source_partition
        and finding.source_offset <= last.get("source_offset", -1)
        and finding.time <= last.get("time", -1.0)
    )


def on_tick(life: Life, rule: Rule, now: float) -> None:
    """Fire what has been pending long enough."""
    if life.state == "pending" and due(life, rule) <= now:
        _transition(life, "firing", "cooldown_elapsed" if _cooling(life, rule) else "duration_elapsed", now)


def on_acknowledged(life: Life, actor: str, comment: str, now: float) -> None:
    """Take in that a person has seen it."""
    if life.state == "firing":
        _transition(life, "acknowledged", "acknowledged", now, actor=actor, comment=comment)


def on_removed(life: Life, reason: str, now: float) -> None:
    """End the episode because its rule or target is no more: what fired is resolved, and people are told."""
    if life.active:
        _transition(life, "cancelled" if life.state == "pending" else "resolved", reason, now)


def due(life: Life, rule: Rule) -> float:
    """When a pending alert fires: its duration is over, and so is the cooldown since it last fired.

    The duration counts from when the broker took the finding, not from the sample's own time: a backlog, or a probe
    whose clock is wrong, must not use it up before anybody could have ended it.
    """
    return max(life.since + rule.for_ * 1000, _cooled(life, rule))


def _cooled(life: Life, rule: Rule) -> float:
    return -1.0 if life.last_fired is None else life.last_fired + rule.cooldown_s * 1000


def _cooling(life: Life, rule: Rule) -> bool:
    return _cooled(life, rule) > life.since + rule.for_ * 1000


def sent(life: Life, number: int, alert: str) -> None:
    """Forget a transition that the broker has."""
    life.outbox = [t for t in life.outbox if (t["id"], t["number"]) != (alert, number)]


def _transition(life: Life, state: str, reason: str, now: float, actor: str = "probestream", comment: str = "") -> None:
    previous, life.state = life.state, state
    life.number += 1
    if state == "firing":
        life.fired = life.last_fired = now
    if state in ("resolved", "cancelled"):
        life.resolved = now
    seen = life.finding
    alert = Alert(
        id=life.id,
        number=life.number,
        state=state,
        previous=previous,
        reason=reason,
        # Whoever was told that it fired is told that it resolved; a pending alert is nobody's business yet.
        notify=state == "firing" or (state == "resolved" and previous in TOLD),
        rule=life.rule,
        target=life.target,
        severity=life.severity,
        at=now,
        began=life.began,
        fired=life.fired,
        resolved=life.resolved if state == "resolved" else None,
        labels=dict(life.labels),
        annotations=dict(life.annotations),
        metric=seen["metric"],
        aggregate=seen["aggregate"],
        operator=seen["operator"],
        threshold=seen["threshold"],
        value=seen["value"],
        actor=actor,
        comment=comment,
        source_partition=seen["source_partition"],
        source_offset=seen["source_offset"],
    )
    life.outbox.append(alert.to_dict())


_DECIDED_BY = ("time", "source_partition", "source_offset")
_MOST_MESSAGE = 2000
_KEPT = (
    "metric", "aggregate", "operator", "threshold", "window_s", "count", "baseline", "score", "status",
    "message", "source_partition", "source_offset",
)  # fmt: skip


def _kept(finding: Finding) -> dict[str, Any]:
    value = None if finding.value != finding.value else finding.value
    kept = {n: getattr(finding, n) for n in _KEPT}
    return {**kept, "message": finding.message[:_MOST_MESSAGE], "value": value}


def _annotations(life: Life, rule: Rule) -> dict[str, str]:
    values = {
        **life.finding,
        "target": life.target,
        "rule": life.rule,
        "severity": life.severity,
        "labels": life.labels,
        "value": "no value" if life.finding["value"] is None else life.finding["value"],
        "window": life.finding["window_s"],
    }
    told = {name: render(text, values) for name, text in rule.annotations.items()}
    told.setdefault("summary", _summary(life))
    return told


def _summary(life: Life) -> str:
    seen = life.finding
    value = "unknown" if seen["value"] is None else f"{seen['value']:.4g}"
    text = f"{life.target}: {seen['metric']} is {value} ({seen['operator']} {seen['threshold']:.4g})"
    return f"{text}: {seen['message']}" if seen["message"] else text
