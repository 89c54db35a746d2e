"""A partition's state as table entries: what a commit writes and a recovery reads.

An entry is a block of 256 rows, or a block and a slot of its panes, an hour of its week, a span of its sketches. All
that changed since the last commit is written in one Kafka transaction, with META, which says from which record to go
on; so the entries are always those of one moment.

Key: kind, partition, block and slot as ``>BIII``. Value: version and source offset as ``<Bq``, then what the kind
holds (`streams.block_values`).

Sketches are kept by the step of 5 min, in the slots of the panes of 5 min, as far back as those reach; and where some
window is longer than an hour, by the hour in the slots of the panes of an hour: what is older than those steps. A
step that leaves is in the entry of its hour from the commit on that moves past it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from streams import block_values as values
from streams import seeing
from streams.block_values import OldStateError, StateError, TornStateError, pane_of_slot
from streams.fold import Fold
from streams.kernel import panes, seasonal, state
from streams.kernel.state import BLOCK

META, NAMES, LATEST, TEXT, PANE, SEASON, SKETCH = range(7)
VERSION = 4
_KEY = struct.Struct(">BIII")
_HEAD = struct.Struct("<Bq")
_CLOCK = {state.NOW: "now", state.HEAD: "head", state.DUPLICATES: "duplicates", state.LATE_PANES: "late"}


Entry = tuple[bytes, bytes]


def dump(fold: Fold, *, everything: bool = False) -> Iterator[Entry]:
    """Entries of all that changed since this was last called, or of everything there is; META last.

    What is handed out counts as stored: a caller whose write fails has to start over from the log.
    """
    head, held = _HEAD.pack(VERSION, fold.offset), fold.state
    rows, change = int(held.clock[state.ROWS]), _Change(fold, everything=everything)
    blocks = (rows + BLOCK - 1) // BLOCK

    def key(kind: int, block: int, slot: int) -> bytes:
        return _KEY.pack(kind, fold.partition, block, slot)

    for block in range(blocks):
        for kind, slot, value in _of_block(fold, block, values.rows_of(block, rows), change):
            yield key(kind, block, slot), head + value
    for part in (held.dirty.names, held.dirty.latest, held.dirty.slot, held.dirty.season):
        part[:blocks] = 0
    held.clock[state.STORED] = held.clock[state.HEAD]
    meta = {
        "offset": fold.offset,
        "hour": fold.memory.hour,
        **{name: int(held.clock[cell]) for cell, name in _CLOCK.items()},
        "tiers": [panes.STEPS, panes.SLOTS],
    }
    yield key(META, 0, 0), head + orjson.dumps(meta)


def _block_of(fold: Fold, target: int) -> int:
    return int(fold.state.targets.place[target, state.MAIN]) // BLOCK


def _of_block(fold: Fold, block: int, span: slice, change: _Change) -> Iterator[tuple[int, int, bytes]]:
    """What of a block is to be written: kind, slot, value."""
    held, everything, dirty = fold.state, change.everything, fold.state.dirty
    if everything or dirty.names[block]:
        yield NAMES, 0, values.names(fold, span)
    if everything or block in change.texts or dirty.names[block]:  # of a target that is no more nothing is left
        yield TEXT, 0, values.texts(fold, span)
    if everything or dirty.latest[block]:
        yield LATEST, 0, values.latest(fold, span)
    for slot in range(panes.EVERY_SLOT) if everything else np.flatnonzero(dirty.slot[block]).tolist():
        if not everything or held.ring.counts[slot, span, panes.COUNT].any():
            yield PANE, slot, change.writer.pane(held, span, slot)
    must, may = change.sketches(block)
    for slot in sorted(must | may):
        value = values.sketches(fold, span, slot)
        if slot in must or values.holds_any(value):
            yield SKETCH, slot, value
    for hour in range(seasonal.HOURS + 1) if everything else np.flatnonzero(dirty.season[block]).tolist():
        if not everything or hour == seasonal.HOURS or held.seasons.weeks[hour, span].any():
            yield SEASON, hour, values.season(held, span, hour)


class _Change:
    """What changed since the state was last written, beside what its dirty marks say; and room to pack panes in."""

    def __init__(self, fold: Fold, *, everything: bool) -> None:
        self.fold, self.everything, self.writer = fold, everything, values.PaneWriter()
        self.texts = {int(fold.state.targets.place[t, state.MAIN]) // BLOCK for t in fold.dirty_text}
        fold.dirty_text.clear()
        head = int(fold.state.clock[state.HEAD])
        hours = fold.longest > panes.STEPS[2] and head >= 0
        left = values.hours_left(int(fold.state.clock[state.STORED]), head) if hours else set()
        self._hours = {_hour_slot(h) for h in values.hours_kept(head)} if hours else set()
        self._left = {_hour_slot(h) for h in left}

    def sketches(self, block: int) -> tuple[set[int], set[int]]:
        """Slots of a block's sketches that got samples or lost rows, and those that may have changed besides."""
        if not self.fold.quantiles:
            return set(), set()
        if self.everything:
            return set(), {*range(panes.BASE[1], panes.BASE[2]), *self._hours}
        dirty = self.fold.state.dirty.slot[block]
        steps = np.flatnonzero(dirty[panes.BASE[1] : panes.BASE[2]]) + panes.BASE[1]
        return {*steps.tolist(), *(slot for slot in self._hours if dirty[slot])}, self._left


def _hour_slot(hour: int) -> int:
    return panes.BASE[2] + hour % panes.SLOTS[2]


def load(fold: Fold, entries: Mapping[bytes, bytes]) -> None:
    """Fill the empty `fold` from the entries of its partition; others are passed over.

    What held goes on, and is judged by the rule as it is now with the next sample. Where the rule looks at something
    else now, of which nothing is known, there may be no such sample ever: there it has ceased, as `let_go` of the fold
    says. Raises StateError on what this version cannot read: OldStateError where an earlier one wrote it, and
    TornStateError where the entries are not of one commit.
    """
    try:
        kinds, highest = _sorted(fold.partition, entries)
        if any(kinds.values()):
            _fill(fold, kinds, highest)
    except (struct.error, ValueError, LookupError, TypeError) as error:
        raise StateError(
            f"the state of partition {fold.partition} is damaged or no state of detect's: "
            f"{type(error).__name__}: {error}"
        ) from error


def _fill(fold: Fold, kinds: dict[int, dict[tuple[int, int], Any]], highest: int) -> None:
    if not kinds[META]:
        raise TornStateError(
            f"partition {fold.partition}: entries up to record {highest}, and none says of which commit"
        )
    meta = orjson.loads(kinds[META][0, 0])
    if meta["tiers"] != [list(panes.STEPS), list(panes.SLOTS)]:
        raise StateError("detect-state holds panes of other lengths than this program has")
    if meta["offset"] != highest:
        raise TornStateError(
            f"partition {fold.partition}: entries up to record {highest}, commit up to {meta['offset']}"
        )
    fold.offset, fold.memory.hour = highest, meta["hour"]
    for cell, name in _CLOCK.items():
        fold.state.clock[cell] = meta[name]
    rows = 1 + max((block * BLOCK + len(orjson.loads(v)) - 1 for (block, _), v in kinds[NAMES].items()), default=-1)
    fold.reserve(rows, rows)
    edited = _fill_rows(fold, kinds, rows)
    if fold.quantiles:
        _load_sketches(fold, kinds[SKETCH], rows)
        fold.state = fold.state._replace(sketch=fold.sketches.arena)
    fold.state.clock[state.STORED] = fold.state.clock[state.HEAD]
    fold.loaded()
    _let_go(fold, edited)


def rebuild(old: Fold, fresh: Fold) -> None:
    """Fill the empty `fresh`, which may have other rules, from `old`; all of it is stored anew by the next commit."""
    untold = old.state.dirty.unrolled.copy()
    load(fresh, dict(dump(old, everything=True)))
    dirty = fresh.state.dirty
    for part in (dirty.names, dirty.latest, dirty.slot, dirty.season):
        part[:] = 1
    fresh.state.clock[state.STORED] = -1
    dirty.unrolled[: len(untold)] = untold[: len(dirty.unrolled)]
    fresh.dirty_text, fresh.told_long = set(fresh.text), set(old.told_long)


def _let_go(fold: Fold, edited: list[tuple[int, int]]) -> None:
    """Hold no more what held by a rule that looks at something else now, where nothing is known of that."""
    fold.let_go = [(target, rule) for target, rule in edited if not seeing.is_known(fold, target, rule)]
    for target, rule in fold.let_go:
        fold.state.targets.holds[target, rule] = state.FALSE
        # Nor was any of its conditions met before: that was another one.
        fold.state.targets.truth[target, fold.schedules.conditions_of(rule)] = state.UNSURE
        fold.state.dirty.latest[_block_of(fold, target)] = 1
    if fold.let_go:
        fold.loaded()


def _sorted(wanted: int, entries: Mapping[bytes, bytes]) -> tuple[dict[int, dict[tuple[int, int], Any]], int]:
    """Entries of partition `wanted` by kind, block and slot, and the highest source offset among them."""
    kinds: dict[int, dict[tuple[int, int], Any]] = {k: {} for k in range(SKETCH + 1)}
    highest = -1
    for key, value in entries.items():
        kind, partition, block, slot = _KEY.unpack(key)
        if partition != wanted:
            continue
        version, offset = _HEAD.unpack_from(value)
        highest = max(highest, offset)
        if version != VERSION or kind not in kinds:
            old = OldStateError if version < VERSION else StateError
            raise old(f"detect-state has entries of version {version}, this program reads {VERSION}")
        kinds[kind][block, slot] = memoryview(value)[_HEAD.size :]
    return kinds, highest


def _fill_rows(fold: Fold, kinds: dict[int, dict[tuple[int, int], Any]], rows: int) -> list[tuple[int, int]]:
    """The rows and their targets; what `values.load_latest` gives of all blocks."""
    for (block, _), value in sorted(kinds[NAMES].items()):
        values.load_names(fold, block, orjson.loads(value))
    fold.state.clock[state.ROWS] = rows
    edited = [cell for (block, _), value in kinds[LATEST].items() for cell in values.load_latest(fold, block, value)]
    for value in kinds[TEXT].values():
        _load_texts(fold, value)
    for (block, slot), value in kinds[PANE].items():
        values.load_pane(fold.state, block, slot, value)
    for (block, hour), value in kinds[SEASON].items():
        values.load_season(fold.state, block, hour, value)
    return edited


def _load_sketches(fold: Fold, entries: Mapping[tuple[int, int], memoryview], rows: int) -> None:
    by_block: dict[int, list[tuple[int, memoryview]]] = {}
    for (block, slot), value in entries.items():
        by_block.setdefault(block, []).append((slot, value))
    for block, of_block in by_block.items():
        values.load_sketches(fold, block, rows, of_block)


def _load_texts(fold: Fold, value: memoryview) -> None:
    for name, text in orjson.loads(value).items():
        fold.text[int(fold.memory.target_of[fold.memory.number[name]])] = (text[0], text[1])


__all__ = ["Entry", "OldStateError", "StateError", "TornStateError", "dump", "load", "pane_of_slot", "rebuild"]
