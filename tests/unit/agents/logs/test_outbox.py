"""Closed intervals as records of samples."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.logs.outbox import records
from schemas import SampleBatch, decode
from streams.log_counts import LogSample


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 900)), max_size=60))
def test_records_hold_every_sample_and_few_metrics(rows: list[tuple[str, int]]) -> None:
    """Numbered in their order without a hole; no record names more metrics than detect takes."""
    samples = [LogSample(t, 5.0 * i, {"log.lines": 1.0, **{f"log.template.{n + k}": 2.0 for k in range(40)}}, "s", f"m{i}")
               for i, (t, n) in enumerate(rows)]  # fmt: skip
    made = [decode(r, SampleBatch) for r in records(samples, 100.0)]
    assert [t for b in made for t in b.target] == [t for t, _ in rows]
    assert [s for b in made for s in b.sequence] == [100.0 + i for i in range(len(rows))]
    assert [d["message"] for b in made for d in b.details] == [f"m{i}" for i in range(len(rows))]
    for batch in made:
        assert len(batch.metrics) <= 500
        assert all(len(m["value"]) == len(batch.target) for m in batch.metrics)
