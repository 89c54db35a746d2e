"""From the bytes on the samples topic to columns; what cannot be used becomes dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from agents.letters import dead_letter
from schemas import DeadLetter, DecodeError, SampleBatch, decode, encode
from schemas.columnar import TargetLists, read
from streams.samples import BatchError, Columns, columns_of, sift, some_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from agents.detect.settings import DetectSettings


@dataclass(slots=True)
class Taken:
    """One record: its columns with the usable samples marked, and the dead letters of the rest."""

    columns: Columns | None
    good: NDArray[np.bool_]
    letters: list[DeadLetter]


def take(
    message: Any, settings: DetectSettings, known: Callable[[str], bool], partitions: int, lists: TargetLists
) -> Taken:
    """Read one Kafka `message` (topic, partition, offset, timestamp in seconds, key, value, headers)."""
    at = message.timestamp * 1000.0

    def letter(reason: str, error: str, value: bytes | None, count: int) -> DeadLetter:
        return dead_letter(
            hop="detect",
            reason=reason,
            error=error,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            at=at,
            key=message.key,
            value=value,
            headers=_headers(message.headers),
            count=count,
        )

    try:
        columns = columns_of(read(message.value, lists), settings.max_batch)
    except (DecodeError, BatchError) as error:
        return Taken(None, np.zeros(0, np.bool_), [letter(error.reason, str(error), message.value, 1)])
    good, refused = sift(
        columns,
        appended_ms=at,
        future_s=settings.future,
        lateness_s=settings.lateness,
        known=known,
        partition=message.partition,
        partitions=partitions,
    )
    if not refused:
        return Taken(columns, good, [])
    batch = decode(message.value, SampleBatch)
    letters = [letter(r.reason, r.message, encode(some_of(batch, r.rows)), len(r.rows)) for r in refused]
    return Taken(columns, good, letters)


def _headers(headers: Any) -> list[tuple[str, bytes]]:
    if headers is None:
        return []
    return list(headers.items()) if hasattr(headers, "items") else list(headers)
