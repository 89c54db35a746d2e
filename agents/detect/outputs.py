"""What detect tells: findings, health and rollups, made from a partition's columns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from schemas import Health, Rollup
from streams.blocks import pane_of_slot
from streams.findings import finding
from streams.kernel import judge, panes, state
from streams.kernel.state import BLOCK

if TYPE_CHECKING:
    from streams.fold import Fold

__all__ = ["STATUS", "due_health", "finding", "health", "metric_rows", "rollup_key", "rollups"]

_LONG_MS = panes.PANE_MS * panes.STEPS[1]
STATUS = ("healthy", "degraded", "unhealthy", "unknown")


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def due_health(fold: Fold, now_ms: float, every_ms: float, most: int) -> list[int]:
    """Targets whose health is to be told now: those whose status has changed, then, oldest first, those that are due.

    At most `most` of the latter: with very many targets health is a sample of what goes on, and findings are not.
    """
    count = int(fold.state.clock[state.TARGETS])
    targets = fold.state.targets
    flags, told = targets.flag[:count], targets.num[:count, state.TOLD]
    untold = (flags[:, state.UNTOLD] == 1) & (flags[:, state.LIVE] == 1)
    changed = np.flatnonzero(untold & (flags[:, state.STATUS] != flags[:, state.TOLD_STATUS]))
    waiting = np.flatnonzero(
        untold & (flags[:, state.STATUS] == flags[:, state.TOLD_STATUS]) & (now_ms - told >= every_ms)
    )
    if len(waiting) > most:
        waiting = waiting[np.argpartition(told[waiting], most)[:most]]
    due = np.concatenate([changed, waiting])
    targets.num[due, state.TOLD] = now_ms
    targets.flag[due, state.UNTOLD] = 0
    targets.flag[due, state.TOLD_STATUS] = targets.flag[due, state.STATUS]
    return [int(t) for t in due]


def health(fold: Fold, target: int, metrics: dict[int, list[int]]) -> Health:
    """The health of `target`, whose metrics are in the rows that `metrics` names."""
    held = fold.state
    head = int(held.clock[state.HEAD])
    row = int(held.targets.place[target, state.MAIN])
    num, flag = held.series.num[row], held.targets.flag[target]
    count, errors, values, total = panes.sums(held.ring, row, 0, 30, head)
    hour_count, hour_errors, _, _ = panes.sums(held.ring, row, 1, 12, head)
    code, message = fold.text.get(target, ("", ""))
    name = fold.name_of(target)
    return Health(
        target=name,
        status=STATUS[int(flag[state.STATUS])],
        since=float(held.targets.num[target, state.SINCE]),
        time=float(num[state.TIME]),
        ok=bool(flag[state.OK]),
        latency_ms=_known(num[state.VALUE]),
        latency_mean_ms=total / values if values else None,
        baseline_ms=_known(judge.normal(held, row)),
        error_rate=errors / count if count else 0.0,
        count_1h=hour_count,
        errors_1h=hour_errors,
        consecutive_failures=int(held.targets.num[target, state.FAILURES]),
        metrics=_metrics(fold, metrics.get(target, [])),
        rules=[fold.rules[i].name for i in np.flatnonzero(held.targets.holds[target] == state.TRUE).tolist()],
        code=code,
        message=message,
        labels=dict(fold.admission.labels_of(name)),
    )


def _metrics(fold: Fold, rows: list[int]) -> dict[str, float]:
    series = fold.state.series
    found = {fold.metric_names[int(series.metric[r])]: float(series.num[r, state.VALUE]) for r in rows}
    return {name: value for name, value in found.items() if not math.isnan(value)}


def metric_rows(fold: Fold, targets: list[int]) -> dict[int, list[int]]:
    """The rows of the metrics of each of `targets`."""
    series = fold.state.series
    rows = int(fold.state.clock[state.ROWS])
    if not targets or len(fold.metric_names) == 1:
        return {}
    chosen = np.zeros(len(fold.state.targets.num) + 1, np.bool_)  # the last for rows of no target
    chosen[targets] = True
    found: dict[int, list[int]] = {}
    for row in np.flatnonzero(chosen[series.target[:rows]] & (series.metric[:rows] > 0)).tolist():
        found.setdefault(int(series.target[row]), []).append(row)
    return found


def rollups(fold: Fold, now_ms: float) -> list[Rollup]:
    """Rollups of the panes that are over at `now_ms` and were written since they were last told.

    A sample so late that its pane of 10 s is gone is told with the pane of 5 min that it went into. From then on that
    pane is told whenever a pane of 10 s in it is: only so it is never behind them, and history goes by the fuller.
    """
    held, out = fold.state, []
    unrolled = held.dirty.unrolled
    head, rows = int(held.clock[state.HEAD]), int(held.clock[state.ROWS])
    for block, slot in np.argwhere(unrolled[: (rows + BLOCK - 1) // BLOCK, : panes.BASE[2]]).tolist():
        tier = 0 if slot < panes.BASE[1] else 1
        length = panes.PANE_MS * panes.STEPS[tier]
        start = pane_of_slot(slot, head) * length
        if start + length > now_ms:
            continue
        unrolled[block, slot] = 0
        if tier == 1:
            fold.told_long.add((block, start))
        elif (block, start - start % _LONG_MS) in fold.told_long:
            unrolled[block, panes.BASE[1] + start // _LONG_MS % panes.SLOTS[1]] = 1
        part, counts, total = held.ring.part[slot], held.ring.counts[slot], held.ring.total[slot]
        some = np.arange(block * BLOCK, min((block + 1) * BLOCK, rows))
        some = some[(counts[some, panes.COUNT] > 0) & (held.series.target[some] >= 0)]
        if len(some):
            valued = counts[some, panes.VALUES] > 0
            out.append(
                Rollup(
                    partition=fold.partition,
                    block=block,
                    pane_start=float(start),
                    pane_ms=length,
                    target=[fold.name_of(t) for t in held.series.target[some].tolist()],
                    metric=[fold.metric_names[m] for m in held.series.metric[some].tolist()],
                    count=counts[some, panes.COUNT].tolist(),
                    errors=counts[some, panes.ERRORS].tolist(),
                    value_count=counts[some, panes.VALUES].tolist(),
                    value_sum=total[some].tolist(),
                    value_min=np.where(valued, part[some, panes.LEAST], np.nan).tolist(),
                    value_max=np.where(valued, part[some, panes.MOST], np.nan).tolist(),
                )
            )
    fold.told_long = {(b, start) for b, start in fold.told_long if start + panes.SLOTS[1] * _LONG_MS > now_ms}
    return out


def rollup_key(rollup: Rollup) -> str:
    """Key of a rollup, of which a later record replaces an earlier one; a long pane is no short one of its start."""
    key = f"{rollup.partition}/{rollup.block}/{rollup.pane_start:.0f}"
    return key if rollup.pane_ms == panes.PANE_MS else f"{key}/{rollup.pane_ms}"
