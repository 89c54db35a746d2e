"""The state of one partition as arrays: series by row, targets by number.

A target's own checks are a row, and each of its metrics is another; rows of a target need not lie together.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel import baseline, change, flat, forecast, kinds, panes, robust, seasonal, surprise
from streams.kernel.jit import inlined, lean
from streams.kernel.panes import Ring
from streams.kernel.sketch_cells import Arena

HEALTHY, DEGRADED, UNHEALTHY, UNKNOWN = range(4)
FALSE, TRUE, UNSURE = range(3)

# HOUR is the quarter of an hour of the latest value, HOUR_SUM and HOUR_COUNT of its whole hour.
# Columns of Series.num: those of every series, then those of the scores that some rule looks at (see `Layout`).
TIME, VALUE, Z, SEEN_AT, OK_AT, DECLARED, DECLARED_ERRORS, SEASON, HOUR, HOUR_SUM, HOUR_COUNT = range(11)
BASELINE = 11
ALWAYS = BASELINE + baseline.SIZE
# Columns of Targets.num, .place and .flag.
SINCE, FAILURES, TOLD = range(3)
ERROR_BASELINE = 3
TARGET_FIELDS = ERROR_BASELINE + surprise.SIZE
MAIN, RULE_SET, NAME, WARNS, CRITICALS = range(5)
OK, STATUS, TEXT, TOLD_STATUS, UNTOLD, LIVE, PREVIOUS = range(7)
FLAGS = 7
PROBES = 2  # whose sequence numbers are known, by target
# Cells of the clock. TICKED is the next target to be looked at because time has passed; STORED the newest pane when the
# state was last written.
HEAD, NOW, ROWS, TARGETS, DUPLICATES, LATE_PANES, TICKED, FREE_ROWS, FREE_TARGETS, STORED = range(10)
CLOCK_CELLS = 12
# Scores that are kept only where a rule looks at them: entry of the layout, cells, one more for the latest score.
# Stored states know them by these numbers: a new one comes last.
ROBUST, CHANGE, FLAT, FORECAST, SKETCHED, SEASONAL_CHANGE = range(6)
_SCORES = (
    (ROBUST, kinds.ROBUST, robust.SIZE + 1),
    (CHANGE, kinds.CHANGE, change.SIZE + 1),
    (FLAT, kinds.FLAT, flat.SIZE + 1),
    (FORECAST, kinds.FORECAST, forecast.SIZE),
    (SEASONAL_CHANGE, kinds.SEASONAL_CHANGE, change.SIZE + 1),
)
SCORE_SIZES = tuple((entry, size) for entry, _, size in _SCORES)


class Series(NamedTuple):
    """By row: latest values and scores in `num`, its target and metric, -1 where the row is free."""

    num: NDArray[np.float64]
    target: NDArray[np.int32]
    metric: NDArray[np.int32]


class Targets(NamedTuple):
    """By target: what it is (`num`, `place`, `flag`), sequences seen by probe, rules that hold, conditions that hold.

    `seen[t, p]` is a probe's hash, the highest sequence and a mask of the 64 below it. `row_of[t, m]` is the row of
    the m-th metric that rules look at, -1 where there is none.
    """

    num: NDArray[np.float64]
    place: NDArray[np.int32]
    flag: NDArray[np.uint8]
    seen: NDArray[np.uint64]
    holds: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    row_of: NDArray[np.int32]


class Index(NamedTuple):
    """Row by target and metric: an open hash table of pairs; `key` is target << 20 | metric, -1 where none."""

    key: NDArray[np.int64]
    row: NDArray[np.int32]


class Dirty(NamedTuple):
    """By block of rows: whether its names, latest values, slots, hours of the week changed since they were stored.

    `unrolled` are slots changed since they were told as rollups.
    """

    names: NDArray[np.uint8]
    latest: NDArray[np.uint8]
    slot: NDArray[np.uint8]
    unrolled: NDArray[np.uint8]
    season: NDArray[np.uint8]


class Seasons(NamedTuple):
    """By hour of the week and row: mean, weeks learnt; by row: spread, and whether to be stored anew (hour + 1)."""

    mean: NDArray[np.float32]
    weeks: NDArray[np.uint8]
    spread: NDArray[np.float32]


class State(NamedTuple):
    """All of it.

    `layout` is where in Series.num the cells of ROBUST, CHANGE, FLAT, FORECAST, SEASONAL_CHANGE begin, -1: nowhere;
    and, for SKETCHED, how many panes of 10 s the sketches keep, -1: there are none.
    `free_rows` and `free_targets` are stacks of what was given up; the clock knows their heights.
    """

    clock: NDArray[np.int64]
    layout: NDArray[np.int64]
    free_rows: NDArray[np.int64]
    free_targets: NDArray[np.int64]
    series: Series
    targets: Targets
    ring: Ring
    index: Index  # type: ignore[assignment]  # over the method of a tuple, which nobody calls
    dirty: Dirty
    seasons: Seasons
    sketch: Arena


BLOCK = 256


def _blocks(rows: int) -> int:
    return (rows + BLOCK - 1) // BLOCK


def layout_of(wanted: set[int]) -> tuple[NDArray[np.int64], int]:
    """Where the cells of the scores of `wanted` kinds begin, and how many columns there are in all."""
    at, out = ALWAYS, np.full(len(_SCORES) + 1, -1, np.int64)
    for entry, kind, size in _SCORES:
        if kind in wanted:
            out[entry] = at
            at += size
    return out, at


def _series(rows: int, fields: int) -> Series:
    num = np.zeros((rows, fields))
    num[:, :ALWAYS] = EMPTY
    return Series(num, np.full(rows, -1, np.int32), np.full(rows, -1, np.int32))


EMPTY = np.zeros(ALWAYS)
EMPTY[TIME] = -np.inf
EMPTY[[VALUE, Z, DECLARED, DECLARED_ERRORS, SEASON]] = np.nan
EMPTY[HOUR] = -1.0


def _targets(count: int, rules: int, conditions: int, metrics: int) -> Targets:
    num = np.zeros((count, TARGET_FIELDS))
    num[:, TOLD] = -np.inf
    flag = np.zeros((count, FLAGS), np.uint8)
    flag[:, OK] = 1
    flag[:, STATUS] = flag[:, TOLD_STATUS] = flag[:, PREVIOUS] = UNKNOWN
    return Targets(
        num,
        np.zeros((count, 5), np.int32),
        flag,
        np.zeros((count, PROBES, 3), np.uint64),
        np.zeros((count, rules), np.uint8),
        np.zeros((count, conditions), np.uint8),
        np.full((count, metrics), -1, np.int32),
    )


def no_target(targets: Targets) -> Targets:
    """One target's entries as they are before its first sample."""
    one = _targets(1, targets.holds.shape[1], targets.truth.shape[1], targets.row_of.shape[1])
    return Targets(*(column[0] for column in one))


def _dirty(rows: int) -> Dirty:
    n, slots = _blocks(rows), panes.EVERY_SLOT
    return Dirty(
        np.zeros(n, np.uint8),
        np.zeros(n, np.uint8),
        np.zeros((n, slots), np.uint8),
        np.zeros((n, slots), np.uint8),
        np.zeros((n, seasonal.HOURS + 1), np.uint8),
    )


def _index(rows: int) -> Index:
    size = 1 << (2 * rows).bit_length()
    return Index(np.full(size, -1, np.int64), np.zeros(size, np.int32))


def _seasons(rows: int) -> Seasons:
    return Seasons(
        np.zeros((seasonal.HOURS, rows), np.float32),
        np.zeros((seasonal.HOURS, rows), np.uint8),
        np.zeros(rows, np.float32),
    )


def fresh(
    rules: int, conditions: int, metrics: int, windows: list[float], wanted: set[int], sketch: Arena, size: int = BLOCK
) -> State:
    """An empty state with room for `size` rows and targets, and the cells for scores of the `wanted` kinds."""
    clock = np.zeros(CLOCK_CELLS, np.int64)
    clock[HEAD] = clock[STORED] = -1
    layout, fields = layout_of(wanted)
    return State(
        clock,
        layout,
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        _series(size, fields),
        _targets(size, rules, conditions, metrics),
        panes.fresh(size, windows),
        _index(size),
        _dirty(size),
        _seasons(size),
        sketch,
    )


def _over(new: NamedTuple, old: NamedTuple) -> None:
    for bigger, smaller in zip(new, old, strict=True):
        bigger[: len(smaller)] = smaller


def grown(state: State, rows: int, targets: int) -> State:
    """The same state with room for so many rows and targets; its sketches grow by themselves."""
    held = len(state.series.num)
    if rows > held:
        series, dirty, index = _series(rows, state.series.num.shape[1]), _dirty(rows), _index(rows)
        _over(series, state.series)
        _over(dirty, state.dirty)
        copy_index(state.index, index)
        seasons = _seasons(rows)
        for hour in np.flatnonzero(state.seasons.weeks.any(axis=1)).tolist():  # untouched hours take no memory
            seasons.mean[hour, :held] = state.seasons.mean[hour]
            seasons.weeks[hour, :held] = state.seasons.weeks[hour]
        seasons.spread[:held] = state.seasons.spread
        free = np.zeros(rows, np.int64)
        free[:held] = state.free_rows
        state = state._replace(
            series=series, dirty=dirty, index=index, ring=panes.grown(state.ring, rows), seasons=seasons, free_rows=free
        )
    if targets > len(state.targets.num):
        old = state.targets
        more = _targets(targets, old.holds.shape[1], old.truth.shape[1], old.row_of.shape[1])
        _over(more, old)
        free = np.zeros(targets, np.int64)
        free[: len(old.num)] = state.free_targets
        state = state._replace(targets=more, free_targets=free)
    return state


@inlined
def find_row(index: Index, target: int, metric: int) -> int:
    """Row of a target's metric, -1 where it has none."""
    key = target << 20 | metric
    mask = len(index.key) - 1
    at = (key * 0x9E3779B97F4A7C1) >> 20 & mask
    while index.key[at] >= 0:
        if index.key[at] == key:
            return index.row[at]
        at = (at + 1) & mask
    return -1


@lean
def keep_row(index: Index, target: int, metric: int, row: int) -> None:
    """Remember the row of a target's metric, which is a new one."""
    key = target << 20 | metric
    mask = len(index.key) - 1
    at = (key * 0x9E3779B97F4A7C1) >> 20 & mask
    while index.key[at] >= 0:
        at = (at + 1) & mask
    index.key[at], index.row[at] = key, row


@lean
def keep_rows(index: Index, targets: NDArray[np.int64], metrics: NDArray[np.int64], rows: NDArray[np.int64]) -> None:
    """As `keep_row` for each of several."""
    for i in range(len(rows)):
        keep_row(index, targets[i], metrics[i], rows[i])


@lean
def copy_index(old: Index, new: Index) -> None:
    """Put every entry of `old` into the empty `new`."""
    for i in range(len(old.key)):
        if old.key[i] >= 0:
            keep_row(new, old.key[i] >> 20, old.key[i] & 0xFFFFF, old.row[i])


@lean
def reindex(index: Index, series: Series, rows: int) -> None:
    """Make the index anew, of the rows below `rows` that are taken."""
    for i in range(len(index.key)):
        index.key[i] = -1
    for row in range(rows):
        if series.target[row] >= 0:
            keep_row(index, series.target[row], series.metric[row], row)
