"""What a change of the fold says to those who read findings."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from schemas import Finding
from streams.rules.describe import describe
from streams.seeing import as_seen, holding

if TYPE_CHECKING:
    from streams.fold import Fold
    from streams.outcome import Change

_HOLDS = (False, True, None)


def finding(fold: Fold, change: Change, version: int = 0) -> Finding:
    """The finding of `change`, by this version of its rule."""
    rule, conditions = fold.rules[change.rule], fold.conditions
    own = fold.schedules.conditions_of(change.rule)
    code, message = change.text
    value, count, _ = change.seen[0] if change.seen else (math.nan, 0.0, 2)
    return Finding(
        target=change.name or fold.name_of(change.target),
        rule=rule.name,
        holds=change.holds,
        time=change.time,
        severity=rule.severity,
        metric=rule.metric,
        aggregate=rule.aggregate,
        operator=rule.operator,
        threshold=float(conditions.threshold[own[0]]) if own else 0.0,
        value=value,
        window_s=_window(fold, own[0]) if own else 0.0,
        count=count,
        baseline=_known(change.baseline),
        score=_known(change.score),
        status=code,
        message=message,
        source_partition=fold.partition,
        source_offset=change.offset,
        rule_version=version,
        source_sample=change.sample,
        good=change.good,
        wanted=change.wanted,
        conditions=[_condition(fold, c, seen) for c, seen in zip(own, change.seen, strict=True)],
    )


def ceased(old: Fold, fresh: Fold) -> list[Change]:
    """What `old` held, or had seen cease and verified, and `fresh`, which goes on from it, looks at no more.

    As `old` saw it. It is told at once: the rule may be back before those who read findings have noticed that it was
    gone.
    """
    holds = {(fresh.name_of(t), fresh.rules[r].name) for t, r in holding(fresh, verifying=True)}
    gone = [(t, r) for t, r in holding(old, verifying=True) if (old.name_of(t), old.rules[r].name) not in holds]
    return [as_seen(old, target, rule, holds=False) for target, rule in gone]


def _condition(fold: Fold, c: int, seen: tuple[float, float, int]) -> dict[str, Any]:
    return {
        "text": describe(fold.conditions, c),
        "value": seen[0],
        "threshold": float(fold.conditions.threshold[c]),
        "holds": _HOLDS[seen[2]],
        "count": seen[1],
        "window_s": _window(fold, c),
    }


def _window(fold: Fold, c: int) -> float:
    window = float(fold.conditions.window_s[c])
    return 0.0 if math.isnan(window) else window


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
