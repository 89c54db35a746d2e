"""A rule book as the kernel reads it: who is looked at by which rules, when, and over which windows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streams.kernel import judge, kinds, panes
from streams.kernel.judge import Rules

if TYPE_CHECKING:
    from streams.admission import RuleSets
    from streams.compiled import Conditions


def tables(conditions: Conditions, sets: RuleSets, windows: list[float]) -> Rules:
    """The rules' table for the kernel, with a window's place among `windows` (s)."""
    place = {w: i for i, w in enumerate(windows)}
    first = np.zeros(len(sets.sets) + 1, np.int64)
    np.cumsum([len(s) for s in sets.sets], out=first[1:])
    look = looks_of(conditions)
    return Rules(
        conditions.kind,
        conditions.metric,
        np.array([-1 if np.isnan(w) else place[float(w)] for w in conditions.window_s], np.int64),
        conditions.param,
        conditions.operator,
        conditions.threshold,
        conditions.recovery,
        conditions.min_samples,
        conditions.start,
        conditions.tokens,
        _sights(conditions),
        # A rule about the status must not be what keeps it up.
        np.where(look & judge.BY_STATUS, 0, conditions.severity),
        look,
        first,
        np.array([r for s in sets.sets for r in s], np.int64),
        np.array([np.bitwise_or.reduce(look[list(s)]) if s else 0 for s in sets.sets], np.uint8),
        np.full(len(conditions.kind), np.nan),
        conditions.wanted if len(conditions.wanted) else np.zeros(len(conditions.names), np.int64),
    )


def _sights(conditions: Conditions) -> NDArray[np.int64]:
    """A number for each condition, the same for those that see the same; each schedule is a sight of its own."""
    columns = zip(
        conditions.kind.tolist(),
        conditions.metric.tolist(),
        conditions.window_s.astype(str).tolist(),  # NaN is like itself
        conditions.param.astype(str).tolist(),
        [c if c in conditions.cron else -1 for c in range(len(conditions.kind))],
        strict=True,
    )
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(column, len(numbers)) for column in columns], np.int64)


def longest_quantile(conditions: Conditions) -> int:
    """How many panes of 10 s quantiles are asked over: an hour's, and more only where a rule looks further back."""
    quantile = (conditions.kind == kinds.RATIO) & (conditions.param >= 0)
    asked = conditions.window_s[(conditions.kind == kinds.QUANTILE) | quantile]
    return max([360, *(int(w) * 1000 // panes.PANE_MS for w in asked.tolist())])


def looks_of(conditions: Conditions) -> NDArray[np.uint8]:
    """When each rule is to be looked at; never where it has no conditions of its own."""
    looks = np.zeros(len(conditions.names), np.uint8)
    for rule in range(len(looks)):
        tokens = conditions.tokens[conditions.start[rule] : conditions.start[rule + 1]]
        own = {int(conditions.kind[c]) for c in tokens if c >= 0}
        if own:
            looks[rule] = judge.BY_STATUS if own & {kinds.STATUS, kinds.PREVIOUS} else judge.BY_SAMPLE
            if own & kinds.TIMED:
                looks[rule] |= judge.BY_TIME
    return looks
