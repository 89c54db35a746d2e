"""The fast reader of sample batches, judged by fastavro."""

from __future__ import annotations

import io
import math

import fastavro
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import DecodeError, SampleBatch, decode, encode
from schemas.codec import HEADER_BYTES
from schemas.columnar import TargetLists, read

NUMBER = st.floats(width=64)
NAME = st.one_of(st.text(max_size=12), st.sampled_from(["x" * 30, "y" * 31]))


@st.composite
def batches(draw) -> SampleBatch:
    n = draw(st.integers(0, 9))
    column = st.lists(NUMBER, min_size=n, max_size=n)
    return SampleBatch(
        probe=draw(NAME),
        target=draw(st.lists(NAME, min_size=n, max_size=n)),
        time=draw(column),
        ok=draw(st.lists(st.booleans(), min_size=n, max_size=n)),
        latency_ms=draw(column),
        sequence=draw(st.one_of(st.just([]), column)),
        metrics=draw(st.lists(st.fixed_dictionaries({"name": NAME, "value": column}), max_size=3)),
        details=draw(
            st.lists(
                st.fixed_dictionaries({"row": st.integers(-(2**31), 2**31 - 1), "status": NAME, "message": NAME}),
                max_size=3,
            )
        ),
    )


def same(fast, slow: SampleBatch) -> None:
    """Assert that both readers found the same, NaN and all."""
    assert (fast.probe, fast.targets.names, fast.details) == (slow.probe, slow.target, slow.details)
    for name in ("time", "ok", "latency_ms", "sequence"):
        assert np.array_equal(
            getattr(fast, name), np.array(getattr(slow, name), getattr(fast, name).dtype), equal_nan=name != "ok"
        )
    assert [n for n, _ in fast.metrics] == [m["name"] for m in slow.metrics]
    for (_, values), metric in zip(fast.metrics, slow.metrics, strict=True):
        assert np.array_equal(values, np.array(metric["value"], np.float64), equal_nan=True)


@settings(max_examples=200, deadline=None)
@given(st.lists(batches(), min_size=1, max_size=4), st.data())
def test_reads_what_fastavro_reads(many, data):
    """Any batch, and any sequence of batches that repeat their targets, is read as fastavro reads it."""
    lists = TargetLists(most=3)
    for batch in [*many, *many]:
        other = data.draw(st.booleans())
        encoded = encode(SampleBatch(**{**batch.to_dict(), "probe": "another"}) if other else batch)
        same(read(encoded, lists), decode(encoded, SampleBatch))


@settings(max_examples=200, deadline=None)
@given(batches(), st.data())
def test_damage_is_answered_as_fastavro_answers_it(batch, data):
    """Bytes cut or changed are refused where fastavro refuses them, and read alike where it reads them."""
    good = encode(batch)
    bad = bytearray(good[: data.draw(st.integers(0, len(good)))])
    if len(bad) > HEADER_BYTES and data.draw(st.booleans()):
        bad[data.draw(st.integers(HEADER_BYTES, len(bad) - 1))] = data.draw(st.integers(0, 255))
    try:
        slow = decode(bytes(bad), SampleBatch)
    except DecodeError:
        slow = None
    lists = TargetLists()
    read(good, lists)
    if slow is None:
        with pytest.raises(DecodeError):
            read(bytes(bad), lists)
    else:
        same(read(bytes(bad), lists), slow)


def test_repeated_targets_are_one_object():
    """The same list in the next batch is known again by its bytes, also of another probe; another list is another."""
    lists = TargetLists()

    def targets(*names: str, probe: str = "p"):
        n = len(names)
        one = SampleBatch(probe=probe, target=list(names), time=[1.0] * n, ok=[True] * n, latency_ms=[math.nan] * n)
        return read(encode(one), lists).targets

    first = targets("a" * 40, "b" * 40)
    assert targets("a" * 40, "b" * 40, probe="q") is first
    assert targets("a" * 40, "b" * 40, "c") is not first
    assert targets("a" * 40, "b" * 40) is first


def test_blocks_that_a_writer_has_split_are_read_too():
    """Arrays in several blocks, and blocks that say their size, are Avro as well."""
    out = io.BytesIO()

    def long(value: int) -> None:
        fastavro.schemaless_writer(out, "long", value)

    def doubles(*blocks: list[float]) -> None:
        for block in blocks:
            long(-len(block))
            long(8 * len(block))
            out.write(np.array(block, "<f8").tobytes())
        long(0)

    fastavro.schemaless_writer(out, "string", "p")
    for name in ("a", "b"):
        long(1)
        fastavro.schemaless_writer(out, "string", name)
    long(0)
    doubles([1.0], [2.0])
    long(2)
    out.write(b"\1\0")
    long(0)
    doubles([3.0, 4.0])
    long(0)
    long(0)
    long(0)
    empty = encode(SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[]))
    encoded = empty[:HEADER_BYTES] + out.getvalue()
    batch = read(encoded, TargetLists())
    same(batch, decode(encoded, SampleBatch))
    assert batch.time.tolist() == [1.0, 2.0]
    assert batch.ok.tolist() == [True, False]
