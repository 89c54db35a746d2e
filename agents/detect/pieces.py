"""How much is folded in one go, while everything else waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from streams.records import Records

# A backlog is read in pieces of a minute, and what is over is told between them: after five its panes are used again.
PIECE_MS = 60_000
_BYTES = 1 << 20
_RECORD_BYTES = 100  # what a record takes beside its bytes: one that cannot be read takes 0.1 ms, though it has none
_MOST = _BYTES // _RECORD_BYTES  # to look at all of millions for each piece would take longer than to fold them


def piece(records: Records, at: int) -> Records:
    """The records from number `at` on that are folded in one go: of a minute, of some bytes, and of some number."""
    stop = min(at + _MOST, len(records))
    size = np.cumsum(records.end[at:stop] - records.at[at:stop] + _RECORD_BYTES)
    over = (records.time[at:stop] > records.time[at] + PIECE_MS) | (size - size[0] >= _BYTES)
    return records.part(at, at + int(over.argmax()) if over.any() else stop)
