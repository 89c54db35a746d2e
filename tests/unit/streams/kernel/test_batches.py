"""The reader of record batches, with aiokafka's own as the judge."""

from __future__ import annotations

import random

import numpy as np
import pytest
from aiokafka import codec
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c
from hypothesis import given, settings
from hypothesis import strategies as st

from streams import fetched
from streams.kernel import batches
from streams.records import Record, Records
from tests.kit.fetches import fetch, written

CODECS = {0: None, 1: codec.gzip_encode, 2: codec.snappy_encode, 3: codec.lz4_encode, 4: codec.zstd_encode}
one_record = st.tuples(
    st.one_of(st.none(), st.binary(max_size=20)),
    st.one_of(st.none(), st.binary(max_size=300)),
    st.lists(st.tuples(st.text(max_size=9), st.one_of(st.none(), st.binary(max_size=9))), max_size=3),
    st.integers(0, 10**7),
)


@settings(deadline=None)  # the first may have to compile
@given(
    st.lists(st.tuples(st.lists(one_record, min_size=1, max_size=8), st.sampled_from(list(CODECS))), max_size=5),
    st.integers(0, 12),
)
def test_every_record_of_every_batch_is_found_as_aiokafka_finds_it(batches, since):
    """Any records in any compression, from any offset on: offset, time, value; key and headers where asked for."""
    raw, base = b"", 0
    for records, compression in batches:
        raw += written(records, compression, base)
        base += len(records) + 3  # a hole, as a transaction's mark leaves one
    # A broker sends no batch that ends before what was asked for, and where it does aiokafka reads it from its start.
    judge = [r for r in fetch(raw, since, own=False) if r.offset >= since]
    reader = fetch(raw, since)
    found = list(reader)
    assert reader.next_fetch_offset == (base - 3 if batches else since)
    if not found:
        assert not judge
        return
    columns = fetched.columns(found)
    got = [columns.record(i) for i in range(len(columns))]
    # A batch comes whole, though it may have been read up to its middle.
    assert [r for r in got if r.offset >= since] == [Record(r.offset, r.timestamp, r.value) for r in judge]
    assert columns.size == sum(len(r.value or b"") for r in got)
    asked = {r.offset for r in judge[::2]}
    assert {o: (m.key, tuple(m.headers)) for o, m in fetched.messages(found, asked).items()} == {
        r.offset: (r.key, r.headers) for r in judge if r.offset in asked
    }


def test_bytes_that_are_no_batch_are_an_error_and_nothing_worse():
    """Bytes changed behind the checksum's back: an error, or values that lie within them, and no crash for their keys."""
    dice = random.Random(7)
    told = same = 0
    for _ in range(4000):
        records = [(b"key", dice.randbytes(dice.randrange(40)), [("h", b"v")], 5) for _ in range(3)]
        raw = bytearray(written(records))
        for _ in range(dice.randrange(1, 3)):
            raw[dice.randrange(57, len(raw))] = dice.randrange(256)
        batch = next(iter(fetch(bytes(raw), check=False)))
        try:
            columns = fetched.columns([batch])
        except CorruptRecordException:
            told += 1
            continue
        same += 1
        for i in range(len(columns)):
            assert 0 <= columns.at[i] <= len(columns.data)
            assert columns.end[i] <= len(columns.data)
        fetched.messages([batch], set(columns.offset.tolist()))
    assert told > 300
    assert same > 1000


@settings(deadline=None)  # the first may have to compile
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=8))
def test_offsets_within_a_batch_never_leave_it(deltas):
    """A broker takes offsets in a batch for good whatever they are: records get such as follow each other in it."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1 << 20)
    for delta in deltas:
        builder.append(delta, 1_700_000_000_000, None, b"v", [])
    raw, last = bytearray((100).to_bytes(8) + bytes(builder.build()[8:])), len(deltas) - 1
    raw[23:27] = last.to_bytes(4)  # this is what a broker insists on
    assert fetched.columns(list(fetch(bytes(raw), check=False))).offset.tolist() == list(range(100, 101 + last))
    raw[23:27] = (last + 1).to_bytes(4)  # as where a record was taken out
    offsets = fetched.columns(list(fetch(bytes(raw), check=False))).offset.tolist()
    assert len(set(offsets)) == len(deltas)
    assert offsets == sorted(offsets)
    assert 100 <= offsets[0] <= offsets[-1] <= 101 + last


def test_wrong_checksum_is_an_error():
    """A batch that was changed on its way is not read."""
    raw = bytearray(written([(b"k", b"v", [], 0)]))
    raw[-2] ^= 1
    with pytest.raises(CorruptRecordException, match="does not match its checksum"):
        list(fetch(bytes(raw)))


def test_records_that_came_one_by_one_stand_beside_batches():
    """What was fetched before batches were asked for is read all the same."""
    raw = written([(b"k", b"a", [], 0), (b"k", None, [], 1)])
    alone, together = list(fetch(raw, own=False)), list(fetch(written([(b"q", b"c", [], 2)], base=2)))
    columns = fetched.columns([*alone, *together])
    assert [columns.record(i).value for i in range(3)] == [b"a", None, b"c"]
    assert [m.key for m in fetched.messages([*alone, *together], {0, 2}).values()] == [b"k", b"q"]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=9)), max_size=9), st.data())
def test_part_of_records_is_those_records(values, data):
    """Columns cut anywhere hold what was put in."""
    records = [Record(10 + i, 20 + i, value) for i, value in enumerate(values)]
    columns = Records.of(records)
    start = data.draw(st.integers(0, len(values)))
    stop = data.draw(st.integers(start, len(values)))
    part = columns.part(start, stop)
    assert [part.record(i) for i in range(len(part))] == records[start:stop]


@given(st.binary(max_size=100))
def test_checksum_is_crc_32c(data):
    """The checksum of any bytes is the one that aiokafka computes."""
    framed = bytes(21) + data
    raw = np.frombuffer(framed, np.uint8)
    assert int(batches._crc(raw, 21, len(raw), batches.CRC_TABLES)) == calc_crc32c(data)


def test_fetch_that_is_cut_off_or_old_is_read_as_aiokafka_reads_it():
    """The last batch of a fetch may be cut off anywhere; what is before it is read, and no byte behind its end."""
    raw = b"".join(written([(b"k", b"v%d" % i, [], 0)], base=i) for i in range(3))
    for end in range(len(raw)):
        judge, found = list(fetch(raw[:end], own=False)), list(fetch(raw[:end]))
        got = fetched.columns(found) if found else []
        assert [int(o) for o in (got.offset if found else [])] == [r.offset for r in judge]
    many = b"".join(written([(None, b"v", [], 0)], base=i) for i in range(100))
    (one,) = fetch(many)
    assert len(fetched.columns([one])) == 100
