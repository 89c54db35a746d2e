"""Record batches, read where they lie: where the value of each record is, its offset and its time.

Source: Apache Kafka, "Record Batch" and "Record" of message format 2; its lengths are Avro's zigzag integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import lean
from streams.kernel.scan import long_at

# What is known of a batch before its records are read, in columns: start and end of its records in the bytes, how many
# there are, offset and time (ms) that theirs are counted from, and the time that holds for all of them, -1 for none.
START, END, COUNT, OFFSET, TIME, APPENDED = range(6)
_LEAST = 7  # bytes of a record: length, attributes, two deltas, no key, no value, no headers


class Places(NamedTuple):
    """Records by number: offset, time (ms), where the value begins and ends; an end before the start where none is."""

    offset: NDArray[np.int64]
    time: NDArray[np.int64]
    at: NDArray[np.int64]
    end: NDArray[np.int64]


def places(count: int) -> Places:
    """Room for so many records."""
    return Places(*(np.empty(count, np.int64) for _ in range(4)))


def most(heads: NDArray[np.int64]) -> int:
    """At most how many records the batches hold, whatever their heads say."""
    return int(np.minimum(heads[:, COUNT].clip(0), (heads[:, END] - heads[:, START]) // _LEAST).sum())


@lean
def read(data: NDArray[np.uint8], heads: NDArray[np.int64], found: Places) -> int:
    """Find the records of batches one after the other; how many there are, -1 where a batch is not as it should be."""
    n = 0
    for b in range(len(heads)):
        at, end = heads[b, START], heads[b, END]
        base, since, appended = heads[b, OFFSET], heads[b, TIME], heads[b, APPENDED]
        for _ in range(heads[b, COUNT]):
            length, at = long_at(data, at, end)
            if at < 0 or length < _LEAST - 1 or length > end - at or n >= len(found.offset):
                return -1
            stop = at + length
            later, at = long_at(data, at + 1, stop)
            if at < 0:
                return -1
            further, at = long_at(data, at, stop)
            if at < 0:
                return -1
            size, at = long_at(data, at, stop)
            if at < 0 or size > stop - at:
                return -1
            size, at = long_at(data, at + max(size, 0), stop)
            if at < 0 or size > stop - at:
                return -1
            found.offset[n] = base + further
            found.time[n] = appended if appended >= 0 else since + later
            found.at[n], found.end[n] = (at, at + size) if size >= 0 else (0, -1)
            n += 1
            at = stop  # behind the headers
        if at != end:
            return -1
    return n
