"""Record batches as producers write them, and fetches of them as a consumer reads them."""

from __future__ import annotations

from aiokafka.consumer.fetcher import READ_COMMITTED, READ_UNCOMMITTED, PartitionRecords
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import TopicPartition

from streams import fetched
from tests.kit.folding import START

TP = TopicPartition("t", 0)


def written(records, compression=0, base=0):
    """A batch of (key, value, headers, ms later), as a producer's bytes."""
    builder = DefaultRecordBatchBuilder(2, compression, 0, -1, -1, -1, 1 << 24)
    for i, (key, value, headers, later) in enumerate(records):
        builder.append(i, START + later, key, value, headers)
    raw = builder.build()
    return base.to_bytes(8) + bytes(raw[8:])  # a broker sets the offset, which the checksum leaves out


def fetch(raw, offset=0, *, own=True, check=True, committed=True):
    """What is read of a fetch from this offset: in one where it is our `own` reader, else as aiokafka reads it."""
    kind = type("Own", (fetched._Whole,), {"topics": frozenset({"t"})}) if own else PartitionRecords
    read = fetched._Kept(raw) if own else MemoryRecords(raw)
    return kind(TP, read, [], offset, None, None, check, READ_COMMITTED if committed else READ_UNCOMMITTED)
