"""What a consumer fetched, handed on as one piece: for those who read records as columns.

aiokafka makes an object of every batch and of every record, and either takes longer than a sample takes us. Here a
fetch is left as it came: its batches are checked, decompressed where they must be, and what a transaction broke off is
left out where the consumer reads committed records only; the records in them are found by `streams/kernel/batches.py`.
"""

from __future__ import annotations

import contextlib
import types
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from aiokafka.consumer import fetcher as fetching
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords
from numpy.typing import NDArray

from streams.compression import Unread, decompressed
from streams.kernel import batches
from streams.records import Record, Records

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

Heads = NDArray[np.int64]


class Fetched(NamedTuple):
    """Batches of one partition; `offset` and `timestamp` are those of the last record, as a message has them.

    `heads` says of each batch what streams/kernel/batches.py names, where its records are in `data` and where it is in
    `raw`, the bytes that came. `unread` are those that could not be decompressed, by the offset of their last record:
    in place of their records they have one without a value there.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    heads: Heads
    data: NDArray[np.uint8]
    raw: bytes
    unread: Mapping[int, Unread]


class _Kept(MemoryRecords):  # type: ignore[misc]  # a C class without types
    """A fetch that can still be read as the bytes it came in."""

    def __init__(self, raw: bytes) -> None:
        super().__init__(raw)
        self.raw = raw


class _Whole(fetching.PartitionRecords):  # type: ignore[misc]  # aiokafka ships no types
    """A fetch as one piece in place of its records."""

    topics: frozenset[str] = frozenset()

    def _unpack_records(self) -> Iterator[Any]:
        if self._tp.topic not in self.topics:
            yield from super()._unpack_records()
            return
        raw = self._records.raw
        ended, heads = _heads(raw, check=self._check_crcs)
        if ended == batches.CORRUPT:
            raise CorruptRecordException(f"a batch of {self._tp} does not match its checksum")
        if ended == batches.OLD:  # of a broker that still has the log of an old one
            yield from super()._unpack_records()
            return
        if not len(heads):
            return
        self.next_fetch_offset: int = int(heads[-1, batches.LAST]) + 1
        data = np.frombuffer(raw, np.uint8)
        if (heads[:, batches.ATTRIBUTES] & (batches.TRANSACTION | batches.CONTROL)).any():
            heads = heads[[self._wanted(head, raw) for head in heads]]
        unread: Mapping[int, Unread] = {}
        if (heads[:, batches.ATTRIBUTES] & batches.COMPRESSION).any():
            asked = len(heads)
            heads, data, unread = decompressed(heads, raw)
            if len(heads) < asked:  # the rest is fetched again
                self.next_fetch_offset = int(heads[-1, batches.LAST]) + 1
        if len(heads):
            last = heads[-1]
            kind = int(last[batches.ATTRIBUTES] & batches.APPENDED != 0)
            at = int(last[batches.LAST]), int(last[batches.LATEST]), kind
            yield Fetched(self._tp.topic, self._tp.partition, *at, heads, data, raw, unread)

    def _wanted(self, head: Heads, raw: bytes) -> bool:
        """Whether a batch has records that count: no mark of a transaction, and none that was broken off."""
        control, producer = bool(head[batches.ATTRIBUTES] & batches.CONTROL), int(head[batches.PRODUCER])
        if self._isolation_level == fetching.READ_COMMITTED and producer >= 0:
            self._consume_aborted_up_to(int(head[batches.OFFSET]))
            if control and self._contains_abort_marker(_batch(head, raw)):
                self._aborted_producers.discard(producer)
            if head[batches.ATTRIBUTES] & batches.TRANSACTION and producer in self._aborted_producers:
                return False
        return not control


def _heads(raw: bytes, *, check: bool) -> tuple[int, Heads]:
    found = np.empty((max(len(raw) // 4096, 16), 10), np.int64)
    data = np.frombuffer(raw, np.uint8)
    while True:
        ended, count = batches.heads(data, check, batches.CRC_TABLES, found)
        if count < len(found):
            return ended, found[:count]
        found = np.empty((len(raw) // batches.HEAD_BYTES + 1, 10), np.int64)  # many small ones: room for any number


def _batch(head: Heads, raw: bytes) -> Any:
    """A batch as aiokafka reads it."""
    at = int(head[batches.AT])
    length = int.from_bytes(raw[at + 8 : at + 12])
    return MemoryRecords(raw[at : at + 12 + length]).next_batch()


def as_one(fetcher: Any, topics: frozenset[str]) -> None:
    """Let this fetcher hand on what it fetched of the topics, by full name, as `Fetched`; once is enough.

    aiokafka has no seam for it: what reads an answer of the broker is the same code, looking up other names.
    """
    if "_proc_fetch_request" in vars(fetcher):
        return
    method = fetching.Fetcher._proc_fetch_request  # noqa: SLF001 - there is no public seam
    own = type("_WholeOf", (_Whole,), {"topics": topics})
    names = {**vars(fetching), "MemoryRecords": _Kept, "PartitionRecords": own}
    function = types.FunctionType(method.__code__, names, method.__name__, method.__defaults__, method.__closure__)
    fetcher._proc_fetch_request = types.MethodType(function, fetcher)  # noqa: SLF001


def columns(found: Sequence[Any]) -> Records:
    """The records of what a consumer fetched, as columns. Raises CorruptRecordException for what is none."""
    if len(found) == 1 and isinstance(found[0], Fetched):
        return _columns(found[0])
    # Some were fetched record by record, before the fetcher was asked for more.
    records: list[Record] = []
    for one in found:
        if isinstance(one, Fetched):
            some = _columns(one)
            records += [some.record(i) for i in range(len(some))]
        else:
            records.append(Record(one.offset, one.timestamp, one.value))
    return Records.of(records)


def _columns(one: Fetched) -> Records:
    places = batches.places(one.heads)
    count = int(batches.read(one.data, one.heads, places))
    if count < 0:
        where = f"{one.topic}/{one.partition}/{int(one.heads[0, batches.OFFSET])} to {one.offset}"
        raise CorruptRecordException(f"{where}: the records of a batch are not as long as they say")
    own = batches.Places(*(column[:count] for column in places))
    return Records(own.offset, own.time, own.at, own.end, one.data)


def begins(found: Sequence[Any]) -> int:
    """The offset at which what was fetched begins: of its first record, or of the batch that it is in."""
    first = found[0]
    if not isinstance(first, Fetched):
        return int(first.offset)
    unread = first.unread.get(int(first.heads[0, batches.LAST]))
    return unread.first if unread is not None else int(first.heads[0, batches.OFFSET])


def messages(found: Sequence[Any], offsets: AbstractSet[int]) -> dict[int, Any]:
    """The records with these offsets as aiokafka reads them, with keys and headers; without one it cannot read.

    In place of what a batch has that could not be decompressed: `Unread`.
    """
    own: dict[int, Any] = {}
    wanted = np.array(sorted(offsets), np.int64)
    for one in found:
        if isinstance(one, Fetched):
            first, last = one.heads[:, batches.OFFSET], one.heads[:, batches.LAST]
            held = np.searchsorted(wanted, first) < np.searchsorted(wanted, last, side="right")
            for head in one.heads[held]:
                if (unread := one.unread.get(int(head[batches.LAST]))) is not None:
                    own[unread.last] = unread
                    continue
                # Headers are of no use to a value that was read without them.
                with contextlib.suppress(CorruptRecordException, UnicodeDecodeError):
                    own.update((r.offset, r) for r in _batch(head, one.raw) if r.offset in offsets)
        elif one.offset in offsets:
            own[one.offset] = one
    return own
