"""Sample records read where they lie; fastavro is the judge."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import SampleBatch, encode
from schemas.codec import HEADER_BYTES
from tests.kit.scanning import HEADER, HUGE, agrees, fuzz, mutated, read, reference

pytestmark = [pytest.mark.usefixtures("compiled"), pytest.mark.timeout(300)]

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.floats(width=64)


@st.composite
def batches(draw):
    n = draw(st.integers(0, 6))

    def column(values):
        return draw(st.lists(values, min_size=n, max_size=n))

    metrics = draw(st.lists(words.filter(bool), max_size=4))
    rows = draw(st.lists(st.integers(0, n - 1), max_size=4)) if n else []
    return SampleBatch(
        probe=draw(words),
        target=column(words),
        time=column(numbers),
        ok=column(st.booleans()),
        latency_ms=column(numbers),
        sequence=column(numbers) if draw(st.booleans()) else [],
        metrics=[{"name": m, "value": column(numbers)} for m in metrics],
        details=[{"row": r, "status": draw(words), "message": draw(words)} for r in rows],
    )


@given(st.lists(batches(), max_size=5))
@settings(deadline=None)
def test_reads_what_fastavro_reads(some):
    """Whatever batches hold, and however many are read together, each is read, and as fastavro has it."""
    known = tuple({t: None for b in some for t in b.target[::2]})
    assert agrees([encode(b) for b in some], known=known) == len(some)


@given(batches(), st.randoms(use_true_random=False), st.integers(0, 3))
@settings(deadline=None, max_examples=300)
def test_damaged_records_are_left_or_read_as_fastavro_does(batch, dice, place):
    """Bytes changed, cut or put in: the record is left to fastavro, or still says the same to both; its neighbours stay."""
    good = [
        encode(SampleBatch(probe="p", target=["t"], time=[1.0], ok=[True], latency_ms=[float(i)])) for i in range(3)
    ]
    some = [*good[:place], mutated(encode(batch), dice), *good[place:]]
    found = read(some)
    agrees(some)
    assert [f is not None for i, f in enumerate(found) if i != place] == [True] * 3


@given(batches())
@settings(deadline=None, max_examples=30)
def test_every_cut_of_a_record_is_left(batch):
    """No record that lacks its end is read, wherever it was cut."""
    whole = encode(batch)
    assert read([whole[:i] for i in range(len(whole))]) == [None] * len(whole)


@given(st.binary(max_size=60))
@settings(deadline=None, max_examples=300)
def test_any_bytes_do_no_harm(tail):
    """Any bytes behind a good header are left, or are a batch to fastavro too."""
    agrees([HEADER.tobytes() + tail, tail])


@pytest.mark.parametrize("mode", ["python", "compiled"])
def test_nothing_is_touched_beyond_the_arrays(mode):
    """Thousands of damaged records: no index before the start or beyond the end of an array.

    Compiled code does not check, so the same code also runs as plain Python, over arrays that do.
    """
    if mode == "compiled":
        assert fuzz(3000, strict=False) > 1000
        return
    code = "from tests.kit.scanning import fuzz; print(fuzz(1500, strict=True))"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert int(ran.stdout) > 500


def test_empty_batches_full_of_metrics_fit():
    """A batch of no samples may name metrics for three bytes each: there is room for all of them."""
    empty = encode(SampleBatch(probe="", target=[], time=[], ok=[], latency_ms=[]))
    body = empty[:-2] + b"\xe8\x07" + b"\x02a\x00" * 500 + b"\x00" + b"\x00"
    assert reference(body) == (b"", [])
    code = f"from tests.kit.scanning import agrees; assert agrees([{body!r}] * 9, strict=True) == 9"
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]


@pytest.mark.parametrize("count", HUGE)
def test_lengths_beyond_reason_are_left(count):
    """A count or length near the ends of 64 bits, anywhere in a record, is left to fastavro."""
    whole = encode(SampleBatch(probe="p", target=["t"], time=[1.0], ok=[True], latency_ms=[2.0], sequence=[1.0]))
    agrees([whole[:at] + count + whole[at + more :] for at in range(HEADER_BYTES, len(whole)) for more in (0, 1)])


def test_what_a_writer_may_do_otherwise_is_left():
    """Arrays in several blocks, blocks with their size, other headers and too many samples are not for the fast reader."""
    batch = SampleBatch(probe="p", target=["t", "u"], time=[1.0, 2.0], ok=[True, False], latency_ms=[3.0, 4.0])
    whole = encode(batch)
    at = whole.index(b"\x04\x02t\x02u\x00")
    split = whole[:at] + b"\x02\x02t\x02\x02u\x00" + whole[at + 6 :]
    sized = whole[:at] + b"\x03\x08\x02t\x02u\x00" + whole[at + 6 :]
    assert reference(split) == reference(whole)
    assert reference(sized) == reference(whole)
    other = bytes([whole[0], whole[1] ^ 1]) + whole[2:]
    assert read([split, other, b"", whole]) == [None, None, None, *read([whole])]
    assert agrees([sized]) in (0, 1)
    assert (
        read([whole, encode(SampleBatch(probe="p", target=["t"], time=[1.0], ok=[True], latency_ms=[3.0]))], most=1)[0]
        is None
    )
