"""Batches of samples that the fast reader leaves to fastavro: whether they can be used, and parts of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from schemas import SampleBatch

MOST_METRICS = 500
MOST_METRIC_NAME = 200


class BatchError(ValueError):
    """A whole batch that cannot be used. `reason` is a short name for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check(batch: SampleBatch, most: int) -> None:  # noqa: C901 - a line a thing that may be wrong
    """Raise BatchError where the arrays of `batch` do not fit together, or it holds over `most` samples."""
    n = len(batch.target)
    if n > most:
        raise BatchError("oversized_batch", f"{n} samples in a batch; detect.max_batch is {most}")
    for name in ("time", "ok", "latency_ms"):
        if (have := len(getattr(batch, name))) != n:
            raise BatchError("malformed_batch", f"{n} targets but {have} entries in {name}")
    if len(batch.sequence) not in (0, n):
        raise BatchError("malformed_batch", f"{n} targets but {len(batch.sequence)} entries in sequence")
    if len(batch.metrics) > MOST_METRICS:
        raise BatchError("oversized_batch", f"{len(batch.metrics)} metrics in a batch; {MOST_METRICS} at most")
    for metric in batch.metrics:
        name, values = metric["name"], metric["value"]
        if len(name) > MOST_METRIC_NAME:
            raise BatchError("malformed_batch", f"a metric name of {len(name)} characters; {MOST_METRIC_NAME} at most")
        if not name or len(values) != n:
            raise BatchError("malformed_batch", f"{n} targets but {len(values)} entries in metric {name!r}")
    for detail in batch.details:
        if not 0 <= detail["row"] < n:
            raise BatchError("malformed_batch", f"{n} targets but a detail of row {detail['row']}")


def some_of(batch: SampleBatch, rows: Sequence[int]) -> SampleBatch:
    """A batch of only the samples `rows` of `batch`."""
    place = {row: i for i, row in enumerate(rows)}
    return type(batch)(
        probe=batch.probe,
        target=[batch.target[i] for i in rows],
        time=[batch.time[i] for i in rows],
        ok=[batch.ok[i] for i in rows],
        latency_ms=[batch.latency_ms[i] for i in rows],
        sequence=[batch.sequence[i] for i in rows] if batch.sequence else [],
        metrics=[{"name": m["name"], "value": [m["value"][i] for i in rows]} for m in batch.metrics],
        details=[{**d, "row": place[d["row"]]} for d in batch.details if d["row"] in place],
    )
