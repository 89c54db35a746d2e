"""The names that a partition knows, and how those that fell silent are given up."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import numpy as np
from numpy.typing import NDArray

from streams.kernel import names, panes, seasonal, sketch, state
from streams.kernel.state import BLOCK, State

HOUR_MS = 3_600_000


class Memory:
    """Names of targets by number, and by that number: target (-1: none yet), rule set, what is declared normal."""

    def __init__(self) -> None:
        self.table = names.fresh()
        self.names: list[str] = []
        self.number: dict[str, int] = {}
        self.target_of = np.full(256, -1, np.int64)
        self.set_of = np.zeros(256, np.int64)
        self.declared = np.full((256, 2), np.nan)
        self.hour = 0

    def hour_of(self, time_ms: int) -> int:
        """The hour of a record's time, never before the latest one seen."""
        return max(self.hour, time_ms // HOUR_MS)

    def add(self, name: str, rule_set: int, latency_ms: float, error_rate: float) -> int:
        """Number of a new name."""
        return self.add_all([name], [(rule_set, latency_ms, error_rate)])

    def add_all(self, more: Sequence[str], terms: Sequence[tuple[int, float, float]]) -> int:
        """Number of the first of several new names, each with its rule set and what is declared normal."""
        self.table, first = names.add_all(self.table, more)
        end = first + len(more)
        self.names += more
        self.number.update(zip(more, range(first, end), strict=True))
        if end > len(self.target_of):
            room = max(len(self.target_of), end - len(self.target_of))
            self.target_of = np.concatenate([self.target_of, np.full(room, -1, np.int64)])
            self.set_of = np.concatenate([self.set_of, np.zeros(room, np.int64)])
            self.declared = np.concatenate([self.declared, np.full((room, 2), np.nan)])
        if more:
            self.set_of[first:end] = [s for s, _, _ in terms]
            self.declared[first:end] = [(latency, errors) for _, latency, errors in terms]
        return first


def forget(held: State, memory: Memory, before_ms: float, keep: AbstractSet[str]) -> list[tuple[int, str, list[int]]]:
    """Free the rows of targets without a sample since `before_ms` that are not to be kept.

    Each by its number and its name, with the rules that held for it.
    """
    count = int(held.clock[state.TARGETS])
    places, live = held.targets.place[:count], held.targets.flag[:count, state.LIVE] == 1
    seen = held.series.num[places[:, state.MAIN], state.SEEN_AT]
    found = [(t, memory.names[places[t, state.NAME]]) for t in np.flatnonzero(live & (seen < before_ms)).tolist()]
    gone = [(t, name, np.flatnonzero(held.targets.holds[t]).tolist()) for t, name in found if name not in keep]
    give_up(held, memory, [t for t, _, _ in gone])
    return gone


def give_up(held: State, memory: Memory, targets: list[int]) -> None:
    """Free the rows of `targets`, by number, and forget every name without a target."""
    count = int(held.clock[state.TARGETS])
    live = np.count_nonzero(held.targets.flag[:count, state.LIVE] == 1)
    if targets:
        idle, taken = np.array(targets), int(held.clock[state.ROWS])
        _free_rows(held, np.flatnonzero(np.isin(held.series.target[:taken], idle)))
        _free_targets(held, idle)
        state.reindex(held.index, held.series, taken)
    if len(memory.names) > live - len(targets):
        _keep_names(held, memory)


def _free_rows(held: State, rows: NDArray[np.int64]) -> None:
    ring, seasons, dirty = held.ring, held.seasons, held.dirty
    blocks = rows // BLOCK
    for used, marks in (
        (ring.counts[:, rows, panes.COUNT] > 0, dirty.slot),
        (seasons.weeks[:, rows] > 0, dirty.season),
    ):
        for at in np.flatnonzero(used.any(axis=1)).tolist():  # what was not touched takes no memory
            marks[blocks[used[at]], at] = 1
            if marks is dirty.season:
                seasons.mean[at, rows] = seasons.weeks[at, rows] = 0
    dirty.names[blocks] = dirty.latest[blocks] = dirty.season[blocks, seasonal.HOURS] = 1
    for slot in np.flatnonzero(ring.counts[:, rows, panes.COUNT].any(axis=1)).tolist():
        ring.part[slot, rows] = ring.total[slot, rows] = 0.0
    ring.closed_at[rows] = -1
    seasons.spread[rows] = 0.0
    held.series.num[rows] = 0.0
    held.series.num[rows, : state.ALWAYS] = state.EMPTY
    held.series.target[rows] = held.series.metric[rows] = -1
    if held.layout[state.SKETCHED] >= 0:
        for row in rows.tolist():
            sketch.clear(held.sketch, row)
    free = int(held.clock[state.FREE_ROWS])
    held.free_rows[free : free + len(rows)] = rows
    held.free_rows[: free + len(rows)].sort()  # so that it is the same after a restart which is used next
    held.clock[state.FREE_ROWS] = free + len(rows)


def _free_targets(held: State, idle: NDArray[np.int64]) -> None:
    targets = held.targets
    empty = state.no_target(targets)
    for field in targets._fields:
        getattr(targets, field)[idle] = getattr(empty, field)
    for target in idle.tolist():
        held.free_targets[held.clock[state.FREE_TARGETS]] = target
        held.clock[state.FREE_TARGETS] += 1


def _keep_names(held: State, memory: Memory) -> None:
    """Forget every name without a target."""
    count = len(memory.names)
    target_of, places, flags = memory.target_of[:count], held.targets.place, held.targets.flag
    keep = (target_of >= 0) & (flags[target_of, state.LIVE] == 1) & (places[target_of, state.NAME] == np.arange(count))
    kept = np.flatnonzero(keep)
    table = names.fresh(max(256, len(kept)), max(8192, int(memory.table.start[count])))
    names.copy_some(memory.table, keep, table)
    places[target_of[kept], state.NAME] = np.arange(len(kept))
    memory.table, memory.names = table, [memory.names[i] for i in kept.tolist()]
    memory.number = {name: i for i, name in enumerate(memory.names)}
    size = max(256, len(kept))
    for field, nothing in (("target_of", -1), ("set_of", 0), ("declared", np.nan)):
        old = getattr(memory, field)
        new = np.full((size, *old.shape[1:]), nothing, old.dtype)
        new[: len(kept)] = old[kept]
        setattr(memory, field, new)
