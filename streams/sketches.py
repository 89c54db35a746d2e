"""The quantile sketches of a partition: memory that grows, and blocks of rows as bytes for the changelog."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.kernel import bins, sketch, sketch_export
from streams.kernel.sketch_cells import (
    CHUNK,
    FREE_LIST,
    FREED,
    LOST,
    PROMISED,
    SHORT_CELLS,
    SHORT_CHUNKS,
    USED,
    Arena,
)

_ROWS = ("settled", "fresh", "cells", "pending")
_PER_CELL = 32  # more bytes than a cell packs to, with the head of a chunk of its own


def _longer(old: NDArray[Any], size: int, fill: int | None = None) -> NDArray[Any]:
    new = np.empty(size, old.dtype)
    new[: len(old)] = old
    if fill is not None:
        new[len(old) :] = fill
    return new


class Sketches:
    """Quantile sketches by row. `arena` goes to the compiled functions of `streams.kernel.sketch`.

    `ensure` may replace `arena`: take it anew before each batch.
    """

    def __init__(self, rows: int = 256, chunks: int = 1024, cells: int = 1024) -> None:
        counters = np.zeros(8, np.int64)
        counters[FREE_LIST] = -1
        words = np.empty((chunks, CHUNK // 8), np.int64)
        scratch = [np.empty(cells, np.int64) for _ in range(4)]
        none, zero = np.full(rows, -1, np.int32), np.zeros(rows, np.int32)
        self.arena = Arena(
            words, words.view(np.int32), words.view(np.uint8), none, none.copy(), zero, zero.copy(), counters,
            np.zeros(bins.BINS, np.int64), *scratch, np.empty((cells + 8) * _PER_CELL, np.uint8),
        )  # fmt: skip

    def ensure(self, *, rows: int = 0, samples: int = 0) -> None:
        """Make room for `rows` rows and for the next `samples` calls of `add`, whatever they bring."""
        a = self.arena
        if rows > len(a.settled):
            size = max(rows, 2 * len(a.settled))
            a = a._replace(**{n: _longer(getattr(a, n), size, -1 if n in ("settled", "fresh") else 0) for n in _ROWS})
        if a.counters[SHORT_CELLS] > 0:
            size = 2 * int(a.counters[SHORT_CELLS])
            a = a._replace(**{n: _longer(getattr(a, n), size) for n in ("keys", "counts", "keys2", "counts2")})
            a = a._replace(flat=_longer(a.flat, (size + 8) * _PER_CELL))
        wanted = samples + int(a.counters[SHORT_CHUNKS]) + 64
        chunks = len(a.words)
        if chunks - a.counters[USED] + a.counters[FREED] < wanted:
            words = np.empty((max(chunks + wanted, chunks + chunks // 2), CHUNK // 8), np.int64)
            words[:chunks] = a.words
            a = a._replace(words=words, ints=words.view(np.int32), bytes=words.view(np.uint8))
        a.counters[PROMISED] = samples
        a.counters[SHORT_CELLS] = a.counters[SHORT_CHUNKS] = 0
        self.arena = a

    @property
    def lost(self) -> int:
        """Samples that came without room promised; 0 unless a caller forgot `ensure`."""
        return int(self.arena.counters[LOST])

    def export(self, rows: Sequence[int] | NDArray[np.int64], head: int, longest: int) -> bytes:
        """The samples of `rows` as bytes, the same for the same samples and head in whatever order they came."""
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
        self.arena.settled[some]  # compiled code does not check: a row that is not there is an IndexError here
        while (size := sketch_export.import_rows(self.arena, some, raw)) == sketch_export.NO_ROOM:
            self.ensure()
        if size != len(raw):
            version = raw[0] if len(raw) else "none"
            raise ValueError(
                f"quantile sketches of {len(some)} rows cannot be read from {len(raw)} bytes (version {version}, "
                f"{sketch_export.VERSION} expected): the changelog was written by another version or is damaged"
            )


def _bytes_of(a: Arena, rows: NDArray[np.int64]) -> int:
    cells = a.cells[rows].sum(dtype=np.int64) + a.pending[rows].sum(dtype=np.int64)
    return int(cells) * _PER_CELL + (CHUNK + 10) * len(rows)


__all__ = ["Sketches", "sketch"]
