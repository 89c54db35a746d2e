"""Records of the samples topic on their way into the fold: one by one, or as columns over the bytes they came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

Ints = NDArray[np.int64]


class Record(NamedTuple):
    """A record of the samples topic: where it stands, when the broker took it (ms), and its bytes."""

    offset: int
    time: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Records:
    """Records in the order of the log, as columns: `data[at[i]:end[i]]` is the value of record i.

    A record without a value ends before it begins.
    """

    offset: Ints
    time: Ints
    at: Ints
    end: Ints
    data: NDArray[np.uint8]

    @classmethod
    def of(cls, records: Sequence[Record]) -> Records:
        """Columns of records that were read one by one."""
        values = [r.value or b"" for r in records]
        end = np.cumsum([len(v) for v in values], dtype=np.int64)
        at = np.concatenate([np.zeros(1, np.int64), end[:-1]]) if records else end
        end = np.where([r.value is None for r in records], at - 1, end)
        return cls(
            np.array([r.offset for r in records], np.int64),
            np.array([r.time for r in records], np.int64),
            at,
            end,
            np.frombuffer(b"".join(values), np.uint8),
        )

    def __len__(self) -> int:
        return len(self.offset)

    @property
    def size(self) -> int:
        """How many bytes their values have in all."""
        return int(np.maximum(self.end - self.at, 0).sum())

    def part(self, start: int, stop: int) -> Records:
        """The records from number `start` to `stop`, over the same bytes."""
        own = slice(start, stop)
        return Records(self.offset[own], self.time[own], self.at[own], self.end[own], self.data)

    def record(self, i: int) -> Record:
        """Record number i by itself."""
        at, end = int(self.at[i]), int(self.end[i])
        return Record(int(self.offset[i]), int(self.time[i]), self.data[at:end].tobytes() if end >= at else None)
