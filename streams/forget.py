"""The names that a partition knows, and how those that fell silent are given up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.kernel import names, panes, sketch, state
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
        self.table, number = names.add(self.table, name)
        self.names.append(name)
        self.number[name] = number
        if number >= len(self.target_of):
            more = len(self.target_of)
            self.target_of = np.concatenate([self.target_of, np.full(more, -1, np.int64)])
            self.set_of = np.concatenate([self.set_of, np.zeros(more, np.int64)])
            self.declared = np.concatenate([self.declared, np.full((more, 2), np.nan)])
        self.set_of[number] = rule_set
        self.declared[number] = latency_ms, error_rate
        return number


def forget(held: State, memory: Memory, before_ms: float) -> list[tuple[int, list[int]]]:
    """Free the rows of targets without a sample since `before_ms`; each with the rules that held for it."""
    count = int(held.clock[state.TARGETS])
    places, flags = held.targets.place[:count], held.targets.flag[:count]
    seen = held.series.num[places[:, state.MAIN], state.SEEN_AT]
    idle = np.flatnonzero((flags[:, state.LIVE] == 1) & (seen < before_ms))
    if not len(idle):
        return []
    gone = [(int(t), np.flatnonzero(held.targets.holds[t]).tolist()) for t in idle]
    rows = np.flatnonzero(np.isin(held.series.target[: int(held.clock[state.ROWS])], idle))
    for row in rows.tolist():
        _free_row(held, row)
    _free_targets(held, idle)
    held.index.key[:] = -1
    taken = np.flatnonzero(held.series.target[: int(held.clock[state.ROWS])] >= 0)
    for row in taken.tolist():
        state.keep_row(held.index, int(held.series.target[row]), int(held.series.metric[row]), row)
    _keep_names(held, memory)
    return gone


def _free_row(held: State, row: int) -> None:
    for slot in range(panes.EVERY_SLOT):
        panes.clear(held.ring, slot, row, row + 1)
    held.ring.closed_at[row] = -1
    held.series.num[row] = 0.0
    held.series.num[row, : state.ALWAYS] = state.EMPTY
    held.series.target[row] = held.series.metric[row] = -1
    held.seasons.mean[:, row], held.seasons.weeks[:, row], held.seasons.spread[row] = 0, 0, 0
    if held.layout[state.SKETCHED] >= 0:
        sketch.clear(held.sketch, row)
    block = row // BLOCK
    for dirty in (held.dirty.names, held.dirty.latest, held.dirty.slot, held.dirty.season):
        dirty[block] = 1
    held.free_rows[held.clock[state.FREE_ROWS]] = row
    held.clock[state.FREE_ROWS] += 1


def _free_targets(held: State, idle: NDArray[np.int64]) -> None:
    targets = held.targets
    empty = state.no_target(targets)
    for column, nothing in zip(targets, empty, strict=True):
        column[idle] = nothing
    for target in idle.tolist():
        held.free_targets[held.clock[state.FREE_TARGETS]] = target
        held.clock[state.FREE_TARGETS] += 1


def _keep_names(held: State, memory: Memory) -> None:
    """Forget every name without a target."""
    kept = [i for i in range(len(memory.names)) if memory.target_of[i] >= 0 and _lives(held, memory, i)]
    old_names, targets = memory.names, memory.target_of
    sets, declared = memory.set_of, memory.declared
    fresh = Memory()
    for i in kept:
        number = fresh.add(old_names[i], int(sets[i]), float(declared[i, 0]), float(declared[i, 1]))
        fresh.target_of[number] = targets[i]
        held.targets.place[targets[i], state.NAME] = number
    memory.table, memory.names, memory.number = fresh.table, fresh.names, fresh.number
    memory.target_of, memory.set_of, memory.declared = fresh.target_of, fresh.set_of, fresh.declared


def _lives(held: State, memory: Memory, number: int) -> bool:
    target = int(memory.target_of[number])
    return bool(held.targets.flag[target, state.LIVE]) and int(held.targets.place[target, state.NAME]) == number
