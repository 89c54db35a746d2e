"""Records of samples in a file: as they stand on the log, with their partition, offset and time.

An Avro object container, so that any Avro tool can read it; `value` is the record's bytes in Confluent's form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import fastavro

from probestream.backtest.log import Part
from streams.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from probestream.backtest.log import Log

SCHEMA = fastavro.parse_schema(
    {
        "type": "record",
        "name": "ExportedRecord",
        "namespace": "probestream",
        "doc": "A record of the topic samples.",
        "fields": [
            {"name": "partition", "type": "int"},
            {"name": "offset", "type": "long"},
            {"name": "time", "type": "long", "doc": "When the broker took it, ms since 1970."},
            {"name": "value", "type": ["null", "bytes"]},
        ],
    }
)
_PARTITIONS = "probestream.partitions"
_PIECE_BYTES = 8 * 1024 * 1024


class FileError(ValueError):
    """A file is no export of samples."""


class FileLog:
    """Samples that `probestream export samples` wrote."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as file:
                metadata: dict[str, Any] = dict(fastavro.reader(file).metadata)
        except OSError as error:
            raise FileError(f"{path}: cannot be read: {error.strerror}") from error
        except Exception as error:  # whatever fastavro raises on what is not Avro
            raise FileError(f"{path}: is no export of samples; `probestream export samples` writes one") from error
        if not str(metadata.get(_PARTITIONS, "")).isdigit():
            raise FileError(f"{path}: is Avro, but no export of samples; `probestream export samples` writes one")
        self.partitions = int(metadata[_PARTITIONS])

    def _rows(self) -> Iterator[dict[str, Any]]:
        with self.path.open("rb") as file:
            try:
                yield from cast("Iterator[dict[str, Any]]", fastavro.reader(file))
            except (EOFError, ValueError, TypeError, RuntimeError) as error:
                raise FileError(f"{self.path}: is damaged: {error}") from error

    def all(self) -> list[Part]:
        """All that the file has."""
        return self.between(float("-inf"), float("inf"))

    def between(self, from_ms: float, to_ms: float) -> list[Part]:
        """What was appended from one time to another."""
        found: dict[int, Part] = {}
        for row in self._rows():
            if from_ms <= row["time"] <= to_ms:
                number, offset, time = row["partition"], row["offset"], float(row["time"])
                there = found.get(number, Part(number, offset, offset, time))
                found[number] = Part(number, there.first, offset + 1, there.first_ms, time)
        return [found.get(p, Part(p, 0, 0)) for p in range(self.partitions)]

    def read(self, part: Part) -> Iterator[list[Record]]:
        """The records of a part."""
        some: list[Record] = []
        size = 0
        for row in self._rows():
            if row["partition"] == part.partition and part.first <= row["offset"] < part.end:
                some.append(Record(row["offset"], row["time"], row["value"]))
                size += len(row["value"] or b"")
                if size > _PIECE_BYTES:
                    yield some
                    some, size = [], 0
        if some:
            yield some


def export(log: Log, parts: Iterable[Part], path: Path, told: Callable[[int], None]) -> int:
    """Write the records of `parts` to a file; how many there were. `told` is called with how many were written."""
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for part in parts:
            if part.end <= part.first:
                continue
            for records in log.read(part):
                for r in records:
                    yield {"partition": part.partition, "offset": r.offset, "time": r.time, "value": r.value}
                count += len(records)
                told(len(records))

    with path.open("wb") as file:
        fastavro.writer(file, SCHEMA, rows(), codec="snappy", metadata={_PARTITIONS: str(log.partitions)})
    return count
