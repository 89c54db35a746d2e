"""Samples as columns, and which of them can be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streams.partition import partition_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas import SampleBatch

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class BatchError(ValueError):
    """A whole batch that cannot be used. `reason` is a short name for counting."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Columns:
    """A batch as arrays; entry i of each is sample i. Times are milliseconds since the Unix epoch."""

    target: list[str]
    time: Floats
    ok: Bools
    value: Floats
    metrics: list[tuple[str, Floats]]
    text: dict[int, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Refused:
    """Samples of one batch that cannot be used, for one reason."""

    reason: str
    message: str
    rows: NDArray[np.int64]


def columns_of(batch: SampleBatch, most: int) -> Columns:
    """`batch` as columns. Raises BatchError where its arrays do not fit together, or it holds over `most`."""
    n = len(batch.target)
    if n > most:
        raise BatchError("oversized_batch", f"{n} samples in a batch; detect.max_batch is {most}")
    for name in ("time", "ok", "latency_ms"):
        if (have := len(getattr(batch, name))) != n:
            raise BatchError("malformed_batch", f"{n} targets but {have} entries in {name}")
    if batch.sequence and len(batch.sequence) != n:
        raise BatchError("malformed_batch", f"{n} targets but {len(batch.sequence)} entries in sequence")
    metrics = []
    for metric in batch.metrics:
        if not metric["name"] or len(metric["value"]) != n:
            raise BatchError(
                "malformed_batch", f"{n} targets but {len(metric['value'])} entries in metric {metric['name']!r}"
            )
        metrics.append((str(metric["name"]), np.array(metric["value"], np.float64)))
    return Columns(
        target=batch.target,
        time=np.array(batch.time, np.float64),
        ok=np.array(batch.ok, np.bool_),
        value=np.array(batch.latency_ms, np.float64),
        metrics=metrics,
        text={d["row"]: (d["status"], d["message"]) for d in batch.details},
    )


def sift(
    columns: Columns,
    *,
    appended_ms: float,
    future_s: float,
    lateness_s: float,
    known: Callable[[str], bool],
    partition: int,
    partitions: int,
) -> tuple[Bools, list[Refused]]:
    """Which samples can be used, and the others by reason.

    `appended_ms` is when the broker took the record: the only clock here, so that a replay decides alike.
    """
    good = np.ones(len(columns.target), np.bool_)
    refused: list[Refused] = []

    def refuse(reason: str, message: str, bad: Any) -> None:
        rows = np.flatnonzero(bad & good)
        if len(rows):
            refused.append(Refused(reason, message.format(columns.target[rows[0]]), rows))
            good[rows] = False

    wrong = ~np.isfinite(columns.time) | np.isinf(columns.value) | (columns.value < 0)
    for _, values in columns.metrics:
        wrong |= np.isinf(values)
    refuse("bad_value", "time not finite, a value infinite, or latency negative: first of {}", wrong)
    refuse(
        "future_sample",
        f"more than {future_s:g} s ahead of the broker's clock: first of {{}}",
        columns.time > appended_ms + future_s * 1000,
    )
    refuse(
        "late_sample",
        f"more than {lateness_s:g} s behind the broker's clock: first of {{}}",
        columns.time <= appended_ms - lateness_s * 1000,
    )
    stray = np.array([t == "" or partition_of(t, partitions) != partition for t in columns.target], np.bool_)
    refuse("wrong_partition", f"target {{}} does not belong to partition {partition} of {partitions}", stray)
    unknown = np.array([not known(t) for t in columns.target], np.bool_)
    refuse("unknown_target", "no target {} in the configuration", unknown)
    return good, refused


def some_of(batch: SampleBatch, rows: NDArray[np.int64]) -> SampleBatch:
    """A batch of only the samples `rows` of `batch`."""
    picked = rows.tolist()
    place = {row: i for i, row in enumerate(picked)}
    return type(batch)(
        probe=batch.probe,
        target=[batch.target[i] for i in picked],
        time=[batch.time[i] for i in picked],
        ok=[batch.ok[i] for i in picked],
        latency_ms=[batch.latency_ms[i] for i in picked],
        sequence=[batch.sequence[i] for i in picked] if batch.sequence else [],
        metrics=[{"name": m["name"], "value": [m["value"][i] for i in picked]} for m in batch.metrics],
        details=[{**d, "row": place[d["row"]]} for d in batch.details if d["row"] in place],
    )
