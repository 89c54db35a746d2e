"""A fast reader of sample batches: the wire's bytes become numpy arrays where they lie.

Avro writes an array of doubles or booleans as plain little-endian runs, so `numpy.frombuffer` reads them in place.
The list of targets is the only part that would have to be taken apart string by string; a producer repeats it
byte for byte from batch to batch, so its bytes are remembered (`TargetLists`) and compared, not parsed.

What this reader does not know (blocks that a writer has split, an older schema) it leaves to fastavro, which is also
its judge in tests. Source: Apache Avro 1.12 specification, "Binary Encoding".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas import registry
from schemas.codec import HEADER_BYTES, DecodeError, decode, schema_of
from schemas.records import SampleBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

_KEY_BYTES = 48
_DOUBLE = np.dtype("<f8")


class _SplitError(Exception):
    """Not the layout that this reader knows; fastavro may know it."""


@dataclass(slots=True, eq=False)
class TargetList:
    """The targets of a batch, in order; the same object for every batch that repeats them.

    `notes` is the place for what a reader works out once for the list.
    """

    names: list[str]
    raw: bytes = b""
    notes: dict[Any, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Batch:
    """A sample batch as arrays, row i of each being sample i; read-only views of the record's bytes."""

    probe: str
    targets: TargetList
    time: NDArray[np.float64]
    ok: NDArray[np.bool_]
    latency_ms: NDArray[np.float64]
    sequence: NDArray[np.float64]
    metrics: list[tuple[str, NDArray[np.float64]]]
    details: list[dict[str, Any]]


class TargetLists:
    """Lists of targets seen before, found again by their bytes; the oldest go first.

    At most `most` lists, of at most `most_bytes` on the wire; what is worked out for them takes several times that.
    """

    def __init__(self, most: int = 4096, most_bytes: int = 8 * 1024 * 1024) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._bytes = 0
        self._lists: dict[bytes, list[TargetList]] = {}
        self._count = 0

    def find(self, data: bytes, start: int) -> tuple[TargetList, int] | None:
        """The list whose bytes stand at `start` of `data`, and where it ends; None where it is a new one."""
        for known in self._lists.get(data[start : start + _KEY_BYTES], ()):
            if data.startswith(known.raw, start):
                return known, start + len(known.raw)
        return None

    def keep(self, targets: TargetList) -> None:
        """Remember a list by its bytes."""
        self._bytes += len(targets.raw)
        while self._lists and (self._count >= self.most or self._bytes > self.most_bytes):
            gone = self._lists.pop(next(iter(self._lists)))
            self._count -= len(gone)
            self._bytes -= sum(len(one.raw) for one in gone)
        self._lists.setdefault(targets.raw[:_KEY_BYTES], []).append(targets)
        self._count += 1


class _Cursor:
    """A position in the bytes of one record."""

    __slots__ = ("at", "data")

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def long(self) -> int:
        """A zigzag variable-length integer. Raises IndexError at the end of the data."""
        data, at = self.data, self.at
        byte = data[at]
        at += 1
        value, shift = byte & 0x7F, 7
        while byte & 0x80:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if shift > 70:
                raise _SplitError
        self.at = at
        return (value >> 1) ^ -(value & 1)

    def string(self) -> str:
        """A string. Raises UnicodeDecodeError, or _SplitError where the data ends before it."""
        length = self.long()
        end = self.at + length
        if length < 0 or end > len(self.data):
            raise _SplitError
        text = self.data[self.at : end].decode()
        self.at = end
        return text

    def items(self) -> int:
        """Count of an array's only block; 0 for an empty array, whose end is read."""
        count = self.long()
        if count < 0:
            self.long()
            count = -count
        return count

    def end(self) -> None:
        """The end of an array; raises _SplitError where another block follows."""
        if self.long() != 0:
            raise _SplitError

    def array(self, dtype: np.dtype[Any]) -> NDArray[Any]:
        """An array of fixed-width items, as a view."""
        count = self.items()
        if count == 0:
            return np.empty(0, dtype)
        size = count * dtype.itemsize
        if self.at + size > len(self.data):
            raise _SplitError
        view = np.frombuffer(self.data, dtype, count, self.at)
        self.at += size
        self.end()
        return view


def read(data: bytes | None, lists: TargetLists) -> Batch:
    """The sample batch in `data`, the same that `decode(data, SampleBatch)` finds. Raises DecodeError."""
    schema = schema_of(data)
    if data is not None and schema.id == registry.latest("sample_batch").id:
        try:
            return _read(data, lists)
        except (_SplitError, IndexError, UnicodeDecodeError):
            pass  # fastavro reads it, or says what is wrong
    return _slow(decode(data, SampleBatch))


def _read(data: bytes, lists: TargetLists) -> Batch:
    cursor = _Cursor(data, HEADER_BYTES)
    probe = cursor.string()
    targets = _targets(cursor, lists)
    time = cursor.array(_DOUBLE)
    flags = cursor.array(np.dtype("u1"))
    if len(flags) and flags.max() > 1:
        raise _SplitError
    latency = cursor.array(_DOUBLE)
    sequence = cursor.array(_DOUBLE)
    metrics = []
    count = cursor.items()
    for _ in range(count):
        name = cursor.string()
        metrics.append((name, cursor.array(_DOUBLE)))
    if count:
        cursor.end()
    count = cursor.items()
    details = [{"row": cursor.long(), "status": cursor.string(), "message": cursor.string()} for _ in range(count)]
    if count:
        cursor.end()
    if cursor.at != len(data):
        raise _SplitError
    return Batch(probe, targets, time, flags.view(np.bool_), latency, sequence, metrics, details)


def _targets(cursor: _Cursor, lists: TargetLists) -> TargetList:
    start = cursor.at
    if (known := lists.find(cursor.data, start)) is not None:
        targets, cursor.at = known
        return targets
    names = [cursor.string() for _ in range(cursor.items())]
    if names:
        cursor.end()
    targets = TargetList(names, cursor.data[start : cursor.at])
    if len(targets.raw) >= _KEY_BYTES:  # a shorter one is as quickly taken apart
        lists.keep(targets)
    return targets


def _slow(batch: SampleBatch) -> Batch:
    return Batch(
        probe=batch.probe,
        targets=TargetList(batch.target),
        time=np.array(batch.time, np.float64),
        ok=np.array(batch.ok, np.bool_),
        latency_ms=np.array(batch.latency_ms, np.float64),
        sequence=np.array(batch.sequence, np.float64),
        metrics=[(m["name"], np.array(m["value"], np.float64)) for m in batch.metrics],
        details=batch.details,
    )


__all__ = ["Batch", "DecodeError", "TargetList", "TargetLists", "read"]
