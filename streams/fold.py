"""One partition of the samples topic, folded: windows, baselines, scores, rules, status.

Everything here is a function of the records in their order: the same log gives the same state, findings and
status to the last bit, whoever reads it and however often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from streams import baseline
from streams.evaluate import Change, Rulebook
from streams.panes import PANE_MS, SLOTS, Panes, pane_of
from streams.rules import Rule
from streams.samples import Columns
from streams.series import BLOCK, DEGRADED, HEALTHY, UNHEALTHY, Series

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

LATENCY_FLOOR_MS = 2.0


@dataclass(slots=True)
class Outcome:
    """What one record led to."""

    changes: list[Change] = field(default_factory=list)
    health: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Dirty:
    """What has changed since the last commit, by block."""

    names: set[int] = field(default_factory=set)
    latest: set[int] = field(default_factory=set)
    text: set[int] = field(default_factory=set)
    panes: set[tuple[int, int]] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.names) + len(self.latest) + len(self.text) + len(self.panes)


class Fold:
    """State of one partition. `offset` is the last record folded in, -1 before the first."""

    def __init__(
        self,
        partition: int,
        rules: tuple[Rule, ...],
        labels_of: Callable[[str], Mapping[str, str]],
        declared: dict[str, float],
        health_every_ms: float = 5000.0,
    ) -> None:
        self.partition = partition
        self.offset = -1
        self.panes = Panes(BLOCK)
        self.series = Series(labels_of)
        self.rulebook = Rulebook(rules, self.series, self.panes, declared)
        self.health_every_ms = health_every_ms
        self.dirty = Dirty()
        self.unrolled: set[tuple[int, int]] = set()
        self._told: dict[int, float] = {}
        self._untold: set[int] = set()
        self._severe = np.array([r.severity == "critical" for r in rules], np.bool_)
        self._warns = np.array([r.severity == "warning" for r in rules], np.bool_)

    def advance(self, now_ms: float) -> None:
        """Move the windows on to `now_ms`."""
        self.panes.advance(int(now_ms // PANE_MS))

    def fold(self, columns: Columns, good: NDArray[np.bool_], offset: int, appended_ms: float) -> Outcome:
        """Fold the `good` samples of the record at `offset`, which the broker took at `appended_ms`."""
        self.advance(appended_ms)
        self.offset = offset
        picked = np.flatnonzero(good)
        if not len(picked):
            return Outcome()
        before = len(self.series)
        targets = columns.target
        rows = [np.array([self.series.row(targets[i]) for i in picked.tolist()], np.int64)]
        which, values = [picked], [columns.value[picked]]
        for name, column in columns.metrics:
            has = picked[~np.isnan(column[picked])]
            if len(has):
                rows.append(np.array([self.series.row(targets[i], name) for i in has.tolist()], np.int64))
                which.append(has)
                values.append(column[has])
        if len(self.series) != before:
            self.panes.grow(len(self.series))
            self.rulebook.grow()
            self.dirty.names.update(range(before // BLOCK, (len(self.series) - 1) // BLOCK + 1))
        row, sample, value = np.concatenate(rows), np.concatenate(which), np.concatenate(values)
        is_main = np.arange(len(row)) < len(picked)
        ok = columns.ok[sample] | ~is_main
        time = columns.time[sample]

        panes = pane_of(time)
        kept = self.panes.accepts(panes)
        slots = self.panes.add(row[kept], panes[kept], ok[kept], value[kept])
        touched = set(np.unique((row[kept] // BLOCK) * SLOTS + slots).tolist())
        changed_panes = {(key // SLOTS, key % SLOTS) for key in touched}
        self.dirty.panes |= changed_panes
        self.unrolled |= changed_panes
        self.dirty.latest.update(np.unique(row // BLOCK).tolist())

        for turn in _turns(row):
            self._observe(row[turn], time[turn], ok[turn], value[turn], is_main[turn])
        self._texts(columns, rows[0], picked)
        changes = self.rulebook.judge(np.unique(row))
        mains = np.unique(np.array(self.series.main, np.int64)[row] if len(rows) > 1 else row)
        return Outcome(changes=changes, health=self._status(mains, appended_ms))

    def _observe(self, rows: Rows, time: Floats, ok: NDArray[np.bool_], value: Floats, main: NDArray[np.bool_]) -> None:
        """Take in one sample of each of `rows`: latest values, baseline and score."""
        c = self.series
        newer = time >= c["time"][rows]
        rows, time, ok, value, main = rows[newer], time[newer], ok[newer], value[newer], main[newer]
        c["time"][rows] = time
        c["ok"][rows] = ok
        c["value"][rows] = value
        c["failures"][rows] = np.where(ok, 0, c["failures"][rows] + 1)
        mean, variance, seen, streak = (c[n][rows] for n in ("mean", "variance", "seen", "streak"))
        least = np.where(main, LATENCY_FLOOR_MS, 1e-9)
        # A failed check's time is a timeout's or a refusal's, not the service's: no part of what is normal.
        sound = np.where(ok, value, np.nan)
        z = baseline.score(sound, mean, variance, seen, least)
        c["z"][rows] = z
        c["mean"][rows], c["variance"][rows], c["seen"][rows], c["streak"][rows] = baseline.learn(
            sound, z, mean, variance, seen, streak
        )

    def _texts(self, columns: Columns, rows: Rows, picked: NDArray[np.int64]) -> None:
        texts = self.series.text
        if not texts and not columns.text:
            return
        for row, i in zip(rows.tolist(), picked.tolist(), strict=True):
            new = columns.text.get(i)
            if new != texts.get(row):
                if new is None:
                    del texts[row]
                else:
                    texts[row] = new
                self.dirty.text.add(row // BLOCK)

    def _status(self, mains: Rows, now_ms: float) -> list[int]:
        """Bring the status of the targets at `mains` up to date; return those whose health is to be told."""
        c, holds = self.series, self.rulebook.holds
        severe: NDArray[np.bool_] = np.any(holds[:, mains] & self._severe[:, None], axis=0)
        warns: NDArray[np.bool_] = np.any(holds[:, mains] & self._warns[:, None], axis=0)
        for k, main in enumerate(mains.tolist()):
            for row in c.metrics_of.get(main, ()):
                severe[k] |= bool((holds[:, row] & self._severe).any())
                warns[k] |= bool((holds[:, row] & self._warns).any())
        failing = c["ok"][mains] == 0
        status = np.where(severe, UNHEALTHY, np.where(warns | failing, DEGRADED, HEALTHY))
        changed = status != c["status"][mains]
        c["status"][mains] = status
        c["since"][mains] = np.where(changed, c["time"][mains], c["since"][mains])
        return self._tell(mains.tolist(), now_ms, changed.tolist())

    def _tell(self, mains: list[int], now_ms: float, changed: list[bool]) -> list[int]:
        """Those of `mains` whose health is to be told now; the others are remembered for `overdue`."""
        due = []
        for main, at_once in zip(mains, changed, strict=True):
            if at_once or now_ms - self._told.get(main, -np.inf) >= self.health_every_ms:
                due.append(main)
                self._told[main] = now_ms
                self._untold.discard(main)
            else:
                self._untold.add(main)
        return due

    def overdue(self, now_ms: float) -> list[int]:
        """Targets whose latest health was held back and is due at `now_ms`."""
        held = sorted(self._untold)
        return self._tell(held, now_ms, [False] * len(held))


def _turns(rows: Rows) -> list[NDArray[np.int64]]:
    """Positions of `rows` in turns: no turn has a row twice, and a row's samples keep their order."""
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if len(starts) == len(rows):
        return [np.arange(len(rows))]
    rank = np.arange(len(rows)) - np.repeat(starts, np.diff(np.r_[starts, len(rows)]))
    turn = np.empty(len(rows), np.int64)
    turn[order] = rank
    return [np.flatnonzero(turn == k) for k in range(int(rank.max()) + 1)]
