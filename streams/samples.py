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
    from schemas.columnar import Batch, TargetList

# What one sample may bring: enough for people, and bounded, since it travels on in findings, health and alerts.
MOST_METRICS = 500
MOST_NAME = 200
MOST_STATUS = 100
MOST_MESSAGE = 2000
# Beyond these a sum or a variance overflows, and a baseline never recovers.
MOST_LATENCY_MS = 1e9
MOST_VALUE = 1e30

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

    targets: TargetList
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


def columns_of(batch: Batch, most: int) -> Columns:
    """`batch` as columns. Raises BatchError where its arrays do not fit together, or it holds over `most`."""
    n = len(batch.targets.names)
    if n > most:
        raise BatchError("oversized_batch", f"{n} samples in a batch; detect.max_batch is {most}")
    for name in ("time", "ok", "latency_ms"):
        if (have := len(getattr(batch, name))) != n:
            raise BatchError("malformed_batch", f"{n} targets but {have} entries in {name}")
    if len(batch.sequence) not in (0, n):
        raise BatchError("malformed_batch", f"{n} targets but {len(batch.sequence)} entries in sequence")
    if len(batch.metrics) > MOST_METRICS:
        raise BatchError("oversized_batch", f"{len(batch.metrics)} metrics in a batch; {MOST_METRICS} at most")
    for metric, values in batch.metrics:
        if len(metric) > MOST_NAME:
            raise BatchError("malformed_batch", f"a metric name of {len(metric)} characters; {MOST_NAME} at most")
        if not metric or len(values) != n:
            raise BatchError("malformed_batch", f"{n} targets but {len(values)} entries in metric {metric!r}")
    return Columns(
        targets=batch.targets,
        time=batch.time,
        ok=batch.ok,
        value=batch.latency_ms,
        metrics=batch.metrics,
        text={d["row"]: (d["status"][:MOST_STATUS], d["message"][:MOST_MESSAGE]) for d in batch.details},
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
    targets = columns.targets
    good = np.ones(len(targets.names), np.bool_)
    refused: list[Refused] = []

    def refuse(reason: str, message: str, bad: Any) -> None:
        rows = np.flatnonzero(bad & good)
        if len(rows):
            refused.append(Refused(reason, message.format(targets.names[rows[0]]), rows))
            good[rows] = False

    wrong = ~np.isfinite(columns.time) | (columns.value < 0) | (columns.value > MOST_LATENCY_MS)
    for _, values in columns.metrics:
        wrong |= np.abs(values) > MOST_VALUE
    refuse("bad_value", "time not finite, latency negative, or a value beyond reason: first of {}", wrong)
    long = _noted(targets, "long", lambda t: len(t) > MOST_NAME)
    if long is not None:
        refuse("bad_value", f"a target name of over {MOST_NAME} characters: {{:.50}}", long)
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
    stray = _noted(targets, ("stray", partition), lambda t: t == "" or partition_of(t, partitions) != partition)
    if stray is not None:
        refuse("wrong_partition", f"target {{}} does not belong to partition {partition} of {partitions}", stray)
    unknown = _noted(targets, "unknown", lambda t: not known(t))
    if unknown is not None:
        refuse("unknown_target", "no target {} in the configuration", unknown)
    return good, refused


def _noted(targets: TargetList, what: object, bad: Callable[[str], bool]) -> Bools | None:
    """Which targets are `bad`, None where none is; worked out once a list, as what makes them so never changes."""
    if what not in targets.notes:
        found = np.array([bad(t) for t in targets.names], np.bool_)
        targets.notes[what] = found if found.any() else None
    noted: Bools | None = targets.notes[what]
    return noted


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
