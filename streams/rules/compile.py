"""Rules as tables of numbers, for the compiled judge."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from streams.compiled import Conditions
from streams.kernel import kinds
from streams.rules import words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.rules.condition import Condition, Transition
    from streams.rules.model import Rule

_SEVERITY = {"info": 0, "warning": 1, "critical": 2}
RECOVERY_METRIC = "recovery.failed"
_Cron = tuple[str, str, float]


def compile_rules(rules: Sequence[Rule]) -> Conditions:
    """The conditions of `rules`, which have been expanded, and of each its expression.

    A condition that several rules share is there once. A rule on alerts of other rules has no expression: it is
    judged where alerts are. Raises ValueError where a rule has not been expanded.
    """
    table = _Table()
    start, tokens = [0], []
    for rule in rules:
        if rule.slo is not None or rule.warning is not None:
            raise ValueError(f"rule {rule.name!r} has not been expanded")
        if rule.alerts is None:
            tokens += table.tokens(rule, rule.min_samples if rule.compound else 0)
        start.append(len(tokens))
    rows = table.rows
    return Conditions(
        names=[r.name for r in rules],
        metrics=list(table.metrics),
        kind=np.array([r.kind for r in rows], np.int64),
        metric=np.array([r.metric for r in rows], np.int64),
        window_s=np.array([r.window_s for r in rows], np.float64),
        param=np.array([r.param for r in rows], np.float64),
        operator=np.array([r.operator for r in rows], np.int64),
        threshold=np.array([r.threshold for r in rows], np.float64),
        recovery=np.array([r.recovery for r in rows], np.float64),
        min_samples=np.array([r.min_samples for r in rows], np.float64),
        start=np.array(start, np.int64),
        tokens=np.array(tokens, np.int64),
        severity=np.array([_SEVERITY[r.severity] for r in rules], np.int64),
        wanted=np.array([r.good_samples for r in rules], np.int64),
        cron={i: r.cron for i, r in enumerate(rows) if r.cron is not None},
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """One condition. What has no window or no parameter has -1 here, as NaN equals nothing, itself included."""

    kind: int
    operator: int
    threshold: float
    recovery: float
    metric: int = 0
    window: float = -1.0
    parameter: float = -1.0
    min_samples: float = 0.0
    cron: _Cron | None = None

    @property
    def window_s(self) -> float:
        return self.window if self.window > 0 else math.nan

    @property
    def param(self) -> float:
        return self.parameter if self.parameter >= 0 or self.kind == kinds.FORECAST else math.nan


@dataclass(slots=True)
class _Table:
    metrics: dict[str, int] = field(default_factory=lambda: {"": 0})
    index: dict[_Row, int] = field(default_factory=dict)

    @property
    def rows(self) -> list[_Row]:
        return list(self.index)

    def _put(self, row: _Row) -> int:
        return self.index.setdefault(row, len(self.index))

    def _metric(self, name: str) -> int:
        own = name == "latency" or name in words.OWN
        return 0 if own else self.metrics.setdefault(name, len(self.metrics))

    def tokens(self, condition: Condition, least: float) -> list[int]:
        """`condition` as a postfix expression; `least` samples are wanted by what is around it."""
        if condition.transition is not None:
            return self._transition(condition.transition)
        if not condition.compound:
            return [self._put(self._row(condition, least))]
        if condition.not_ is not None:
            return [*self.tokens(condition.not_, _inner(condition.not_, least)), kinds.NOT]
        parts = [self.tokens(p, _inner(p, least)) for p in condition.parts]
        return _chain(parts, kinds.AND if condition.all_ else kinds.OR)

    def _row(self, c: Condition, least: float) -> _Row:
        look = words.look(c.metric, c.aggregate)
        assert look is not None, "checked when the rule was read"
        operator = words.SYMBOLS[c.operator]
        wanted = float(c.min_samples)
        if look.windowed and look.kind not in words.ZERO_WITHOUT_SAMPLES:
            wanted = max(wanted, float(least))
        param = -1.0
        if look.kind == kinds.QUANTILE:
            param = words.quantile(c.aggregate) or 0.0
        elif c.limit is not None:
            param = c.limit
        elif c.quantile is not None:
            param = c.quantile
        return _Row(
            kind=look.kind,
            operator=operator,
            threshold=c.value,
            recovery=c.value if c.recover is None else c.recover,
            metric=self._metric(c.metric),
            window=c.window if look.windowed else -1.0,
            parameter=param,
            min_samples=wanted if look.windowed else 0.0,
            cron=None if c.schedule is None else (c.schedule.cron, c.schedule.zone, c.schedule.grace),
        )

    def _transition(self, change: Transition) -> list[int]:
        """Now in `to`, and before that in `from`.

        A change from one status of `to` to another of them leaves it unknown what was before, so that the rule stays
        as it was: PREVIOUS has no value where the status before is in the set that its `param` is.
        """
        ways: list[list[int]] = []
        if change.goals:
            reached = _chain([[self._equal(kinds.STATUS, s)] for s in change.goals], kinds.OR)
            if change.origins:
                goals = float(sum(1 << s for s in change.goals))
                left = _chain([[self._equal(kinds.PREVIOUS, s, goals)] for s in change.origins], kinds.OR)
                reached = _chain([reached, left], kinds.AND)
            ways.append(reached)
        if change.recovery_failed:
            failed = _Row(kinds.LAST, kinds.GE, 1.0, 1.0, metric=self._metric(RECOVERY_METRIC))
            ways.append([self._put(failed)])
        return _chain(ways, kinds.OR)

    def _equal(self, kind: int, number: int, param: float = -1.0) -> int:
        return self._put(_Row(kind, kinds.EQ, float(number), float(number), parameter=param))


def _inner(part: Condition, least: float) -> float:
    return max(least, part.min_samples) if part.compound else least


def _chain(parts: list[list[int]], join: int) -> list[int]:
    """`parts` joined by AND or OR, two at a time: no more than two values wait on the way."""
    out = list(parts[0])
    for part in parts[1:]:
        out += [*part, join]
    return out
