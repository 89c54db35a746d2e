"""Samples on their way to Kafka: in order, and kept while Kafka is away.

Each partition has a lane of its own with one record under way, so order holds, and a partition without a leader holds
up no other. What comes while a record is under way makes up the next one: batches grow with the load by themselves.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING

from aiokafka.errors import MessageSizeTooLargeError

from agents.probe.batch import MOST_SAMPLES, Sample, pack
from agents.probe.link import Link
from streams.partition import partition_of
from streams.topics import SAMPLES, full_name

if TYPE_CHECKING:
    from agents.probe.observation import Observation
    from streams.kafka import KafkaSettings

_log = logging.getLogger("probestream.probe")

_LINGER_S = 0.002  # checks that end together go together; more would be latency for nothing
_RETRY_FIRST_S, _RETRY_MOST_S = 0.2, 5.0
_WARN_EVERY_S = 30.0
MOST_KEPT = 100_000


class Outbox:
    """Takes observations at any time; `kept` says how many are on their way, `dropped` how many never got there."""

    def __init__(self, kafka: KafkaSettings, probe: str, *, most: int = MOST_KEPT) -> None:
        self._kafka, self._probe, self._most = kafka, probe, most
        self._link = Link(kafka)
        self._lanes: dict[int, deque[Sample]] = {}
        self._filled: dict[int, asyncio.Event] = {}
        self._senders: dict[int, asyncio.Task[None]] = {}
        self._sequence: dict[str, float] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self.kept = 0
        self.dropped = 0
        self._warned = float("-inf")

    def put(self, target: str, time_ms: float, observation: Observation) -> None:
        """Take one observation; where too many are kept, the oldest is dropped and counted."""
        sequence = max(self._sequence.get(target, 0.0) + 1.0, float(int(time_ms)))
        self._sequence[target] = sequence
        partition = partition_of(target, self._kafka.partitions)
        if partition not in self._lanes:
            self._lanes[partition], self._filled[partition] = deque(), asyncio.Event()
            self._senders[partition] = asyncio.create_task(self._send(partition), name=f"samples {partition}")
        self._lanes[partition].append(Sample(target, time_ms, sequence, observation))
        self._filled[partition].set()
        self._empty.clear()
        self.kept += 1
        if self.kept > self._most:
            self._drop()

    def _drop(self) -> None:
        lanes = [lane for lane in self._lanes.values() if lane]
        if not lanes:  # everything is under way
            return
        min(lanes, key=lambda lane: lane[0].time).popleft()
        self._gone(1)
        self._lost(1)

    def _lost(self, count: int) -> None:
        self.dropped += count
        now = asyncio.get_running_loop().time()
        if now - self._warned > _WARN_EVERY_S:
            self._warned = now
            _log.warning("%d samples were dropped so far, for Kafka does not take them", self.dropped)

    def _gone(self, count: int) -> None:
        self.kept -= count
        if not self.kept:
            self._empty.set()

    async def _send(self, partition: int) -> None:
        """Work off one lane until cancelled."""
        lane, filled = self._lanes[partition], self._filled[partition]
        while True:
            await filled.wait()
            await asyncio.sleep(_LINGER_S)
            record, count = pack(self._probe, list(islice(lane, MOST_SAMPLES)))
            for _ in range(count):
                lane.popleft()
            if not lane:
                filled.clear()
            await self._deliver(record, count, partition)
            self._gone(count)

    async def _deliver(self, record: bytes, count: int, partition: int) -> None:
        """Try until the broker has taken `record`."""
        topic, pause = full_name(self._kafka, SAMPLES), _RETRY_FIRST_S
        while True:
            try:
                await self._link.send(topic, record, partition)
            except MessageSizeTooLargeError:
                self._lost(count)  # it never will be smaller
                return
            except Exception as error:  # whatever aiokafka raises while brokers are away
                self._link.complain(f"samples cannot be sent, {self.kept} wait: {type(error).__name__}: {error}")
                await asyncio.sleep(pause)
                pause = min(pause * 2, _RETRY_MOST_S)
            else:
                self._link.praise()
                return

    async def close(self, flush_s: float) -> None:
        """Send what is left, for at most `flush_s`, then close."""
        try:
            async with asyncio.timeout(flush_s):
                await self._empty.wait()
        except TimeoutError:
            _log.warning("%d samples could not be sent before the end", self.kept)
        for sender in self._senders.values():
            sender.cancel()
        await asyncio.gather(*self._senders.values(), return_exceptions=True)
        await self._link.close()
