"""What is wrong with rules though each can be read: never true, never of anybody, twice the same, or for ever flapping.

A check is one function in `CHECKS`: it sees all rules and the targets that are watched, and yields remarks. What was
seen in the past is in `Watch.history` when somebody has read it; most checks need none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from streams.rules.lint.flapping import flapping
from streams.rules.lint.overlap import overlapping
from streams.rules.lint.past import Past, flapped, silent
from streams.rules.lint.reach import always, never, too_few_samples, unmeasured, unselected
from streams.rules.lint.texts import texts
from streams.rules.lint.watch import Episode, History, Remark, Span, Target, Watch

if TYPE_CHECKING:
    from streams.rules.model import Rule

CHECKS: tuple[Callable[[Watch], Iterator[Remark]], ...] = (
    never,
    always,
    unselected,
    unmeasured,
    too_few_samples,
    overlapping,
    flapping,
    texts,
    flapped,
    silent,
)

__all__ = ["CHECKS", "Episode", "History", "Past", "Remark", "Span", "Target", "Watch", "lint"]


def lint(
    rules: Sequence[Rule], targets: Sequence[Target], *, complete: bool = True, history: History | None = None
) -> list[Remark]:
    """Remarks on `rules`, which have been expanded, in their order; those of a pair once.

    `targets` are those that are configured; they are not `complete` where samples of others are taken as well.
    """
    watch = Watch(tuple(rules), tuple(targets), complete, history)
    order = {rule.name: i for i, rule in enumerate(rules)}
    found = {(r.written, r.code, r.field, r.message): r for check in CHECKS for r in reversed([*check(watch)])}
    wrong = {r.written for r in found.values() if r.level == "error"}
    # What is more to be said of a rule that cannot work can wait until it does.
    told = [r for r in found.values() if r.level == "error" or r.written not in wrong]
    return sorted(told, key=lambda r: (order[r.rule], r.level, r.code, r.field))
