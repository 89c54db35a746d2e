"""The quantile sketches of a partition: memory that grows, and spans of them as bytes for the changelog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins, sketch_export
from streams.kernel.sketch_cells import (
    FREE_LIST,
    FREED,
    LOST,
    PROMISED,
    ROW,
    SHORT_CELLS,
    SHORT_CHUNKS,
    USED,
    WORDS,
    Arena,
)
from streams.kernel.sketch_compact import PANES, dropped_before

VERSION = 2  # of whole exports
_PER_CELL = 32  # more bytes than a cell packs to: a chunk of 64 holds three of the longest


@dataclass(frozen=True, slots=True)
class Span:
    """What `export_span` wrote: its bytes, the first pane that may be in it, and the base it was written with."""

    data: bytes | memoryview
    first: int
    base: int


class Sketches:
    """Quantile sketches by row. `arena` goes to the compiled functions of `streams.kernel.sketch`.

    `ensure` may replace `arena`: take it anew before each batch. Of the arguments, `rows`, `chunks` (of 64 bytes) and
    `cells` (of the largest row) only save growing.
    """

    def __init__(self, rows: int = 256, chunks: int = 1024, cells: int = 1024) -> None:
        self._out = np.empty(1 << 16, np.uint8)
        counters = np.zeros(8, np.int64)
        counters[FREE_LIST] = -1
        words = np.empty(chunks * WORDS, np.int64)
        self.arena = Arena(
            words=words,
            bytes=words.view(np.uint8),
            rows=_empty_rows(rows),
            counters=counters,
            hist=np.zeros(bins.BINS, np.int64),
            cells=np.empty(4 * cells, np.int64),
            flat=np.empty((cells + 8) * _PER_CELL, np.uint8),
        )

    def ensure(self, *, rows: int = 0, samples: int = 0) -> None:
        """Make room for `rows` rows and for the next `samples` calls of `add`, whatever they bring."""
        a = self.arena
        have = len(a.rows) // ROW
        if rows > have:
            a = a._replace(rows=np.concatenate([a.rows, _empty_rows(max(rows, have + have // 4) - have)]))
        self.arena = a
        self._grow_scratch()
        a = self.arena
        wanted = samples + int(a.counters[SHORT_CHUNKS]) + 64
        chunks = len(a.words) // WORDS
        if chunks - a.counters[USED] + a.counters[FREED] < wanted:
            words = np.empty(max(chunks + wanted, chunks + chunks // 4) * WORDS, np.int64)
            words[: len(a.words)] = a.words
            a = a._replace(words=words, bytes=words.view(np.uint8))
        a.counters[PROMISED] = samples
        a.counters[SHORT_CHUNKS] = 0
        self.arena = a

    def _grow_scratch(self) -> None:
        size = 2 * int(self.arena.counters[SHORT_CELLS])
        if size > 0:
            self.arena = self.arena._replace(
                cells=np.empty(4 * size, np.int64), flat=np.empty((size + 8) * _PER_CELL, np.uint8)
            )
            self.arena.counters[SHORT_CELLS] = 0

    @property
    def lost(self) -> int:
        """Samples that came without room promised; 0 unless a caller forgot `ensure`."""
        return int(self.arena.counters[LOST])

    def export_span(
        self, rows: Sequence[int] | NDArray[np.int64], first: int, last: int, base: int, head: int
    ) -> bytes:
        """What `rows` have in panes `first` to `last`, as seen from `head`; `base` is any pane behind `last`.

        The same bytes for the same samples and head, in whatever order they came. Nothing is changed.
        """
        some = np.asarray(rows, np.int64)
        self.arena.rows[some * ROW]  # compiled code does not check: a row that is not there is an IndexError here
        while (size := sketch_export.export_span(self.arena, some, first, last, base, head, self._out)) < 0:
            self._out = np.empty(2 * len(self._out), np.uint8)
            self._grow_scratch()
        return self._out[:size].tobytes()

    def import_spans(self, rows: Sequence[int] | NDArray[np.int64], spans: Sequence[Span], head: int) -> None:
        """Fill `rows` anew with what `export_span` gave for as many rows, the newest span first.

        Raises ValueError where that is something else.
        """
        some = np.asarray(rows, np.int64)
        self.arena.rows[some * ROW]
        data = np.frombuffer(b"".join([*(s.data for s in spans), bytes(sketch_export.SPARE)]), np.uint8)
        ends = np.cumsum([len(s.data) for s in spans])
        parts = [(end - len(s.data), end, s.first, s.base) for s, end in zip(spans, ends.tolist(), strict=True)]
        while True:
            read = np.array(parts, np.int64).reshape(-1, 4)
            ended = sketch_export.import_spans(self.arena, some, data, read, head)
            if ended != sketch_export.NO_ROOM:
                break
            self.ensure()
        if ended == sketch_export.BROKEN or (read[:, 0] != read[:, 1]).any():
            raise ValueError(
                f"quantile sketches of {len(some)} rows cannot be read from {len(data) - sketch_export.SPARE} bytes: "
                "the changelog was written by another version or is damaged"
            )

    def export(self, rows: Sequence[int] | NDArray[np.int64], head: int, longest: int) -> bytes:
        """All samples of `rows` that windows of up to `longest` panes see from `head` on."""
        return bytes([VERSION]) + self.export_span(rows, max(dropped_before(head, longest), 0), PANES, PANES + 1, head)

    def restore(self, rows: Sequence[int] | NDArray[np.int64], data: bytes) -> None:
        """Put back what `export` gave for as many rows; ValueError where it is something else."""
        if data[:1] != bytes([VERSION]):
            version = data[0] if data else "none"
            raise ValueError(f"quantile sketches of version {version}, {VERSION} expected")
        self.import_spans(rows, [Span(data[1:], 0, PANES + 1)], 0)


def _empty_rows(rows: int) -> NDArray[np.int32]:
    return np.tile(np.array([-1, -1, 0, 0], np.int32), rows)
