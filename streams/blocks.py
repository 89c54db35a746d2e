"""A partition's state as table entries: what a commit writes and a recovery reads.

An entry is a block of 256 rows, or a block and a slot of its panes, an hour of its week, a span of its sketches. All
that changed since the last commit is written in one Kafka transaction, with META, which says from which record to go
on; so the entries are always those of one moment.

Key: kind, partition, block and slot as ``>BIII``. Value: version and source offset as ``<Bq``, then what the kind
holds; arrays go as their bytes, little end first.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from streams.fold import Fold
from streams.kernel import panes, seasonal, state
from streams.kernel.state import BLOCK

META, NAMES, LATEST, TEXT, PANE, SEASON, SKETCH = range(7)
VERSION = 2
_KEY = struct.Struct(">BIII")
_HEAD = struct.Struct("<Bq")
_COUNTS = struct.Struct("<IIII")
_PANE = struct.Struct("<qI")


class StateError(RuntimeError):
    """The stored state cannot be read by this version."""


class TornStateError(StateError):
    """The entries are not of one commit: somebody else wrote some of them."""


Entry = tuple[bytes, bytes]


def dump(fold: Fold, *, everything: bool = False) -> Iterator[Entry]:
    """Entries of all that changed since this was last called, or of everything; META last.

    What is handed out counts as stored: a caller whose write fails has to start over from the log.
    """
    head, dirty, held = _HEAD.pack(VERSION, fold.offset), fold.state.dirty, fold.state
    rows = int(held.clock[state.ROWS])
    blocks = (rows + BLOCK - 1) // BLOCK
    texts = {_block_of(fold, t) for t in fold.dirty_text}
    fold.dirty_text.clear()

    def key(kind: int, block: int, slot: int = 0) -> bytes:
        return _KEY.pack(kind, fold.partition, block, slot)

    for block in range(blocks):
        span = slice(block * BLOCK, min((block + 1) * BLOCK, rows))
        if everything or dirty.names[block]:
            yield key(NAMES, block), head + _names(fold, span)
        if everything or block in texts or dirty.names[block]:  # of a target that is no more nothing is left
            yield key(TEXT, block), head + _texts(fold, span)
        if everything or dirty.latest[block]:
            yield key(LATEST, block), head + _latest(fold, span)
            if fold.quantiles:
                yield key(SKETCH, block), head + _sketches(fold, span)
        slots = range(panes.EVERY_SLOT) if everything else np.flatnonzero(dirty.slot[block]).tolist()
        for slot in slots:
            yield key(PANE, block, slot), head + _pane(fold, span, slot)
        hours = range(seasonal.HOURS + 1) if everything else np.flatnonzero(dirty.season[block]).tolist()
        for hour in hours:
            if not everything or hour == seasonal.HOURS or held.seasons.weeks[hour, span].any():
                yield key(SEASON, block, hour), head + _season(fold, span, hour)
    for part in (dirty.names, dirty.latest, dirty.slot, dirty.season):
        part[:blocks] = 0
    meta = {
        "offset": fold.offset,
        "now": int(held.clock[state.NOW]),
        "head": int(held.clock[state.HEAD]),
        "hour": fold.memory.hour,
        "duplicates": int(held.clock[state.DUPLICATES]),
        "late": int(held.clock[state.LATE_PANES]),
        "tiers": [panes.STEPS, panes.SLOTS],
    }
    yield key(META, 0), head + orjson.dumps(meta)


def _block_of(fold: Fold, target: int) -> int:
    return int(fold.state.targets.place[target, state.MAIN]) // BLOCK


def _names(fold: Fold, span: slice) -> bytes:
    series = fold.state.series
    pairs = zip(series.target[span].tolist(), series.metric[span].tolist(), strict=True)
    return orjson.dumps([None if t < 0 else [fold.name_of(t), fold.metric_names[m]] for t, m in pairs])


def _texts(fold: Fold, span: slice) -> bytes:
    series = fold.state.series
    found = {}
    for target, metric in zip(series.target[span].tolist(), series.metric[span].tolist(), strict=True):
        if metric == 0 and target >= 0 and target in fold.text:
            found[fold.name_of(target)] = fold.text[target]
    return orjson.dumps(found)


def _latest(fold: Fold, span: slice) -> bytes:
    """The rows' numbers; then those of the targets whose own checks are among the rows, in the rows' order."""
    series, targets = fold.state.series, fold.state.targets
    own = series.target[span][series.metric[span] == 0]
    own = own[own >= 0]
    num = series.num[span]
    meta = orjson.dumps(
        {
            "rules": fold.conditions.names,
            "conditions": [len(fold.schedules.conditions_of(r)) for r in range(len(fold.conditions.names))],
            "layout": fold.state.layout.tolist(),
        }
    )
    truth = targets.truth[own]
    by_rule = [truth[:, fold.schedules.conditions_of(r)] for r in range(len(fold.conditions.names))]
    parts = [num, targets.num[own], targets.flag[own], targets.seen[own], targets.holds[own], *by_rule]
    return b"".join(
        [
            _COUNTS.pack(len(num), num.shape[1], len(own), len(meta)),
            meta,
            *(np.ascontiguousarray(p).tobytes() for p in parts),
        ]
    )


def _pane(fold: Fold, span: slice, slot: int) -> bytes:
    ring = fold.state.ring
    head = _PANE.pack(pane_of_slot(slot, int(fold.state.clock[state.HEAD])), span.stop - span.start)
    return head + ring.part[slot, span].tobytes() + ring.total[slot, span].tobytes()


def pane_of_slot(slot: int, head: int) -> int:
    """The pane, in steps of its own tier, that a slot holds when `head` is the newest."""
    tier = 0 if slot < panes.BASE[1] else 1 if slot < panes.BASE[2] else 2
    newest = head // panes.STEPS[tier] + panes.AHEAD[tier]
    return newest - (newest - (slot - panes.BASE[tier])) % panes.SLOTS[tier]


def _season(fold: Fold, span: slice, hour: int) -> bytes:
    seasons = fold.state.seasons
    if hour == seasonal.HOURS:
        return seasons.spread[span].tobytes()
    return seasons.mean[hour, span].tobytes() + seasons.weeks[hour, span].tobytes()


def _sketches(fold: Fold, span: slice) -> bytes:
    data = fold.sketches.export(np.arange(span.start, span.stop), int(fold.state.clock[state.HEAD]), fold.longest)
    fold.state = fold.state._replace(sketch=fold.sketches.arena)  # which may have grown
    return data


def load(fold: Fold, entries: Mapping[bytes, bytes]) -> None:
    """Fill the empty `fold` from the entries of its partition; others are passed over.

    Raises StateError on what this version cannot read, and TornStateError where the entries are not of one commit.
    """
    try:
        kinds, highest = _sorted(fold.partition, entries)
        if any(kinds.values()):
            _fill(fold, kinds, highest)
    except (struct.error, ValueError, LookupError, TypeError) as error:
        raise StateError(
            f"the state of partition {fold.partition} is damaged or no state of detect's: {type(error).__name__}: {error}"
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
    held = fold.state
    clock = {state.NOW: "now", state.HEAD: "head", state.DUPLICATES: "duplicates", state.LATE_PANES: "late"}
    for cell, name in clock.items():
        held.clock[cell] = meta[name]
    rows = 1 + max((block * BLOCK + len(orjson.loads(v)) - 1 for (block, _), v in kinds[NAMES].items()), default=-1)
    fold.reserve(rows, rows)
    for (block, _), value in sorted(kinds[NAMES].items()):
        _load_names(fold, block, orjson.loads(value))
    fold.state.clock[state.ROWS] = rows
    for (block, _), value in kinds[LATEST].items():
        _load_latest(fold, block, value)
    for value in kinds[TEXT].values():
        for name, text in orjson.loads(value).items():
            fold.text[int(fold.memory.target_of[fold.memory.number[name]])] = (text[0], text[1])
    for (block, slot), value in kinds[PANE].items():
        _load_pane(fold, block, slot, value)
    for (block, hour), value in kinds[SEASON].items():
        _load_season(fold, block, hour, value)
    if fold.quantiles:
        for (block, _), value in sorted(kinds[SKETCH].items()):
            span = np.arange(block * BLOCK, min((block + 1) * BLOCK, rows))
            fold.sketches.restore(span, value)
        fold.state = fold.state._replace(sketch=fold.sketches.arena)
    fold.loaded()


def rebuild(old: Fold, fresh: Fold) -> None:
    """Fill the empty `fresh`, which may have other rules, from `old`; all of it is stored anew by the next commit."""
    untold = old.state.dirty.unrolled.copy()
    load(fresh, dict(dump(old, everything=True)))
    dirty = fresh.state.dirty
    for part in (dirty.names, dirty.latest, dirty.slot, dirty.season):
        part[:] = 1
    dirty.unrolled[: len(untold)] = untold[: len(dirty.unrolled)]
    fresh.dirty_text = set(fresh.text)


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
            raise StateError(f"detect-state has entries of version {version}, this program reads {VERSION}")
        kinds[kind][block, slot] = memoryview(value)[_HEAD.size :]
    return kinds, highest


def _load_names(fold: Fold, block: int, pairs: list[tuple[str, str] | None]) -> None:
    held = fold.state
    for k, pair in enumerate(pairs):
        row = block * BLOCK + k
        if pair is None:
            held.free_rows[held.clock[state.FREE_ROWS]] = row
            held.clock[state.FREE_ROWS] += 1
            continue
        fold.put(row, pair[0], pair[1])


def _load_latest(fold: Fold, block: int, value: memoryview) -> None:
    held = fold.state
    rows, fields, own_count, length = _COUNTS.unpack_from(value)
    meta = orjson.loads(value[_COUNTS.size : _COUNTS.size + length])
    reader = _Reader(value, _COUNTS.size + length)
    start = block * BLOCK
    num = reader.take("<f8", (rows, fields))
    _load_numbers(held, start, num, meta["layout"])
    own = held.series.target[start : start + rows][held.series.metric[start : start + rows] == 0]
    own = own[own >= 0]
    if len(own) != own_count:
        raise TornStateError(f"block {block} holds {own_count} targets, its names say {len(own)}")
    targets = held.targets
    targets.num[own] = reader.take("<f8", (own_count, targets.num.shape[1]))
    targets.flag[own] = reader.take("u1", (own_count, targets.flag.shape[1]))
    targets.seen[own] = reader.take("<u8", (own_count, *targets.seen.shape[1:]))
    holds = reader.take("u1", (own_count, len(meta["rules"])))
    now = {name: i for i, name in enumerate(fold.conditions.names)}
    for r, (name, count) in enumerate(zip(meta["rules"], meta["conditions"], strict=True)):
        truth = reader.take("u1", (own_count, count))
        if name not in now:
            continue
        mine = fold.schedules.conditions_of(now[name])
        # A rule that no longer looks at a target holds nothing there.
        sees = np.array([now[name] in fold.rules_of(int(t)) for t in own], np.bool_)
        targets.holds[own, now[name]] = np.where(sees, holds[:, r], 0)
        if len(mine) == count:
            for k, c in enumerate(mine):
                targets.truth[own, c] = truth[:, k]


def _load_numbers(held: state.State, start: int, num: Any, layout: list[int]) -> None:
    rows = len(num)
    mine = held.series.num[start : start + rows]
    declared = mine[:, [state.DECLARED, state.DECLARED_ERRORS]].copy()
    mine[:, : state.ALWAYS] = num[:, : state.ALWAYS]
    mine[:, [state.DECLARED, state.DECLARED_ERRORS]] = declared  # what the configuration says now
    for i, size in enumerate(state.SCORE_SIZES):
        if layout[i] >= 0 and held.layout[i] >= 0:
            mine[:, held.layout[i] : held.layout[i] + size] = num[:, layout[i] : layout[i] + size]


def _load_pane(fold: Fold, block: int, slot: int, value: memoryview) -> None:
    pane, rows = _PANE.unpack_from(value)
    if pane_of_slot(slot, int(fold.state.clock[state.HEAD])) != pane:
        return  # what the slot held before the ring came round
    reader, span = _Reader(value, _PANE.size), slice(block * BLOCK, block * BLOCK + rows)
    ring = fold.state.ring
    ring.part[slot, span] = reader.take("<f4", (rows, panes.FIELDS))
    ring.total[slot, span] = reader.take("<f8", (rows,))


def _load_season(fold: Fold, block: int, hour: int, value: memoryview) -> None:
    seasons = fold.state.seasons
    if hour == seasonal.HOURS:
        rows = len(value) // 4
        seasons.spread[block * BLOCK : block * BLOCK + rows] = np.frombuffer(value, "<f4")
        return
    rows = len(value) // 5
    reader, span = _Reader(value, 0), slice(block * BLOCK, block * BLOCK + rows)
    seasons.mean[hour, span] = reader.take("<f4", (rows,))
    seasons.weeks[hour, span] = reader.take("u1", (rows,))


class _Reader:
    """Arrays one after the other out of an entry."""

    def __init__(self, value: memoryview, at: int) -> None:
        self.value, self.at = value, at

    def take(self, dtype: str, shape: tuple[int, ...]) -> Any:
        """The next array."""
        count, kind = int(np.prod(shape)), np.dtype(dtype)
        found = np.frombuffer(self.value, kind, count, self.at).reshape(shape)
        self.at += count * kind.itemsize
        return found


__all__ = ["Entry", "StateError", "TornStateError", "dump", "load", "rebuild"]
