"""What the fold refuses, and that its neighbours count."""

from __future__ import annotations

import math
import random

import pytest

from schemas import SampleBatch, encode
from streams.partition import partition_of
from streams.partition_state import Limits
from streams.records import Record
from tests.kit.folding import START, batch, counts, fold, record, refused, tick

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]
HOUR = 3_600_000


def test_each_bad_sample_is_refused_and_its_neighbours_count():
    """In one batch: each bad row is refused for its own reason, and every good row is counted."""
    here = "good"
    partition = partition_of(here, 8)
    stray = next(n for n in "abcdefgh" if partition_of(n, 8) != partition)
    mine = [n for n in (f"t{i}" for i in range(99)) if partition_of(n, 8) == partition]
    known = {here, stray}
    rows = [
        (here, START, True, 5.0),
        (here, math.nan, True, 5.0),
        (here, math.inf, True, 5.0),
        (here, -math.inf, True, 5.0),
        (here, START, True, -1.0),
        (here, START, True, math.inf),
        (here, START, True, math.nan),  # a check that measured nothing
        (here, START + 60_001, True, 5.0),
        (here, START + 60_000, True, 5.0),
        (here, START - HOUR, True, 5.0),
        (here, START - HOUR + 1, False, 5.0),
        (stray, START, True, 5.0),
        (mine[0], START, True, 5.0),
        ("", START, True, 5.0),
        ("x" * 201, START, True, 5.0),
        (here, START, True, 1e10),
        (here, START, True, 5.0),
        (here, START, True, 5.0),
        (here, START, False, 5.0),
    ]
    cpu = [1.0] * len(rows)
    cpu[16], cpu[17] = math.inf, math.nan
    one = fold(partition=partition, partitions=8, known=known.__contains__)
    outcome = one.take([record(0, START, *rows, metrics={"cpu": cpu}), tick(1, START)])
    reasons = {reason: rows for _, reason, rows in refused(outcome)}
    assert reasons == {
        "bad_value": [1, 2, 3, 4, 5, 14, 15, 16],
        "future_sample": [7],
        "late_sample": [9],
        "wrong_partition": [11, 13],
        "unknown_target": [12],
    }
    assert counts(one, here) == (6, 2)
    assert one.offset == 1


def test_batches_that_fit_nothing_are_refused_whole():
    """Null, no Avro, other schemas, arrays that do not fit, too many samples: each record whole, its neighbours folded."""
    good = batch(("t", START, True, 1.0))
    ill = {
        "not_avro": [None, b"", b"hello", encode(good)[:-2], encode(good) + b"x", encode(good)[:5] + b"\xff" * 30],
        "unknown_schema": [b"\0\0\0\x10\0xyz"],
        "oversized_batch": [encode(batch(*[("t", START, True, 1.0)] * 11))],
        "malformed_batch": [
            encode(SampleBatch(probe="p", target=["t", "t"], time=[START], ok=[True], latency_ms=[1.0])),
            encode(
                SampleBatch(probe="p", target=["t"], time=[START], ok=[True], latency_ms=[1.0], sequence=[1.0, 2.0])
            ),
            encode(batch(("t", START, True, 1.0), metrics={"": [1.0]})),
            encode(batch(("t", START, True, 1.0), metrics={"cpu": []})),
            encode(batch(("t", START, True, 1.0), metrics={"x" * 201: [1.0]})),
            encode(batch(("t", START, True, 1.0), details=[(1, "s", "m")])),
            encode(batch(("t", START, True, 1.0), details=[(-1, "s", "m")])),
        ],
    }
    records, wanted = [], []
    for reason, values in ill.items():
        for value in values:
            wanted.append((len(records), reason, None))
            records.append(Record(len(records), START, value))
            records.append(Record(len(records), START, encode(good)))
    dice = random.Random(1)
    for how in (None, dice):
        one, found, at = fold(limits=Limits(most_samples=10)), [], 0
        while at < len(records):
            size = len(records) if how is None else how.randint(1, 5)
            found += refused(one.take(records[at : at + size]))
            at += size
        assert found == wanted
        assert counts(one, "t")[0] == len(wanted)


def test_other_writers_batches_are_folded_too():
    """A batch with its arrays in several blocks, as other writers may have it, is read by fastavro and counts."""
    plain = encode(
        batch(
            ("t", START, True, 1.0), ("u", START, False, 2.0), metrics={"cpu": [1.0, 2.0]}, details=[(1, "500", "no")]
        )
    )
    split = plain.replace(b"\x04\x02t\x02u\x00", b"\x02\x02t\x02\x02u\x00")
    assert split != plain
    one, other = fold(), fold()
    assert not one.take([Record(0, START, split)]).refused
    other.take([Record(0, START, plain)])
    assert counts(one, "u") == counts(other, "u") == (1, 1)
    assert one.text == other.text == {1: ("500", "no")}


def test_names_that_are_no_text_are_refused():
    """A target or metric name that is no UTF-8 is refused; the rest of the records counts."""
    plain = encode(batch(("tt", START, True, 1.0), ("u", START, True, 1.0), metrics={"cpu": [1.0, 2.0]}))
    one = fold()
    bad_target, bad_metric = plain.replace(b"\x04tt", b"\x04t\xff"), plain.replace(b"\x06cpu", b"\x06c\xffu")
    outcome = one.take([Record(0, START, bad_target), Record(1, START, bad_metric), Record(2, START, plain)])
    assert refused(outcome) == [(0, "bad_value", [0]), (1, "not_avro", None)]
    assert (counts(one, "u")[0], counts(one, "tt")[0]) == (2, 1)


def test_no_more_targets_than_allowed():
    """Beyond max_targets new targets are refused; those that there are go on."""
    one = fold(most=3)
    outcome = one.take([record(0, START, *((n, START, True, 1.0) for n in "abcdea"))])
    assert refused(outcome) == [(0, "too_many_targets", [3, 4])]
    assert (one.targets, counts(one, "a")[0]) == (3, 2)
    assert "partition 0 has 3 targets, which is detect.max_targets: no d" in outcome.refused[0].refusal.message
