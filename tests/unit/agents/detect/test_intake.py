"""Refused samples on their way out, and how much is folded in one go."""

from __future__ import annotations

import pytest

from agents.detect import intake
from agents.detect.pieces import piece
from schemas import SampleBatch, encode
from streams.admission import Refusal
from streams.outcome import Refused
from streams.records import Record, Records


def letters(reasons):
    return [
        intake.letter(Refused(Record(i, 0, b"x"), Refusal(reason, f"{reason} of {i}")), "samples", 3, None)
        for i, reason in enumerate(reasons)
    ]


def test_a_flood_of_dead_letters_is_a_line_a_reason(caplog):
    """However many are refused together: the first for each reason is logged, with how many more there are."""
    with caplog.at_level("WARNING"):
        intake.log_of(letters(["late", "late", "future", "late"]))
    assert sorted(r.getMessage() for r in caplog.records) == [
        "samples/3/0: late of 0 (and 2 more for this reason)",
        "samples/3/2: future of 2",
    ]


def test_what_is_logged_of_one_letter_is_its_reason_alone(caplog):
    """One letter is one line, and none is none."""
    with caplog.at_level("WARNING"):
        intake.log_of([])
        intake.log_of(letters(["late"]))
    assert [r.getMessage() for r in caplog.records] == ["samples/3/0: late of 0"]


@pytest.mark.parametrize("value", [None, b"", b"x" * 100, b"x" * 50_000])
def test_records_are_folded_some_at_a_time_even_those_without_bytes(value):
    """Each piece ends before it takes seconds, brings some, and none is left out."""
    count = 3 if value == b"x" * 50_000 else 30_000
    records, at, sizes = Records.of([Record(i, 5, value) for i in range(count)]), 0, []
    while at < count:
        part = piece(records, at)
        assert part.offset.tolist() == list(range(at, at + len(part)))
        sizes.append(len(part))
        at += len(part)
    assert at == count
    assert 0 < max(sizes) < 12_000


def test_a_backlog_is_folded_a_minute_at_a_time():
    """A piece is of a minute at most by the broker's clock."""
    records = Records.of([Record(i, 20_000 * i, b"x") for i in range(10)])
    assert piece(records, 0).time.tolist() == [0, 20_000, 40_000, 60_000]
    assert piece(records, 4).time[-1] == 140_000


@pytest.mark.parametrize("samples", [1, 500])
def test_letter_takes_little_more_than_what_it_keeps(samples):
    """Refused samples cost the dead letters' topic no multiple of what they took, however many are in a record."""
    names = [f"shop-{i}" for i in range(samples)]
    batch = SampleBatch(probe="p", target=names, time=[1e12] * samples, ok=[True] * samples, latency_ms=[1.5] * samples)
    value, why = encode(batch), Refusal("unknown_target", "no target shop-0 in the configuration")
    refused = Refused(Record(7, 10**12, value), why, list(range(samples)))
    told = intake.letter(refused, "probestream.samples", 0, None)
    assert (told.value, told.count) == (value, samples)
    assert len(encode(told)) - len(value) < 130
