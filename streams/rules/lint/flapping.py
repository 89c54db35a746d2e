"""Rules that one odd value would turn on, and the next one off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.kernel import kinds
from streams.rules import words
from streams.rules.lint.watch import Remark, Watch, remark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.rules.condition import Condition

_NOISY = frozenset({kinds.UP, kinds.LAST, kinds.ZSCORE, kinds.ROBUST})


def flapping(watch: Watch) -> Iterator[Remark]:
    """Rules on the latest value alone, with nothing that waits."""
    for rule in watch.rules:
        waits = rule.for_ or rule.keep_firing_for or rule.good_samples > 1
        if rule.alerts is not None or waits or not _noisy(rule):
            continue
        first = next(c for c in rule.leaves() if _noisy(c))
        if first.metric == "up":
            cure = "write metric: consecutive_failures with value: 2, for: 1m, or resolve: {samples: 3}"
        else:
            cure = "write for: 1m, a recover threshold, or a window"
        yield remark(
            "warning", "flaps", rule, "for", f"fires on a single value of {first.metric} and ends at the next: {cure}"
        )


def _noisy(c: Condition) -> bool:
    """Whether a single sample may turn `c` on and the next one off."""
    if c.transition is not None:
        return False
    if c.compound:
        return (all if c.all_ else any)(_noisy(p) for p in c.parts)
    look = words.look(c.metric, c.aggregate)
    return look is not None and look.kind in _NOISY and c.recover is None
