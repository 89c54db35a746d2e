"""Explanations for people, the answer first, and for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from streams.explain.model import AlertStory, TargetStory
from streams.explain.words import clock, number, span, stamp
from streams.instants import iso

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.explain.model import Moment, RuleStory, Sample

_TIMES = frozenset(
    {"at", "began", "fired", "resolved", "status_since", "first_at", "last_at", "received", "time", "until", "set_at"}
)


def as_json(story: AlertStory | TargetStory) -> dict[str, Any]:
    """The explanation as JSON has it: times in ISO 8601, numbers that JSON has none for as null."""
    plain: dict[str, Any] = _plain(asdict(story))
    return plain


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {k: _plain(v, k) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return iso(value) if name in _TIMES and 0 <= value < 2.5e14 else value
    return value


def in_words(story: AlertStory | TargetStory) -> str:
    """The answer in one line, and then what it rests on."""
    rest = _alert(story) if isinstance(story, AlertStory) else _target(story)
    return "\n".join([story.answer, *rest])


def _alert(story: AlertStory) -> Iterator[str]:
    yield ""
    yield f"alert {story.alert}: {story.rule} on {story.target}, {story.severity}, {story.state} (times are UTC)"
    if story.changed:
        yield f"its rule was {story.changed}"
    if story.conditions:
        yield "what it saw when it began:"
        for condition in story.conditions:
            behind = f"; {number(condition.count)} samples" if condition.window_s else ""
            yield f"  {_mark(condition.holds)} {condition.said}{behind}"
    if story.baseline is not None:
        score = "" if story.score is None else f", score {number(story.score)}"
        yield f"  baseline {number(story.baseline)}{score}"
    if story.status or story.message:
        yield f"  the sample said: {' '.join(t for t in (story.status, story.message) if t)}"
    if story.source is not None:
        yield f"  {story.source.said}"
    yield ""
    yield from _timeline(story.timeline)
    if story.routes:
        yield ""
        yield "routes:"
    for taken in story.routes:
        channels = f" ({', '.join(taken.channels)})" if taken.channels else ""
        yield f"  {taken.receiver}{channels}"
        for step in taken.because:
            yield f"    {step}"
    yield from _notes(story.notes)


def _target(story: TargetStory) -> Iterator[str]:
    yield ""
    since = "" if story.status_since is None else f" since {clock(story.status_since, story.at)}"
    failures = f", {story.failures} failures in a row" if story.failures else ""
    yield f"{story.target} at {stamp(story.at)} UTC: {story.status}{since}{failures}"
    if story.samples:
        yield "its last samples:"
        for sample in story.samples:
            yield f"  {_sample(sample)}"
    for reason, count in story.refused.items():
        yield f"  {count} samples were refused: {reason}"
    yield from _rules(story.rules)
    before = [m for m in story.timeline if not m.facts.get("after")]
    if before:
        yield ""
        yield from _timeline(before)
    if len(before) < len(story.timeline):
        yield ""
        yield "and in the minutes after:"
        for moment in story.timeline[len(before) :]:
            yield f"  {stamp(moment.at)}  {moment.said}"
    yield from _notes([*([story.source.said] if story.source is not None else []), *story.notes])


def _rules(rules: list[RuleStory]) -> Iterator[str]:
    applying, others = [r for r in rules if r.applies], [r for r in rules if not r.applies]
    if applying:
        yield ""
        yield "rules (x holds, - does not, ? is not known):"
    for rule in applying:
        yield from _rule(rule)
    if others:
        yield ""
        yield "rules that do not apply:"
    for rule in others:
        yield f"  {rule.rule}: it is for {rule.why_not}"


def _rule(rule: RuleStory) -> Iterator[str]:
    yield f"  {_mark(rule.holds)} {rule.rule} ({rule.severity}): {rule.expression}"
    yield f"      {rule.said}"
    if rule.changed:
        yield f"      the rule was {rule.changed}"
    if rule.alert:
        yield f"      alert {rule.alert}: {rule.state}"


def _sample(sample: Sample) -> str:
    latency = "" if sample.latency_ms is None else f" {number(sample.latency_ms)} ms"
    text = " ".join(t for t in (sample.status, sample.message) if t)
    late = sample.received - sample.time
    behind = f" (came {span(late)} later)" if late > 2000.0 else ""
    shown = list(sample.metrics.items())[:5]
    metrics = "".join(f" {name}={number(value)}" for name, value in shown)
    ok = "ok" if sample.ok else "failed"
    return f"{stamp(sample.time)}  {ok}{latency}{f' {text}' if text else ''}{metrics}{behind}"


def _timeline(moments: list[Moment]) -> Iterator[str]:
    yield "what happened:"
    for moment in moments:
        yield f"  {stamp(moment.at)}  {moment.said}"


def _notes(notes: list[str]) -> Iterator[str]:
    if notes:
        yield ""
    for note in dict.fromkeys(notes):
        yield f"note: {note}"


def _mark(holds: bool | None) -> str:
    return "?" if holds is None else "x" if holds else "-"
