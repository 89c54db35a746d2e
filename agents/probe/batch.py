"""From observations to the record that carries them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from schemas import SampleBatch, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agents.probe.observation import Observation

MOST_SAMPLES = 500
_MOST_BYTES = 900_000  # the topic takes a megabyte, headers included
_MOST_CHARACTERS = 1000


class Sample(NamedTuple):
    """An observation with its place in the stream; `time` in milliseconds since the Unix epoch."""

    target: str
    time: float
    sequence: float
    observation: Observation


def batch_of(probe: str, samples: Sequence[Sample]) -> SampleBatch:
    """The batch of `samples`, row by row; a metric that a sample does not have is NaN in its row."""
    observations = [s.observation for s in samples]
    names = dict.fromkeys(name for o in observations for name in o.metrics)
    return SampleBatch(
        probe=probe,
        target=[s.target for s in samples],
        time=[s.time for s in samples],
        ok=[o.ok for o in observations],
        latency_ms=[_finite(o.latency_ms) for o in observations],
        sequence=[s.sequence for s in samples],
        metrics=[{"name": n, "value": [_finite(o.metrics.get(n, math.nan)) for o in observations]} for n in names],
        details=[
            {"row": row, "status": o.status[:_MOST_CHARACTERS], "message": _short(o.message)}
            for row, o in enumerate(observations)
            if o.status or o.message
        ],
    )


def pack(probe: str, samples: Sequence[Sample]) -> tuple[bytes, int]:
    """A record of the first of `samples`, and how many are in it: as many as a record may hold."""
    count = min(len(samples), MOST_SAMPLES)
    while True:
        record = encode(batch_of(probe, samples[:count]))
        if len(record) <= _MOST_BYTES or count == 1:
            return record, count
        count //= 2


def _finite(value: float) -> float:
    """`value`, or NaN for an infinite one: that is no measurement, and the reader refuses it."""
    return math.nan if math.isinf(value) else float(value)


def _short(text: str) -> str:
    return text if len(text) <= _MOST_CHARACTERS else f"{text[: _MOST_CHARACTERS - 1]}…"
