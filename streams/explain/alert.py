"""The story of one alert: what began it, every decision with its reason, who was told and how that went. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from streams.explain import deliveries, routes, words
from streams.explain.model import AlertStory, Moment, Source
from streams.explain.past import Stood
from streams.life.explain import in_words
from streams.routing import labels_of
from streams.topics import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas import Alert, Finding
    from streams.explain.episode import Episode
    from streams.explain.setup import Setup

_ORDER = {"control": 0, "finding": 1, "decision": 2, "delivery": 3}


def story(
    episode: Episode,
    findings: Sequence[Finding],
    setup: Setup,
    now: float,
    rule: Stood | None = None,
    changes: Sequence[Moment] = (),
) -> AlertStory:
    """All of it; `findings` are those of the alert's rule and target while it lasted, as far as the log has them.

    `rule` is how its rule stood when it began, `changes` what was changed of that while it lasted.
    """
    first, last = episode.first, episode.last
    told, answer = episode.answer(first.target, now)
    timeline = [
        *(_finding(f, episode) for f in findings),
        *decisions(episode),
        *deliveries.moments(episode.steps),
        *changes,
    ]
    stood = rule or Stood()
    return AlertStory(
        alert=first.id,
        rule=first.rule,
        target=first.target,
        severity=first.severity,
        state=last.state,
        began=first.began,
        fired=last.fired,
        resolved=last.resolved,
        told=told,
        answer=answer,
        conditions=episode.conditions,
        baseline=first.baseline,
        score=first.score,
        status=first.status,
        message=first.message,
        source=_source(first),
        timeline=sorted(timeline, key=lambda m: (m.at, _ORDER[m.what])),
        routes=routes.taken(setup.route, labels_of(last), setup.channels, last.receivers) if setup.route else [],
        notes=_notes(episode, findings),
        version=stood.version,
        set_by=stood.by,
        set_at=stood.at,
        changed=stood.said,
    )


def decisions(episode: Episode) -> list[Moment]:
    """Every decision of its life; the last before each transition says what it led to."""
    found: list[Moment] = []
    for alert in episode.transitions:
        made = alert.decisions or [{"at": alert.at, "reason": alert.reason, "detail": alert.comment}]
        for i, decision in enumerate(made):
            last = i == len(made) - 1
            text = episode.outcome(decision["reason"], decision["detail"], alert, made=last)
            facts: dict[str, Any] = {**decision, "words": in_words(decision["reason"])}
            if last:
                text = f"{_led_to(alert)}: {text}"
                facts |= {
                    "number": alert.number,
                    "state": alert.state,
                    "previous": alert.previous,
                    "told": alert.notify,
                    "actor": alert.actor,
                    "by": alert.by,
                    "until": alert.until,
                    "comment": alert.comment,
                    "step": alert.step,
                }
            found.append(Moment(at=decision["at"], what="decision", said=text, facts=facts))
    return found


def _led_to(alert: Alert) -> str:
    person = f" by {alert.actor}" if alert.actor != "probestream" and alert.state == "resolved" else ""
    step = f", step {alert.step}" if alert.state == "escalated" else ""
    return f"{alert.state}{person}{step}, {'told' if alert.notify else 'not told'}"


def _finding(finding: Finding, episode: Episode) -> Moment:
    policy = episode.policy_at(finding.time)
    rule = policy.rule if policy is not None else None
    seen = words.seen_by_alert(finding.conditions, rule.min_samples if rule is not None else 0.0)
    about = "" if finding.target == episode.first.target else f" for {finding.target}"
    what = words.because(seen) if finding.holds else words.why_not(seen)
    facts = asdict(finding) | {"conditions": [asdict(c) for c in seen]}
    text = f"{finding.rule} {'began' if finding.holds else 'ceased'} to hold{about}: {what or finding.message}"
    return Moment(at=finding.time, what="finding", said=text, facts=facts)


def _source(alert: Alert) -> Source | None:
    if alert.source_offset < 0:
        return None
    return Source(
        topic=SAMPLES.name,
        partition=alert.source_partition,
        first_offset=alert.source_offset,
        last_offset=alert.source_offset,
        said=f"decided by the sample in record {SAMPLES.name}/{alert.source_partition}/{alert.source_offset}",
    )


def _notes(episode: Episode, findings: Sequence[Finding]) -> list[str]:
    notes = []
    if episode.first.number != 1:
        notes.append(
            f"its first {episode.first.number - 1} transitions are no longer on the log: what is told begins later"
        )
    if episode.policy is None:
        notes.append(f"rule {episode.first.rule} is no more: its durations are not known")
    if not findings and episode.first.source_offset >= 0:
        notes.append("the findings are no longer on the log: values are those that the alert itself has kept")
    return notes
