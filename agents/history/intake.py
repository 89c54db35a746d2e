"""Reads the topics that history keeps, and writes what it read in batches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from agents.history.retry import until_done
from agents.history.rows import SOURCES, Rows
from agents.history.store import FencedError, Source, Store
from agents.letters import dead_letter
from schemas import DecodeError, Record, decode, encode
from streams.assignment import Assignment
from streams.kafka import KafkaSettings, close, producer_options
from streams.members import bury_the_dead, member_options
from streams.topics import DEAD_LETTERS, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("probestream.history")
_LINGER_S = 0.5
_MOST_RECORDS = 5000
_STALL_S = 30.0


class StalledError(RuntimeError):
    """Records are there but none arrive: a restart of the role helps."""


class Intake:
    """One member of the consumer group `history`."""

    def __init__(self, kafka: KafkaSettings, store: Store, stop: asyncio.Event) -> None:
        self.kafka, self.store, self.stop = kafka, store, stop
        self.kinds = {f"{kafka.prefix}{name}": kind for name, kind in SOURCES.items()}
        self.consumer = AIOKafkaConsumer(
            **member_options(kafka, "history"),
            # Waiting for SQL is no reason to lose the partitions: offsets come from SQL anyway.
            max_poll_interval_ms=3_600_000,
            rebalance_timeout_ms=30_000,
        )
        self.producer = AIOKafkaProducer(**producer_options(kafka, "history"))
        self.assignment = Assignment()
        self.number = -1
        self.expected: dict[TopicPartition, int | None] = {}
        self.following: dict[TopicPartition, int] = {}
        self.pending: list[tuple[Any, Record]] = []
        self.rows = Rows()
        self.oldest = 0.0
        self.progress_at = 0.0
        self.failed_looks = 0

    async def __aenter__(self) -> Self:
        try:
            await bury_the_dead(self.kafka, "history")
            self.consumer.subscribe(sorted(self.kinds), listener=self.assignment)
            await self.producer.start()
            await self.consumer.start()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        await asyncio.gather(close(self.consumer), close(self.producer))

    async def work(self, ready: Callable[[], None]) -> None:
        """Read and write until told to stop."""
        loop = asyncio.get_running_loop()
        told = False
        self.progress_at = loop.time()
        while not self.stop.is_set():
            if self.number != self.assignment.number:
                await self._take_up()
                if not told and self.number == self.assignment.number and self.expected:
                    told = True
                    ready()
            if not self.expected:
                await asyncio.sleep(0.1)
                continue
            try:
                found = await self.consumer.getmany(*self.expected, timeout_ms=200, max_records=_MOST_RECORDS)
            except IllegalStateError:  # a partition went away while we asked
                continue
            if self.number != self.assignment.number:
                continue
            now = loop.time()
            for partition, messages in found.items():
                await self._take(partition, messages)
                self.progress_at = now
            if self.following and (len(self.pending) >= _MOST_RECORDS or now - self.oldest >= _LINGER_S):
                await self._flush()
            await self._watch(now)
        if self.number == self.assignment.number:
            await self._flush()

    async def _take_up(self) -> None:
        """Begin with the partitions of a new assignment where SQL says that reading goes on."""
        number, partitions = self.assignment.number, set(self.assignment.partitions)
        self._forget()
        self.expected = {}
        known: dict[Source, int] = {}
        sources = [(p.topic, p.partition) for p in partitions]
        if not await until_done(lambda: known.update(self.store.offsets(sources)), self.stop, "offsets cannot be read"):
            return
        first = await self.consumer.beginning_offsets(partitions) if partitions else {}
        end = await self.consumer.end_offsets(partitions) if partitions else {}
        if number != self.assignment.number:
            return
        for partition in partitions:
            stored = known.get((partition.topic, partition.partition))
            start = first[partition] if stored is None else stored
            if start > end[partition]:
                _log.warning(
                    "%s ends at %d, before offset %d already reached: the topic was made anew, reading all of it",
                    partition, end[partition], start,
                )  # fmt: skip
                start = first[partition]
            elif start < first[partition]:
                _log.warning(
                    "%s starts at %d and history had reached %d: what lay between was deleted by retention",
                    partition, first[partition], start,
                )  # fmt: skip
                start = first[partition]
            try:
                self.consumer.seek(partition, start)
            except IllegalStateError:  # taken away again; the next assignment tells
                return
            self.expected[partition] = stored
        self.number = number

    def _forget(self) -> None:
        self.pending, self.rows, self.following = [], Rows(), {}

    async def _take(self, partition: TopicPartition, messages: list[Any]) -> None:
        if not self.following:
            self.oldest = asyncio.get_running_loop().time()
        kind = self.kinds[partition.topic]
        for message in messages:
            if message.value is None:  # a tombstone: the log forgets, history keeps
                continue
            try:
                record = decode(message.value, kind)
                self.rows.add(record)
            except DecodeError as error:
                await self._refuse(message, error.reason, str(error))
            except (ValueError, TypeError) as error:
                await self._refuse(message, "bad_record", str(error))
            else:
                self.pending.append((message, record))
        self.following[partition] = messages[-1].offset + 1

    async def _flush(self) -> None:
        if not self.following:
            return
        number = self.number
        rows = self.rows
        positions = {(p.topic, p.partition): (self.expected[p], after) for p, after in self.following.items()}
        try:
            done = await until_done(lambda: self.store.write(rows, positions), self.stop, "history cannot be written")
        except FencedError as error:
            _log.warning("%s: reading the offsets anew", error)
            self.number = -1
            return
        except Exception:  # something in these rows, else it would have been tried again
            done = await self._write_one_by_one(positions)
        if not done or number != self.assignment.number:
            return
        self.expected |= self.following
        reached = dict(self.following)
        self._forget()
        # Advice for tools that show lag, nothing more.
        with contextlib.suppress(KafkaError, IllegalStateError, TimeoutError):
            await asyncio.wait_for(self.consumer.commit(reached), 5.0)

    async def _write_one_by_one(self, positions: dict[Source, tuple[int | None, int]]) -> bool:
        """Find the record that SQL refuses among good ones; writing a good one twice changes nothing."""
        for message, record in self.pending:
            rows = Rows()
            rows.add(record)
            try:
                if not await until_done(lambda r=rows: self.store.write(r, {}), self.stop, "history cannot be written"):  # type: ignore[misc]  # the default binds the loop's value
                    return False
            except Exception as error:
                await self._refuse(message, "sql_refused", str(getattr(error, "orig", error)))
        return await until_done(lambda: self.store.write(Rows(), positions), self.stop, "history cannot be written")

    async def _refuse(self, message: Any, reason: str, error: str) -> None:
        _log.warning("%s[%d]@%d refused, %s: %s", message.topic, message.partition, message.offset, reason, error)
        letter = dead_letter(message, hop="history", reason=reason, error=error[:2000], at=now_ms())
        await self.producer.send_and_wait(full_name(self.kafka, DEAD_LETTERS), encode(letter))

    async def _watch(self, now: float) -> None:
        """Raise StalledError where the log grows and nothing arrives, as happens to clients after a broker's death."""
        if now - self.progress_at < _STALL_S:
            return
        try:
            ends = await asyncio.wait_for(self.consumer.end_offsets(self.expected), 10.0)
            for partition, end in ends.items():
                if await asyncio.wait_for(self.consumer.position(partition), 5.0) < end:
                    raise StalledError(f"nothing arrived from {partition} for {_STALL_S:.0f} s, though there is more")
        except (TimeoutError, KafkaError, IllegalStateError) as error:
            # The broker is away, or this client hangs: from here that looks the same.
            self.failed_looks += 1
            if self.failed_looks >= 3:
                raise StalledError(f"nothing arrived for {3 * _STALL_S:.0f} s, and Kafka does not answer") from error
        else:
            self.failed_looks = 0
        self.progress_at = now
