"""Where a live client stands: the next offset of every partition that live messages come from.

Offsets are the log's, so a cursor means the same on every gateway and after any restart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

_TEXT = re.compile(r"1\.a(\d{1,19}(?:_\d{1,19})*)\.h(\d{1,19}(?:_\d{1,19})*)")


@dataclass(frozen=True, slots=True)
class Cursor:
    """The first offset not yet told, by partition of `alerts` and of `health`."""

    alerts: tuple[int, ...]
    health: tuple[int, ...]

    def __str__(self) -> str:
        return f"1.a{'_'.join(map(str, self.alerts))}.h{'_'.join(map(str, self.health))}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The cursor in `text`. Raises ValueError."""
        found = _TEXT.fullmatch(text) if len(text) <= 50_000 else None
        if not found:
            raise ValueError("no cursor of this gateway")
        alerts, health = (tuple(int(n) for n in part.split("_")) for part in found.groups())
        return cls(alerts, health)

    def fits(self, other: Cursor) -> bool:
        """Whether both are of topics with the same partition counts."""
        return len(self.alerts) == len(other.alerts) and len(self.health) == len(other.health)

    def reached_by(self, other: Cursor) -> bool:
        """Whether `other` is at or beyond this one in every partition."""
        mine, theirs = (*self.alerts, *self.health), (*other.alerts, *other.health)
        return all(m <= t for m, t in zip(mine, theirs, strict=True))
