"""Random histories of one alert, lived by streams/life and told by the reference: both must say the same."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from schemas import Finding
from streams import life as lifecycle
from streams.life import Life, Policy, Step
from streams.rules import Rule
from tests.kit.reference_life import Diary, Terms

SEVERITIES = ("info", "warning", "critical")
T0 = 1_000_000.0
# Few different times, so that they often meet: an end of a duration and a reminder at one tick.
_SPANS = (0, 0, 10, 20, 30, 50, 100)
_HANDS = ("ack", "snooze", "hand_back", "resolve", "removed", "silence", "silence", "silence")
_KINDS = ("finding",) * 8 + ("good",) * 3 + ("tick",) * 14 + ("edit",) * 2 + _HANDS
# Of a history in which the rule comes and goes.
_RESTLESS = ("finding",) * 12 + ("good",) * 3 + ("tick",) * 10 + ("ack", "snooze", "silence", "silence", "edit")


@dataclass(frozen=True)
class Silenced:
    """What keeps it quiet."""

    by: str
    reason: str = "silenced"
    until: float | None = None


def terms_of(chance: random.Random) -> Terms:
    """Random terms; at every third chance such that an alert is soon flapping."""
    if chance.random() < 0.33:
        return Terms(
            keep=chance.choice((0, 0, 10, 30)),
            samples=chance.choice((0, 0, 2, 3)),
            cooldown=chance.choice((0, 0, 50)),
            remind=chance.choice(_SPANS),
            steps=chance.choice(((), (20,), (10, 40))),
            flaps=chance.choice((1, 2)),
            within=300,
            steady=chance.choice((10, 20, 50)),
        )
    steps = sorted(chance.sample((10, 20, 40, 80), chance.choice((0, 0, 1, 2))))
    return Terms(
        duration=chance.choice(_SPANS),
        keep=chance.choice(_SPANS),
        samples=chance.choice((0, 0, 1, 2, 3)),
        cooldown=chance.choice(_SPANS),
        remind=chance.choice(_SPANS),
        steps=tuple(steps),
        flaps=chance.choice((0, 1, 2, 3)),
        within=chance.choice((50, 100, 300)),
        steady=chance.choice((10, 20, 50)),
    )


def edited(terms: Terms, chance: random.Random) -> Terms:
    """Terms as an edit of the rule may leave them; when it flaps and is reminded of is not the rule's."""
    other = terms_of(chance)
    return replace(other, remind=terms.remind, flaps=terms.flaps, within=terms.within, steady=terms.steady)


def rule_of(chance: random.Random) -> tuple[int, str, str]:
    """How severe a rule is, its label and its text."""
    return chance.randrange(3), chance.choice(("web", "db")), chance.choice(("", "it is down"))


def history_of(chance: random.Random, terms: Terms, length: int) -> list[tuple[str, float, dict[str, Any]]]:
    """Random events: kind, time and more."""
    at, events, kinds = T0, [], chance.choice((_KINDS, _KINDS, _RESTLESS))
    for _ in range(length):
        at += chance.choice((0, 1, 5, 10, 10, 20, 50))
        kind, more = chance.choice(kinds), {}
        if kind == "finding":
            more = {"holds": chance.random() < 0.6, "time": at - chance.choice((0, 1))}
            if not more["holds"]:
                more |= {"good": chance.choice((0, 1, 1)), "wanted": chance.choice((0, terms.samples, 2, 3))}
        elif kind == "good":
            kind = "finding"
            more = {
                "holds": False,
                "time": at,
                "good": chance.choice((1, 2, 2, 3, 3, 4)),
                "wanted": chance.choice((2, 3)),
            }
        elif kind == "edit":
            terms = edited(terms, chance) if chance.random() < 0.5 else terms
            more = {"rule": rule_of(chance), "terms": terms}
        elif kind == "snooze":
            more = {"until": at + chance.choice((-5, 10, 30, 100))}
        elif kind == "hand_back":
            more = {"what": chance.choice(("acknowledged", "snoozed"))}
        elif kind == "silence":
            more = {"by": chance.choice((None, None, "s1", "s2"))}
        events.append((kind, at, more))
    return events


def policy_of(terms: Terms, rule: tuple[int, str, str]) -> Policy:
    """The same terms as the code takes them."""
    severity, team, text = rule
    return Policy(
        rule=_rule(severity, team, text), for_ms=terms.duration, keep_ms=terms.keep, good_samples=terms.samples, cooldown_ms=terms.cooldown, remind_ms=terms.remind,
        steps=tuple(Step(s, (f"r{s}",)) for s in terms.steps), flap_episodes=terms.flaps, flap_within_ms=terms.within,
        steady_ms=terms.steady,
    )  # fmt: skip


@cache
def _rule(severity: int, team: str, text: str) -> Rule:
    annotations = {"summary": text} if text else {}
    return Rule(
        name="r",
        metric="latency",
        value=1,
        severity=SEVERITIES[severity],
        labels={"team": team},
        annotations=annotations,
    )


def lived(
    events: list[tuple[str, float, dict[str, Any]]],
    terms: Terms,
    rule: tuple[int, str, str],
    chance: random.Random,
    restarts: float = 0.1,
) -> list[dict[str, Any]]:
    """The transitions that streams/life makes of a history, stored and read back now and then."""
    life, policy, said = Life("t", "r"), policy_of(terms, rule), []
    silence: list[str] = []

    def verdict(_life: Life, _now: float) -> Silenced | None:
        return Silenced(silence[0]) if silence else None

    for sequence, (kind, at, more) in enumerate(events):
        match kind:
            case "finding":
                finding = Finding(
                    target="t", rule="r", severity="warning", metric="latency", aggregate="last", operator=">",
                    threshold=1.0, value=2.0, sequence=sequence, **more,
                )  # fmt: skip
                lifecycle.on_finding(life, finding, policy, {}, at, verdict)
            case "tick":
                due = lifecycle.due(life, policy)
                before = (life.number, life.id)
                quiet = [life.quiet["by"]] if life.quiet else []
                lifecycle.on_tick(life, policy, at, verdict)
                # What is looked at only when it is due must lose nothing by it.
                assert due <= at or silence != quiet or before == (life.number, life.id), (due, at, life)
            case "ack":
                lifecycle.on_acknowledged(life, "ada", "", at)
            case "snooze":
                lifecycle.on_snoozed(life, more["until"], "ada", "", at)
            case "hand_back":
                lifecycle.on_handed_back(life, more["what"], "ada", "", at)
            case "resolve":
                lifecycle.on_resolved(life, "ada", "", at)
            case "removed":
                lifecycle.on_removed(life, "rule_removed", at)
            case "silence":
                silence[:] = [more["by"]] if more["by"] else []
            case "edit":
                policy = policy_of(more["terms"], more["rule"])
                lifecycle.on_edited(life, policy, {}, at, verdict=verdict)
        said += life.outbox
        life.outbox = []
        if chance.random() < restarts:
            life = Life.load(life.dump())
    return said


def told(
    events: list[tuple[str, float, dict[str, Any]]], terms: Terms, rule: tuple[int, str, str]
) -> list[dict[str, Any]]:
    """The transitions that the reference makes of a history."""
    diary = Diary(terms, rule)
    for kind, at, more in events:
        diary.happens(kind, at, **more)
    return diary.said()


def compare(seed: int, length: int = 40) -> int:
    """Live and tell the history of `seed`; how many transitions it has. Raises AssertionError where they differ."""
    chance = random.Random(seed)
    terms, rule = terms_of(chance), rule_of(chance)
    events = history_of(chance, terms, chance.randint(1, length))
    mine = [
        (t["at"], t["number"], t["previous"], t["state"], t["reason"], t["notify"], t["step"], t["began"], *_looks(t))
        for t in lived(events, terms, rule, chance)
    ]
    numbers = {(number, began) for _, number, _, _, _, _, _, began, *_ in mine}
    assert len(numbers) == len(mine), f"seed {seed}: a number twice"
    theirs = [
        (
            t["at"],
            t["number"],
            t["previous"],
            t["state"],
            t["reason"],
            t["told"],
            t["step"],
            t["began"],
            *t["rule"][:2],
            t["told_as"],
        )
        for t in told(events, terms, rule)
    ]
    for i in range(max(len(mine), len(theirs))):
        one, other = mine[i : i + 1], theirs[i : i + 1]
        assert one == other, f"seed {seed}, transition {i}:\n lived {one}\n told  {other}\n {terms}\n {events}"
    return len(mine)


def _looks(transition: dict[str, Any]) -> tuple[int, str, list[tuple[int, str]]]:
    """Severity and label that it shows, and those that people were told it with."""
    labels = transition["labels"]
    assert labels["severity"] == transition["severity"]
    seen = [(SEVERITIES.index(told["severity"]), told["team"]) for told in transition["told_as"]]
    return SEVERITIES.index(transition["severity"]), labels["team"], seen
