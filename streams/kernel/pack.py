"""Panes and latest values of a block of rows as bytes for the changelog, and back.

Most panes hold no sample or one, which needs its value alone; and most bytes of the numbers are the same all over a
block, whose targets were probed at about the same time and have seen about as much.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean
from streams.kernel.panes import COUNT, ERRORS, FIELDS, LEAST, MOST, VALUES

# What a pane holds: nothing; one sample with a value, good or failed; counts of less than 256; anything.
EMPTY, GOOD, FAILED, SMALL, ANY = range(5)
BROKEN = -1


@lean
def pack_pane(
    part: NDArray[np.float32],
    counts: NDArray[np.uint32],
    total: NDArray[np.float64],
    slot: int,
    first: int,
    last: int,
    kinds: NDArray[np.uint8],
    sums: NDArray[np.float64],
    floats: NDArray[np.float32],
    small: NDArray[np.uint8],
) -> tuple[int, int, int]:
    """A slot's panes of rows `first` to before `last`: one of `kinds` each; how much of the other columns is used."""
    n = f = c = 0
    for row in range(first, last):
        cell, count, whole = part[slot, row], counts[slot, row], total[slot, row]
        if count[COUNT] == 0:
            kinds[row - first] = EMPTY
            continue
        sums[n] = whole
        n += 1
        # Of a sum of 0 the sign of its one value is not known.
        if count[COUNT] == 1 and count[VALUES] == 1 and whole != 0:
            kinds[row - first] = FAILED if count[ERRORS] else GOOD
            continue
        if count[COUNT] < 256:
            kinds[row - first] = SMALL
            for k in range(LEAST):
                small[c + k] = np.uint8(count[k])
            floats[f], floats[f + 1] = cell[LEAST], cell[MOST]
            c, f = c + LEAST, f + 2
        else:
            kinds[row - first] = ANY
            for k in range(FIELDS):
                floats[f + k] = cell[k]  # bits, whatever they stand for
            f += FIELDS
    return n, f, c


@lean
def unpack_pane(
    part: NDArray[np.float32],
    counts: NDArray[np.uint32],
    total: NDArray[np.float64],
    slot: int,
    first: int,
    kinds: NDArray[np.uint8],
    sums: NDArray[np.float64],
    floats: NDArray[np.float32],
    small: NDArray[np.uint8],
) -> int:
    """Fill the empty slot of the rows from `first` on with what `pack_pane` gave; 0, or BROKEN where it is not that."""
    n = f = c = 0
    for i in range(len(kinds)):
        kind = kinds[i]
        if kind == EMPTY:
            continue
        if kind > ANY or n >= len(sums) or f + (kind == SMALL) * 2 + (kind == ANY) * FIELDS > len(floats):
            return BROKEN
        cell, count, whole = part[slot, first + i], counts[slot, first + i], sums[n]
        total[slot, first + i] = whole
        n += 1
        if kind <= FAILED:
            count[COUNT] = count[VALUES] = 1
            count[ERRORS] = 1 if kind == FAILED else 0
            cell[LEAST] = cell[MOST] = np.float32(whole)
        elif kind == SMALL:
            if c + LEAST > len(small):
                return BROKEN
            for k in range(LEAST):
                count[k] = small[c + k]
            cell[LEAST], cell[MOST] = floats[f], floats[f + 1]
            c, f = c + LEAST, f + 2
        else:
            for k in range(FIELDS):
                cell[k] = floats[f + k]
            f += FIELDS
    return 0 if n == len(sums) and f == len(floats) and c == len(small) else BROKEN


@lean
def pack_columns(table: NDArray[np.uint8], rows: NDArray[np.int64], out: NDArray[np.uint8], at: int) -> int:
    """Write the bytes of some rows column by column from `at` on; where the next byte goes.

    A column in which all are alike is 1 and that byte, any other 0 and the bytes. `out` has room for one byte a row
    and one more, for each column.
    """
    if len(rows) == 0:
        return at
    for column in range(table.shape[1]):
        value, alike = table[rows[0], column], True
        for row in rows:
            if table[row, column] != value:
                alike = False
                break
        out[at] = alike
        at += 1
        if alike:
            out[at] = value
            at += 1
        else:
            for row in rows:
                out[at] = table[row, column]
                at += 1
    return at


@lean
def unpack_columns(data: NDArray[np.uint8], at: int, table: NDArray[np.uint8]) -> int:
    """Fill `table` with what `pack_columns` wrote of as many rows; the next position, BROKEN beyond the end."""
    rows = len(table)
    if rows == 0:
        return at
    for column in range(table.shape[1]):
        alike = at < len(data) and data[at] == 1
        if at + 1 + (1 if alike else rows) > len(data):
            return BROKEN
        for row in range(rows):
            table[row, column] = data[at + 1 + (0 if alike else row)]
        at += 1 + (1 if alike else rows)
    return at
