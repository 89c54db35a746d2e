"""Observations packed into records."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from agents.probe.batch import MOST_SAMPLES, Sample, pack
from agents.probe.observation import Observation
from schemas import SampleBatch, decode

VALUES = st.floats(allow_nan=True, allow_infinity=True)
OBSERVATIONS = st.builds(
    Observation,
    ok=st.booleans(),
    latency_ms=VALUES,
    status=st.sampled_from(["", "200", "timeout"]),
    message=st.text(max_size=20),
    metrics=st.dictionaries(st.sampled_from(["a", "b", "disk.used_percent:/"]), VALUES),
)


def same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and (math.isnan(b) or math.isinf(b)))


@given(st.lists(OBSERVATIONS, min_size=1, max_size=10))
def test_what_goes_in_comes_out(observations):
    """Each row decodes to its observation; what a row has no value for, or an infinite one, is NaN."""
    samples = [Sample(f"t{i}", 1000.0 + i, float(i), o) for i, o in enumerate(observations)]
    record, count = pack("p1", samples)
    batch = decode(record, SampleBatch)
    assert count == len(batch.target) == len(samples)
    texts = {d["row"]: (d["status"], d["message"]) for d in batch.details}
    for i, (target, time, sequence, o) in enumerate(samples):
        assert (batch.target[i], batch.time[i], batch.sequence[i], batch.ok[i]) == (target, time, sequence, o.ok)
        assert same(batch.latency_ms[i], o.latency_ms)
        assert texts.get(i, ("", "")) == (o.status, o.message)
        for metric in batch.metrics:
            assert same(metric["value"][i], o.metrics.get(metric["name"], math.nan))


def test_a_record_never_outgrows_the_topic():
    """However many and however large, a record stays below a megabyte, and the rest is left for the next one."""
    small = [Sample("t", 1.0, 1.0, Observation(ok=True))] * 2000
    record, count = pack("p", small)
    assert count == MOST_SAMPLES
    large = [
        Sample("t" * 200, 1.0, 1.0, Observation(ok=False, message="é" * 5000, metrics={f"m{i}": 1.0 for i in range(300)}))
    ] * 500  # fmt: skip
    record, count = pack("p", large)
    assert 0 < count < 500
    assert len(record) < 1_000_000
    assert decode(record, SampleBatch).details[0]["message"].endswith("…")
