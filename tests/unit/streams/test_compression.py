"""Decompression within bounds, with aiokafka's own encoders on the other side."""

from __future__ import annotations

import random

import numpy as np
import pytest
from aiokafka import codec

from streams import compression, fetched
from streams.compression import NoRoomError, decompress
from tests.kit.bombs import PACK, bomb, said_to_be
from tests.kit.fetches import fetch, written

RAW_SNAPPY = 12
PACKERS = {0: bytes, **PACK, RAW_SNAPPY: lambda plain: codec.snappy_encode(plain, xerial_compatible=False)}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("size", [1, 100_000])
def test_what_just_fits_is_decompressed_and_a_byte_less_is_no_room(kind, size):
    """Any compression, in as much room as its bytes take; in less, an error that says so and no other."""
    plain = bytes(random.Random(size).choices(b"abc", k=size))
    packed, room = memoryview(PACKERS[kind](plain)), np.empty(size, np.uint8)
    assert decompress(kind % 10, packed, room) == size
    assert room.tobytes() == plain
    with pytest.raises(NoRoomError):
        decompress(kind % 10, packed, room[:-1])


def read_on(raw, ends):
    """What a consumer reads of a log of these bytes, fetch by fetch: (the batches' place in it, as fetched) each."""
    at = 0
    while at < len(ends):
        reader = fetch(raw[ends[at - 1] if at else 0 :], at)
        (one,) = list(reader)
        yield at, one
        at = reader.next_fetch_offset


def test_what_does_not_fit_beside_the_others_is_for_the_next_fetch(monkeypatch):
    """Batches that have room each, and not together: none is lost, none comes twice, and no fetch is over the bound."""
    monkeypatch.setattr(compression, "MOST_BYTES", 1 << 20)
    values = [bytes([i]) * (300 << 10) for i in range(5)]
    batches = [written([(None, value, [], 0)], compression=4, base=i) for i, value in enumerate(values)]
    ends = np.cumsum([len(b) for b in batches]).tolist()
    got, sizes = {}, []
    for _, one in read_on(b"".join(batches), ends):
        columns = fetched.columns([one])
        sizes.append(len(columns))
        assert len(one.data) <= (1 << 20) + 7
        for i in range(len(columns)):
            record = columns.record(i)
            assert record.offset not in got
            got[record.offset] = record.value
    assert [got[i] for i in range(5)] == values
    assert sizes == [3, 2]


@pytest.mark.parametrize("kind", PACK)
def test_batch_that_cannot_be_decompressed_is_one_record_with_the_reason(kind):
    """What is beside it is read; it has no value, and what it was is at hand, with the offsets that it took."""
    good = written([(b"k", b"v", [], 0)], compression=kind)
    bad = (1).to_bytes(8) + said_to_be(kind, b"\x05nothing of the kind")[8:]
    last = (3).to_bytes(8) + good[8:]
    (one,) = fetch(good + bad + last)
    columns = fetched.columns([one])
    assert [columns.record(i)[0::2] for i in range(3)] == [(0, b"v"), (2, None), (3, b"v")]
    messages = fetched.messages([one], {0, 2, 3})
    assert (messages[0].key, messages[3].key) == (b"k", b"k")
    told = messages[2]
    assert (told.first, told.last, told.records, told.raw) == (1, 2, 2, bad)
    assert told.refusal.reason == "corrupt_compression"
    assert "records 1 to 2" in told.refusal.message


@pytest.mark.parametrize("kind", [1, 3, 4])
def test_batch_beyond_the_bound_is_passed_over_by_itself(kind):
    """A fetch may begin with it or end with it: where the fetch begins is where it begins, and the next goes on."""
    raw = [written([(None, b"v", [], 0)], compression=kind), (1).to_bytes(8) + bomb(kind, 80 << 20)[8:]]
    raw.append(written([(None, b"w", [], 0)], compression=kind, base=3))
    ends = [len(raw[0]), len(raw[0]), len(raw[0]) + len(raw[1]), sum(map(len, raw))]
    found = [(at, one) for at, one in read_on(b"".join(raw), ends)]
    assert [at for at, _ in found] == [0, 1, 3]
    assert [fetched.begins([one]) for _, one in found] == [0, 1, 3]
    assert [fetched.columns([one]).offset.tolist() for _, one in found] == [[0], [2], [3]]
    assert fetched.messages([found[1][1]], {2})[2].refusal.reason == "oversized_decompressed"
    assert not fetched.messages([found[1][1]], {1})


@pytest.mark.parametrize("kind", PACK)
def test_bytes_that_were_changed_never_do_worse_than_an_error(kind):
    """Any bytes in place of some: a value, no room, or an error that is a dead letter; nothing else."""
    dice, packed = random.Random(kind), PACK[kind](bytes(range(256)) * 200)
    refused = 0
    for _ in range(300):
        changed = bytearray(packed)
        for _ in range(dice.randrange(1, 4)):
            changed[dice.randrange(len(changed))] = dice.randrange(256)
        (one,) = fetch(said_to_be(kind, bytes(changed)))
        refused += len(one.unread)
    assert refused > 30
