"""How far a partition of `alerts` is dealt with, when its records are finished out of order."""

from __future__ import annotations

from collections import deque


class Progress:
    """Counts each source record's unfinished deliveries; what may be committed stops at the lowest unfinished one."""

    def __init__(self, first: int | None = None) -> None:
        self._open: dict[int, int] = {}
        self._order: deque[int] = deque()
        self._next = first

    def __len__(self) -> int:
        """Records between the committable offset and the last one begun."""
        return len(self._order)

    def begin(self, offset: int, deliveries: int) -> None:
        """Note a record with so many deliveries to finish; offsets come in growing order."""
        self._order.append(offset)
        self._next = offset + 1
        if deliveries:
            self._open[offset] = deliveries
        else:
            self._advance()

    def finish_one(self, offset: int) -> None:
        """One delivery of the record at `offset` has its outcome."""
        self._open[offset] -= 1
        if not self._open[offset]:
            del self._open[offset]
            self._advance()

    def committable(self) -> int | None:
        """The offset to go on from after a restart; `first` until a record was begun."""
        return self._order[0] if self._order else self._next

    def _advance(self) -> None:
        while self._order and self._order[0] not in self._open:
            self._order.popleft()
