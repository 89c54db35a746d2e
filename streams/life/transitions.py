"""Transitions: each an Alert record with the next number, a named reason, and all that it takes to explain it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from schemas import Alert
from streams.life.life import ENDED, LOUD, decided, shown
from streams.templates import render

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas import Finding
    from streams.life.life import Life
    from streams.rules import Rule

PROGRAM = "probestream"
MOST_MEMBERS = 100
MOST_TOLD_AS = 50
TAKES_DOWN = "takes_down"
"""The annotation of a cause's alert: how many targets it takes down, and which, so "2: api, shop"."""
_MOST_TAKEN_DOWN = 20
_MOST_MESSAGE = 2000
_MOST_CONDITIONS = 50
_KEPT = (
    "metric", "aggregate", "operator", "threshold", "window_s", "count", "baseline", "score", "status",
    "message", "source_partition", "source_offset", "rule_version",
)  # fmt: skip


def settle(
    life: Life, reason: str, now: float, *, record: bool = False, actor: str = PROGRAM, comment: str = ""
) -> None:
    """Make a transition where the state of an alert that fired is another now, or people are owed a word.

    `record` makes one in any case. While something keeps it quiet, that is the transition's reason.
    """
    state = shown(life)
    tell = life.owed and life.holds and state in LOUD
    if state == life.state and not tell and not record:
        decided(life, reason, now, comment)
        return
    if tell:
        life.owed, life.told, life.last_told = False, True, now
        if life.asked is None:
            life.asked = life.last_fired = now
    if state == "suppressed" and life.quiet is not None and life.state != "suppressed":
        decided(life, reason, now)
        reason = life.quiet["reason"]
    transition(life, state, reason, now, tell=tell, actor=actor, comment=comment)


def end(life: Life, reason: str, now: float, *, actor: str = PROGRAM, comment: str = "") -> None:
    """End the episode. Whoever was told that it fired is told that it resolved, whatever keeps it quiet now."""
    if life.flapping:
        life.flapping, life.episodes = False, []
    life.resolved = now
    state = "cancelled" if life.state == "pending" else "resolved"
    transition(life, state, reason, now, tell=life.told, actor=actor, comment=comment)


def transition(
    life: Life, state: str, reason: str, now: float, *, tell: bool, actor: str = PROGRAM, comment: str = ""
) -> None:
    """Append one transition to the outbox."""
    previous, life.state = life.state, state
    if tell and state not in ENDED and life.labels not in life.told_as:
        life.told_as = [*life.told_as[:1], *life.told_as[1:][-MOST_TOLD_AS:], dict(life.labels)]
    life.number += 1
    decided(life, reason, now, comment)
    quiet = life.quiet if state == "suppressed" and life.quiet is not None else {}
    until = life.snoozed_until if state == "snoozed" else quiet.get("until")
    seen = life.finding
    members = sorted(t for t, m in life.members.items() if m["holds"])
    alert = Alert(
        id=life.id,
        number=life.number,
        state=state,
        previous=previous,
        reason=reason,
        notify=tell,
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
        by=str(quiet.get("by", "")),
        until=None if state in ENDED else until,
        step=life.step,
        # Routes depend on labels, and who was told must be told of the end: so a step changes no label.
        receivers=list(life.receivers) if life.step or state == "resolved" else [],
        members=members[:MOST_MEMBERS],
        member_count=len(members),
        member_total=life.total,
        window_s=seen["window_s"],
        samples=seen["count"],
        baseline=seen["baseline"],
        score=seen["score"],
        status=seen["status"],
        message=seen["message"],
        conditions=seen.get("conditions", []),
        rule_version=seen.get("rule_version", 0),
        decisions=life.decisions[-life.unwritten :],
        told_as=[] if life.told_as in ([], [life.labels]) else [dict(labels) for labels in life.told_as],
    )
    life.unwritten = 0
    life.relist, life.listed_at = False, now
    life.outbox.append(alert.to_dict())


def kept(finding: Finding) -> dict[str, Any]:
    """What an alert keeps of the finding that decided it."""
    taken = {n: getattr(finding, n) for n in _KEPT}
    conditions = [{**c, "value": _number(c["value"])} for c in finding.conditions[:_MOST_CONDITIONS]]
    message = finding.message[:_MOST_MESSAGE]
    return {**taken, "message": message, "value": _number(finding.value), "conditions": conditions}


def _number(value: float | None) -> float | None:
    """`value`, or None for what JSON has no number for."""
    return None if value is None or not math.isfinite(value) else value


def annotated(life: Life, rule: Rule, taken_down: Sequence[str] = ()) -> dict[str, str]:
    """The rule's templates with the life's values put in, a summary where it has none, and what it takes down."""
    values = {
        **life.finding,
        "target": life.target,
        "rule": life.rule,
        "severity": life.severity,
        "labels": life.labels,
        "value": "no value" if life.finding["value"] is None else life.finding["value"],
        "window": life.finding["window_s"],
        "members": sorted(t for t, m in life.members.items() if m["holds"]),
        "total": life.total,
        "takes_down": list(taken_down),
    }
    told = {name: render(text, values) for name, text in rule.annotations.items()}
    told.setdefault("summary", _summary(life))
    if taken_down:
        told.setdefault(TAKES_DOWN, f"{len(taken_down)}: {_listed(taken_down, _MOST_TAKEN_DOWN)}")
    return told


def _listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _summary(life: Life) -> str:
    seen = life.finding
    if life.members:
        down = sorted(t for t, m in life.members.items() if m["holds"])
        return f"{life.rule} holds for {len(down)} of {life.total} targets of {life.target}: {_listed(down, 5)}"
    value = "unknown" if seen["value"] is None else f"{seen['value']:.4g}"
    text = f"{life.target}: {seen['metric']} is {value} ({seen['operator']} {seen['threshold']:.4g})"
    return f"{text}: {seen['message']}" if seen["message"] else text
