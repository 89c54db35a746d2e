"""Batches of a few kilobytes that decompress to as much as one likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import codec
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.util import calc_crc32c

from tests.kit.fetches import written

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

PACK = {1: codec.gzip_encode, 2: codec.snappy_encode, 3: codec.lz4_encode, 4: codec.zstd_encode}
_CHUNK = 1 << 24


def bomb(kind: int, size: int) -> bytes:
    """A batch of two records, in the compression of this number: a value of `size` zero bytes, and an empty one.

    `size` is in steps of 16 MiB. Where readers of the compression allow for it each is compressed by itself, so that
    this takes no memory either.
    """
    value = b"\0\0\0\x01" + _zigzag(size)
    begin, end, pack = _zigzag(len(value) + size + 1) + value, bytes([0, 12, 0, 0, 2, 1, 0, 0]), PACK[kind]
    if kind in (1, 4):
        return said_to_be(kind, pack(begin) + pack(bytes(_CHUNK)) * (size // _CHUNK) + pack(end))
    return said_to_be(kind, pack(begin + bytes(size) + end))


def said_to_be(kind: int, packed: bytes) -> bytes:
    """A batch whose head says that `packed` is two records in this compression."""
    raw = written([(None, b"", [], 0)] * 2)
    rest = (int.from_bytes(raw[21:23]) | kind).to_bytes(2) + raw[23:61] + packed
    return raw[:8] + (len(rest) + 9).to_bytes(4) + raw[12:17] + calc_crc32c(rest).to_bytes(4) + rest


def _zigzag(number: int) -> bytes:
    number, out = number << 1, bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


async def throw(producer: AIOKafkaProducer, topic: str, partition: int, raw: bytes) -> int:
    """Send a batch as it is, by a producer without idempotence, which would change it; its offset."""
    builder = BatchBuilder(1 << 20, 0)
    for _ in range(2):
        builder.append(timestamp=None, key=None, value=b"")
    builder._build()
    builder._buffer = bytearray(raw)
    sent = await producer.send_batch(builder, topic, partition=partition)
    return int((await sent).offset)
