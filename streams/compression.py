"""Batches that producers compressed, decompressed within bounds: a megabyte of them may stand for gigabytes.

What a fetch decompresses to is bounded. Batches that have no room left are for the next fetch; one that by itself has
none, or that cannot be decompressed, is one record without a value in place of its own, with the reason beside it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from aiokafka import codec
from numpy.typing import NDArray

from streams.admission import Refusal
from streams.kernel import batches

MOST_BYTES = 64 * 1024 * 1024
"""Decompressed bytes of a fetch: 64 times what a broker takes as one batch, which samples do not come near."""

CODECS = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_USUAL = 16
_GROWTH = 8
_NOTHING = bytes([12, 0, 0, 0, 1, 1, 0])  # a record: length 6, no attributes, no deltas, no key, value or headers
_NO_ROOM = "failed to write whole buffer"  # as cramjam's writers say it; tests/unit/streams/test_compression.py looks
_XERIAL = b"\x82SNAPPY\0" + bytes([0, 0, 0, 1, 0, 0, 0, 1])  # snappy in blocks, each behind its length: Java's way


class Unread(NamedTuple):
    """A batch whose records cannot be had: their offsets, how many they are, why not, and the batch as it came."""

    first: int
    last: int
    records: int
    refusal: Refusal
    raw: bytes


class Decompressed(NamedTuple):
    """Heads of batches over plain bytes; of those in `unread`, by the offset of their last record, there is only that.

    Where there are fewer heads than were asked for, another fetch has room for the rest.
    """

    heads: NDArray[np.int64]
    data: NDArray[np.uint8]
    unread: dict[int, Unread]


class NoRoomError(ValueError):
    """There is more to decompress than there is room for."""


def decompressed(heads: NDArray[np.int64], raw: bytes) -> Decompressed:
    """The bytes of the batches' records, plain and one after the other, up to `MOST_BYTES`."""
    heads, view = heads.copy(), memoryview(raw)
    out, at = np.empty(len(_NOTHING) + min(_USUAL * len(raw), MOST_BYTES), np.uint8), len(_NOTHING)
    out[:at] = np.frombuffer(_NOTHING, np.uint8)
    unread: dict[int, Unread] = {}
    done = 0
    for head in heads:
        kind = int(head[batches.ATTRIBUTES] & batches.COMPRESSION)
        packed = view[head[batches.START] : head[batches.END]]
        try:
            out, size = _roomy(kind, packed, out, at)
        except NoRoomError:
            if at > len(_NOTHING):
                break
            why = f"decompress to more than {MOST_BYTES >> 20} MiB, the most that is read: send them in smaller batches"
            unread[int(head[batches.LAST])] = _unread(head, view, Refusal("oversized_decompressed", why))
            done += 1
            break  # what takes this long is done once in a fetch, so that heartbeats go out between two
        except (ValueError, codec.cramjam.DecompressionError) as error:
            why = f"cannot be decompressed: {error}"
            unread[int(head[batches.LAST])] = _unread(head, view, Refusal("corrupt_compression", why))
        else:
            head[batches.START], head[batches.END] = at, at + size
            at += size
        done += 1
    out.resize(at, refcheck=False)  # gives the rest back; nothing looks at it
    out.setflags(write=False)  # as bytes are: compiled code is compiled for these
    return Decompressed(heads[:done], out, unread)


def _unread(head: NDArray[np.int64], view: memoryview, refusal: Refusal) -> Unread:
    """What there is to say of a batch; its head becomes that of one record without a value, the last."""
    first, last, count = (int(head[i]) for i in (batches.OFFSET, batches.LAST, batches.COUNT))
    kind = int(head[batches.ATTRIBUTES] & batches.COMPRESSION)
    raw = bytes(view[head[batches.AT] : head[batches.END]])
    said = f"records {first} to {last}, in one batch of {len(raw)} bytes in {CODECS.get(kind, 'no compression')},"
    head[batches.START], head[batches.END], head[batches.COUNT] = 0, len(_NOTHING), 1
    head[batches.OFFSET], head[batches.TIME] = last, head[batches.LATEST]
    return Unread(first, last, max(count, 1), Refusal(refusal.reason, f"{said} {refusal.message}"), raw)


def _roomy(kind: int, packed: memoryview, out: NDArray[np.uint8], at: int) -> tuple[NDArray[np.uint8], int]:
    """Decompress into `out` from `at` on, or into a larger copy of it; that, and how many bytes it took."""
    while True:
        try:
            return out, decompress(kind, packed, out[at:])
        except NoRoomError:
            most = len(_NOTHING) + MOST_BYTES
            if len(out) >= most:
                raise
            larger = np.empty(min(_GROWTH * len(out), most), np.uint8)
            larger[:at] = out[:at]
            out = larger


def decompress(kind: int, packed: memoryview, room: NDArray[np.uint8]) -> int:
    """Decompress into `room`, by the number that Kafka gives to a compression, 0 for none; how many bytes.

    Raises NoRoomError, and ValueError or cramjam's DecompressionError for what was not compressed so.
    """
    if kind == 0:
        return _plain(packed, room)
    if kind == 2:
        return _snappy(packed, room)
    if kind not in CODECS:
        raise ValueError(f"there is no compression {kind}")
    try:
        return int(getattr(codec.cramjam, CODECS[kind]).decompress_into(packed, room))
    except codec.cramjam.DecompressionError as error:
        if str(error) == _NO_ROOM:
            raise NoRoomError from None
        raise


def _plain(packed: memoryview, room: NDArray[np.uint8]) -> int:
    if len(packed) > len(room):
        raise NoRoomError
    room[: len(packed)] = np.frombuffer(packed, np.uint8)
    return len(packed)


def _snappy(packed: memoryview, room: NDArray[np.uint8]) -> int:
    if packed[: len(_XERIAL)] != _XERIAL:
        return _snappy_block(packed, room)
    at, used = len(_XERIAL), 0
    while at < len(packed):
        start = at + 4
        at = start + int.from_bytes(packed[at:start])
        if at > len(packed):
            raise ValueError("snappy: a block beyond the end")
        used += _snappy_block(packed[start:at], room[used:])
    return used


def _snappy_block(block: memoryview, room: NDArray[np.uint8]) -> int:
    snappy: Any = codec.cramjam.snappy
    if int(snappy.decompress_raw_len(block)) > len(room):
        raise NoRoomError
    return int(snappy.decompress_raw_into(block, room))
