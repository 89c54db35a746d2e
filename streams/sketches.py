"""The quantile sketches of a partition: memory that grows, and blocks of rows as bytes for the changelog."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins, sketch_export
from streams.kernel.sketch_cells import (
    CELLS,
    CHUNK,
    FREE_LIST,
    FREED,
    LOST,
    PENDING,
    PROMISED,
    ROW,
    SHORT_CELLS,
    SHORT_CHUNKS,
    USED,
    WORDS,
    Arena,
)

_PER_CELL = 32  # more bytes than a cell packs to: a chunk of 64 holds three of the longest


class Sketches:
    """Quantile sketches by row. `arena` goes to the compiled functions of `streams.kernel.sketch`.

    `ensure` may replace `arena`: take it anew before each batch. Of the arguments, `rows`, `chunks` (of 64 bytes) and
    `cells` (of the largest row) only save growing.
    """

    def __init__(self, rows: int = 256, chunks: int = 1024, cells: int = 1024) -> None:
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
            a = a._replace(rows=np.concatenate([a.rows, _empty_rows(max(rows, 2 * have) - have)]))
        if a.counters[SHORT_CELLS] > 0:
            size = 2 * int(a.counters[SHORT_CELLS])
            a = a._replace(cells=np.empty(4 * size, np.int64), flat=np.empty((size + 8) * _PER_CELL, np.uint8))
        wanted = samples + int(a.counters[SHORT_CHUNKS]) + 64
        chunks = len(a.words) // WORDS
        if chunks - a.counters[USED] + a.counters[FREED] < wanted:
            words = np.empty(max(chunks + wanted, chunks + chunks // 2) * WORDS, np.int64)
            words[: len(a.words)] = a.words
            a = a._replace(words=words, bytes=words.view(np.uint8))
        a.counters[PROMISED] = samples
        a.counters[SHORT_CELLS] = a.counters[SHORT_CHUNKS] = 0
        self.arena = a

    @property
    def lost(self) -> int:
        """Samples that came without room promised; 0 unless a caller forgot `ensure`."""
        return int(self.arena.counters[LOST])

    def export(self, rows: Sequence[int] | NDArray[np.int64], head: int, longest: int) -> bytes:
        """The samples of `rows` as bytes, the same for the same samples and head in whatever order they came.

        Compacts the rows to the head pane, and ends what `ensure` promised.
        """
        some = np.asarray(rows, np.int64)
        while True:
            a = self.arena
            out = np.empty(1 + int(_bytes_of(a, some)), np.uint8)
            size = sketch_export.export_rows(a, some, head, longest, out)
            if size >= 0:
                return out[:size].tobytes()
            self.ensure()

    def restore(self, rows: Sequence[int] | NDArray[np.int64], data: bytes) -> None:
        """Put back what `export` gave for as many rows; ValueError where it is something else."""
        some, raw = np.asarray(rows, np.int64), np.frombuffer(data, np.uint8)
        self.arena.rows[some * ROW]  # compiled code does not check: a row that is not there is an IndexError here
        while (size := sketch_export.import_rows(self.arena, some, raw)) == sketch_export.NO_ROOM:
            self.ensure()
        if size != len(raw):
            version = raw[0] if len(raw) else "none"
            raise ValueError(
                f"quantile sketches of {len(some)} rows cannot be read from {len(raw)} bytes (version {version}, "
                f"{sketch_export.VERSION} expected): the changelog was written by another version or is damaged"
            )


def _empty_rows(rows: int) -> NDArray[np.int32]:
    return np.tile(np.array([-1, -1, 0, 0], np.int32), rows)


def _bytes_of(a: Arena, rows: NDArray[np.int64]) -> int:
    """No fewer bytes than `rows` pack to."""
    cells = a.rows[rows * ROW + CELLS].sum(dtype=np.int64) + a.rows[rows * ROW + PENDING].sum(dtype=np.int64)
    return int(cells) * _PER_CELL + (CHUNK + 10) * len(rows)
