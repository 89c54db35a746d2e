"""What was in force at a time, who had set it, and what has been changed since."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.alerting.terms import Terms
from streams.changes import did
from streams.control_bodies import BodyError, parse_body
from streams.explain.model import Moment
from streams.explain.words import clock
from streams.in_force import KINDS
from streams.labels import matches
from streams.maintenance import Window
from streams.rules import Rule
from streams.silences import Silence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from streams.changes import Changes
    from streams.control import Change
    from streams.explain.setup import Setup
    from streams.life import Policy


class Past:
    """The rules and targets in force at any time: the file's, with what had been changed by then."""

    def __init__(self, setup: Setup, changes: Changes) -> None:
        self.setup, self.changes = setup, changes
        self._times = sorted({at for at, _ in changes.between(-float("inf"), float("inf"), KINDS)})
        self._terms: dict[int, Terms] = {}
        self._declared = {rule.name: rule for rule in setup.rules}

    def terms(self, at_ms: float) -> Terms:
        """What an alert's life went by then."""
        number = bisect.bisect_right(self._times, at_ms)
        if number not in self._terms:
            made = Terms(self.setup.targets, self.setup.rules, self.setup.defaults)
            for record in self.changes.standing(at_ms, KINDS):
                made.take(record)
            made.refresh()
            self._terms[number] = made
        return self._terms[number]

    def policies(self, rule: str, from_ms: float, to_ms: float) -> list[tuple[float, Policy | None]]:
        """A rule's terms at one time, and each time from which on they were others, up to another."""
        found = [(from_ms, self.terms(from_ms).policies.get(rule))]
        for at in self._times[bisect.bisect_right(self._times, from_ms) : bisect.bisect_right(self._times, to_ms)]:
            policy = self.terms(at).policies.get(rule)
            if policy != found[-1][1]:
                found.append((at, policy))
        return found

    def set(self, change: tuple[float, Change], near: float) -> str:
        """A version of a rule in words."""
        return f"version {change[1].version}, {self.done(change, near)}"

    def done(self, change: tuple[float, Change], near: float) -> str:
        """What was done, by whom, when, and why."""
        at, what = change
        note = f', "{what.note}"' if what.note else ""
        return f"{did(what, self._declared)} by {what.actor} at {clock(at, near)}{note}"

    def since(self, later: Sequence[tuple[float, Change]], was: str, near: float) -> list[str]:
        """What came after."""
        if not later:
            return []
        more = f", and changed {len(later) - 1} more time{'s' * (len(later) > 2)} since" if len(later) > 1 else ""
        return [f"{was} changed since: {self.set(later[0], near)}{more}"]


@dataclass(frozen=True, slots=True)
class Stood:
    """A rule as it stood: its version, 0 for the file's; who had set it, and when; that and what came since in words.

    Nothing is said of a rule that nobody has ever changed at run time.
    """

    version: int = 0
    by: str = ""
    at: float | None = None
    said: str = ""


def stood(past: Past, names: Iterable[str], at_ms: float, version: int | None = None) -> Stood:
    """How the rule with these names, its own and its pair's, stood at a time; where `version` is known, as that one."""
    changes = past.changes
    known = [n for n in dict.fromkeys(names) if n]
    own = [c for n in known for c in changes.history("rule", n)]
    thresholds = [c for n in known for c in changes.history("threshold", n)]
    before = [c for c in own if (c[0] <= at_ms if version is None else c[1].version <= version)]
    latest = before[-1][1] if before else None
    said = [past.set(before[-1], at_ms)] if before else [_unset(known, changes, at_ms)] if own else []
    lately = [c for c in thresholds if c[0] <= at_ms]
    if lately:
        said.append(f"its threshold {past.done(lately[-1], at_ms)}")
    said += past.since([c for c in own if c not in before], "it was", at_ms)
    said += past.since([c for c in thresholds if c[0] > at_ms], "its threshold was", at_ms)
    text = "; ".join(s for s in said if s)
    if latest is None or latest.new is None:
        return Stood(version=version or 0, said=text)
    return Stood(latest.version, latest.actor, before[-1][0], text)


def _unset(names: Collection[str], changes: Changes, at_ms: float) -> str:
    """What a rule was before its first known change."""
    gap = next((g for g in changes.gaps if g.kind == "rule" and g.id in names and g.at > at_ms), None)
    if gap is not None:
        return f"what it was then is not known for certain: {gap.why}"
    return "as the file had it"


def moments(
    past: Past, rules: Collection[str], target: str, labels: Mapping[str, str], from_ms: float, to_ms: float
) -> list[Moment]:
    """What was changed from one time to another of these rules, and of what keeps alerts of these labels quiet."""
    return [
        Moment(
            at=at,
            what="control",
            said=f"{change.kind} {change.id}: {past.done((at, change), at)} (version {change.version})",
            facts={n: getattr(change, n) for n in ("kind", "id", "version", "actor", "note", "old", "new")},
        )
        for at, change in past.changes.between(from_ms, to_ms)
        if _is_about(change, rules, target, labels)
    ]


def _is_about(change: Change, rules: Collection[str], target: str, labels: Mapping[str, str]) -> bool:
    if change.kind in ("rule", "threshold"):
        return change.id in rules or any(isinstance(b, Rule) and matches(b.match, labels) for b in _bodies(change))
    if change.kind == "target":
        return change.id == target
    return any(
        (isinstance(b, Silence) and b.hits(labels)) or (isinstance(b, Window) and b.hits(target, labels))
        for b in _bodies(change)
    )


def _bodies(change: Change) -> Iterator[Any]:
    """What was there before and after, as far as it can be read."""
    for body in (change.old, change.new):
        if body is not None:
            try:
                yield parse_body(change.kind, change.id, body)
            except BodyError:
                continue
