"""What cannot be used becomes dead letters."""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from agents.letters import Source, dead_letter
from schemas import DeadLetter, DecodeError, SampleBatch, decode, encode
from streams.compression import Unread
from streams.samples import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.outcome import Refused

log = logging.getLogger("probestream.detect")


def letter(refused: Refused, topic: str, partition: int, message: Any | None) -> DeadLetter:
    """The dead letter of samples that were refused, which came in the Kafka `message`, where that can be read.

    Of a whole batch that could not be decompressed it has the bytes, as they came.
    """
    record, rows = refused.record, refused.rows
    if isinstance(message, Unread):
        return dead_letter(
            Source(topic, partition, message.first, None, message.raw),
            hop="detect",
            reason=message.refusal.reason,
            error=message.refusal.message,
            at=float(record.time),
            count=message.records,
        )
    value = record.value
    if rows is not None:
        # A text that is no UTF-8 keeps fastavro from reading the batch; then the letter is all of it.
        with contextlib.suppress(DecodeError):
            value = encode(some_of(decode(record.value, SampleBatch), rows))
    key, headers = (None, ()) if message is None else (message.key, message.headers)
    return dead_letter(
        Source(topic, partition, record.offset, key, value, headers),
        hop="detect",
        reason=refused.refusal.reason,
        error=refused.refusal.message,
        at=float(record.time),
        count=1 if rows is None else len(rows),
    )


def log_of(letters: Sequence[DeadLetter]) -> None:
    """Log the first of the letters for each reason, and how many more: a flood must not fill the disk twice."""
    counts = Counter(letter.reason for letter in letters)
    for letter in {told.reason: told for told in reversed(letters)}.values():
        more = f" (and {counts[letter.reason] - 1} more for this reason)" if counts[letter.reason] > 1 else ""
        log.warning("%s/%d/%d: %.300s%s", letter.topic, letter.partition, letter.offset, letter.error, more)
