"""From closed intervals to records of samples."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from schemas import SampleBatch, encode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.log_counts import LogSample

PROBE = "logs"
_MOST_SAMPLES = 500
_MOST_METRICS = 400  # a batch may name 500


def records(samples: Sequence[LogSample], first_sequence: float) -> list[bytes]:
    """`samples`, numbered from `first_sequence`, as values of the topic `samples`."""
    made: list[bytes] = []
    rows: list[LogSample] = []
    names: dict[str, None] = {}
    sequence = first_sequence
    for sample in samples:
        more = {**names, **dict.fromkeys(sample.metrics)}
        if rows and (len(rows) >= _MOST_SAMPLES or len(more) > _MOST_METRICS):
            made.append(_record(rows, names, sequence))
            sequence += len(rows)
            rows, more = [], dict.fromkeys(sample.metrics)
        rows.append(sample)
        names = more
    if rows:
        made.append(_record(rows, names, sequence))
    return made


def _record(rows: Sequence[LogSample], names: Iterable[str], sequence: float) -> bytes:
    return encode(
        SampleBatch(
            probe=PROBE,
            target=[s.target for s in rows],
            time=[s.time for s in rows],
            ok=[True] * len(rows),
            latency_ms=[math.nan] * len(rows),
            sequence=[sequence + i for i in range(len(rows))],
            metrics=[{"name": n, "value": [s.metrics.get(n, math.nan) for s in rows]} for n in names],
            details=[{"row": row, "status": s.status, "message": s.message} for row, s in enumerate(rows) if s.message],
        )
    )
