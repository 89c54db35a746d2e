"""Which samples can be used."""

from __future__ import annotations

import math

import numpy as np
import pytest

from schemas import SampleBatch, encode
from schemas.columnar import TargetLists, read
from streams.partition import partition_of
from streams.samples import BatchError, columns_of, sift, some_of

NOW = 1_700_000_000_000.0


def columns(batch: SampleBatch, most: int):
    """The batch as detect reads it from the wire."""
    return columns_of(read(encode(batch), TargetLists()), most)


def batch(**more) -> SampleBatch:
    values = {
        "probe": "p",
        "target": ["a", "b"],
        "time": [NOW, NOW],
        "ok": [True, False],
        "latency_ms": [1.0, math.nan],
    }
    return SampleBatch(**{**values, **more})


@pytest.mark.parametrize(
    "more",
    [
        {"time": [NOW]}, {"ok": []}, {"latency_ms": [1.0] * 3}, {"sequence": [1.0]},
        {"metrics": [{"name": "m", "value": [1.0]}]}, {"metrics": [{"name": "", "value": [1.0, 1.0]}]},
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(more):
    """A batch whose arrays are of different lengths is no batch."""
    with pytest.raises(BatchError) as caught:
        columns(batch(**more), 100)
    assert caught.value.reason == "malformed_batch"


def test_oversized_batch_is_refused():
    """A batch over the limit is refused whole."""
    with pytest.raises(BatchError) as caught:
        columns(batch(), 1)
    assert caught.value.reason == "oversized_batch"


def test_each_bad_sample_has_its_reason_and_the_rest_goes_on():
    """Future, past, infinite, negative, stray and unknown samples are told apart; the good ones stay."""
    cases = {
        "good": {}, "future": {"time": NOW + 61_000}, "past": {"time": NOW - 3_600_000}, "inf": {"latency_ms": math.inf},
        "negative": {"latency_ms": -1.0}, "clock": {"time": math.nan}, "unknown": {}, "metric": {"metric": math.inf}, "": {},
        "edge": {"time": NOW + 60_000},
    }  # fmt: skip
    one = SampleBatch(
        probe="p", target=list(cases), time=[c.get("time", NOW) for c in cases.values()], ok=[True] * len(cases),
        latency_ms=[c.get("latency_ms", 1.0) for c in cases.values()],
        metrics=[{"name": "m", "value": [c.get("metric", math.nan) for c in cases.values()]}],
    )  # fmt: skip
    good, refused = sift(
        columns(one, 100), appended_ms=NOW, future_s=60, lateness_s=3600, known=lambda t: t != "unknown", partition=0, partitions=1,
    )  # fmt: skip
    names = list(cases)
    assert [names[i] for i in np.flatnonzero(good)] == ["good", "edge"]
    assert {r.reason: [names[i] for i in r.rows] for r in refused} == {
        "bad_value": ["inf", "negative", "clock", "metric"],
        "future_sample": ["future"],
        "late_sample": ["past"],
        "wrong_partition": [""],
        "unknown_target": ["unknown"],
    }


def test_sample_of_another_partition_is_refused():
    """A target has one home; samples that came to another would be counted apart from the rest."""
    home = partition_of("a", 4)
    both = columns(batch(target=["a", "a"]), 10)
    for partition in range(4):
        good, _ = sift(
            both,
            appended_ms=NOW,
            future_s=60,
            lateness_s=60,
            known=lambda _: True,
            partition=partition,
            partitions=4,
        )
        assert good.all() == (partition == home)


def test_part_of_a_batch_is_a_batch():
    """The samples picked keep their metrics and details."""
    part = some_of(
        batch(
            metrics=[{"name": "m", "value": [1.0, 2.0]}],
            details=[{"row": 1, "status": "500", "message": "x"}],
            sequence=[7.0, 8.0],
        ),
        np.array([1]),
    )
    assert part.target == ["b"]
    assert part.metrics == [{"name": "m", "value": [2.0]}]
    assert part.details == [{"row": 0, "status": "500", "message": "x"}]
    assert part.sequence == [8.0]
