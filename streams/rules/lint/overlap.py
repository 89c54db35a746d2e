"""Rules that say what another says already."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.rules.lint.logic import Formula, can_hold, formula, implies, signals
from streams.rules.lint.watch import Remark, Watch, remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.rules.model import Rule

_Match = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    rule: Rule
    means: Formula
    place: int


def overlapping(watch: Watch) -> Iterator[Remark]:
    """Of two rules of one severity, the one that holds only where and when the other does; each rule once."""
    alike: dict[tuple[object, ...], dict[_Match, list[_Said]]] = defaultdict(lambda: defaultdict(list))
    for place, rule in enumerate(watch.rules):
        means = formula(rule)
        if can_hold(means):  # what never holds implies everything
            kind = (rule.severity, rule.grouped, rule.group_by, rule.share, rule.at_least)
            alike[kind][rule.match].append(_Said(rule, means, place))
    for by_match in alike.values():
        for narrow in by_match:
            # The target sets are compared once for all the rules that have them.
            wider = [said for wide, rules in by_match.items() if _within(watch, narrow, wide) for said in rules]
            for one in by_match[narrow]:
                if (found := _covered(watch, one, wider)) is not None:
                    yield found


def _covered(watch: Watch, one: _Said, wider: list[_Said]) -> Remark | None:
    """A remark on `one` if one of `wider` says it all."""
    for other in wider:
        if other is one or (one.rule.pair and one.rule.pair == other.rule.pair) or not _no_more_than(one, other):
            continue
        if _within(watch, other.rule.match, one.rule.match) and _no_more_than(other, one):
            if one.place < other.place:
                continue  # of two that are the same, the later is the one too many
            return remark("warning", "overlaps", one.rule, "name", f"says the same as {other.rule.name!r}")
        text = (
            f"holds only while the same target has {other.rule.name!r} already, which is {other.rule.severity} too: "
            "nobody learns more from it"
        )
        return remark("warning", "overlaps", one.rule, "name", text)
    return None


def _no_more_than(one: _Said, other: _Said) -> bool:
    """Whether `one`, of the same target, fires only while `other` does."""
    return (
        one.rule.for_ >= other.rule.for_
        and signals(other.means) <= signals(one.means)  # what one does not look at, it cannot imply
        and implies(one.means, other.means)
    )


def _within(watch: Watch, inner: _Match, outer: _Match) -> bool:
    """Whether every target that passes `inner` passes `outer`."""
    if set(outer) <= set(inner):
        return True
    mine, theirs = watch.bits[inner], watch.bits[outer]
    return watch.complete and mine != 0 and mine & ~theirs == 0
