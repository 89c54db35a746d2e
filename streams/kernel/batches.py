"""Record batches, read where they lie: what their heads say, and where in them each record's value is.

Source: Apache Kafka, "Record Batch" and "Record" of message format 2; its lengths are Avro's zigzag integers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.kernel.jit import inlined, lean
from streams.kernel.scan import long_at

# What a batch's head says, in columns: where the batch begins in the bytes, where its records begin and end, how many
# they are, offset and time (ms) that theirs are counted from, the offset of the last, the latest time, attributes and
# the producer.
AT, START, END, COUNT, OFFSET, TIME, LAST, LATEST, ATTRIBUTES, PRODUCER = range(10)
COMPRESSION, APPENDED, TRANSACTION, CONTROL = 0x07, 0x08, 0x10, 0x20  # bits of the attributes
READ, OLD, CORRUPT = 0, 1, 2
HEAD_BYTES = 61
_BEFORE_LENGTH, _BEFORE_CHECKED = 12, 21
_LEAST = 7  # bytes of a record: length, attributes, two deltas, no key, no value, no headers


class Places(NamedTuple):
    """Records by number: offset, time (ms), where the value begins and ends; an end before the start where none is."""

    offset: NDArray[np.int64]
    time: NDArray[np.int64]
    at: NDArray[np.int64]
    end: NDArray[np.int64]


def _crc_tables() -> NDArray[np.uint32]:
    """CRC-32C (Castagnoli) of a byte followed by 0 to 7 zero bytes: eight bytes are looked up at a time.

    Source: Kounavis and Berry, *A systematic approach to building high performance, software-based, CRC generators*,
    2005 ("slicing by eight").
    """
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        tables[0, byte] = crc
    for k in range(1, 8):
        tables[k] = tables[k - 1] >> np.uint32(8) ^ tables[0][tables[k - 1] & np.uint32(0xFF)]
    return tables


CRC_TABLES = _crc_tables()


@inlined
def _crc(data: NDArray[np.uint8], at: int, end: int, tables: NDArray[np.uint32]) -> np.uint32:
    crc = np.uint32(0xFFFFFFFF)
    while end - at >= 8:
        a = np.uint32(data[at]) | np.uint32(data[at + 1]) << np.uint32(8)
        a |= np.uint32(data[at + 2]) << np.uint32(16) | np.uint32(data[at + 3]) << np.uint32(24)
        a ^= crc
        crc = (
            tables[7, a & np.uint32(0xFF)]
            ^ tables[6, a >> np.uint32(8) & np.uint32(0xFF)]
            ^ tables[5, a >> np.uint32(16) & np.uint32(0xFF)]
            ^ tables[4, a >> np.uint32(24)]
            ^ tables[3, data[at + 4]]
            ^ tables[2, data[at + 5]]
            ^ tables[1, data[at + 6]]
            ^ tables[0, data[at + 7]]
        )
        at += 8
    while at < end:
        crc = crc >> np.uint32(8) ^ tables[0, (crc ^ data[at]) & np.uint32(0xFF)]
        at += 1
    return crc ^ np.uint32(0xFFFFFFFF)


@inlined
def _big(data: NDArray[np.uint8], at: int, width: int) -> int:
    """The signed number of `width` bytes, the highest first."""
    value = np.int64(np.int8(data[at]))
    for i in range(at + 1, at + width):
        value = value << np.int64(8) | np.int64(data[i])
    return value  # type: ignore[return-value]  # what Python calls int is no other once it is compiled


@lean
def heads(
    data: NDArray[np.uint8], check: bool, tables: NDArray[np.uint32], found: NDArray[np.int64]
) -> tuple[int, int]:
    """Read the heads of the batches in a fetch, whose last one may be cut off; how that ended, and how many there are.

    OLD is a batch of an earlier format, CORRUPT one that does not match its checksum (looked at where `check`) or is
    shorter than its head. It ends early where `found` has no more rows.
    """
    n, at = 0, 0
    while at + _BEFORE_LENGTH <= len(data) and n < len(found):
        end = at + _BEFORE_LENGTH + _big(data, at + 8, 4)
        if end > len(data):
            break
        if end < at + 17:
            return CORRUPT, n
        if data[at + 16] < 2:
            return OLD, n
        if end < at + HEAD_BYTES:
            return CORRUPT, n
        if check and np.uint32(_big(data, at + 17, 4)) != _crc(data, at + _BEFORE_CHECKED, end, tables):
            return CORRUPT, n
        head = found[n]
        head[AT], head[START], head[END] = at, at + HEAD_BYTES, end
        head[OFFSET], head[ATTRIBUTES] = _big(data, at, 8), _big(data, at + 21, 2)
        head[LAST] = head[OFFSET] + _big(data, at + 23, 4)
        head[TIME], head[LATEST], head[PRODUCER] = (
            _big(data, at + 27, 8),
            _big(data, at + 35, 8),
            _big(data, at + 43, 8),
        )
        head[COUNT] = _big(data, at + 57, 4)
        n += 1
        at = end
    return READ, n


def places(heads: NDArray[np.int64]) -> Places:
    """Room for as many records as the batches hold at most, whatever their heads say."""
    most = np.minimum(heads[:, COUNT].clip(0), (heads[:, END] - heads[:, START]) // _LEAST)
    return Places(*(np.empty(int(most.sum()), np.int64) for _ in range(4)))


@lean
def read(data: NDArray[np.uint8], heads: NDArray[np.int64], found: Places) -> int:
    """Find the records of batches one after the other; how many there are, -1 where a batch is not as it should be."""
    n = 0
    for b in range(len(heads)):
        at, end = heads[b, START], heads[b, END]
        base, since = heads[b, OFFSET], heads[b, TIME]
        appended = (heads[b, ATTRIBUTES] & APPENDED) != 0
        # A broker looks at the offsets of a batch, not at those in it: whatever they say, records stand one after the
        # other within it, or one beyond its end would have all that follow taken for read.
        least, most = base, heads[b, LAST] - heads[b, COUNT] + 1
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
            found.offset[n] = min(max(base + further, least), most)
            least, most = found.offset[n] + 1, most + 1
            found.time[n] = heads[b, LATEST] if appended else since + later
            found.at[n], found.end[n] = (at, at + size) if size >= 0 else (0, -1)
            n += 1
            at = stop  # behind the headers
        if at != end:
            return -1
    return n
