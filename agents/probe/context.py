"""What the checks of one probe process share: settings, and whatever is worth keeping from one check to the next."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from streams.kafka import KafkaSettings

T = TypeVar("T")
_log = logging.getLogger("probestream.probe")


class Context:
    """Given to every check. Use as a context manager: leaving it closes what the checks have kept."""

    def __init__(self, *, kafka: KafkaSettings | None = None, max_body_bytes: int = 1_048_576) -> None:
        self.kafka, self.max_body_bytes = kafka, max_body_bytes
        self._kept: dict[Any, Any] = {}

    def shared(self, make: Callable[[], T]) -> T:
        """What `make` made at the first call with it; closed at the end where it has an `aclose`."""
        if make not in self._kept:
            self._kept[make] = make()
        return cast("T", self._kept[make])

    async def forget(self, name: str) -> None:
        """The target `name` is checked no more: close what was kept for it."""
        for kept in list(self._kept.values()):
            if hasattr(kept, "forget"):
                await kept.forget(name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for kept in self._kept.values():
            if hasattr(kept, "aclose"):
                try:
                    await kept.aclose()
                except Exception:  # whatever it is, the process is about to end
                    _log.debug("not closed cleanly: %r", kept, exc_info=True)
        self._kept.clear()
