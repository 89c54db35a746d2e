"""What detect tells: findings, health and rollups, made from a partition's columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from schemas import Finding, Health, Rollup
from streams.panes import AHEAD, PANE_MS, SLOTS
from streams.series import BLOCK, STATUS

if TYPE_CHECKING:
    from streams.evaluate import Change
    from streams.fold import Fold


def finding(fold: Fold, change: Change, offset: int) -> Finding:
    """The finding of `change`, which the record at `offset` led to."""
    rule, (target, _) = change.rule, fold.series.names[change.row]
    code, message = fold.series.text.get(fold.series.main[change.row], ("", ""))
    return Finding(
        target=target,
        rule=rule.name,
        holds=change.holds,
        time=float(fold.series["time"][change.row]),
        severity=rule.severity,
        metric=rule.metric,
        aggregate=rule.aggregate,
        operator=rule.operator,
        threshold=rule.value,
        value=change.value,
        window_s=rule.window,
        count=change.count,
        baseline=change.baseline,
        score=change.score,
        status=code,
        message=message,
        source_partition=fold.partition,
        source_offset=offset,
    )


def health(fold: Fold, main: int) -> Health:
    """The health of the target whose own row is `main`."""
    c, rows = fold.series, np.array([main], np.int64)
    five, hour = fold.panes.window(300.0, rows), fold.panes.window(3600.0, rows)
    others = c.metrics_of.get(main, [])
    held = np.flatnonzero(np.any(fold.rulebook.holds[:, [main, *others]], axis=1))
    code, message = c.text.get(main, ("", ""))
    return Health(
        target=c.names[main][0],
        status=STATUS[int(c["status"][main])],
        since=float(c["since"][main]),
        time=float(c["time"][main]),
        ok=bool(c["ok"][main]),
        latency_ms=_known(c["value"][main]),
        latency_mean_ms=_known(five.mean[0]),
        baseline_ms=_known(fold.rulebook.normal(rows)[0]),
        error_rate=_known(five.error_rate[0]) or 0.0,
        count_1h=float(hour.count[0]),
        errors_1h=float(hour.errors[0]),
        consecutive_failures=int(c["failures"][main]),
        metrics={c.names[r][1]: float(c["value"][r]) for r in others if not np.isnan(c["value"][r])},
        rules=[fold.rulebook.rules[i].name for i in held],
        code=code,
        message=message,
        labels=dict(c.labels_of(c.names[main][0])),
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def rollups(fold: Fold, now_ms: float) -> list[Rollup]:
    """Rollups of the panes that are over at `now_ms` and were written since they were last told."""
    newest = fold.panes.head + AHEAD
    told, out = set(), []
    for block, slot in sorted(fold.unrolled):
        pane = newest - (newest - slot) % SLOTS
        if (pane + 1) * PANE_MS > now_ms:
            continue
        told.add((block, slot))
        columns = fold.panes.columns
        rows = np.arange(block * BLOCK, min((block + 1) * BLOCK, len(fold.series)))
        rows = rows[columns["count"][slot, rows] > 0]
        if not len(rows):
            continue
        names = [fold.series.names[r] for r in rows.tolist()]
        out.append(
            Rollup(
                partition=fold.partition,
                block=block,
                pane_start=float(pane * PANE_MS),
                pane_ms=PANE_MS,
                target=[t for t, _ in names],
                metric=[m for _, m in names],
                **{n: columns[n][slot, rows].tolist() for n in columns},
            )
        )
    fold.unrolled -= told
    return out
