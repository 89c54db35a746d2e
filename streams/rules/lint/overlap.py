"""Rules that say what another says already."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations
from typing import TYPE_CHECKING

from streams.rules.lint.logic import Formula, can_hold, formula, implies, signals
from streams.rules.lint.watch import Remark, Watch, remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.rules.model import Rule


def overlapping(watch: Watch) -> Iterator[Remark]:
    """Of two rules of one severity, the one that holds only where and when the other does."""
    groups: dict[tuple[object, ...], list[tuple[Rule, Formula]]] = defaultdict(list)
    for rule in watch.rules:
        groups[(rule.severity, rule.grouped, rule.group_by, rule.share, rule.at_least)].append((rule, formula(rule)))
    for rules in groups.values():
        possible = [(rule, said) for rule, said in rules if can_hold(said)]  # what never holds implies everything
        for one, other in combinations(possible, 2):
            if (found := _which(watch, one, other)) is not None:
                yield found


def _which(watch: Watch, one: tuple[Rule, Formula], other: tuple[Rule, Formula]) -> Remark | None:
    first, second = one[0], other[0]
    if first.pair and first.pair == second.pair:
        return None
    # The later of two that are the same is the one too many.
    if _no_more_than(watch, other, one):
        narrow, wide, same = second, first, first.for_ == second.for_ and _no_more_than(watch, one, other)
    elif _no_more_than(watch, one, other):
        narrow, wide, same = first, second, False
    else:
        return None
    how = "says the same as" if same else "holds only while the same target has"
    end = "" if same else f" already, which is {wide.severity} too: nobody learns more from it"
    return remark("warning", "overlaps", narrow, "name", f"{how} {wide.name!r}{end}")


def _no_more_than(watch: Watch, one: tuple[Rule, Formula], other: tuple[Rule, Formula]) -> bool:
    """Whether `one` fires only where and while `other` does."""
    return (
        one[0].for_ >= other[0].for_
        and signals(other[1]) <= signals(one[1])  # what one does not look at, it cannot imply
        and _within(watch, one[0], other[0])
        and implies(one[1], other[1])
    )


def _within(watch: Watch, inner: Rule, outer: Rule) -> bool:
    """Whether every target of `inner` is one of `outer`."""
    if set(outer.match) <= set(inner.match):
        return True
    mine, theirs = watch.selected[inner.name], watch.selected[outer.name]
    return watch.complete and mine != 0 and mine & ~theirs == 0
