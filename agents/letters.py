"""Dead letters: what could not be used, whole, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_BYTES = 4 * 1024 * 1024


def dead_letter(
    *,
    hop: str,
    reason: str,
    error: str,
    topic: str,
    partition: int,
    offset: int,
    at: float,
    key: bytes | None,
    value: bytes | None,
    headers: Iterable[tuple[str, bytes]] = (),
    count: int = 1,
) -> DeadLetter:
    """A dead letter of the record at `topic`/`partition`/`offset`; a value over 4 MiB is cut, and says so."""
    if value is not None and len(value) > _MOST_BYTES:
        error = f"{error} (first {_MOST_BYTES} of {len(value)} bytes kept)"
        value = value[:_MOST_BYTES]
    return DeadLetter(
        hop=hop,
        reason=reason,
        error=error,
        topic=topic,
        partition=partition,
        offset=offset,
        at=at,
        key=key,
        value=value,
        headers=[{"name": n, "value": v or b""} for n, v in headers],
        count=count,
    )
