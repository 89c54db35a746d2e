"""What the logs role keeps of a partition, as records of the compacted topic `logs-state`.

Keys: ``p`` how far the partition is, ``x/N`` record N of the last samples sent, ``t/TARGET`` the templates of a target,
``o/TARGET`` its open intervals. A flush writes what changed in one transaction, so that they always fit together.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka import KafkaSettings, close, consumer_options
from streams.log_counts import Book, Counting, Interval
from streams.topics import LOGS_STATE, full_name

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
LOAD_LIMIT_S = 60.0


class StateError(RuntimeError):
    """The state cannot be read."""


@dataclass(slots=True)
class State:
    """One partition: `offset` is of the next record, `closed` the first interval that is not told yet.

    `sequence` is the number of the last sample; `outbox` has the records of samples that may not have been sent.
    """

    offset: int | None = None
    closed: int | None = None
    sequence: float = 0.0
    outbox: list[bytes] = field(default_factory=list)
    books: dict[str, Book] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)
    """Targets that have a record of open intervals in the topic."""

    def progress(self) -> bytes:
        """The value of record ``p``."""
        return orjson.dumps(
            {
                "v": VERSION,
                "offset": self.offset,
                "closed": self.closed,
                "sequence": self.sequence,
                "outbox": len(self.outbox),
            }
        )


def templates_record(book: Book) -> tuple[bytes, bytes]:
    """Key and value of a target's templates."""
    return f"t/{book.target}".encode(), orjson.dumps(book.dump())


def open_record(target: str, book: Book | None) -> tuple[bytes, bytes | None]:
    """Key and value of a target's open intervals; a tombstone where there are none."""
    key = f"o/{target}".encode()
    if book is None or not book.open:
        return key, None
    return key, orjson.dumps({str(n): i.dump() for n, i in book.open.items()})


def restore(records: Iterable[tuple[bytes, bytes]], counting: Counting) -> State:
    """The state in the last `records` of each key. Raises StateError where they are no state of this program."""
    state, progress, outbox = State(), None, {}
    opened: dict[str, dict[str, Any]] = {}
    try:
        for key, value in records:
            what, _, name = key.decode().partition("/")
            if what == "p":
                progress = orjson.loads(value)
            elif what == "x":
                outbox[int(name)] = value
            elif what == "t":
                state.books[name] = book = Book(name, counting)
                book.load(orjson.loads(value))
            elif what == "o":
                opened[name] = orjson.loads(value)
        for name, intervals in opened.items():
            book = state.books.setdefault(name, Book(name, counting))
            book.open = {int(n): Interval.load(values) for n, values in intervals.items()}
            state.written.add(name)
        if progress is not None:
            if progress["v"] != VERSION:
                raise StateError(f"the state is of version {progress['v']}, this program's is {VERSION}")
            state.offset, state.closed = progress["offset"], progress["closed"]
            state.sequence = float(progress["sequence"])
            state.outbox = [outbox[n] for n in range(progress["outbox"])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StateError(f"{LOGS_STATE.name} holds what is no state: {type(error).__name__}: {error}") from error
    return state


async def load(kafka: KafkaSettings, numbers: Iterable[int], counting: Counting) -> dict[int, State]:
    """The states of partitions `numbers`. Their last owners must have been shut out before."""
    topic = full_name(kafka, LOGS_STATE)
    partitions = [TopicPartition(topic, n) for n in numbers]
    if not partitions:
        return {}
    kept: dict[int, dict[bytes, bytes]] = {tp.partition: {} for tp in partitions}
    consumer = AIOKafkaConsumer(**consumer_options(kafka, "logs-state"))
    async with asyncio.timeout(LOAD_LIMIT_S):
        await consumer.start()
        try:
            consumer.assign(partitions)
            await consumer.seek_to_beginning(*partitions)
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(tp) < end for tp, end in ends.items()]):
                for tp, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        if record.value is None:
                            kept[tp.partition].pop(record.key, None)
                        else:
                            kept[tp.partition][record.key] = record.value
        finally:
            await close(consumer)
    return {n: restore(records.items(), counting) for n, records in kept.items()}
