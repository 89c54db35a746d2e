"""Records of samples, read where they lie: many records' bytes in, one array a field out.

Avro writes arrays of doubles and booleans as plain runs, so their bytes are copied whole. What this reader does not
know (blocks that a writer has split, an older schema, lengths that do not fit) it leaves to fastavro, which is also
its judge in tests. Source: Apache Avro 1.12 specification, "Binary Encoding".
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel import names as name_table
from streams.kernel.jit import inlined, lean
from streams.kernel.names import Names

READ, OTHER, NEW_METRIC = 0, 1, 2


class Flat(NamedTuple):
    """Samples of several records. Record r is samples `first[r]:first[r + 1]`.

    By sample: `name` is a number in the table of targets, -1 for an unknown name, which then stands at
    `text_at:text_end` of the bytes; `time` in ms; `sequence` NaN where none; `detail` an entry of `details`, -1 none.
    By record: the metric columns `column_first[r]:column_first[r + 1]`; column c is metric `column_metric[c]` with
    its values from `column_at[c]` of `metric_values`, one a sample. `probe` is a hash of the probe's name.
    `details` holds start and end of a status, start and end of a message.
    """

    first: NDArray[np.int64]
    probe: NDArray[np.uint64]
    name: NDArray[np.int64]
    text_at: NDArray[np.int64]
    text_end: NDArray[np.int64]
    time: NDArray[np.float64]
    ok: NDArray[np.uint8]
    value: NDArray[np.float64]
    sequence: NDArray[np.float64]
    detail: NDArray[np.int64]
    column_first: NDArray[np.int64]
    column_metric: NDArray[np.int64]
    column_at: NDArray[np.int64]
    metric_values: NDArray[np.float64]
    details: NDArray[np.int64]
    used: NDArray[np.int64]  # samples, columns, metric values, details


def fresh(records: int, samples: int, size: int) -> Flat:
    """Empty arrays with room for so many records and samples, of `size` bytes in all."""
    values = size // 8 + 1
    columns = size // 3 + 1  # of an empty batch: length, a letter, count
    return Flat(
        np.zeros(records + 1, np.int64),
        np.zeros(records, np.uint64),
        np.empty(samples, np.int64),
        np.empty(samples, np.int64),
        np.empty(samples, np.int64),
        np.empty(samples),
        np.empty(samples, np.uint8),
        np.empty(samples),
        np.empty(samples),
        np.empty(samples, np.int64),
        np.zeros(records + 1, np.int64),
        np.empty(columns, np.int64),
        np.empty(columns, np.int64),
        np.empty(values),
        np.empty((size // 3 + 1, 4), np.int64),
        np.zeros(4, np.int64),
    )


@inlined
def long_at(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """A zigzag variable-length integer at `at`, and where it ends; an end of -1 where it is cut off or too long."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < 64:
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(0x7F)) << shift
        if byte < 128:
            # Of 64 bits either way: what Python calls int is no other once it is compiled.
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at  # type: ignore[return-value]
        shift += np.uint64(7)
    return 0, -1


@inlined
def _string(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Start and end of a string's bytes; an end of -1 where there is none."""
    length, at = long_at(data, at, end)
    if at < 0 or length < 0 or at + length > end:
        return 0, -1
    return at, at + length


@inlined
def _items(data: NDArray[np.uint8], at: int, end: int) -> tuple[int, int]:
    """Count of an array's first block, 0 for an empty array, and where its items begin."""
    count, at = long_at(data, at, end)
    if at >= 0 and count < 0:
        _, at = long_at(data, at, end)
        count = -count
    # Of the least number there is no positive one.
    return (count, at) if count >= 0 else (0, -1)


@inlined
def _run(data: NDArray[np.uint8], at: int, end: int, width: int, want: int) -> tuple[int, int, int]:
    """Count, start and end of an array of `width`-byte items; -1 as end where it is not of `want` items or none."""
    count, start = _items(data, at, end)
    if start < 0 or (count != want and count != 0):
        return 0, 0, -1
    if count == 0:
        return 0, start, start
    after = start + count * width
    if after >= end or data[after] != 0:
        return 0, 0, -1
    return count, start, after + 1


@inlined
def _copy(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int, count: int) -> None:
    for i in range(count):
        out[to + i] = data[at + i]


@inlined
def _fixed(data: NDArray[np.uint8], at: int, end: int, n: int, out: NDArray[np.uint8], to: int) -> int:
    """Copy an array of `n` doubles; where it ends, -1 where it does not fit, -2 where there are none."""
    count, start, after = _run(data, at, end, 8, n)
    if after < 0 or count != n:
        return -1
    _copy(data, start, out, 8 * to, 8 * n)
    return after


@lean
def samples_in(
    data: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], header: NDArray[np.uint8]
) -> int:
    """Samples that the records seem to hold, at most as many as their bytes could."""
    total = 0
    for r in range(len(starts)):
        at, end = starts[r] + len(header), ends[r]
        _, at = _string(data, at, end)
        if at < 0:
            continue
        count, at = _items(data, at, end)
        if at >= 0:
            total += min(count, (end - starts[r]) // 17)
    return total


@lean
def scan(
    data: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    since: int,
    header: NDArray[np.uint8],
    most: int,
    targets: Names,
    metrics: Names,
    flat: Flat,
) -> tuple[int, int, int, int]:
    """Read records from number `since` on into `flat`; what ended it (READ at the end), and at which record.

    Record r lies at `starts[r]` to `ends[r]`; one that ends before it starts has no bytes at all.
    NEW_METRIC also tells where the name of a metric that `metrics` lacks begins and ends; after it is added, the same
    record is to be read again. OTHER is a record for fastavro. `most` is how many samples a record may hold.
    """
    time, value = flat.time.view(np.uint8), flat.value.view(np.uint8)
    sequence, metric_values = flat.sequence.view(np.uint8), flat.metric_values.view(np.uint8)
    samples, columns, values, details = flat.used[0], flat.used[1], flat.used[2], flat.used[3]
    guess = 0
    for r in range(since, len(starts)):
        at, end = starts[r], ends[r]
        flat.first[r], flat.column_first[r] = samples, columns
        if end - at < len(header):
            return OTHER, r, 0, 0
        for i in range(len(header)):
            if data[at + i] != header[i]:
                return OTHER, r, 0, 0
        start, at = _string(data, at + len(header), end)
        if at < 0:
            return OTHER, r, 0, 0
        flat.probe[r] = name_table.hash_of(data, start, at)
        n, at = _items(data, at, end)
        if at < 0 or n > most or samples + n > len(flat.name):
            return OTHER, r, 0, 0
        for i in range(samples, samples + n):
            start, at = _string(data, at, end)
            if at < 0:
                return OTHER, r, 0, 0
            found = name_table.find(targets, data, start, at, guess)
            guess = found + 1
            flat.name[i] = found
            flat.text_at[i], flat.text_end[i] = start, at
            flat.detail[i] = -1
        if n:
            if at >= end or data[at] != 0:
                return OTHER, r, 0, 0
            at += 1
        at = _fixed(data, at, end, n, time, samples)
        if at < 0:
            return OTHER, r, 0, 0
        count, start, at = _run(data, at, end, 1, n)
        if at < 0 or count != n:
            return OTHER, r, 0, 0
        for i in range(n):
            if data[start + i] > 1:
                return OTHER, r, 0, 0
            flat.ok[samples + i] = data[start + i]
        at = _fixed(data, at, end, n, value, samples)
        if at < 0:
            return OTHER, r, 0, 0
        count, start, at = _run(data, at, end, 8, n)
        if at < 0:
            return OTHER, r, 0, 0
        if count:
            _copy(data, start, sequence, 8 * samples, 8 * n)
        else:
            flat.sequence[samples : samples + n] = np.nan
        count, at = _items(data, at, end)
        if at < 0 or count > 500:
            return OTHER, r, 0, 0
        own_columns, own_values = columns, values
        for _ in range(count):
            start, at = _string(data, at, end)
            if at < 0 or at == start:
                return OTHER, r, 0, 0
            metric = name_table.find(metrics, data, start, at, -1)
            if metric < 0:
                return NEW_METRIC, r, start, at
            at = _fixed(data, at, end, n, metric_values, own_values)
            if at < 0:
                return OTHER, r, 0, 0
            flat.column_metric[own_columns], flat.column_at[own_columns] = metric, own_values
            own_columns += 1
            own_values += n
        if count:
            if at >= end or data[at] != 0:
                return OTHER, r, 0, 0
            at += 1
        count, at = _items(data, at, end)
        if at < 0 or count > (end - at) // 3:
            return OTHER, r, 0, 0
        for k in range(details, details + count):
            row, at = long_at(data, at, end)
            if at < 0 or row < 0 or row >= n:
                return OTHER, r, 0, 0
            start, at = _string(data, at, end)
            if at < 0:
                return OTHER, r, 0, 0
            flat.details[k, 0], flat.details[k, 1] = start, at
            start, at = _string(data, at, end)
            if at < 0:
                return OTHER, r, 0, 0
            flat.details[k, 2], flat.details[k, 3] = start, at
            flat.detail[samples + row] = k
        if count:
            if at >= end or data[at] != 0:
                return OTHER, r, 0, 0
            at += 1
        if at != end:
            return OTHER, r, 0, 0
        samples, columns, values, details = samples + n, own_columns, own_values, details + count
        flat.used[0], flat.used[1], flat.used[2], flat.used[3] = samples, columns, values, details
        flat.first[r + 1], flat.column_first[r + 1] = samples, columns
    return READ, len(starts), 0, 0
