"""The consumer of `logs`: the partitions it was given, each read from where its state says."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import IllegalStateError

from agents.logs import state
from agents.logs.partition import Partition
from agents.watchdog import watch
from streams.assignment import Assignment
from streams.kafka import KafkaSettings, close, producer_options
from streams.members import bury_the_dead, member_options
from streams.topics import LOGS, full_name
from streams.units import now_ms

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.logs.settings import LogsSettings
    from streams.log_counts import Counting

log = logging.getLogger("probestream.logs")

_START_LIMIT_S = 20.0


class WedgedError(RuntimeError):
    """The consumer stopped reading although there is more."""


class Worker:
    """One member of the consumer group `logs`, from one start to the next."""

    def __init__(
        self, kafka: KafkaSettings, settings: LogsSettings, counting: Counting, refusal: Callable[[str], str]
    ) -> None:
        self._kafka, self._settings, self._counting, self._refusal = kafka, settings, counting, refusal
        self._topic = full_name(kafka, LOGS)
        self._consumer = AIOKafkaConsumer(
            **member_options(kafka, "logs")
            # The shortest that brokers allow by default: after a crash the next owner waits for it.
            | {"session_timeout_ms": 6_000, "heartbeat_interval_ms": 1_500, "rebalance_timeout_ms": 10_000}
        )
        self._samples = AIOKafkaProducer(**producer_options(kafka, "logs-samples"))
        self._assignment = Assignment()
        self._number = 0
        self._partitions: dict[int, Partition] = {}

    async def run(self, stop: asyncio.Event, ready: Callable[[], None]) -> None:
        """Count until `stop`. Raises where only a new start from the state helps."""
        watchdog = asyncio.create_task(watch(self._kafka, self._topic, self._progress, "logs"))
        try:
            async with asyncio.timeout(_START_LIMIT_S):
                await self._samples.start()
                await self._consumer.start()
            await bury_the_dead(self._kafka, "logs")
            self._consumer.subscribe([self._topic], listener=self._assignment)
            while not stop.is_set():
                if watchdog.done():
                    raise WedgedError("the consumer of logs stands still")
                if self._number != self._assignment.number:
                    await self._take_up()
                    if self._number == self._assignment.number:
                        ready()
                    continue
                await self._read()
                for partition in tuple(self._partitions.values()):
                    await self._flush(partition)
        finally:
            watchdog.cancel()
            await asyncio.gather(watchdog, return_exceptions=True)
            await self._let_go()
            await asyncio.gather(close(self._consumer), close(self._samples))

    async def _flush(self, partition: Partition) -> None:
        now = self._now(partition)
        if self._number != self._assignment.number or not partition.due(now):
            return
        try:
            await partition.flush(now)
        except Exception as error:
            if self._number == self._assignment.number:
                raise
            # The next owner has shut this one out, and counts what was not told yet.
            log.info("%s/%d went to another worker: %r", self._topic, partition.number, error)

    async def _read(self) -> None:
        if not self._partitions:
            await asyncio.sleep(0.1)
            return
        try:
            found = await self._consumer.getmany(timeout_ms=200, max_records=500)
        except IllegalStateError:  # a partition went away while we asked
            return
        for tp, records in found.items():
            for record in records:
                if self._number != self._assignment.number:
                    return
                self._partitions[tp.partition].take(record)
                # A record may take some 50 ms of counting: the consumer's heartbeats run in this loop too.
                await asyncio.sleep(0)

    def _now(self, partition: Partition) -> float:
        """The time up to which every line that arrived is counted: the clock's, or in a backlog the last record's."""
        tp = TopicPartition(self._topic, partition.number)
        end = self._consumer.highwater(tp)
        read = partition.state.offset
        if end is None or (read is not None and read < end):
            return partition.arrived
        return now_ms()

    def _progress(self) -> dict[int, int]:
        """Offset of the last record read, by partition."""
        if self._number != self._assignment.number:
            return {}
        return {n: p.state.offset - 1 for n, p in self._partitions.items() if p.state.offset is not None}

    async def _take_up(self) -> None:
        """Begin with the partitions of a new assignment."""
        number, wanted = self._assignment.number, sorted(tp.partition for tp in self._assignment.partitions)
        await self._let_go()
        taken = {
            n: Partition(
                n, kafka=self._kafka, settings=self._settings, counting=self._counting, refusal=self._refusal,
                samples=self._samples,
            )
            for n in wanted
        }  # fmt: skip
        self._partitions = taken
        # First the fence, then the look: what a predecessor writes after it is refused, so nothing is overlooked.
        await asyncio.gather(*(p.shut_out() for p in taken.values()))
        states = await state.load(self._kafka, wanted, self._counting)
        if number != self._assignment.number:
            return
        for n, partition in taken.items():
            await partition.take_over(states[n])
        if number == self._assignment.number and await self._seek():
            self._number = number

    async def _seek(self) -> bool:
        """Read on where the states say; False where the partitions were taken away meanwhile."""
        tps = [TopicPartition(self._topic, n) for n in self._partitions]
        first: dict[Any, int] = await self._consumer.beginning_offsets(tps) if tps else {}
        end: dict[Any, int] = await self._consumer.end_offsets(tps) if tps else {}
        for tp in tps:
            kept = self._partitions[tp.partition].state
            start = first[tp] if kept.offset is None else kept.offset
            if start > end[tp]:
                log.warning("%s ends at %d, before offset %d: it was made anew, reading all of it", tp, end[tp], start)
                start = first[tp]
            elif start < first[tp]:
                log.warning("%s starts at %d, after offset %d: what lay between was deleted", tp, first[tp], start)
                start = first[tp]
            kept.offset = start
            try:
                self._consumer.seek(tp, start)
            except IllegalStateError:
                return False
        return True

    async def _let_go(self) -> None:
        gone, self._partitions = self._partitions, {}
        await asyncio.gather(*(p.close() for p in gone.values()))
