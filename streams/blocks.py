"""A partition's state as table entries: what a commit writes and a recovery reads.

An entry is a block of rows (256 series) or a block x pane. Each carries the source offset it is folded up to.
All entries of one commit travel in one Kafka record batch, which a broker takes whole or not at all; so
a partition's entries never disagree, and the entry META says from which record to go on.

Key: kind, partition, block and slot as ``>BIII``. Value: version and source offset as ``<Bq``, then what the kind
holds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import numpy as np
import orjson

from streams import panes, series
from streams.fold import Fold
from streams.panes import SLOTS
from streams.series import BLOCK

META, NAMES, LATEST, TEXT, PANE = range(5)
VERSION = 1
_KEY = struct.Struct(">BIII")
_HEAD = struct.Struct("<Bq")
_PANE = struct.Struct("<qI")
_ROWS = struct.Struct("<II")


class StateError(RuntimeError):
    """The stored state cannot be read by this version."""


class TornStateError(StateError):
    """The entries are not of one commit: somebody else wrote some of them."""


def dump(fold: Fold) -> Iterator[tuple[bytes, bytes]]:
    """Entries of all that is dirty, META last. Does not clear `fold.dirty`."""
    head, dirty = _HEAD.pack(VERSION, fold.offset), fold.dirty
    for block in sorted(dirty.names):
        yield (
            _KEY.pack(NAMES, fold.partition, block, 0),
            head + orjson.dumps(fold.series.names[block * BLOCK : (block + 1) * BLOCK]),
        )
    for block in sorted(dirty.text):
        rows = range(block * BLOCK, (block + 1) * BLOCK)
        text = {str(r): fold.series.text[r] for r in rows if r in fold.series.text}
        yield _KEY.pack(TEXT, fold.partition, block, 0), head + orjson.dumps(text)
    for block in sorted(dirty.latest):
        yield _KEY.pack(LATEST, fold.partition, block, 0), head + _latest(fold, block)
    for block, slot in sorted(dirty.panes):
        yield _KEY.pack(PANE, fold.partition, block, slot), head + _pane(fold, block, slot)
    meta = {"offset": fold.offset, "head": fold.panes.head, "pane_ms": panes.PANE_MS, "slots": SLOTS}
    yield _KEY.pack(META, fold.partition, 0, 0), head + orjson.dumps(meta)


def _span(fold: Fold, block: int) -> slice:
    return slice(block * BLOCK, min((block + 1) * BLOCK, len(fold.series)))


def _latest(fold: Fold, block: int) -> bytes:
    span = _span(fold, block)
    rules = orjson.dumps([r.name for r in fold.rulebook.rules])
    columns = b"".join(fold.series[n][span].astype(t, copy=False).tobytes() for n, t in series.DTYPES.items())
    return _ROWS.pack(span.stop - span.start, len(rules)) + rules + columns + fold.rulebook.holds[:, span].tobytes()


def _pane(fold: Fold, block: int, slot: int) -> bytes:
    span = _span(fold, block)
    head = fold.panes.head
    pane = head + panes.AHEAD - (head + panes.AHEAD - slot) % SLOTS
    columns = b"".join(fold.panes.columns[n][slot, span].tobytes() for n in panes.DTYPES)
    return _PANE.pack(pane, span.stop - span.start) + columns


def load(fold: Fold, entries: Mapping[bytes, bytes]) -> None:
    """Fill the empty `fold` from the entries of its partition; others are passed over.

    Raises StateError on what this version cannot read, and where the entries are not of one commit.
    """
    kinds, highest = _sorted(fold.partition, entries)
    if not kinds[META]:
        return
    meta = orjson.loads(kinds[META][0, 0])
    if (meta["pane_ms"], meta["slots"]) != (panes.PANE_MS, SLOTS):
        raise StateError(f"detect-state holds panes of {meta['pane_ms']} ms in {meta['slots']} slots")
    if meta["offset"] != highest:
        raise TornStateError(
            f"partition {fold.partition}: entries up to record {highest}, commit up to {meta['offset']}"
        )
    fold.offset = highest
    for _, value in sorted(kinds[NAMES].items()):
        for target, metric in orjson.loads(value):
            fold.series.row(target, metric)
    fold.grow()
    for (block, _), value in kinds[LATEST].items():
        _load_latest(fold, block, value)
    for value in kinds[TEXT].values():
        fold.series.text.update({int(r): (t[0], t[1]) for r, t in orjson.loads(value).items()})
    fold.panes.advance(meta["head"])
    for (block, slot), value in kinds[PANE].items():
        _load_pane(fold, block, slot, value)
    fold.loaded()


def _sorted(wanted: int, entries: Mapping[bytes, bytes]) -> tuple[dict[int, dict[tuple[int, int], bytes]], int]:
    """Entries of partition `wanted` by kind, block and slot, and the highest source offset among them."""
    kinds: dict[int, dict[tuple[int, int], bytes]] = {k: {} for k in (META, NAMES, LATEST, TEXT, PANE)}
    highest = -1
    for key, value in entries.items():
        kind, partition, block, slot = _KEY.unpack(key)
        if partition != wanted:
            continue
        version, offset = _HEAD.unpack_from(value)
        highest = max(highest, offset)
        if version != VERSION or kind not in kinds:
            raise StateError(f"detect-state has entries of version {version}, this program reads {VERSION}")
        kinds[kind][block, slot] = value[_HEAD.size :]
    return kinds, highest


def _load_latest(fold: Fold, block: int, value: bytes) -> None:
    rows, length = _ROWS.unpack_from(value)
    at = _ROWS.size + length
    start = block * BLOCK
    for name, dtype in series.DTYPES.items():
        fold.series[name][start : start + rows] = np.frombuffer(value, dtype, rows, at)
        at += rows * dtype.itemsize
    stored = {name: i for i, name in enumerate(orjson.loads(value[_ROWS.size : _ROWS.size + length]))}
    holds = np.frombuffer(value, np.bool_, rows * len(stored), at).reshape(len(stored), rows)
    for i, rule in enumerate(fold.rulebook.rules):
        if rule.name in stored:
            # A rule that no longer looks at a row holds nothing there.
            applies = fold.rulebook.applies[i, start : start + rows]
            fold.rulebook.holds[i, start : start + rows] = holds[stored[rule.name]] & applies


def _load_pane(fold: Fold, block: int, slot: int, value: bytes) -> None:
    pane, rows = _PANE.unpack_from(value)
    head = fold.panes.head
    if not head + panes.AHEAD - SLOTS < pane <= head + panes.AHEAD:
        return  # what the slot held before the ring came round
    at, start = _PANE.size, block * BLOCK
    for name, dtype in panes.DTYPES.items():
        fold.panes.columns[name][slot, start : start + rows] = np.frombuffer(value, dtype, rows, at)
        at += rows * dtype.itemsize


def sizes(entries: list[tuple[bytes, bytes]]) -> int:
    """Bytes that `entries` take in a record batch, a little over."""
    return sum(len(k) + len(v) + 64 for k, v in entries)


__all__ = ["StateError", "TornStateError", "dump", "load", "sizes"]
