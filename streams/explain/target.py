"""The story of a target at a time: rule by rule what was seen, how far its alert had got, and who knew. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from streams import groups
from streams.composites import is_composite
from streams.explain import deliveries, words
from streams.explain.alert import decisions
from streams.explain.model import Moment, RuleStory, Source, TargetStory
from streams.explain.past import Stood
from streams.explain.routes import first_wrong
from streams.explain.words import clock, span
from streams.kernel.kinds import TIMED
from streams.rules.compile import compile_rules
from streams.rules.describe import describe_rule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from streams.explain.episode import Episode
    from streams.explain.looking import Looking
    from streams.outcome import Seen
    from streams.rules import Rule

SOON_MS = 300_000.0
"""How much later than the moment asked about is looked at as well: it is often rounded down."""
_RANK = {"critical": 0, "warning": 1}
_LATELY_MS = 3_600_000.0


@dataclass(slots=True)
class Asked:
    """What is known of `target` at `at`: rules in force then and how each stood, its episodes, its samples.

    `changes` are those of about that time, of its rules and of what may keep it quiet. `episodes` are those that began
    up to then, the last of each rule, cut there; `later` those of the minutes after.
    """

    target: str
    at: float
    labels: Mapping[str, str]
    configured: bool
    accept: bool
    rules: Sequence[Rule]
    stood: Mapping[str, Stood]
    episodes: Mapping[str, Episode]
    later: Sequence[Episode]
    looking: Looking | None
    source: Source
    notes: list[str] = field(default_factory=list)
    changes: Sequence[Moment] = ()


def story(asked: Asked) -> TargetStory:
    """All of it."""
    looking = asked.looking
    seen = {s.rule: s for s in looking.seen(asked.at) or ()} if looking is not None else {}
    status, since, failures = looking.status() if looking is not None else ("unknown", None, 0)
    rules = [_rule(asked, number, rule, seen.get(number)) for number, rule in enumerate(asked.rules)]
    # What had gone furthest, then what holds, then the others; last what does not apply.
    rules.sort(key=lambda r: (not r.applies, not r.told, not r.state, not r.holds))
    told, answer = _answer(asked, rules)
    lately = [e for e in asked.episodes.values() if e.last.at > asked.at - _LATELY_MS or e.active]
    moments = [m for e in [*lately, *asked.later] for m in _moments(e, asked.at)]
    for change in asked.changes:
        change.facts["after"] = change.at > asked.at
        moments.append(change)
    return TargetStory(
        target=asked.target,
        at=asked.at,
        known=asked.configured or bool(seen),
        told=told,
        answer=answer,
        labels=dict(asked.labels),
        status=status,
        status_since=since,
        failures=failures,
        samples=looking.samples() if looking is not None else [],
        refused=dict(looking.refused) if looking is not None else {},
        rules=rules,
        timeline=sorted(moments, key=lambda m: m.at),
        source=asked.source,
        notes=[*asked.notes, *_notes(asked, rules)],
    )


def _moments(episode: Episode, at: float) -> list[Moment]:
    found = [*decisions(episode), *deliveries.moments(episode.steps)]
    for moment in found:
        moment.said = f"{episode.first.rule}: {moment.said}"
        moment.facts |= {"alert": episode.first.id, "after": moment.at > at}
    return found


def _rule(asked: Asked, number: int, rule: Rule, seen: Seen | None) -> RuleStory:
    stood = asked.stood.get(rule.name, Stood())
    story = RuleStory(
        rule=rule.name,
        severity=rule.severity,
        applies=True,
        said="",
        version=stood.version,
        set_by=stood.by,
        set_at=stood.at,
        changed=stood.said,
    )
    wrong = first_wrong(rule.match, asked.labels)
    if wrong is not None:
        story.applies, story.why_not, story.said = False, wrong, f"does not apply: it is for {wrong}"
        return story
    episode = asked.episodes.get(rule.name)
    if episode is not None and episode.active:
        story.state, story.alert = episode.last.state, episode.first.id
        story.told = deliveries.told(episode.steps).at is not None
    if is_composite(rule):
        story.expression, story.holds = "alerts of other rules", bool(story.state)
        story.said = f"holds: {episode.because}" if episode is not None and story.state else "its alerts are not active"
    elif asked.looking is not None:
        fold = asked.looking.fold
        story.expression = describe_rule(fold.conditions, number)
        own = fold.schedules.conditions_of(number)
        # Without a sample, only a rule about time says anything.
        if seen is not None and (asked.looking.sampled or any(int(fold.conditions.kind[c]) in TIMED for c in own)):
            story.conditions = words.seen_by_fold(fold.conditions, own, seen.seen)
            story.holds = seen.holds
        story.said = _saw(asked, rule, story)
    else:
        story.expression = describe_rule(compile_rules((rule,)), 0)
        story.said = "no samples to judge by"
    story.said += _standing(asked, rule, episode, story)
    return story


def _saw(asked: Asked, rule: Rule, story: RuleStory) -> str:
    """What the rule made of its conditions."""
    if story.holds is None:
        return "not judged: no sample of the target was taken"
    if not story.holds:
        unsure = all(c.holds is not False for c in story.conditions)
        return f"{'not known to hold' if unsure else 'does not hold'}: {words.why_not(story.conditions)}"
    assert asked.looking is not None
    since = asked.looking.holds_since(rule.name)
    text = f"holds{f' since {clock(since, asked.at)}' if since is not None else ''}: "
    if any(c.holds for c in story.conditions):
        return text + words.because(story.conditions)
    return f"{text}nothing known says otherwise: {words.why_not(story.conditions)}"


def _standing(asked: Asked, rule: Rule, episode: Episode | None, story: RuleStory) -> str:
    """How far its alert had got, after what the rule saw."""
    if episode is not None and episode.active:
        return f"; {episode.standing(asked.at)}"
    if episode is not None and story.holds and episode.last.reason == "resolved_by_hand":
        return f"; {episode.last.actor} declared it over at {clock(episode.last.at, asked.at)}"
    if story.holds and not groups.is_grouped(rule):
        return "; the alert role had made no alert of it: it was behind, or did not run"
    if story.holds:
        return f"; its alert is about {groups.group_of(rule, asked.labels)}, for which too few targets were so"
    if episode is not None and asked.at - episode.last.at < _LATELY_MS:
        return f"; its last alert {episode.standing(asked.at)}"
    return ""


def _answer(asked: Asked, rules: Sequence[RuleStory]) -> tuple[bool, str]:
    active = [e for e in asked.episodes.values() if e.active]
    active.sort(key=lambda e: (e.asked_to_tell is None, _RANK.get(e.first.severity, 2), e.first.began))
    answers = [e.answer(asked.target, asked.at) for e in active]
    told, text = next((a for a in answers if a[0]), answers[0] if answers else (False, ""))
    if not answers:
        why = f"{_silence(asked, rules)}{_before(asked)}"
        text = f"Nobody was told about {asked.target} at {clock(asked.at)} because {why}"
    elif len(answers) > 1:
        text += f" ({len(answers) - 1} more of its alerts: see below)"
    return told, text + _soon(asked)


def _silence(asked: Asked, rules: Sequence[RuleStory]) -> str:
    """Why there was no alert."""
    if not asked.configured and not asked.accept:
        return "the configuration had no such target: its samples are set aside as unknown_target"
    looking, applying = asked.looking, [r for r in rules if r.applies]
    if looking is None:
        return "no alert of it was active; which values its rules saw is not on the log"
    if not applying:
        return f"no rule applies to it, of {len(rules)} that there {'was' if len(rules) == 1 else 'were'}"
    held = next((r for r in applying if r.holds), None)
    if held is not None:
        return f"of this: {held.rule} {held.said}"
    if not looking.sampled:
        refused = words.listed(f"{n} were refused as {r}" for r, n in looking.refused.items())
        since = f" since {clock(asked.source.first_at, asked.at)}" if asked.source.first_at is not None else ""
        return f"no sample of it came{since}{f'; {refused}' if refused else ''}"
    return f"no rule held: {_nearest(applying)}"


def _nearest(rules: Sequence[RuleStory]) -> str:
    """One rule that did not hold, as an example: the most severe of those that know their values."""
    known = [r for r in rules if any(c.holds is False for c in r.conditions)] or list(rules)
    rule = min(known, key=lambda r: _RANK.get(r.severity, 2))
    more = len(rules) - 1
    others = f" ({more} more rule{'s' if more > 1 else ''}: see below)" if more else ""
    return f"for {rule.rule}, {words.why_not(rule.conditions) or rule.said}{others}"


def _before(asked: Asked) -> str:
    """The alert that was told last and had ended, where that was not long before."""
    ended = [e for e in asked.episodes.values() if not e.active and e.asked_to_tell is not None]
    last = max(ended, key=lambda e: e.last.at, default=None)
    if last is None or last.last.at < asked.at - _LATELY_MS:
        return ""
    told = deliveries.told(last.steps)
    whom = f"told to {deliveries.in_short(told, asked.at)}" if told.at is not None else "to be told"
    return f". Before, {last.first.rule} was {whom}, and {last.last.state} at {clock(last.last.at, asked.at)}"


def _soon(asked: Asked) -> str:
    """What came in the minutes after."""
    for episode in asked.later:
        asking = episode.asked_to_tell
        if asking is not None and asking > asked.at:
            told = deliveries.told(episode.steps)
            whom = f"told to {deliveries.in_short(told, asked.at)}" if told.at is not None else "to be told"
            return f". {span(asking - asked.at)} later {episode.first.rule} fired, {whom}: {episode.because}"
    return ""


def _notes(asked: Asked, rules: Sequence[RuleStory]) -> list[str]:
    notes = []
    for rule in rules:
        episode = asked.episodes.get(rule.rule)
        ended = episode is None or not episode.active
        if rule.applies and rule.holds is False and not ended and not rule.said.count("verified"):
            notes.append(
                f"{rule.rule}: its alert is active though the samples that were read do not say that it holds: they "
                f"begin too late, it is being verified that it ceased, or other targets of its group hold it up"
            )
    return notes
