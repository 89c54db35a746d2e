"""What table entries of detection's state hold: parts of a block of rows as bytes, and back.

Numbers go little end first. How panes, numbers and sketches are packed is in `streams.kernel.pack` and
`streams.kernel.sketch_export`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from numpy.typing import NDArray

from streams.kernel import pack, panes, seasonal, state
from streams.kernel.state import BLOCK
from streams.sketches import Span

if TYPE_CHECKING:
    from streams.fold import Fold
    from streams.forget import Memory

_COUNTS = struct.Struct("<III")
_PANE = struct.Struct("<qIIII")
_SPAN = struct.Struct("<qI")
_STEP, _HOUR = panes.STEPS[1], panes.STEPS[2]

Bytes = NDArray[np.uint8]


class StateError(RuntimeError):
    """The stored state cannot be read by this version."""


class TornStateError(StateError):
    """The entries are not of one commit: somebody else wrote some of them."""


class OldStateError(StateError):
    """The entries are an earlier version's."""


class DamagedError(ValueError):
    """An entry that is not what was written."""


def rows_of(block: int, rows: int) -> slice:
    """The rows of a block where there are so many in all."""
    return slice(block * BLOCK, min((block + 1) * BLOCK, rows))


# ---------------------------------------------------------------------------------------------------- names and texts


def names(fold: Fold, span: slice) -> bytes:
    """Target and metric of each row, null where it is free."""
    series = fold.state.series
    pairs = zip(series.target[span].tolist(), series.metric[span].tolist(), strict=True)
    return orjson.dumps([None if t < 0 else [fold.name_of(t), fold.metric_names[m]] for t, m in pairs])


def load_names(fold: Fold, block: int, pairs: list[tuple[str, str] | None]) -> None:
    """Put back what `names` gave: rows, their targets, which are made known where they are not yet, and the index."""
    held, memory = fold.state, fold.memory
    taken = np.array([pair is not None for pair in pairs], np.bool_)
    every = np.arange(block * BLOCK, block * BLOCK + len(pairs))
    free, rows = every[~taken], every[taken]
    at = int(held.clock[state.FREE_ROWS])
    held.free_rows[at : at + len(free)] = free
    held.clock[state.FREE_ROWS] += len(free)
    called = [pair[0] for pair in pairs if pair is not None]
    new = [name for name in dict.fromkeys(called) if name not in memory.number]
    memory.add_all(new, [fold.terms_of(name) for name in new])
    kinds = {metric: fold.metric_number(metric) for metric in dict.fromkeys(pair[1] for pair in pairs if pair)}
    metrics = np.array([kinds[pair[1]] for pair in pairs if pair is not None], np.int64)
    numbers = np.array([memory.number[name] for name in called], np.int64)
    _load_targets(held, memory, numbers)
    targets = memory.target_of[numbers]
    held.series.target[rows], held.series.metric[rows] = targets, metrics
    state.keep_rows(held.index, targets, metrics, rows)
    own, looked_at = metrics == 0, fold.metric_slot[metrics] >= 0
    held.targets.place[targets[own], state.MAIN] = rows[own]
    held.series.num[rows[own], state.DECLARED] = memory.declared[numbers[own], 0]
    held.series.num[rows[own], state.DECLARED_ERRORS] = memory.declared[numbers[own], 1]
    held.targets.row_of[targets[looked_at], fold.metric_slot[metrics[looked_at]]] = rows[looked_at]


def _load_targets(held: state.State, memory: Memory, numbers: NDArray[np.int64]) -> None:
    """Give every one of the names a target."""
    new = np.array(list(dict.fromkeys(numbers[memory.target_of[numbers] < 0].tolist())), np.int64)
    targets = int(held.clock[state.TARGETS]) + np.arange(len(new))
    held.clock[state.TARGETS] += len(new)
    memory.target_of[new] = targets
    held.targets.place[targets, state.NAME] = new
    held.targets.place[targets, state.RULE_SET] = memory.set_of[new]
    held.targets.flag[targets, state.LIVE] = 1


def texts(fold: Fold, span: slice) -> bytes:
    """Status and message of the targets among the rows that have them."""
    series = fold.state.series
    found = {}
    for target, metric in zip(series.target[span].tolist(), series.metric[span].tolist(), strict=True):
        if metric == 0 and target >= 0 and target in fold.text:
            found[fold.name_of(target)] = fold.text[target]
    return orjson.dumps(found)


# -------------------------------------------------------------------------------------------------------- latest values


def _tables(held: state.State) -> list[Bytes]:
    """What is kept by target, as bytes."""
    t = held.targets
    seen = t.seen.reshape(len(t.seen), -1)
    return [t.num.view(np.uint8), t.flag, seen.view(np.uint8), t.holds, t.truth]


def latest(fold: Fold, span: slice) -> bytes:
    """The rows' numbers; then those of the targets whose own checks are among the rows, in the rows' order."""
    series, tables = fold.state.series, _tables(fold.state)
    rows = np.arange(span.start, span.stop)
    own = _own(fold.state, span)
    held = np.flatnonzero(fold.state.targets.holds[own].any(axis=0)).tolist()
    meta = orjson.dumps(
        {
            "rules": fold.conditions.names,
            "conditions": [list(fold.schedules.conditions_of(r)) for r in range(len(fold.conditions.names))],
            "asks": [(r, fold.marks[r]) for r in held],
            "widths": [fold.state.series.num.shape[1], *(t.shape[1] for t in tables)],
            "layout": fold.state.layout.tolist(),
        }
    )
    numbers = series.num.view(np.uint8)
    most = (len(rows) + 1) * numbers.shape[1] + (len(own) + 1) * sum(t.shape[1] for t in tables)
    out = np.empty(most + len(tables), np.uint8)
    at = pack.pack_columns(numbers, rows, out, 0)
    for table in tables:
        at = pack.pack_columns(table, own, out, at)
    return b"".join([_COUNTS.pack(len(rows), len(own), len(meta)), meta, out[:at].tobytes()])


def _own(held: state.State, span: slice) -> NDArray[np.int64]:
    targets = held.series.target[span]
    own: NDArray[np.int64] = targets[(held.series.metric[span] == 0) & (targets >= 0)].astype(np.int64)
    return own


def load_latest(fold: Fold, block: int, value: memoryview) -> list[tuple[int, int]]:
    """Put back what `latest` gave; rules that are no more are left out, and so is what they alone kept.

    What it gives is each target and rule that holds there and was judged by something else than what the rule asks now.
    """
    held = fold.state
    rows, own_count, length = _COUNTS.unpack_from(value)
    meta = orjson.loads(value[_COUNTS.size : _COUNTS.size + length])
    data = np.frombuffer(value[_COUNTS.size + length :], np.uint8)
    start = block * BLOCK
    own = _own(held, slice(start, start + rows))
    if len(own) != own_count:
        raise TornStateError(f"block {block} holds {own_count} targets, its names say {len(own)}")
    fields, num_width, *rest = meta["widths"]
    num, at = _columns(data, 0, rows, fields * 8)
    _load_numbers(held, start, num.view("<f8"), meta["layout"])
    found = []
    for width in (num_width, *rest):
        table, at = _columns(data, at, own_count, width)
        found.append(table)
    if at != len(data):
        raise DamagedError("latest values of another size")
    targets = held.targets
    targets.num[own], targets.flag[own] = found[0].view("<f8"), found[1]
    targets.seen[own] = found[2].view("<u8").reshape(own_count, *targets.seen.shape[1:])
    _load_rules(fold, own, meta, found[3], found[4])
    now = {name: r for r, name in enumerate(fold.conditions.names)}
    # What an earlier program stored has no marks: it is taken for judged by what the rules ask now.
    asked = [(now[meta["rules"][r]], mark) for r, mark in meta.get("asks", ()) if meta["rules"][r] in now]
    edited = [r for r, mark in asked if mark != fold.marks[r]]
    return [(t, r) for r in edited for t in own[targets.holds[own, r] != state.FALSE].tolist()]


def _columns(data: Bytes, at: int, rows: int, width: int) -> tuple[Bytes, int]:
    table = np.empty((rows, width), np.uint8)
    at = int(pack.unpack_columns(data, at, table))
    if at == pack.BROKEN:
        raise DamagedError("latest values are cut short")
    return table, at


def _load_rules(fold: Fold, own: NDArray[np.int64], meta: dict[str, Any], holds: Bytes, truth: Bytes) -> None:
    targets = fold.state.targets
    now = {name: i for i, name in enumerate(fold.conditions.names)}
    sets = targets.place[own, state.RULE_SET]
    rules_of = {int(sets[i]): fold.rules_of(int(own[i])) for i in np.unique(sets, return_index=True)[1]}
    for r, (name, theirs) in enumerate(zip(meta["rules"], meta["conditions"], strict=True)):
        if name not in now:
            continue
        # A rule that no longer looks at a target holds nothing there.
        looking = [s for s, rules in rules_of.items() if now[name] in rules]
        targets.holds[own, now[name]] = np.where(np.isin(sets, looking), holds[:, r], 0)
        mine = fold.schedules.conditions_of(now[name])
        if len(mine) == len(theirs):
            for c, k in zip(mine, theirs, strict=True):
                targets.truth[own, c] = truth[:, k]


def _load_numbers(held: state.State, start: int, num: Any, layout: list[int]) -> None:
    rows = len(num)
    mine = held.series.num[start : start + rows]
    declared = mine[:, [state.DECLARED, state.DECLARED_ERRORS]].copy()
    mine[:, : state.ALWAYS] = num[:, : state.ALWAYS]
    mine[:, [state.DECLARED, state.DECLARED_ERRORS]] = declared  # what the configuration says now
    begins = sorted(layout[i] for i, _ in state.SCORE_SIZES if i < len(layout) and layout[i] >= 0)
    ends = dict(zip(begins, [*begins[1:], num.shape[1]], strict=bool(begins)))
    for i, size in state.SCORE_SIZES:
        # A score that this program did not know, or has other cells for, begins anew.
        if i < len(layout) and held.layout[i] >= 0 and ends.get(layout[i], 0) - layout[i] == size:
            mine[:, held.layout[i] : held.layout[i] + size] = num[:, layout[i] : layout[i] + size]


# ---------------------------------------------------------------------------------------------------------------- panes


def pane_of_slot(slot: int, head: int) -> int:
    """The pane, in steps of its own tier, that a slot holds when `head` is the newest."""
    tier = 0 if slot < panes.BASE[1] else 1 if slot < panes.BASE[2] else 2
    newest = head // panes.STEPS[tier] + panes.AHEAD[tier]
    return newest - (newest - (slot - panes.BASE[tier])) % panes.SLOTS[tier]


class PaneWriter:
    """Panes as bytes: room for a block's, used again and again."""

    def __init__(self) -> None:
        self.kinds = np.empty(BLOCK, np.uint8)
        self.sums = np.empty(BLOCK)
        self.floats = np.empty(BLOCK * panes.FIELDS, np.float32)
        self.small = np.empty(BLOCK * panes.LEAST, np.uint8)

    def pane(self, held: state.State, span: slice, slot: int) -> bytes:
        """A slot of the rows; empty where it holds nothing."""
        ring = held.ring
        n, f, c = pack.pack_pane(
            ring.part,
            ring.counts,
            ring.total,
            slot,
            span.start,
            span.stop,
            self.kinds,
            self.sums,
            self.floats,
            self.small,
        )
        rows = span.stop - span.start
        head = _PANE.pack(pane_of_slot(slot, int(held.clock[state.HEAD])), rows, n, f, c)
        parts = (self.kinds[:rows], self.sums[:n], self.floats[:f], self.small[:c])
        return b"".join([head, *(part.tobytes() for part in parts)])


def load_pane(held: state.State, block: int, slot: int, value: memoryview) -> None:
    """Put back what `PaneWriter` gave, unless the ring has come round since."""
    pane, rows, n, f, c = _PANE.unpack_from(value)
    if pane_of_slot(slot, int(held.clock[state.HEAD])) != pane:
        return
    reader = Reader(value, _PANE.size)
    kinds, sums = reader.take("u1", rows), reader.take("<f8", n)
    floats, small = reader.take("<f4", f), reader.take("u1", c)
    if pack.unpack_pane(
        held.ring.part, held.ring.counts, held.ring.total, slot, block * BLOCK, kinds, sums, floats, small
    ):
        raise DamagedError(f"panes of slot {slot} are not what was written")


# ------------------------------------------------------------------------------------------------------------- sketches


def hours_kept(head: int) -> range:
    """Hours of which sketches are kept by the hour: those that a window sees and that are at least in part too old."""
    return range(max(head // _HOUR - panes.BEHIND[2] + 1, 0), (_first_step(head) * _STEP - 1) // _HOUR + 1)


def _first_step(head: int) -> int:
    """The first step of 5 min that is kept by itself."""
    return max(head // _STEP - panes.BEHIND[1] + 1, 0)


def hours_left(stored: int, head: int) -> set[int]:
    """Hours that got another step of 5 min as the newest pane moved from `stored` (-1: from nowhere) to `head`."""
    kept = hours_kept(head)
    if stored < 0:
        return set(kept)
    steps = range(max(_first_step(stored), kept.start * _HOUR // _STEP), _first_step(head))
    return {step * _STEP // _HOUR for step in steps}


def sketches(fold: Fold, span: slice, slot: int) -> bytes:
    """What the sketches of the rows hold in a slot: a step of 5 min, or of an hour what is older than those steps."""
    head = int(fold.state.clock[state.HEAD])
    number = pane_of_slot(slot, head)
    first, base = _panes_of(slot, number)
    last = base - 1 if slot < panes.BASE[2] else min(base, _first_step(head) * _STEP) - 1
    rows = np.arange(span.start, span.stop)
    data = fold.sketches.export_span(rows, first, last, base, head)
    return _SPAN.pack(number, len(rows)) + data


def _panes_of(slot: int, number: int) -> tuple[int, int]:
    width = _STEP if slot < panes.BASE[2] else _HOUR
    return number * width, (number + 1) * width


def holds_any(value: bytes) -> bool:
    """Whether there is a sample in what `sketches` gave."""
    return any(value[_SPAN.size :])


def load_sketches(fold: Fold, block: int, rows: int, values: Iterable[tuple[int, memoryview]]) -> None:
    """Put back what `sketches` gave of a block, by slot; passes over what is older than any window sees."""
    head, span = int(fold.state.clock[state.HEAD]), rows_of(block, rows)
    spans = []
    for slot, value in values:
        number, count = _SPAN.unpack_from(value)
        if number != pane_of_slot(slot, head) or (slot >= panes.BASE[2] and number not in hours_kept(head)):
            continue
        first, base = _panes_of(slot, number)
        missing = span.stop - span.start - count  # rows that came into use since
        spans.append(Span(bytes(value[_SPAN.size :]) + bytes(missing), first, base))
    if spans:
        spans.sort(key=lambda s: -s.first)
        fold.sketches.import_spans(np.arange(span.start, span.stop), spans, head)


# --------------------------------------------------------------------------------------------------------- hour of week


def season(held: state.State, span: slice, hour: int) -> bytes:
    """Mean and weeks learnt of an hour of the week, or, after the last of them, the rows' spread."""
    seasons = held.seasons
    if hour == seasonal.HOURS:
        return seasons.spread[span].tobytes()
    return seasons.mean[hour, span].tobytes() + seasons.weeks[hour, span].tobytes()


def load_season(held: state.State, block: int, hour: int, value: memoryview) -> None:
    """Put back what `season` gave."""
    seasons = held.seasons
    if hour == seasonal.HOURS:
        rows = len(value) // 4
        seasons.spread[block * BLOCK : block * BLOCK + rows] = np.frombuffer(value, "<f4")
        return
    rows = len(value) // 5
    reader, span = Reader(value, 0), slice(block * BLOCK, block * BLOCK + rows)
    seasons.mean[hour, span] = reader.take("<f4", rows)
    seasons.weeks[hour, span] = reader.take("u1", rows)


class Reader:
    """Arrays one after the other out of an entry."""

    def __init__(self, value: memoryview, at: int) -> None:
        self.value, self.at = value, at

    def take(self, dtype: str, count: int) -> Any:
        """The next array, aligned; ValueError beyond the end."""
        kind = np.dtype(dtype)
        found = np.frombuffer(self.value, kind, count, self.at).copy()
        self.at += count * kind.itemsize
        return found
