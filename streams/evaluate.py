"""Rules judged on columns: which rows a rule looks at, what it sees there, and where it changed its mind."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.baseline import GRACE
from streams.labels import matches
from streams.panes import Panes
from streams.rules import BUILT_IN, Rule, compare
from streams.series import Series

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Change:
    """A rule began or ceased to hold for a row."""

    rule: Rule
    row: int
    holds: bool
    value: float
    count: float
    baseline: float | None
    score: float | None


class Rulebook:
    """Every rule against every row of one partition.

    `applies` and `holds` are boolean, one line a rule, one entry a row. `declared` is the declared latency
    baseline of each row in milliseconds, NaN where the learnt one counts.
    """

    def __init__(self, rules: tuple[Rule, ...], series: Series, panes: Panes, declared: dict[str, float]) -> None:
        self.rules = rules
        self.series, self.panes = series, panes
        self._declared = declared
        self.baseline = np.empty(0)
        self.applies = np.zeros((len(rules), 0), np.bool_)
        self.holds = np.zeros((len(rules), 0), np.bool_)
        self.grow()

    def grow(self) -> None:
        """Take in the rows that `series` has gained."""
        start, rows = self.applies.shape[1], len(self.series)
        if start == rows:
            return
        fresh = np.zeros((len(self.rules), rows - start), np.bool_)
        for row in range(start, rows):
            target, metric = self.series.names[row]
            for i, rule in enumerate(self.rules):
                wanted = "" if rule.metric in BUILT_IN else rule.metric
                fresh[i, row - start] = metric == wanted and matches(rule.match, self.series.labels_of(target))
        self.applies = np.concatenate([self.applies, fresh], axis=1)
        self.holds = np.concatenate([self.holds, np.zeros_like(fresh)], axis=1)
        more = [self._declared.get(t, np.nan) if m == "" else np.nan for t, m in self.series.names[start:]]
        self.baseline = np.concatenate([self.baseline, more])

    def normal(self, rows: Rows) -> Floats:
        """Baseline of each row: declared, else learnt; NaN in the grace period."""
        learnt = np.where(self.series["seen"][rows] >= GRACE, self.series["mean"][rows], np.nan)
        declared = self.baseline[rows]
        return np.where(np.isnan(declared), learnt, declared)

    def values(self, rule: Rule, rows: Rows) -> tuple[Floats, Floats]:  # noqa: PLR0911 - one a kind of value
        """What `rule` compares, and how many samples stand behind it, one entry a row."""
        series, one = self.series, np.ones(len(rows))
        match rule.metric, rule.aggregate:
            case "up", _:
                return series["ok"][rows].astype(np.float64), one
            case "consecutive_failures", _:
                return series["failures"][rows].astype(np.float64), one
            case _, "zscore":
                return series["z"][rows], one
            case "error_rate" | "errors" | "count" as metric, _:
                window = self.panes.window(rule.window, rows)
                values: Floats = {"error_rate": window.error_rate, "errors": window.errors, "count": window.count}[
                    metric
                ]
                return values, window.count
            case _, "last":
                return series["value"][rows], one
            case _, "mean":
                window = self.panes.window(rule.window, rows)
                return window.mean, window.value_count
            case _, "ratio":
                window = self.panes.window(rule.window, rows)
                return window.mean / self.normal(rows), window.value_count
            case _, aggregate:
                window = self.panes.window(rule.window, rows)
                return self.panes.extreme(f"value_{aggregate}", rule.window, rows), window.value_count

    def judge(self, rows: Rows) -> list[Change]:
        """Judge every rule on `rows` (each once); remember and return what changed.

        No value, or too few samples, changes nothing: what is not known cannot end or begin an episode.
        """
        changes: list[Change] = []
        for i, rule in enumerate(self.rules):
            some = rows[self.applies[i, rows]]
            if not len(some):
                continue
            values, counts = self.values(rule, some)
            known = ~np.isnan(values) & (counts >= rule.min_samples)
            holds = np.where(known, compare(rule.operator, values, rule.value), self.holds[i, some])
            changed = np.flatnonzero(holds != self.holds[i, some])
            if not len(changed):
                continue
            self.holds[i, some] = holds
            changes += [
                self._change(rule, int(some[k]), bool(holds[k]), values[k], counts[k]) for k in changed.tolist()
            ]
        return changes

    def held(self) -> list[Change]:
        """Every rule that holds, row by row, with what it sees there now."""
        found: list[Change] = []
        for i, rule in enumerate(self.rules):
            rows = np.flatnonzero(self.holds[i] & self.applies[i])
            if len(rows):
                values, counts = self.values(rule, rows)
                found += [self._change(rule, int(r), True, v, c) for r, v, c in zip(rows, values, counts, strict=True)]
        return found

    def _change(self, rule: Rule, row: int, holds: bool, value: float, count: float) -> Change:
        base = float(self.normal(np.array([row]))[0])
        z = float(self.series["z"][row])
        return Change(
            rule=rule,
            row=row,
            holds=holds,
            value=float(value),
            count=float(count),
            baseline=None if np.isnan(base) else base,
            score=None if np.isnan(z) else z,
        )
