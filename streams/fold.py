"""One partition of the samples topic, folded: windows, baselines, scores, rules, status.

Everything here is a function of the records in their order: the same log gives the same state, findings and
status to the last bit, whoever reads it and however often.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas.columnar import TargetList
from streams import baseline
from streams.evaluate import Change, Rulebook
from streams.panes import PANE_MS, SLOTS, Panes, pane_of
from streams.rules import Rule
from streams.samples import Columns
from streams.series import BLOCK, Series
from streams.status import Status

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
        self.status = Status(self.series, health_every_ms)
        self.dirty = Dirty()
        self.unrolled: set[tuple[int, int]] = set()
        self._token = object()
        self._text_rows = np.zeros(BLOCK, np.bool_)

    def advance(self, now_ms: float) -> None:
        """Move the windows on to `now_ms`."""
        self.panes.advance(int(now_ms // PANE_MS))

    def fold(self, columns: Columns, good: NDArray[np.bool_], offset: int, appended_ms: float) -> Outcome:
        """Fold the `good` samples of the record at `offset`, which the broker took at `appended_ms`."""
        self.advance(appended_ms)
        self.offset = offset
        whole = bool(good.all())
        picked = np.arange(len(good)) if whole else np.flatnonzero(good)
        if not len(picked):
            return Outcome()
        before = len(self.series)
        own, once = self._rows_of(columns.targets, picked)
        rows, which, values = [own], [picked], [columns.value[picked]]
        for name, column in columns.metrics:
            has = picked[~np.isnan(column[picked])]
            if len(has):
                targets = columns.targets.names
                rows.append(np.array([self.series.row(targets[i], name) for i in has.tolist()], np.int64))
                which.append(has)
                values.append(column[has])
        if len(self.series) != before:
            self.grow()
            self.dirty.names.update(range(before // BLOCK, (len(self.series) - 1) // BLOCK + 1))
        if len(rows) == 1:
            row, value, is_main = own, values[0], np.ones(len(own), np.bool_)
            ok, time = columns.ok[picked], columns.time[picked]
        else:
            row, sample, value = np.concatenate(rows), np.concatenate(which), np.concatenate(values)
            is_main = np.arange(len(row)) < len(picked)
            ok, time = columns.ok[sample] | ~is_main, columns.time[sample]
            once = False

        panes = pane_of(time)
        kept = self.panes.accepts(panes)
        if kept.all():
            slots = self.panes.add(row, panes, ok, value, once=once)
            self._touch(row, slots)
        else:
            self._touch(row[kept], self.panes.add(row[kept], panes[kept], ok[kept], value[kept], once=once))

        if once:
            self._observe(row, time, ok, value, is_main)
            distinct = row
        else:
            for turn in _turns(row):
                self._observe(row[turn], time[turn], ok[turn], value[turn], is_main[turn])
            distinct = np.unique(row)
        self._texts(columns, own, picked)
        changes = self.rulebook.judge(distinct)
        self.status.note(changes)
        mains = distinct if len(rows) == 1 else np.unique(own)
        return Outcome(changes=changes, health=self.status.update(mains, appended_ms))

    def grow(self) -> None:
        """Make room for the rows that the series have gained."""
        self.panes.grow(len(self.series))
        self.rulebook.grow()
        self.status.grow()
        more = len(self.series["time"]) - len(self._text_rows)
        self._text_rows = np.concatenate([self._text_rows, np.zeros(more, np.bool_)])

    def _rows_of(self, targets: TargetList, picked: NDArray[np.int64]) -> tuple[Rows, bool]:
        """Row of the own checks of each target that is `picked`, and whether no target of the list comes twice.

        Worked out once a list; a target gets a row with its first usable sample, never for a refused one.
        """
        found: tuple[Rows, bool] | None = targets.notes.get(self._token)
        if found is None:
            once = len(set(targets.names)) == len(targets.names)
            found = targets.notes[self._token] = np.full(len(targets.names), -1, np.int64), once
        rows, once = found
        own = rows if len(picked) == len(rows) else rows[picked]
        if len(own) and own.min() < 0:
            for i in picked[own < 0].tolist():
                rows[i] = self.series.row(targets.names[i])
            own = rows if len(picked) == len(rows) else rows[picked]
        return own, once

    def _touch(self, rows: Rows, slots: Rows) -> None:
        """Mark blocks and panes as changed since the last commit."""
        blocks = rows // BLOCK
        touched = {(key // SLOTS, key % SLOTS) for key in np.unique(blocks * SLOTS + slots).tolist()}
        self.dirty.panes |= touched
        self.unrolled |= touched
        self.dirty.latest.update(np.unique(blocks).tolist())

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
        """Keep the text of each target's latest sample that has one, and drop it with the next that has none."""
        texts = self.series.text
        had = self._text_rows[rows]
        if not columns.text and not had.any():
            return
        for k, i in enumerate(picked.tolist()):
            new = columns.text.get(i)
            if new is None and not had[k]:
                continue
            row = int(rows[k])
            if new is None:
                texts.pop(row, None)
            else:
                texts[row] = new
            self._text_rows[row] = new is not None
            self.dirty.text.add(row // BLOCK)

    def loaded(self) -> None:
        """Work out what is not stored, after the state was filled from table entries."""
        self._text_rows[list(self.series.text)] = True
        self.status.count(self.rulebook)
        self.panes.sum_closed()


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
