"""What cannot be used becomes dead letters."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from agents.letters import dead_letter
from schemas import DeadLetter, DecodeError, SampleBatch, decode, encode
from streams.samples import some_of

if TYPE_CHECKING:
    from streams.fold import Refused


def letter(refused: Refused, topic: str, partition: int, message: Any) -> DeadLetter:
    """The dead letter of samples that were refused, which came in the Kafka `message`."""
    record, rows = refused.record, refused.rows
    value = record.value
    if rows is not None:
        # A text that is no UTF-8 keeps fastavro from reading the batch; then the letter is all of it.
        with contextlib.suppress(DecodeError):
            value = encode(some_of(decode(record.value, SampleBatch), rows))
    return dead_letter(
        hop="detect",
        reason=refused.refusal.reason,
        error=refused.refusal.message,
        topic=topic,
        partition=partition,
        offset=record.offset,
        at=float(record.time),
        key=message.key,
        value=value,
        headers=_headers(message.headers),
        count=1 if rows is None else len(rows),
    )


def _headers(headers: Any) -> list[tuple[str, bytes]]:
    if headers is None:
        return []
    return list(headers.items()) if hasattr(headers, "items") else list(headers)
