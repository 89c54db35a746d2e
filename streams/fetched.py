"""What a consumer fetched, handed on by the record batch: for those who read records as columns.

aiokafka makes an object of every record, which takes longer than a sample takes us. Here it takes batches apart only
as far as it must, to check and decompress them and to leave out what a transaction broke off; the records in them are
found by `streams/kernel/batches.py`.
"""

from __future__ import annotations

import contextlib
import types
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from aiokafka import codec
from aiokafka.consumer import fetcher as fetching
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.kernel import batches
from streams.kernel.batches import Places
from streams.records import Record, Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from collections.abc import Set as AbstractSet

_MAGIC_AT, _COUNT_AT, _RECORDS_AT = 16, 57, 61
_OVERHEAD = 12  # bytes of a batch that its length does not count
_DECODE = {1: codec.gzip_decode, 2: codec.snappy_decode, 3: codec.lz4_decode, 4: codec.zstd_decode}


class Batch(NamedTuple):
    """A record batch, decompressed; `offset` and `timestamp` are those of its last record, as a message has them.

    `head` is what `streams.kernel.batches` wants to know of it, `raw` the batch as it came.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    head: tuple[int, int, int, int]
    records: Any
    raw: bytes


class _Kept(MemoryRecords):  # type: ignore[misc]  # a C class without types
    """A fetch that can still be read as the bytes it came in."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.raw = raw


class _Batches(fetching.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """The batches of a fetch in place of its records."""

    topics: frozenset[str] = frozenset()

    def _unpack_records(self) -> Iterator[Any]:
        if self._tp.topic not in self.topics:
            yield from super()._unpack_records()
            return
        fetch, at = self._records, 0
        self.next_fetch_offset: int
        while fetch.has_next():
            size = _OVERHEAD + int.from_bytes(fetch.raw[at + 8 : at + _OVERHEAD])
            raw, at = fetch.raw[at : at + size], at + size
            batch = fetch.next_batch()
            if self._check_crcs and not batch.validate_crc():
                raise CorruptRecordException(f"a batch of {self._tp} does not match its checksum")
            if raw[_MAGIC_AT] < 2:  # of a broker that still has the log of an old one
                for record in batch:
                    if record.offset >= self.next_fetch_offset:
                        self.next_fetch_offset = record.offset + 1
                        yield self._consumer_record(self._tp, record)
                continue
            wanted = self._wanted(batch)
            self.next_fetch_offset = batch.next_offset
            if wanted:
                yield self._batch(batch, raw)

    def _wanted(self, batch: Any) -> bool:
        """Whether a batch has records that count: no mark of a transaction, and none that was broken off."""
        if self._isolation_level == fetching.READ_COMMITTED and batch.producer_id is not None:
            self._consume_aborted_up_to(batch.base_offset)
            if batch.is_control_batch and self._contains_abort_marker(batch):
                self._aborted_producers.discard(batch.producer_id)
            if batch.is_transactional and batch.producer_id in self._aborted_producers:
                return False
        return not batch.is_control_batch

    def _batch(self, batch: Any, raw: bytes) -> Batch:
        body = memoryview(raw)[_RECORDS_AT:]
        count = int.from_bytes(raw[_COUNT_AT:_RECORDS_AT], signed=True)
        if batch.compression_type:
            # aiokafka's decoders want bytes.
            body = _DECODE[batch.compression_type](bytes(body))
        appended = batch.max_timestamp if batch.timestamp_type == 1 else -1
        head = (count, batch.base_offset, batch.first_timestamp, appended)
        last, time = batch.next_offset - 1, batch.max_timestamp
        return Batch(self._tp.topic, self._tp.partition, last, time, batch.timestamp_type, head, body, raw)


def by_the_batch(fetcher: Any, topics: frozenset[str]) -> None:
    """Let this fetcher hand on `Batch`es of the topics, by full name; once is enough.

    aiokafka has no seam for it: what reads an answer of the broker is the same code, looking up other names.
    """
    if "_proc_fetch_request" in vars(fetcher):
        return
    method = fetching.Fetcher._proc_fetch_request  # noqa: SLF001 - there is no public seam
    own = type("_BatchesOf", (_Batches,), {"topics": topics})
    names = {**vars(fetching), "MemoryRecords": _Kept, "PartitionRecords": own}
    function = types.FunctionType(method.__code__, names, method.__name__, method.__defaults__, method.__closure__)
    fetcher._proc_fetch_request = types.MethodType(function, fetcher)  # noqa: SLF001


def columns(found: Sequence[Any]) -> Records:
    """The records of what a consumer fetched, as columns. Raises CorruptRecordException for what is none."""
    if not all(isinstance(one, Batch) for one in found):
        return _of_messages(found)
    heads = np.empty((len(found), 6), np.int64)
    heads[:, batches.COUNT :] = [one.head for one in found]
    ends = np.cumsum([len(one.records) for one in found])
    heads[:, batches.END] = ends
    heads[0, batches.START], heads[1:, batches.START] = 0, ends[:-1]
    data = np.frombuffer(found[0].records if len(found) == 1 else b"".join(one.records for one in found), np.uint8)
    places = batches.places(batches.most(heads))
    count = int(batches.read(data, heads, places))
    if count < 0:
        where = f"{found[0].topic}/{found[0].partition}/{found[0].head[1]} to {found[-1].offset}"
        raise CorruptRecordException(f"{where}: the records of a batch are not as long as they say")
    own = Places(*(column[:count] for column in places))
    return Records(own.offset, own.time, own.at, own.end, data)


def _of_messages(found: Sequence[Any]) -> Records:
    """Columns where some were fetched record by record, before the fetcher was asked for batches."""
    records: list[Record] = []
    for one in found:
        if isinstance(one, Batch):
            some = columns([one])
            records += [some.record(i) for i in range(len(some))]
        else:
            records.append(Record(one.offset, one.timestamp, one.value))
    return Records.of(records)


def messages(found: Sequence[Any], offsets: AbstractSet[int]) -> dict[int, Any]:
    """The records with these offsets as aiokafka reads them, with keys and headers; without one it cannot read."""
    own: dict[int, Any] = {}
    for one in found:
        if isinstance(one, Batch):
            if any(one.head[1] <= offset <= one.offset for offset in offsets):
                # Headers are of no use to a value that was read without them.
                with contextlib.suppress(CorruptRecordException, UnicodeDecodeError):
                    own.update((r.offset, r) for r in MemoryRecords(one.raw).next_batch() if r.offset in offsets)
        elif one.offset in offsets:
            own[one.offset] = one
    return own
