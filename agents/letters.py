"""Dead letters: what could not be used, whole, with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from schemas import DeadLetter

_MOST_BYTES = 4 * 1024 * 1024


class Message(Protocol):
    """A record as Kafka's clients give it; Faust's has its headers by name, or none."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Source:
    """A record as it was read."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Any = ()


def dead_letter(
    message: Message, *, hop: str, reason: str, error: str, at: float, instead: bytes | None = None, count: int = 1
) -> DeadLetter:
    """The dead letter of `message`, or of what is to be kept `instead` of its value; one over 4 MiB is cut and says so.

    `at` is milliseconds since the Unix epoch, `count` how many samples or lines it stands for.
    """
    value = message.value if instead is None else instead
    if value is not None and len(value) > _MOST_BYTES:
        error = f"{error} (first {_MOST_BYTES} of {len(value)} bytes kept)"
        value = value[:_MOST_BYTES]
    return DeadLetter(
        hop=hop,
        reason=reason,
        error=error,
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        at=at,
        key=message.key,
        value=value,
        headers=[{"name": n, "value": v or b""} for n, v in _pairs(message.headers)],
        count=count,
    )


def _pairs(headers: Any) -> Iterable[tuple[str, bytes | None]]:
    return headers.items() if isinstance(headers, Mapping) else headers or ()
