"""One partition of `logs`: lines into counts, and now and then counts into samples and state.

The order of a flush, and what a death at each step leaves:

1. Counting is memory only. Dead here: the records are read again from the offset in the state.
2. One transaction writes state, samples to send (the outbox), dead letters and the offset. Dead before its commit:
   nothing of it is there. The producer's transactional id shuts out whoever had the partition before.
3. The outbox goes to `samples`. Dead before or in it: the next owner finds it in the state and sends it again, byte for
   byte, with the same sequence numbers, so that a sample that had arrived is told from a new one.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from agents import crash
from agents.letters import dead_letter
from agents.logs import outbox
from agents.logs.state import State, open_record, templates_record
from schemas import DeadLetter, DecodeError, LogBatch, decode, encode
from streams.kafka import close, producer_options
from streams.log_counts import Book
from streams.log_text import redact
from streams.partition import partition_of
from streams.topics import DEAD_LETTERS, LOGS, LOGS_STATE, SAMPLES, full_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.logs.settings import LogsSettings
    from streams.kafka import KafkaSettings
    from streams.log_counts import Counting, LogSample

MOST_TARGET = 200
_KAFKA_LIMIT_S = 20.0
_TRANSACTION_MS = 30_000
_MOST_LINES = 200_000  # counted between two flushes: what a crash has to read again
_MOST_GAP = 12  # intervals without a line that are told after a pause
_TOUCH_MS = 600_000.0  # how old the state may be in when a target was last seen


class Partition:
    """Counts the lines of one partition while this process has it."""

    def __init__(
        self,
        number: int,
        *,
        kafka: KafkaSettings,
        settings: LogsSettings,
        counting: Counting,
        refusal: Callable[[str], str],
        samples: AIOKafkaProducer,
    ) -> None:
        self.number, self.state = number, State()
        self._kafka, self._settings, self._counting, self._refusal = kafka, settings, counting, refusal
        self._samples = samples
        self._producer = AIOKafkaProducer(
            **producer_options(kafka, f"logs-{number}"),
            compression_type="lz4",
            transactional_id=f"{kafka.prefix}logs-{number}",
            transaction_timeout_ms=_TRANSACTION_MS,
        )
        self._touched: set[str] = set()
        self._gone: set[str] = set()
        self._seen: dict[str, float] = {}  # `last` as the state has it
        self._letters: list[DeadLetter] = []
        self._kept_offset: int | None = None
        self.lines = 0
        self.arrived = 0.0

    async def shut_out(self) -> None:
        """End what a predecessor had begun; from now on it can write nothing more."""
        async with asyncio.timeout(_KAFKA_LIMIT_S):
            await self._producer.start()

    async def take_over(self, state: State) -> None:
        """Go on from `state`: first with the samples that its writer may not have sent."""
        self.state = state
        self._seen = {name: book.last for name, book in state.books.items()}
        self._kept_offset = state.offset
        await self._send(state.outbox)

    def take(self, record: Any) -> None:
        """Count the lines of one Kafka record."""
        assert self.state.offset is None or record.offset >= self.state.offset
        self.arrived = max(self.arrived, float(record.timestamp))
        self.state.offset = record.offset + 1
        try:
            batch = decode(record.value, LogBatch)
        except DecodeError as error:
            self._refuse(record, error.reason, str(error), None, 1)
            return
        reason, text = self._problem(batch)
        if reason:
            # Written by somebody else's program, so perhaps with secrets.
            batch.message = [redact(m) for m in batch.message]
            batch.attributes = []
            self._refuse(record, reason, text, encode(batch), max(1, len(batch.message)))
            return
        book = self._book(batch.target)
        self._touched.add(batch.target)
        times = batch.time or [math.nan] * len(batch.message)
        levels = batch.level or [""] * len(batch.message)
        for message, time, level in zip(batch.message, times, levels, strict=True):
            book.add(message, None if math.isnan(time) else time, level, float(record.timestamp))
        self.lines += len(batch.message)

    def _problem(self, batch: LogBatch) -> tuple[str, str]:
        """Named reason and text of why a batch cannot be used; two empty texts where it can."""
        n = len(batch.message)
        for name in ("time", "level"):
            if (have := len(getattr(batch, name))) not in (0, n):
                return "malformed_batch", f"{n} messages but {have} entries in {name}"
        if not 0 < len(batch.target) <= MOST_TARGET:
            return "bad_value", f"a target name has 1 to {MOST_TARGET} characters, this one {len(batch.target)}"
        wanted = partition_of(batch.target, self._kafka.partitions)
        if wanted != self.number:
            return "wrong_partition", f"target {batch.target} belongs to partition {wanted}: use the target as the key"
        if reason := self._refusal(batch.target):
            told = {
                "unknown_target": f"no target {batch.target} in the configuration",
                "wrong_kind": f"target {batch.target} is checked by a probe, and its lines would count as checks: give "
                f"them a target of their own, with push: {{}}",
            }
            return reason, told[reason]
        return "", ""

    def _refuse(self, record: Any, reason: str, error: str, instead: bytes | None, count: int) -> None:
        self._letters.append(
            dead_letter(
                record,
                hop="logs",
                reason=reason,
                error=error[:2000],
                at=float(record.timestamp),
                instead=instead,
                count=count,
            )
        )

    def _book(self, target: str) -> Book:
        books = self.state.books
        if (book := books.get(target)) is not None:
            return book
        if len(books) >= self._settings.max_targets:
            idle = [b for b in books.values() if not b.open]
            if idle:
                oldest = min(idle, key=lambda b: b.last)
                del books[oldest.target]
                self._gone.add(oldest.target)
        book = books[target] = Book(target, self._counting)
        self._gone.discard(target)
        return book

    def due(self, now_ms: float) -> bool:
        """Whether there is something to flush at `now_ms`, the time up to which every line that arrived is counted."""
        closed = self.state.closed
        return self.lines >= _MOST_LINES or bool(self._letters) or closed is None or self._closing(now_ms) > closed

    def _closing(self, now_ms: float) -> int:
        """The first interval that is not over at `now_ms`."""
        return int((now_ms - self._settings.settle * 1000.0) // self._counting.interval_ms)

    async def flush(self, now_ms: float) -> int:
        """Tell the intervals that are over; how many samples that were. Raises what Kafka does: then start again."""
        state = self.state
        rows = self._close(now_ms)
        if not (rows or self._touched or self._gone or self._letters) and state.offset == self._kept_offset:
            return 0
        first = max(state.sequence + 1.0, float(int(now_ms)))
        if rows:
            state.sequence = first + len(rows) - 1
        previous, state.outbox = len(state.outbox), outbox.records(rows, first)
        writes: list[tuple[bytes, bytes | None]] = [(f"x/{i}".encode(), r) for i, r in enumerate(state.outbox)]
        writes += [(f"x/{i}".encode(), None) for i in range(len(state.outbox), previous)]
        writes += self._changes()
        writes.append((b"p", state.progress()))
        crash.here("logs.flush.counted")
        await self._transact(writes)
        crash.here("logs.flush.stored")
        self._kept_offset = state.offset
        await self._send(state.outbox)
        crash.here("logs.flush.sent")
        return len(rows)

    def _close(self, now_ms: float) -> list[LogSample]:
        state, end = self.state, self._closing(now_ms)
        begin = end if state.closed is None else max(state.closed, end - _MOST_GAP)
        quiet_ms = self._settings.quiet_after * 1000.0
        due: list[tuple[int, str]] = []
        for name, book in state.books.items():
            over = [n for n in book.open if n < end]
            due += [(n, name) for n in over]
            if over:
                self._touched.add(name)
            if now_ms - book.last <= quiet_ms:
                due += [(n, name) for n in range(begin, end) if n not in book.open and self._began(book, n)]
        # A sample's number grows with its interval: so a target's samples go out in the order of their time.
        due.sort()
        state.closed = max(end, state.closed or end)
        return [state.books[name].close(number) for number, name in due]

    def _began(self, book: Book, number: int) -> bool:
        """Whether interval `number` is after the target's first line."""
        return number * self._counting.interval_ms > book.first

    def _changes(self) -> list[tuple[bytes, bytes | None]]:
        """Records of what changed since the last flush."""
        state = self.state
        changes: list[tuple[bytes, bytes | None]] = []
        for name in self._gone:
            changes.append((f"t/{name}".encode(), None))
            if name in state.written:
                changes.append(open_record(name, None))
                state.written.discard(name)
            self._seen.pop(name, None)
        for name in self._touched - self._gone:
            book = state.books[name]
            seen = self._seen.get(name)
            if seen is None or book.templates.changed or book.last - seen > _TOUCH_MS:
                changes.append(templates_record(book))
                self._seen[name], book.templates.changed = book.last, False
            if book.open or name in state.written:
                changes.append(open_record(name, book))
                (state.written.add if book.open else state.written.discard)(name)
        self._gone, self._touched, self.lines = set(), set(), 0
        return changes

    async def _transact(self, writes: list[tuple[bytes, bytes | None]]) -> None:
        kafka, producer = self._kafka, self._producer
        topic = full_name(kafka, LOGS_STATE)
        letters, self._letters = self._letters, []
        async with asyncio.timeout(_KAFKA_LIMIT_S):
            await producer.begin_transaction()
            acks = [await producer.send(topic, value, key=key, partition=self.number) for key, value in writes]
            dead = full_name(kafka, DEAD_LETTERS)
            acks += [await producer.send(dead, encode(letter), partition=0) for letter in letters]
            if self.state.offset is not None:
                tp = TopicPartition(full_name(kafka, LOGS), self.number)
                # Advice for tools that show lag: reading goes on where the state says.
                await producer.send_offsets_to_transaction({tp: self.state.offset}, f"{kafka.prefix}logs")
            await asyncio.gather(*acks)
            crash.here("logs.flush.uncommitted")
            await producer.commit_transaction()

    async def _send(self, records: list[bytes]) -> None:
        topic = full_name(self._kafka, SAMPLES)
        async with asyncio.timeout(_KAFKA_LIMIT_S):
            acks = [await self._samples.send(topic, record, partition=self.number) for record in records]
            await asyncio.gather(*acks)

    async def close(self) -> None:
        """Let go of the partition; what is not flushed is read again by the next owner."""
        await close(self._producer)
